import Glibc
import MuleDigest
import TestSupport
import Testing

/// Stores that answer without end, or with control characters for the terminal. mule ends, says why, and needs no more
/// memory than with a normal store.
@Suite struct HostileStoreTests {
    /// What a server sends instead of an answer until mule disconnects.
    enum Flood: String, CaseIterable, Sendable {
        case headers, longHeader, informational, body, chunks, whiteSpace, elements, trailers

        func send(to peer: Peer) {
            let line = String(repeating: "x", count: 1 << 16)
            let ok = "HTTP/1.1 200 OK\r\n"
            switch self {
            case .headers: flood(peer, ok, "x-amz-meta-h: \(line.prefix(200))\r\n")
            case .longHeader: flood(peer, ok + "ETag: ", line)
            case .informational: flood(peer, "", "HTTP/1.1 102 Processing\r\nx-a: b\r\n\r\n")
            case .body: flood(peer, ok + "\r\n<Error><Message>", line)
            case .chunks: flood(peer, ok + "Transfer-Encoding: chunked\r\n\r\n", "10000\r\n\(line)\r\n")
            case .whiteSpace: flood(peer, ok + "\r\n<?xml version=\"1.0\"?>", String(repeating: " \n", count: 1 << 15))
            case .elements:
                let text = "<ListPartsResult>" + String(repeating: "<a/>", count: 2 << 20) + "</ListPartsResult>"
                peer.send(ok + "Content-Length: \(text.utf8.count)\r\n\r\n" + text)
            case .trailers:
                flood(peer, ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "x-t: \(line.prefix(200))\r\n")
            }
        }

        /// As much as a gigabyte, so that a client that takes it all would show it.
        private func flood(_ peer: Peer, _ beginning: String, _ piece: String) {
            var sent = 0
            let bytes = Array(piece.utf8)
            guard peer.send(beginning) else { return }
            while sent < 1 << 30, peer.send(bytes) { sent += bytes.count }
        }
    }

    /// Runs mule below a small process, whose child's largest resident set is mule's alone.
    private func run(
        _ arguments: [String],
        _ server: ScriptedServer,
        home: ScratchDirectory
    ) throws -> (outcome: CommandOutcome, peak: Int64) {
        let program = """
            import os, resource, sys
            status = os.spawnv(os.P_WAIT, sys.argv[2], sys.argv[2:])
            with open(sys.argv[1], "w") as file:
                file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
            sys.exit(status if status >= 0 else 128 - status)
            """
        let peak = home.path("peak")
        let mule = TestCommand.mule([], home: home).executable
        let command = TestCommand(
            "/usr/bin/env",
            ["python3", "-c", program, peak, mule] + arguments,
            home: home.path,
            environment: [
                "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": server.url, "AWS_EC2_METADATA_DISABLED": "true", "MULE_STALL_LIMIT": "2s",
            ]
        )
        let outcome = try command.run(timeoutSeconds: 120)
        return (outcome, Int64(String(decoding: try Files.read(peak), as: UTF8.self)) ?? .max)
    }

    private func expectBounded(_ result: (outcome: CommandOutcome, peak: Int64)) {
        #expect(!result.outcome.timedOut)
        #expect([1, 4, 6, 75].contains(result.outcome.exitCode), "\(result.outcome.end)")
        #expect(!result.outcome.err.isEmpty)
        // Unlike the program's, a sanitizer's memory is not what is tested.
        if !TestCommand.isSanitized { #expect(result.peak < 96 << 20, "\(result.peak >> 20) MiB") }
    }

    @Test(arguments: Flood.allCases) func `an answer without end is aborted`(flood: Flood) throws {
        let home = ScratchDirectory()
        let server = ScriptedServer { peer in
            guard peer.request() != nil else { return }
            flood.send(to: peer)
        }
        let file = try home.writeRandom("file", count: 1000, seed: 1)
        expectBounded(try run(["upload", file, "bucket/key"], server, home: home))
    }

    /// A store that takes an upload in two parts, and is not honest about one operation.
    private func store(_ flood: Flood, at operation: @escaping @Sendable (String) -> Bool) -> ScriptedServer {
        ScriptedServer { peer in
            while let head = peer.head() {
                if head.lowercased().contains("100-continue") { peer.send("HTTP/1.1 100 Continue\r\n\r\n") }
                let body = Peer.contentLength(head).map { peer.body($0) } ?? []
                let line = String(head.prefix { $0 != "\r\n" })
                if operation(line) { return flood.send(to: peer) }
                if line.hasPrefix("POST"), line.contains("uploads=") {
                    peer.answer(
                        "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
                    )
                } else if line.hasPrefix("PUT") {
                    var digest = MessageDigest(.md5)
                    body.withUnsafeBytes { digest.update($0) }
                    peer.answer(headers: "ETag: \"\(Hex.encode(digest.finish()))\"\r\n")
                } else {
                    peer.answer("<Error><Code>AccessDenied</Code></Error>", status: "403 Forbidden")
                }
            }
        }
    }

    @Test(arguments: [Flood.body, .whiteSpace, .elements, .informational])
    func `a Complete without end is aborted`(flood: Flood) throws {
        let home = ScratchDirectory()
        let server = store(flood) { $0.hasPrefix("POST") && $0.contains("uploadId=") }
        let file = try home.writeRandom("file", count: 6 << 20, seed: 1)
        let result = try run(["upload", "--part-size", "5MiB", file, "bucket/key"], server, home: home)
        expectBounded(result)
        #expect(server.heads.contains { $0.hasPrefix("POST") && $0.contains("uploadId=") })
    }

    @Test(arguments: [Flood.body, .elements])
    func `a list of parts without end is aborted`(flood: Flood) throws {
        let home = ScratchDirectory()
        let file = try home.writeRandom("file", count: 6 << 20, seed: 1)
        let upload = ["upload", "--part-size", "5MiB", file, "bucket/key"]
        let server = store(flood) { line in
            line.hasPrefix("GET") || (line.hasPrefix("PUT") && line.contains("partNumber=2"))
        }
        expectBounded(try run(upload, server, home: home))
        // The second run asks what is there.
        expectBounded(try run(upload, server, home: home))
        #expect(server.heads.contains { $0.hasPrefix("GET") && $0.contains("uploadId=") })
    }

    @Test func `no escape code of a store reaches the terminal`() throws {
        let text = "\u{9B}31m\u{202E}\u{7F}&#27;[31m&#10;mule: all is well"
        let body = "<Error><Code>A\(text)</Code><Message>M\(text)</Message><Region>r\(text)</Region></Error>"
        let headers = """
            x-amz-request-id: id\u{1B}[31m\u{9B}\r\nx-amz-bucket-region: eu\u{1B}[31m\r\nRetry-After: nan\r\n\
            ETag: "e\u{1B}[31m"\r\nx-amz-version-id: v\u{1B}[31m\r\nx-amz-checksum-crc64nvme: c\u{1B}[31m\r\n\
            Location: http://\u{1B}[31m.example/\r\n
            """
        let home = ScratchDirectory()
        let file = try home.write("text", to: "file")
        for status in ["200 OK", "400 \u{1B}[31m", "403 Forbidden", "301 Moved", "503 Slow Down"] {
            let server = ScriptedServer { peer in
                while let head = peer.request() {
                    peer.answer(head.hasPrefix("HEAD") ? "" : body, status: status, headers: headers)
                }
            }
            for options in [["upload", "-v", file], ["upload", "--json", "--restart", file], ["status", "--all"]] {
                let (outcome, _) = try run(options + (options[0] == "upload" ? ["bucket/key"] : []), server, home: home)
                let said = outcome.out + outcome.err
                let isClean = said.unicodeScalars.allSatisfy { scalar in
                    scalar == "\n" || ![.control, .format].contains(scalar.properties.generalCategory)
                }
                #expect(isClean && !said.isEmpty, "\(status) \(options): \(said)")
                #expect(!said.contains("\nmule: all is well"), "\(status) \(options): \(said)")
            }
        }
    }
}
