import TestSupport
import Testing

/// What every real server must bear: each is another maker's reading of S3.
enum RealServerCases {
    /// Kills an upload that is under way and goes on with it.
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

    @Test func killedUploadIsGoneOnWith() throws { try RealServerCases.surviveKill(server, bucket: "kill") }

    @Test func hostileKeysArriveUnderExactlyThatName() throws {
        try RealServerCases.keepNames(server, bucket: "names", HostileKeys.all)
    }

    @Test func filesAtTheEdgesOfTheCutArriveWhole() throws {
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

    @Test(arguments: [1, 2]) func existingObjectIsNotReplaced(parts: Int) throws {
        let mule = MuleRun(server)
        let first = try mule.file(parts: parts, "first", seed: 1)
        let second = try mule.file(parts: parts, "second", seed: 2)
        let address = "\(server.bucket)/once-\(parts)"
        #expect(try mule.uploadInParts(first, address, "--no-overwrite").run().exitCode == 0)
        #expect(try mule.uploadInParts(second, address, "--no-overwrite").run().exitCode == 7)
    }

    @Test func missingBucketIs4() throws {
        let mule = MuleRun(server)
        let outcome = try mule.uploadInParts(try mule.file(parts: 2), "nosuchbucket/key").run()
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("There is no bucket nosuchbucket"), "\(outcome.err)")
    }
}

/// OpenStack Swift: checks signatures, knows no checksum header, and answers Complete in its own way.
@Suite(.serialized) struct OpenStackSwiftTests {
    private let server: RealServer

    init() throws { server = try RealServer.start(.swift) }

    @Test func killedUploadIsGoneOnWith() throws { try RealServerCases.surviveKill(server, bucket: "kill") }

    @Test func hostileKeysArriveUnderExactlyThatName() throws {
        try RealServerCases.keepNames(server, bucket: "names", HostileKeys.all.filter { $0 != HostileKeys.long })
    }

    @Test func wrongSecretIs5() throws { try RealServerCases.refuseWrongSecret(server) }
}

/// rclone's small server: checks signatures, keeps objects as files.
@Suite(.serialized) struct RcloneTests {
    private let server: RealServer

    init() throws { server = try RealServer.start(.rclone) }

    @Test func killedUploadIsGoneOnWith() throws { try RealServerCases.surviveKill(server, bucket: "kill") }

    @Test func wrongSecretIs5() throws { try RealServerCases.refuseWrongSecret(server) }
}
