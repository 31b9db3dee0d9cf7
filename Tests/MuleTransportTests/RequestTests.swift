import MuleSystem
import MuleTransport
import TestSupport
import Testing

@Suite("HTTP requests")
struct RequestTests {
    /// A server that reads whole requests and answers 200 to each.
    private func obligingServer() -> ScriptedServer {
        ScriptedServer { peer in
            while peer.request() != nil { peer.answer() }
        }
    }

    @Test
    func `a slice of a file arrives whole, is seen by the observer, and is counted exactly`() async throws {
        let server = obligingServer()
        let file = try BodyFile(5_000_000)
        let range: Range<Int64> = 1_000_003..<4_300_001
        let expected = try file.file.bytes(at: range.lowerBound, count: range.count)
        try await withClient { client throws in
            let observer = PassingBytes()
            var sent: Int64 = 0
            var request = HTTPRequest.put(server.url + "/f", file.slice(range))
            request.observer = observer
            request.onSent = { sent += $0 }
            #expect(try client.perform(request).status == 200)
            #expect(sent == Int64(range.count))
            #expect(observer.starts == 1)
            #expect(observer.bytes == expected)
        }
        #expect(server.bodies == [expected])
        #expect(server.heads[0].contains("\r\nContent-Length: \(range.count)"))
        #expect(!server.heads[0].contains("Expect"))
        #expect(!server.heads[0].lowercased().contains("transfer-encoding"))
    }

    @Test(arguments: [0, 1, 2, 3, 16, 100])
    func `bodies of every small size arrive whole`(size: Int) async throws {
        let server = obligingServer()
        let bytes = (0..<size).map { UInt8($0) }
        try await withClient { client throws in
            for method in ["PUT", "POST"] {
                var request = HTTPRequest(method: method, url: server.url)
                request.body = .bytes(bytes)
                #expect(try client.perform(request).status == 200)
            }
        }
        #expect(server.heads.map { $0.prefix { $0 != " " } } == ["PUT", "POST"])
        #expect(server.heads.allSatisfy { $0.contains("\r\nContent-Length: \(size)") })
        #expect(server.bodies == (size == 0 ? [] : [bytes, bytes]))
    }

    @Test
    func `an empty PUT or POST says that its length is 0, other methods say nothing of a length`() async throws {
        let server = obligingServer()
        try await withClient { client throws in
            for method in ["PUT", "POST", "GET", "DELETE", "HEAD"] {
                #expect(try client.perform(HTTPRequest(method: method, url: server.url + "/x")).status == 200)
            }
        }
        #expect(server.heads.map { $0.contains("Content-Length: 0") } == [true, true, false, false, false])
        #expect(
            server.heads.map { $0.prefix { $0 != "\r\n" } }
                == ["PUT", "POST", "GET", "DELETE", "HEAD"].map { "\($0) /x HTTP/1.1" }
        )
    }

    @Test
    func `one connection carries many requests, whatever their methods, and each count starts at 0`() async throws {
        let server = obligingServer()
        let counts = try await withClient { client throws in
            var counts: [Int64] = []
            for (method, size) in [
                ("PUT", 1000), ("GET", 0), ("PUT", 70_000), ("HEAD", 0), ("POST", 5), ("DELETE", 0), ("PUT", 0),
            ] {
                var request = HTTPRequest(method: method, url: server.url + "/x")
                if size > 0 { request.body = .bytes([UInt8](repeating: 7, count: size)) }
                var sent: Int64 = 0
                request.onSent = { sent += $0 }
                #expect(try client.perform(request).status == 200)
                counts.append(sent)
            }
            return counts
        }
        #expect(counts == [1000, 0, 70_000, 0, 5, 0, 0])
        #expect(server.connections == 1)
        #expect(server.heads.count == 7)
    }

    // Less than 64 KiB leave with their head, and what comes after a lent body must not be taken for one.
    @Test(arguments: [1, 4096, 65_535, 65_536, 65_537, 262_144]
    )
    func `lent bodies arrive as they are, among other requests`(size: Int) async throws {
        let server = obligingServer()
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let file = try BodyFile(70_000)
        let content = try file.file.bytes(at: 0, count: 70_000)
        let isPaced = Monitor(0)
        let counts = try await withClient { client throws in
            try bytes.withUnsafeBytes { bytes in
                var counts: [Int64] = []
                func perform(
                    _ method: String,
                    _ body: HTTPRequest.Body,
                    _ change: (inout HTTPRequest) -> Void = { _ in }
                ) throws {
                    var request = HTTPRequest(method: method, url: server.url + "/x")
                    request.body = body
                    var sent: Int64 = 0
                    request.onSent = { sent += $0 }
                    change(&request)
                    #expect(try client.perform(request).status == 200)
                    counts.append(sent)
                }
                let lent = HTTPRequest.Body.lent(LentBytes(bytes))
                try perform("PUT", lent)
                try perform("GET", .none)
                try perform("PUT", lent) { $0.headers = [("Content-Type", "text/x"), ("x-amz-meta-empty", "")] }
                try perform("PUT", file.slice())
                try perform("PUT", .none)
                try perform("PUT", lent) { request in
                    request.pace = { wanted in
                        isPaced.withLock { $0 += 1 }
                        return max(1, wanted / 2)
                    }
                }
                try perform("POST", lent)
                try perform("HEAD", .none)
                return counts
            }
        }
        #expect(counts == [Int64(size), 0, Int64(size), 70_000, 0, Int64(size), Int64(size), 0])
        #expect(server.bodies == [bytes, bytes, content, bytes, bytes])
        #expect(server.connections == 1)
        let heads = server.heads
        #expect(heads.map { $0.prefix { $0 != " " } } == ["PUT", "GET", "PUT", "PUT", "PUT", "PUT", "POST", "HEAD"])
        #expect(heads.map { $0.lowercased().contains("content-type") } == (0..<8).map { $0 == 2 })
        #expect(heads[2].contains("\r\nContent-Type: text/x\r\n") && heads[2].contains("\r\nx-amz-meta-empty:\r\n"))
        #expect(heads.allSatisfy { !$0.contains("Expect") && !$0.lowercased().contains("transfer-encoding") })
        #expect(Peer.contentLength(heads[0]) == size && !heads[1].contains("Content-Length"))
        #expect(isPaced.withLock { $0 } > 0)
    }

    @Test(arguments: [4096, 200_000])
    func `a lent body goes again as a whole when a warm connection turns out to be dead`(size: Int) async throws {
        let requests = Monitor(0)
        let server = ScriptedServer { peer in
            while let head = peer.head() {
                // The second one is received but not answered.
                if requests.withLock({ count in
                    count += 1
                    return count == 2
                }) {
                    return
                }
                peer.body(Peer.contentLength(head) ?? 0)
                peer.answer()
            }
        }
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try await withClient { client throws in
            try bytes.withUnsafeBytes { bytes in
                let first = try client.perform(.put(server.url, .lent(LentBytes(bytes))))
                #expect(first.status == 200)
                let again = failure { try client.perform(.put(server.url, .lent(LentBytes(bytes)))) }
                // A large one may be in flight when the connection ends, which the caller gets as an error.
                if let again, size < 65_536 { Issue.record("\(again)") }
                if again != nil { #expect(again?.isTransient == true) }
            }
        }
        #expect(server.bodies.allSatisfy { $0 == bytes || $0.isEmpty })
        #expect(size > 65_536 || server.bodies.filter { $0 == bytes }.count == 2)
    }

    @Test
    func `many long headers go out as they are`() async throws {
        let server = obligingServer()
        let headers = (0..<60).map { (name: "x-amz-meta-\($0)", value: String(repeating: "v", count: $0 * 20) + ".") }
        try await withClient { client throws in
            for count in [60, 1, 60] {
                var request = HTTPRequest.put(server.url, .bytes([1]))
                request.headers = Array(headers.prefix(count))
                #expect(try client.perform(request).status == 200)
            }
        }
        for (head, count) in zip(server.heads, [60, 1, 60]) {
            let lines = head.split(separator: "\r\n").filter { $0.hasPrefix("x-amz-meta-") }
            #expect(lines.map(String.init) == headers.prefix(count).map { "\($0.name): \($0.value)" })
        }
        #expect(server.heads.count == 3)
    }

    @Test(arguments: [
        "/a/../b//c", "/", "//", "/./x/", "/..", "/a%2Fb/%2e%2E/c", "/b/k?partNumber=1&uploadId=a%2F..%2Fb",
        "/b/?uploads=", "/%00%FF", "/~!$&'()*+,;=:@",
    ]
    )
    func `the path goes out as it is given`(path: String) async throws {
        let server = obligingServer()
        try await withClient { client in _ = try client.perform(.get(server.url + path)) }
        #expect(server.heads[0].hasPrefix("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\n"))
    }

    @Test
    func `headers go out as they are, empty and blank values too`() async throws {
        let server = obligingServer()
        try await withClient { client throws in
            var request = HTTPRequest.put(server.url)
            request.headers = [
                ("x-amz-meta-a", "v: w; x"), ("x-amz-meta-empty", ""), ("x-amz-meta-blank", " \t "),
                ("content-type", "text/plain"), ("x-amz-meta-accent", "ü"),
            ]
            _ = try client.perform(request)
            _ = try client.perform(.put(server.url))
        }
        let lines = server.heads[0].split(separator: "\r\n").map(String.init)
        #expect(lines.contains("x-amz-meta-a: v: w; x"))
        #expect(lines.contains("x-amz-meta-empty:"))
        #expect(lines.contains("x-amz-meta-blank:"))
        #expect(lines.contains("content-type: text/plain"))
        #expect(lines.contains("x-amz-meta-accent: ü"))
        #expect(lines.contains("User-Agent: mule-tests/1"))
        #expect(!server.heads[1].contains("x-amz"), "headers do not stay for the next request")
    }

    @Test(arguments: [
        ("x-a", "v\r\nx-amz-acl: public-read"), ("x-a", "v\n"), ("x-a", "v\rw"), ("x-a", "v\0w"),
        ("x-a\r\nx-b", "v"), ("x-a: v\n", "w"), ("", "v"),
    ]
    )
    func `a header that would end early or begin another is refused, and nothing is sent`(name: String, value: String)
        async throws
    {
        let server = obligingServer()
        let error = try await withClient { client throws in
            var request = HTTPRequest.put(server.url)
            request.headers = [("x-first", "1"), (name, value)]
            return failure { try client.perform(request) }
        }
        guard case .unusable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(server.heads.isEmpty)
    }

    @Test
    func `the body goes no faster than its pace`() async throws {
        let server = obligingServer()
        let wishes = Monitor([Int]())
        try await withClient { client throws in
            var request = HTTPRequest.put(server.url, .bytes([UInt8](0..<200)))
            request.pace = { wanted in
                wishes.withLock { $0.append(wanted) }
                return min(wanted, 7)
            }
            #expect(try client.perform(request).status == 200)
        }
        #expect(server.bodies == [[UInt8](0..<200)])
        #expect(wishes.withLock { $0 } == Array(stride(from: 200, to: 0, by: -7)))
    }

    @Test
    func `a body that is held continues when it may, and its stall timer does not run meanwhile`() async throws {
        let server = obligingServer()
        let asked = Monitor(0)
        let began = Moment.now()
        try await withClient { client throws in
            var request = HTTPRequest.put(server.url, .bytes([UInt8](0..<200)))
            request.stallTimeout = 0.5
            request.pace = { wanted in
                asked.withLock { $0 += 1 }
                let isHeld = asked.withLock { $0 } > 1 && Moment.now().seconds(since: began) < 2.5
                return isHeld ? 0 : min(wanted, 150)
            }
            #expect(try client.perform(request).status == 200)
        }
        #expect(server.bodies == [[UInt8](0..<200)])
        #expect(Moment.now().seconds(since: began) >= 2.5)
        // It is not asked all the time.
        #expect(asked.withLock { $0 } < 500)
    }

    @Test(arguments: ["", "http://", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://127.0.0.1/a b\r\nx-a: b"]
    )
    func `a URL that is none, or has another protocol, is refused`(url: String) async throws {
        let error = try await withClient { client in failure { try client.perform(.get(url)) } }
        guard case .unusable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(arguments: ["/a\0b", "/a\tb", "/ü", "/a\u{7F}", "/" + String(repeating: "a", count: 10_000_000)]
    )
    func `a URL that curl would cut, rewrite or not survive is refused, and nothing is sent`(path: String) async throws
    {
        let server = obligingServer()
        let error = try await withClient { client in failure { try client.perform(.get(server.url + path)) } }
        guard case .unusable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(server.connections == 0)
    }
}

@Suite("HTTP bodies that cannot be read")
struct SourceFailureTests {
    @Test
    func `a file that ends before its range is told with the offset, and the client continues`() async throws {
        let server = ScriptedServer { peer in
            while peer.request() != nil { peer.answer() }
        }
        let file = try BodyFile(300_000)
        let outcome = try await withClient { client throws in
            let error = failure { try client.perform(.put(server.url, file.slice(100_000..<400_000))) }
            return (error, try client.perform(.get(server.url)).status)
        }
        #expect(outcome.0 == .sourceEnded(offset: 300_000))
        #expect(outcome.1 == 200)
    }

    @Test
    func `a file that is cut while it is sent is told too`() async throws {
        let file = try BodyFile(8 << 20)
        let server = ScriptedServer { peer in
            _ = peer.head()
            peer.drain()
        }
        let error = try await withClient { client throws in
            var request = HTTPRequest.put(server.url, file.slice())
            request.pace = { wanted in
                try? Files.truncate(file.path, to: 1 << 20)
                return wanted
            }
            return failure { try client.perform(request) }
        }
        #expect(error == .sourceEnded(offset: 1 << 20))
    }

    @Test
    func `a read error is told with its cause and offset`() async throws {
        let server = ScriptedServer { peer in
            _ = peer.head()
            peer.drain()
        }
        let directory = try File.openForReading(path: Array("/".utf8))
        let error = try await withClient { client throws in
            failure { try client.perform(.put(server.url, .file(FileSlice(file: directory, offset: 5, length: 10)))) }
        }
        #expect(error == .source(SystemError(code: 21, call: "read"), offset: 5))
        #expect(error?.isTransient == false)
    }
}
