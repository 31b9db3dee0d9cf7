import TestSupport
import Testing

/// `mule verify` as a user types it.
@Suite struct VerifyCommandTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private func uploaded(parts: Int = 2, to destination: String = "bucket/key") throws -> String {
        let file = try mule.file(parts: parts)
        #expect(try mule.uploadInParts(file, destination).run().exitCode == 0)
        return file
    }

    @Test func `proven object is 0 with its proof`() throws {
        let file = try uploaded()
        let outcome = try mule.run("verify", file, "bucket/key")
        #expect(outcome.exitCode == 0)
        #expect(outcome.err.isEmpty)
        let checksum = try #require(store.object(key: "key")?.checksum)
        #expect(outcome.lines.count == 1)
        #expect(
            outcome.out.contains("verified by the store's checksum of the whole object, CRC64NVME \(checksum.value)")
        )
        #expect(store.count(.getObject) == 0)
        let quiet = try mule.run("verify", "--quiet", file, "bucket/key")
        #expect(quiet.exitCode == 0 && quiet.out.isEmpty && quiet.err.isEmpty)
    }

    @Test func `destination that ends in slash takes the files name`() throws {
        let file = try uploaded(parts: 1, to: "bucket/below/")
        #expect(try mule.run("verify", file, "s3://bucket/below/").exitCode == 0)
        #expect(try mule.run("verify", "--exact-key", file, "bucket/below/").exitCode == 6)
    }

    @Test func `verified names its proof`() throws {
        let file = try uploaded()
        let outcome = try mule.run("verify", "--json", file, "bucket/key")
        #expect(outcome.exitCode == 0 && outcome.lines.count == 1)
        let event = try #require(outcome.objects.first)
        #expect(event["event"]?.text == "verified")
        #expect(event["source"]?.text == file)
        #expect(event["destination"]?.text == "bucket/key")
        #expect(try event["size"]?.integer == Files.size(file))
        #expect(event["eTag"]?.text == store.object(key: "key")?.eTag)
        #expect(event["proof"]?["kind"]?.text == "fullObjectChecksum")
        #expect(event["proof"]?["algorithm"]?.text == "CRC64NVME")
        #expect(event["proof"]?["value"]?.text == store.object(key: "key")?.checksum?.value)
        let downloaded = try mule.run("verify", "--json", "--download", file, "bucket/key").objects.first
        #expect(downloaded?["proof"]?["kind"]?.text == "download")
        #expect(downloaded?["proof"]?["value"] == .null)
        #expect(store.count(.getObject) == 1)
    }

    @Test func `failed has a verdict`() throws {
        let file = try uploaded()
        try Files.overwrite(file, at: 3, with: [0, 0, 0])
        for (destination, verdict) in [("bucket/key", "differs"), ("bucket/none", "missing")] {
            let outcome = try mule.run("verify", "--json", file, destination)
            #expect(outcome.exitCode == 6)
            let event = try #require(outcome.objects.first)
            #expect(event["event"]?.text == "failed")
            #expect(event["verdict"]?.text == verdict)
            #expect(event["error"]?["kind"]?.text == "verification")
        }
    }

    @Test func `difference is 6`() throws {
        let file = try uploaded()
        try Files.overwrite(file, at: 3, with: [0, 0, 0])
        let outcome = try mule.run("verify", file, "bucket/key")
        #expect(outcome.exitCode == 6)
        #expect(outcome.out.isEmpty)
        #expect(outcome.explains("bucket/key differs from", "CRC64NVME"), "\(outcome.err)")
        let downloaded = try mule.run("verify", "--download", file, "bucket/key")
        #expect(downloaded.exitCode == 6)
        #expect(downloaded.explains("at byte 3"), "\(downloaded.err)")
    }

    @Test func `what nothing proves is 6 and says what to do`() throws {
        store.profile.checksums = .ignored
        store.profile.eTagStyle = .random
        let file = try mule.file(parts: 1)
        store.edit {
            $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: (try? Files.read(file)) ?? [])
        }
        let outcome = try mule.run("verify", file, "bucket/key")
        #expect(outcome.exitCode == 6)
        #expect(outcome.explains("Cannot prove from the store's metadata", "--download"), "\(outcome.err)")
        #expect(try mule.run("verify", "--download", file, "bucket/key").exitCode == 0)
    }

    @Test func `missing file is 3, missing permission is 4`() throws {
        #expect(try mule.run("verify", mule.home.path("missing"), "bucket/key").exitCode == 3)
        let file = try uploaded(parts: 1)
        store.profile.denied = [.headObject]
        let outcome = try mule.run("verify", file, "bucket/key")
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("s3:GetObject"), "\(outcome.err)")
    }

    @Test(arguments: [
        ["verify"], ["verify", "file"], ["verify", "a", "b", "bucket/key"], ["verify", "file", "/key"],
    ])
    func `wrong operands are 2`(arguments: [String]) throws {
        #expect(try mule.run(arguments).exitCode == 2)
        #expect(store.requests.isEmpty)
    }
}
