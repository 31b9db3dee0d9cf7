import MuleSystem
import MuleTransport
import TestSupport
import Testing

@Suite("HTTP answers")
struct AnswerTests {
    /// What the client makes of the bytes of an answer, after which the connection closes.
    private func read(_ answer: String, method: String = "GET", limit: Int = 1 << 20) async throws -> HTTPResponse {
        let server = ScriptedServer { peer in
            peer.request()
            peer.send(answer)
        }
        return try await withClient { client throws in
            var request = HTTPRequest(method: method, url: server.url)
            request.answerLimit = limit
            return try client.perform(request)
        }
    }

    @Test
    func `names are lower case, values trimmed, doubles kept in order`() async throws {
        let answer = try await read(
            "HTTP/1.1 200 OK\r\nETag:  \"a\" \r\nX-Twice: 1\r\nx-twice:2\r\nContent-Length: 2\r\n\r\nhi"
        )
        #expect(answer.status == 200)
        #expect(answer.headers.map(\.name) == ["etag", "x-twice", "x-twice", "content-length"])
        #expect(answer[header: "etag"] == "\"a\"")
        #expect(answer.headers.map(\.value) == ["\"a\"", "1", "2", "2"])
        #expect(answer.body == Array("hi".utf8))
        #expect(!answer.continued)
    }

    @Test(arguments: ["HTTP/1.1 503 Slow Down", "HTTP/1.1 503 ", "HTTP/1.1 503", "HTTP/1.0 503 x 200"]
    )
    func `the status is read with any reason, or none`(line: String) async throws {
        #expect(try await read("\(line)\r\nContent-Length: 0\r\n\r\n").status == 503)
    }

    @Test
    func `answers before the last one leave nothing behind`() async throws {
        let answer = try await read(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
                + "HTTP/1.1 204 No Content\r\nX-Last: 1\r\n\r\n"
        )
        #expect(answer.status == 204)
        #expect(answer.headers.map(\.name) == ["x-last"])
    }

    @Test
    func `a chunked body is put together, and its trailer is no trouble`() async throws {
        let answer = try await read(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
        )
        #expect(answer.body == Array("abcde".utf8))
    }

    @Test
    func `a body without a length ends with the connection`() async throws {
        #expect(try await read("HTTP/1.1 200 OK\r\n\r\nabc").body == Array("abc".utf8))
    }

    @Test
    func `HEAD has no body, whatever length it announces`() async throws {
        let answer = try await read("HTTP/1.1 200 OK\r\nContent-Length: 1234567890123\r\n\r\n", method: "HEAD")
        #expect(answer[header: "content-length"] == "1234567890123")
        #expect(answer.body == [])
    }

    @Test
    func `the head of an answer to HEAD must be whole`() async throws {
        await #expect(throws: TransportError.self) {
            try await read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", method: "HEAD")
        }
    }

    @Test
    func `a redirect is an answer, and no one goes where it points`() async throws {
        let elsewhere = ScriptedServer { peer in peer.request() }
        let answer = try await read(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: \(elsewhere.url)/\r\nContent-Length: 0\r\n\r\n"
        )
        #expect(answer.status == 307)
        #expect(elsewhere.connections == 0)
    }

    @Test
    func `an answer may be as long as its limit`() async throws {
        let text = String(repeating: "x", count: 1000)
        #expect(try await read("HTTP/1.1 200 OK\r\n\r\n\(text)", limit: 1000).body.count == 1000)
    }

    @Test
    func `a longer answer is aborted`() async throws {
        let text = String(repeating: "x", count: 1001)
        await #expect(throws: TransportError.answerTooLong(limit: 1000)) {
            try await read("HTTP/1.1 200 OK\r\n\r\n\(text)", limit: 1000)
        }
        #expect(!TransportError.answerTooLong(limit: 1).isTransient)
    }

    @Test(arguments: [
        ("", false), ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true),
        // Within the head: the line that is missing may be the ETag.
        ("HTTP/1.1 200 OK\r\n", true), ("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Len", true),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n", true),
    ]
    )
    func `a connection that breaks says whether an answer had started`(answer: String, answered: Bool) async throws {
        let error = try await failureOf(answer)
        guard case .closed = error?.network?.reason, error?.network?.answered == answered else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.isTransient == true)
    }

    @Test(arguments: ["SSH-2.0-OpenSSH\r\n", "<html>\n", "\u{15}\u{3}\u{1}\0\u{2}"])
    func `what is no HTTP is no answer`(answer: String) async throws {
        guard try await failureOf(answer)?.network?.reason == .notHTTP else {
            Issue.record("taken for an answer: \(answer)")
            return
        }
    }

    private func failureOf(_ answer: String) async throws -> TransportError? {
        do {
            _ = try await read(answer)
            return nil
        } catch {
            return error as? TransportError
        }
    }
}

@Suite("HTTP answers without end")
struct EndlessAnswerTests {
    /// The failure for an answer with this start, followed by the piece for as long as the client reads.
    private func failure(
        _ beginning: String,
        _ piece: String,
        _ change: @escaping @Sendable (inout HTTPRequest) -> Void = { _ in }
    ) async throws -> TransportError? {
        let server = ScriptedServer { peer in
            peer.request()
            peer.send(beginning)
            while peer.send(piece) {}
        }
        return try await withClient { client in
            var request = HTTPRequest(method: "POST", url: server.url)
            change(&request)
            return MuleTransportTests.failure { try client.perform(request) }
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n", "x-a: bcdefghijklmnopqrstuvwxyz\r\n"), ("", "HTTP/1.1 102 Processing\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "x-a: bcdefghijklmnopqrstuvwxyz\r\n"),
        ("HTTP/1.1 200 OK\r\nx-a: ", "bcdefghijklmnopqrstuvwxyz"),
    ]
    )
    func `headers without end are aborted at their limit, 1xx answers, trailers and one long line too`(
        beginning: String,
        piece: String
    ) async throws {
        let error = try await failure(beginning, piece)
        switch error {
        case .answerTooLong, .network, .unusable: break  // curl has limits of its own for lines and trailers.
        default: Issue.record("\(String(describing: error))")
        }
    }

    @Test
    func `1xx answers are counted by their bytes`() async throws {
        let error = try await failure("", "HTTP/1.1 102 Processing\r\n\r\n")
        #expect(error == .answerTooLong(limit: ResponseHead.sizeLimit))
    }

    @Test
    func `white space before an answer is not kept where it is expected, and has an end all the same`() async throws {
        let space = String(repeating: " \n\t\r", count: 250)
        let server = ScriptedServer { peer in
            for spaces in [1, 2] {
                peer.request()
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(1000 * spaces + 5)\r\n\r\n")
                for _ in 0..<spaces { peer.send(space) }
                peer.send("< a >")
            }
        }
        let (answer, error) = try await withClient { client throws in
            var request = HTTPRequest.get(server.url)
            request.answerLimit = 1500
            request.dropsLeadingSpace = true
            let answer = try client.perform(request)
            return (answer, MuleTransportTests.failure { try client.perform(request) })
        }
        #expect(answer.body == Array("< a >".utf8))
        #expect(error == .answerTooLong(limit: 1500))
        let endless = try await failure("HTTP/1.1 200 OK\r\n\r\n", "    ") { $0.dropsLeadingSpace = true }
        #expect(endless == .answerTooLong(limit: 1 << 20))
    }

    @Test
    func `a byte now and then does not hold the client forever`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.send("HTTP/1.1 200 OK\r\n\r\n")
            while peer.send(" ") { peer.pause(seconds: 0.1) }
        }
        let error = try await withClient { client in
            var request = HTTPRequest(method: "POST", url: server.url)
            request.answerDuration = 1.5
            return MuleTransportTests.failure { try client.perform(request) }
        }
        guard case .closed = error?.network?.reason, error?.network?.answered == true else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test
    func `what is not to be decoded is kept as it comes, and compression is not asked for`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.answer("\u{1F}packed", headers: "Content-Encoding: gzip\r\n")
        }
        let answer = try await withClient { client in
            var request = HTTPRequest.get(server.url)
            request.decodesAnswer = false
            return try client.perform(request)
        }
        #expect(answer.body == Array("\u{1F}packed".utf8))
        #expect(!server.heads[0].lowercased().contains("accept-encoding"))
        #expect(!server.heads[0].lowercased().contains("te:"))
    }
}

@Suite("HTTP connections that end between or inside requests")
struct ReconnectTests {
    @Test
    func `a connection that the server closed while it was idle is replaced without a word`() async throws {
        let closed = Monitor(false)
        let server = ScriptedServer { peer in
            peer.request()
            peer.answer()
            peer.endSending()
            closed.update { $0 = true }
        }
        try await withClient { client throws in
            #expect(try client.perform(.put(server.url, .bytes([1, 2, 3]))).status == 200)
            _ = closed.wait { $0 ? true : nil }
            #expect(try client.perform(.put(server.url, .bytes([4, 5, 6]))).status == 200)
        }
        #expect(server.connections == 2)
        #expect(server.bodies == [[1, 2, 3], [4, 5, 6]])
    }

    @Test
    func `a connection that dies under a second request is replaced, and the body goes again from its start`()
        async throws
    {
        let server = ScriptedServer { peer in
            peer.request()
            peer.answer()
            // The second request is read and left without an answer on the first connection only.
            if peer.request() != nil, peer.number > 1 { peer.answer() }
        }
        let file = try BodyFile(1_000_000)
        let expected = try file.file.bytes(at: 0, count: 1_000_000)
        try await withClient { client throws in
            #expect(try client.perform(.get(server.url)).status == 200)
            let observer = PassingBytes()
            var sent: Int64 = 0
            var request = HTTPRequest.put(server.url, file.slice())
            request.observer = observer
            request.onSent = { sent += $0 }
            #expect(try client.perform(request).status == 200)
            #expect(observer.starts == 2)
            #expect(observer.bytes == expected)
            #expect(sent == 2_000_000, "every byte that went out is counted")
        }
        #expect(server.connections == 2)
        #expect(server.bodies == [expected, expected])
    }

    @Test
    func `a POST whose connection dies is not sent again: it may have been done`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.answer()
            if peer.number == 1 { peer.request() }
        }
        let outcome = try await withClient { client throws in
            #expect(try client.perform(.get(server.url)).status == 200)
            let error = failure { try client.perform(HTTPRequest(method: "POST", url: server.url)) }
            return (error, try client.perform(HTTPRequest(method: "POST", url: server.url)).status)
        }
        guard case .closed = outcome.0?.network?.reason, outcome.0?.network?.answered == false else {
            Issue.record("\(String(describing: outcome.0))")
            return
        }
        #expect(outcome.1 == 200, "asked for again, it goes over a new connection")
        #expect(server.connections == 2)
        #expect(server.heads.count == 3)
    }

    @Test
    func `an answer that is compressed unasked is decoded where it is read here, and kept as it is for a reader`()
        async throws
    {
        // gzip of <Error><Code>SlowDown</Code></Error>
        let bytes: [UInt8] = [
            0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0x02, 0x03, 0xB3, 0x71, 0x2D, 0x2A, 0xCA, 0x2F, 0xB2, 0xB3, 0x71, 0xCE,
            0x4F,
            0x49, 0xB5, 0x0B, 0xCE, 0xC9, 0x2F, 0x77, 0xC9, 0x2F, 0xCF, 0xB3, 0xD1, 0x07, 0x73, 0x6D, 0xF4, 0x21, 0x92,
            0,
            0x99, 0x37, 0x2C, 0x39, 0x24, 0, 0, 0,
        ]
        let server = ScriptedServer { peer in
            while peer.request() != nil {
                peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(bytes.count)\r\n\r\n")
                peer.send(bytes)
            }
        }
        let answers = try await withClient { client throws in
            var plain = HTTPRequest.get(server.url)
            plain.decodesAnswer = false
            return [try client.perform(.get(server.url)).body, try client.perform(plain).body]
        }
        #expect(String(decoding: answers[0], as: UTF8.self) == "<Error><Code>SlowDown</Code></Error>")
        #expect(answers[1] == bytes)
    }

    @Test
    func `no one listening is told as such`() async throws {
        let (descriptor, port) = Loopback.listener(backlog: 1)
        _ = File(descriptor: descriptor)  // Closes it.
        let error = try await withClient { client in failure { try client.perform(.get("http://127.0.0.1:\(port)/")) } }
        guard error?.network?.reason == .refused, error?.connectionFailed == true else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.isTransient == true)
    }

    // MARK: Readers

    @Test(arguments: [200, 206])
    func `a reader gets a body of any length, after its head`(status: Int) async throws {
        let text = String(repeating: "0123456789", count: 10_000)
        let read = try await readByReader("HTTP/1.1 \(status) OK\r\nX-A: 1\r\n", text, limit: 10)
        #expect(read.answer?.status == status)
        #expect(read.answer?.body == [])
        #expect(read.heads == ["\(status) 1"])
        #expect(read.bytes == Array(text.utf8))
    }

    @Test
    func `a refusal's body does not go to the reader`() async throws {
        let read = try await readByReader("HTTP/1.1 404 Not Found\r\n", "<Error/>", limit: 100)
        #expect(read.answer?.body == Array("<Error/>".utf8))
        #expect(read.heads.isEmpty && read.bytes.isEmpty)
    }

    @Test
    func `a reader that has enough ends the request`() async throws {
        let text = String(repeating: "x", count: 1 << 20)
        let read = try await readByReader("HTTP/1.1 200 OK\r\n", text, limit: 10, mostBytes: 1)
        #expect(read.error == .cancelled)
        #expect(read.bytes.count < text.utf8.count)
    }

    private struct Read: Sendable {
        var answer: HTTPResponse?
        var error: TransportError?
        var heads: [String]
        var bytes: [UInt8]
    }

    private func readByReader(
        _ head: String,
        _ body: String,
        limit: Int,
        mostBytes: Int = .max
    ) async throws -> Read {
        let server = ScriptedServer { peer in
            peer.request()
            peer.send("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
        return try await withClient { client throws in
            let reader = KeptAnswer(mostBytes: mostBytes)
            var request = HTTPRequest.get(server.url)
            request.answerLimit = limit
            request.reader = reader
            var read = Read(heads: [], bytes: [])
            do throws(TransportError) {
                read.answer = try client.perform(request)
            } catch {
                read.error = error
            }
            read.heads = reader.heads
            read.bytes = reader.bytes
            return read
        }
    }
}

/// Keeps what an answer brings, up to a number of bytes.
private final class KeptAnswer: AnswerReader {
    private(set) var heads: [String] = []
    private(set) var bytes: [UInt8] = []
    private let mostBytes: Int

    init(mostBytes: Int) { self.mostBytes = mostBytes }

    func answerStarts(status: Int, headers: [(name: String, value: String)]) {
        heads.append("\(status) \(headers.first { $0.name == "x-a" }?.value ?? "")")
    }

    func answerContinues(_ bytes: UnsafeRawBufferPointer) -> Bool {
        self.bytes += bytes
        return self.bytes.count < mostBytes
    }
}
