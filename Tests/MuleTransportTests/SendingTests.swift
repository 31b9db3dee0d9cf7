import MuleSystem
import MuleTransport
import TestSupport
import Testing

@Suite("Bodies that wait for leave")
struct ExpectTests {
    @Test
    func `the body waits for 100 Continue`() async throws {
        let early = Monitor(false)
        let server = ScriptedServer { peer in
            _ = peer.head()
            let heard = peer.hearsSomething(within: 0.1)
            early.withLock { $0 = heard }
            peer.send("HTTP/1.1 100 Continue\r\n\r\n")
            peer.body(500_000)
            peer.answer()
        }
        let file = try BodyFile(500_000)
        try await withClient { client throws in
            var request = HTTPRequest.put(server.url, file.slice())
            request.expectsContinue = true
            let answer = try client.perform(request)
            #expect(answer.status == 200)
            #expect(answer.continued)
        }
        #expect(!early.withLock { $0 }, "nothing came before the leave")
        #expect(server.bodies[0].count == 500_000)
        #expect(server.heads[0].contains("\r\nExpect: 100-continue"))
    }

    @Test
    func `success before the body was read is no success`() async throws {
        let server = ScriptedServer { peer in
            _ = peer.head()
            peer.answer(headers: "Connection: close\r\n")
        }
        let file = try BodyFile(64 << 20, sparse: true)
        try await withClient { client throws in
            let error = #expect(throws: TransportError.self) {
                try client.perform(HTTPRequest.put(server.url, file.slice()))
            }
            #expect(error?.isTransient == true)
        }
    }

    @Test
    func `success before the body was read is no success although the rest is read afterwards`() async throws {
        let size = 16 << 20
        let server = ScriptedServer(receiveBuffer: 64 << 10) { peer in
            while peer.head() != nil {
                peer.answer()
                peer.body(size)
            }
        }
        let file = try BodyFile(Int64(size), sparse: true)
        try await withClient { client throws in
            let error = #expect(throws: TransportError.self) {
                try client.perform(HTTPRequest.put(server.url, file.slice()))
            }
            #expect(error?.isTransient == true)
            #expect(error?.network?.answered == true)
            #expect(error?.sentence.contains("the server reported success after") == true, "\(error?.sentence ?? "")")
        }
    }

    @Test(arguments: ["", "Connection: close\r\n"])
    func `a refusal comes as an answer, and no byte of the body goes`(header: String) async throws {
        let server = ScriptedServer { peer in
            _ = peer.head()
            peer.answer("<Error/>", status: "403 Forbidden", headers: header)
            peer.drain()
        }
        let file = try BodyFile(4 << 20, sparse: true)
        try await withClient { client throws in
            let observer = PassingBytes()
            var sent: Int64 = 0
            var request = HTTPRequest.put(server.url, file.slice())
            request.expectsContinue = true
            request.observer = observer
            request.onSent = { sent += $0 }
            let answer = try client.perform(request)
            #expect(answer.status == 403)
            #expect(answer.body == Array("<Error/>".utf8))
            #expect(!answer.continued)
            #expect(sent == 0 && observer.starts == 0)
        }
    }

    @Test
    func `a server that never gives leave gets the body all the same, after a second`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.answer()
        }
        try await withClient { client throws in
            var request = HTTPRequest.put(server.url, .bytes([1, 2, 3]))
            request.expectsContinue = true
            let start = Moment.now()
            let answer = try client.perform(request)
            #expect(answer.status == 200 && !answer.continued)
            #expect(Moment.now().seconds(since: start) < 10)
        }
        #expect(server.bodies == [[1, 2, 3]])
    }

    @Test
    func `417 is an answer, from which the next request may go without the expectation`() async throws {
        let server = ScriptedServer { peer in
            while let head = peer.head() {
                if head.contains("Expect:") {
                    peer.answer(status: "417 Expectation Failed", headers: "Connection: close\r\n")
                    return
                }
                peer.body(3)
                peer.answer()
            }
        }
        try await withClient { client throws in
            var request = HTTPRequest.put(server.url, .bytes([1, 2, 3]))
            request.expectsContinue = true
            #expect(try client.perform(request).status == 417)
            request.expectsContinue = false
            #expect(try client.perform(request).status == 200)
        }
        #expect(server.bodies == [[1, 2, 3]])
    }
}

@Suite("Bodies that do not get through")
struct InterruptedBodyTests {
    @Test(arguments: ["", "Connection: close\r\n"])
    func `an early refusal is read while the body is on its way`(header: String) async throws {
        let server = ScriptedServer { peer in
            _ = peer.head()
            peer.body(100_000)
            peer.answer("<Error/>", status: "403 Forbidden", headers: header)
            peer.drain()
        }
        let file = try BodyFile(256 << 20, sparse: true)
        try await withClient { client throws in
            var sent: Int64 = 0
            var request = HTTPRequest.put(server.url, file.slice())
            request.onSent = { sent += $0 }
            let answer = try client.perform(request)
            #expect(answer.status == 403)
            #expect(answer.body == Array("<Error/>".utf8))
            #expect(sent < file.size, "the rest stays where it is")
        }
    }

    @Test
    func `a reset inside the body breaks the request, and the client continues`() async throws {
        let server = ScriptedServer { peer in
            if peer.number == 1 {
                _ = peer.head()
                peer.body(100_000)
                peer.resetWhenDone()
            } else {
                peer.request()
                peer.answer()
            }
        }
        let file = try BodyFile(64 << 20, sparse: true)
        let outcome = try await withClient { client throws in
            (
                failure { try client.perform(.put(server.url, file.slice())) },
                try client.perform(.get(server.url)).status
            )
        }
        guard case .closed = outcome.0?.network?.reason, outcome.0?.network?.answered == false else {
            Issue.record("\(String(describing: outcome.0))")
            return
        }
        #expect(outcome.1 == 200)
    }
}

@Suite("Requests that stall")
struct StallTests {
    /// The result of a PUT of a large body with short timeouts, and the seconds that it took.
    private func outcome(
        _ server: ScriptedServer,
        stall: Double = 60,
        answer: Double = 60,
        size: Int64 = 64 << 20
    ) async throws -> (error: TransportError?, status: Int?, seconds: Double) {
        let file = try BodyFile(size, sparse: true)
        return try await withClient { client throws in
            var request = HTTPRequest.put(server.url, file.slice())
            request.stallTimeout = stall
            request.answerTimeout = answer
            let start = Moment.now()
            var status: Int?
            let error = failure {
                let answer = try client.perform(request)
                status = answer.status
                return answer
            }
            return (error, status, Moment.now().seconds(since: start))
        }
    }

    private func expectStall(_ outcome: (error: TransportError?, status: Int?, seconds: Double)) {
        guard case .stalled(let seconds) = outcome.error?.network?.reason else {
            Issue.record("\(outcome)")
            return
        }
        // The timeout of a second, and the clock is looked at once a second.
        #expect(seconds > 1 && outcome.seconds < 10)
        #expect(outcome.error?.isTransient == true)
    }

    @Test
    func `a server that stops reading stalls the request by its stall timeout`() async throws {
        let server = ScriptedServer { peer in
            _ = peer.head()
            peer.body(100_000)
            peer.waitForClose()
        }
        expectStall(try await outcome(server, stall: 1))
    }

    @Test
    func `a server that takes the body and never answers stalls it by the answer timeout`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.waitForClose()
        }
        expectStall(try await outcome(server, answer: 1, size: 100_000))
    }

    @Test
    func `an answer that stops half way stalls too`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            peer.waitForClose()
        }
        expectStall(try await outcome(server, answer: 1, size: 100_000))
    }

    @Test
    func `a server that takes little at a time does not stall the request, who holds the bytes meanwhile`() async throws
    {
        // The kernel has the whole body at once; the server takes three seconds for it.
        let server = ScriptedServer(receiveBuffer: 32 << 10) { peer in
            _ = peer.head()
            for _ in 1...12 {
                peer.body(64 << 10)
                peer.pause(seconds: 0.25)
            }
            peer.body((2 << 20) - 12 * (64 << 10))
            peer.answer()
        }
        let outcome = try await outcome(server, stall: 2, answer: 2, size: 2 << 20)
        #expect(outcome.status == 200, "\(outcome)")
        #expect(outcome.seconds > 2.9)
    }

    @Test
    func `white space that trickles in keeps the answer alive`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 1...6 {
                peer.pause(seconds: 0.5)
                peer.send("1\r\n \r\n")
            }
            peer.send("4\r\n<a/>\r\n0\r\n\r\n")
        }
        let outcome = try await outcome(server, stall: 2, answer: 2, size: 1000)
        #expect(outcome.status == 200, "\(outcome)")
        #expect(outcome.seconds > 2.9)
    }
}

@Suite("Requests that are called off")
struct CancelledRequestTests {
    /// Cancels when the server's script says so; what the request ends with, and how long that took.
    private func cancelling(
        _ body: HTTPRequest.Body,
        _ script: @escaping @Sendable (Peer, () -> Void) -> Void
    ) async throws -> (error: TransportError?, seconds: Double) {
        let ready = Monitor(false)
        let server = ScriptedServer { peer in script(peer) { ready.update { $0 = true } } }
        return try await cancelling(url: server.url, body, when: ready, keeping: server)
    }

    private func cancelling(
        url: String,
        _ body: HTTPRequest.Body,
        when ready: Monitor<Bool>,
        keeping server: ScriptedServer? = nil
    ) async throws -> (error: TransportError?, seconds: Double) {
        let cancellation = Cancellation()
        let asked = Monitor(Moment?.none)
        let canceller = startedThread("canceller") {
            _ = ready.wait { $0 ? true : nil }
            asked.withLock { $0 = .now() }
            cancellation.cancel()
        }
        let outcome = try await withClient(cancellation) { client throws in
            var request = HTTPRequest.put(url, body)
            // For those who have no server to tell them.
            if server == nil {
                request.shouldStop = {
                    ready.update { $0 = true }; return false
                }
            }
            return (failure { try client.perform(request) }, Moment.now())
        }
        canceller.join()
        let start = try #require(asked.withLock { $0 })
        return (outcome.0, outcome.1.seconds(since: start))
    }

    private func expectPrompt(_ outcome: (error: TransportError?, seconds: Double)) {
        #expect(outcome.error == .cancelled)
        // It takes milliseconds; without its wake-up the client would look only once a second.
        #expect(outcome.seconds < 0.5)
        #expect(TransportError.cancelled.isTransient == false)
    }

    @Test
    func `while the body waits for the server to read on`() async throws {
        let file = try BodyFile(64 << 20, sparse: true)
        expectPrompt(
            try await cancelling(file.slice()) { peer, ready in
                _ = peer.head()
                peer.body(100_000)
                ready()
                peer.waitForClose()
            }
        )
    }

    @Test
    func `while the body flows as fast as it can`() async throws {
        let file = try BodyFile(64 << 30, sparse: true)
        expectPrompt(
            try await cancelling(file.slice()) { peer, ready in
                _ = peer.head()
                peer.body(10_000_000)
                ready()
                peer.drain()
            }
        )
    }

    @Test
    func `while the answer is awaited`() async throws {
        expectPrompt(
            try await cancelling(.bytes([1, 2, 3])) { peer, ready in
                peer.request()
                ready()
                peer.waitForClose()
            }
        )
    }

    @Test
    func `while the connection is being made`() async throws {
        // A full backlog leaves further connections without an answer.
        let (listener, port) = Loopback.listener(backlog: 0)
        let kept = [File(descriptor: listener)] + (1...8).map { _ in File(descriptor: Loopback.connecting(to: port)) }
        expectPrompt(try await cancelling(url: "http://127.0.0.1:\(port)/", .none, when: Monitor(false)))
        #expect(kept.count == 9)
    }

    @Test
    func `before anything was sent: then nothing is`() async throws {
        let cancellation = Cancellation()
        cancellation.cancel()
        let server = ScriptedServer { peer in peer.request() }
        let error = try await withClient(cancellation) { client in failure { try client.perform(.get(server.url)) } }
        #expect(error == .cancelled)
        #expect(server.connections == 0)
    }

    @Test
    func `while the body's next bytes are being read`() async throws {
        let cancellation = Cancellation()
        let server = ScriptedServer { peer in
            _ = peer.head()
            peer.drain()
        }
        let error = try await withClient(cancellation) { client throws in
            var request = HTTPRequest.put(server.url, .bytes([1, 2, 3]))
            request.pace = { wanted in
                cancellation.cancel()
                return wanted
            }
            return failure { try client.perform(request) }
        }
        #expect(error == .cancelled)
    }

    @Test
    func `for being left behind: the connection is closed, and the next request has another`() async throws {
        let server = ScriptedServer { peer in
            if peer.number == 1 {
                _ = peer.head()
                peer.waitForClose()
            } else {
                peer.request()
                peer.answer()
            }
        }
        let file = try BodyFile(64 << 20, sparse: true)
        let errors = try await withClient { client throws in
            var request = HTTPRequest.put(server.url, file.slice())
            request.isLeftBehind = { true }
            let first = failure { try client.perform(request) }
            return [first, failure { try client.perform(.get(server.url)) }]
        }
        #expect(errors == [.leftBehind, nil])
        #expect(server.connections == 2)
    }

    @Test
    func `by the request's own wish, within a second or so`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.waitForClose()
        }
        let outcome = try await withClient { client throws in
            var request = HTTPRequest.get(server.url)
            request.shouldStop = { true }
            let start = Moment.now()
            return (failure { try client.perform(request) }, Moment.now().seconds(since: start))
        }
        #expect(outcome.0 == .cancelled)
        #expect(outcome.1 < 10)
    }
}
