import TestSupport
import Testing

/// Cases for all real servers: each implements S3 differently.
enum RealServerCases {
    /// Kills a running upload and resumes it.
    static func surviveKill(_ server: RealServer, bucket: String) throws {
        let mule = MuleRun(server)
        let witness = try StoreWitness(server, bucket: bucket)
        let file = try mule.file(parts: 5)
        let running = try mule.uploadInParts(file, "\(bucket)/killed", "--limit-rate", "20MB/s", "-v").start()
        running.waitForText("UploadPart")
        running.signal(9)
        #expect(running.wait().end == .signal(9))
        #expect(try mule.status().first?["state"]?.text == "pending")
        let resumed = try mule.run("resume", "--json")
        #expect(resumed.exitCode == 0, "\(resumed.err)")
        let event = resumed.event("completed")
        #expect((event?["bytesSkipped"]?.integer ?? 0) > 0)
        #expect(try witness.keys(equalTo: file) == [Array("killed".utf8)])
        #expect(try witness.openUploads() == 0)
        #expect(try mule.status().isEmpty)
    }

    static func keepNames(_ server: RealServer, bucket: String, _ keys: [String]) throws {
        let mule = MuleRun(server)
        for parts in [1, 2] {
            let witness = try StoreWitness(server, bucket: "\(bucket)-\(parts)")
            let file = try mule.file(parts: parts, "file\(parts)")
            try HostileKeys.upload(file, mule, to: witness.bucket, keys)
            #expect(try witness.keys(equalTo: file) == HostileKeys.sorted(keys))
            #expect(try witness.openUploads() == 0)
        }
    }

    /// Adopts, with an empty ledger, uploads of a killed mule and of another program.
    static func adopt(_ server: RealServer, bucket: String) throws {
        let first = MuleRun(server)
        let witness = try StoreWitness(server, bucket: bucket)
        let file = try first.file(parts: 5)
        let running = try first.uploadInParts(file, "\(bucket)/lost", "--limit-rate", "20MB/s", "-v").start()
        running.waitForText("UploadPart")
        running.signal(9)
        _ = running.wait()
        try witness.begin("foreign", file, parts: [1, 4], of: MuleRun.partSize)
        let size = try Files.size(file)
        for key in ["lost", "foreign"] {
            let mule = MuleRun(server)
            let outcome = try mule.run("adopt", "--json", file, "\(bucket)/\(key)")
            #expect(outcome.exitCode == 0, "\(outcome.err)")
            let event = outcome.event("completed")
            let (sent, skipped) = (event?["bytesSent"]?.integer ?? 0, event?["bytesSkipped"]?.integer ?? 0)
            #expect(sent + skipped == size)
            #expect(key == "foreign" ? skipped == 2 * MuleRun.partSize : skipped >= MuleRun.partSize)
            #expect(try mule.status().isEmpty)
            #expect(try mule.run("verify", file, "\(bucket)/\(key)").exitCode == 0)
        }
        #expect(try witness.keys(equalTo: file) == ["foreign", "lost"].map { Array($0.utf8) })
        #expect(try witness.openUploads() == 0)
    }

    /// Proves what was uploaded without reading it, with the ledger and without, and sees every difference.
    ///
    /// - Parameter proofs: the kinds of proof for an object put in one request and for one in parts.
    static func verify(_ server: RealServer, bucket: String, proofs: [String]) throws {
        let mule = MuleRun(server)
        let stranger = MuleRun(server)
        _ = try StoreWitness(server, bucket: bucket)
        for (parts, proof) in zip([1, 3], proofs) {
            let file = try mule.file(parts: parts, "verified-\(parts)")
            let key = "\(bucket)/verified-\(parts)"
            #expect(try mule.uploadInParts(file, key).run().exitCode == 0)
            for user in [mule, stranger] {
                let outcome = try user.run("verify", "--json", file, key)
                #expect(outcome.exitCode == 0, "\(outcome.err)")
                #expect(outcome.event("verified")?["proof"]?["kind"]?.text == proof)
                #expect(try user.run("verify", "--download", file, key).exitCode == 0)
            }
            try Files.overwrite(file, at: 77, with: [1, 2, 3])
            let outcome = try stranger.run("verify", file, key)
            #expect(outcome.exitCode == 6)
            #expect(try stranger.run("verify", "--download", file, key).explains("differs", "at byte 77"))
        }
    }

    /// Lists an unfinished upload, with and without the ledger that started it, and removes it.
    static func tidyUp(_ server: RealServer, bucket: String) throws {
        let mule = MuleRun(server)
        let witness = try StoreWitness(server, bucket: bucket)
        let file = try mule.file(parts: 6)
        for key in ["a/first", "a/second +%ü", "b"] {
            let running = try mule.uploadInParts(file, "\(bucket)/\(key)", "--limit-rate", "20MB/s", "-v").start()
            running.waitForText("UploadPart")
            running.signal(9)
            #expect(running.wait().end == .signal(9))
        }
        #expect(try witness.openUploads() == 3)
        let known = try mule.status("--remote")
        #expect(known.map { $0["remote"]?["exists"] } == Array(repeating: .bool(true), count: 3))
        #expect(known.allSatisfy { ($0["remote"]?["bytes"]?.integer ?? 0) >= ($0["bytesDone"]?.integer ?? 0) })
        // Another ledger knows none of them.
        let other = MuleRun(server)
        let orphans = try other.status("--remote", "\(bucket)/a/")
        #expect(
            orphans.map { $0["destination"]?.text } == ["\(bucket)/a/first", "\(bucket)/a/second +%ü"],
            "\(orphans)"
        )
        #expect(try other.run("clean", "--older-than", "0s", bucket).exitCode == 0)
        #expect(try witness.openUploads() == 3)
        let removed = try mule.run("clean", "--older-than", "0s", "\(bucket)/b")
        #expect(removed.exitCode == 0 && removed.out.contains("removed 1 upload"), "\(removed.out)\(removed.err)")
        #expect(try witness.openUploads() == 2)
        let all = try other.run("clean", "--older-than", "0s", "--all-initiators", "--yes", "\(bucket)/a/")
        #expect(all.exitCode == 0 && all.out.contains("removed 2 uploads"), "\(all.out)\(all.err)")
        #expect(try witness.openUploads() == 0)
        // The first ledger still has them as pending; that they are gone is no failure.
        #expect(try mule.run("clean", "--older-than", "0s").exitCode == 0)
        #expect(try mule.status().isEmpty)
    }

    /// Says what the server can do and what it lacks, and leaves nothing there.
    ///
    /// - Parameters:
    ///   - checksum: the start of what is said of it.
    ///   - lifecycle: a part of what is said of rules, of which the bucket has none.
    static func examine(_ server: RealServer, bucket: String, checksum: String, lifecycle: String) throws {
        let mule = MuleRun(server)
        let witness = try StoreWitness(server, bucket: bucket)
        let outcome = try mule.run("doctor", "--json", "--write", bucket)
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        func finding(_ check: String) -> JSONText? { outcome.objects.first { $0["check"]?.text == check } }
        #expect(finding("checksum")?["message"]?.text?.hasPrefix(checksum) == true, "\(outcome.out)")
        #expect(finding("bucket.lifecycle")?["message"]?.text?.contains(lifecycle) == true, "\(outcome.out)")
        #expect(finding("permissions.delete")?["state"]?.text == "warning", "the server refuses no key a DELETE")
        #expect(finding("identity")?["message"]?.text?.hasSuffix("as ListBuckets says.") == true, "\(outcome.out)")
        #expect(outcome.objects.allSatisfy { $0["state"]?.text != "problem" })
        #expect(try witness.openUploads() == 0)
    }

    static func refuseWrongSecret(_ server: RealServer) throws {
        var mule = MuleRun(server)
        mule.environment["AWS_SECRET_ACCESS_KEY"] = "not-the-secret"
        let outcome = try mule.run("upload", try mule.file(parts: 1), "\(server.bucket)/key")
        #expect(outcome.exitCode == 5)
        #expect(outcome.explains("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"), "\(outcome.err)")
    }
}

/// Enforces checksums and preconditions.
@Suite(.serialized) struct LocalStackTests {
    private let server: RealServer

    init() throws { server = try RealServer.start(.localstack) }

    @Test func `killed upload is resumed`() throws { try RealServerCases.surviveKill(server, bucket: "kill") }

    @Test func `uploads of no ledger are taken over`() throws {
        try RealServerCases.adopt(server, bucket: "adopt")
    }

    @Test func `objects are proven by their checksum`() throws {
        let proof = "fullObjectChecksum"
        try RealServerCases.verify(server, bucket: "verify", proofs: [proof, proof])
    }

    @Test func `unfinished uploads are seen and removed`() throws { try RealServerCases.tidyUp(server, bucket: "tidy") }

    @Test func `hostile keys arrive under exactly that name`() throws {
        try RealServerCases.keepNames(server, bucket: "names", HostileKeys.all)
    }

    @Test func `files at the edges of the cut arrive whole`() throws {
        let mule = MuleRun(server)
        let witness = try StoreWitness(server, bucket: "sizes")
        for (size, parts) in SizeTests.cases {
            let file = try mule.home.writeRandom("file\(size)", count: size)
            let outcome = try mule.uploadInParts(file, "sizes/\(size)", "--json").run()
            #expect(outcome.exitCode == 0, "\(outcome.err)")
            let event = outcome.event("completed")
            #expect(event?["parts"] == (parts == 0 ? .null : .number(Double(parts))))
            #expect(event?["checksum"]?["algorithm"]?.text == "CRC64NVME")
            #expect(try witness.keys(equalTo: file) == [Array("\(size)".utf8)])
        }
    }

    @Test(arguments: [1, 2]) func `existing object is not replaced`(parts: Int) throws {
        let mule = MuleRun(server)
        let first = try mule.file(parts: parts, "first", seed: 1)
        let second = try mule.file(parts: parts, "second", seed: 2)
        let address = "\(server.bucket)/once-\(parts)"
        #expect(try mule.uploadInParts(first, address, "--no-overwrite").run().exitCode == 0)
        #expect(try mule.uploadInParts(second, address, "--no-overwrite").run().exitCode == 7)
    }

    @Test func `doctor finds the checksum and the missing rule`() throws {
        try RealServerCases.examine(server, bucket: "doctor", checksum: "CRC64NVME", lifecycle: "No lifecycle rule")
    }

    @Test func `missing bucket is 4`() throws {
        let mule = MuleRun(server)
        let outcome = try mule.uploadInParts(try mule.file(parts: 2), "nosuchbucket/key").run()
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("The bucket nosuchbucket does not exist"), "\(outcome.err)")
    }
}

/// OpenStack Swift: checks signatures, knows no checksum header, and answers Complete in its own way.
@Suite(.serialized) struct OpenStackSwiftTests {
    private let server: RealServer

    init() throws { server = try RealServer.start(.swift) }

    @Test func `killed upload is resumed`() throws { try RealServerCases.surviveKill(server, bucket: "kill") }

    @Test func `uploads of no ledger are taken over`() throws {
        try RealServerCases.adopt(server, bucket: "adopt")
    }

    @Test func `objects are proven by their ETag`() throws {
        try RealServerCases.verify(server, bucket: "verify", proofs: ["eTagMD5", "multipartETagMD5"])
    }

    @Test func `unfinished uploads are seen and removed`() throws { try RealServerCases.tidyUp(server, bucket: "tidy") }

    @Test func `hostile keys arrive under exactly that name`() throws {
        try RealServerCases.keepNames(server, bucket: "names", HostileKeys.all.filter { $0 != HostileKeys.long })
    }

    @Test func `doctor finds the checksum and what the server lacks`() throws {
        try RealServerCases.examine(server, bucket: "doctor", checksum: "Content-MD5", lifecycle: "no lifecycle rules")
    }

    @Test func `wrong secret is 5`() throws { try RealServerCases.refuseWrongSecret(server) }
}

/// rclone's small server: checks signatures, keeps objects as files.
@Suite(.serialized) struct RcloneTests {
    private let server: RealServer

    init() throws { server = try RealServer.start(.rclone) }

    @Test func `killed upload is resumed`() throws { try RealServerCases.surviveKill(server, bucket: "kill") }

    @Test func `unfinished uploads are seen and removed`() throws { try RealServerCases.tidyUp(server, bucket: "tidy") }

    @Test func `doctor finds the checksum and what the server lacks`() throws {
        try RealServerCases.examine(server, bucket: "doctor", checksum: "Content-MD5", lifecycle: "no lifecycle rules")
    }

    @Test func `wrong secret is 5`() throws { try RealServerCases.refuseWrongSecret(server) }
}
