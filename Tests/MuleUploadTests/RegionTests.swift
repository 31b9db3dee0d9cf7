import MuleS3
import TestSupport
import Testing

@testable import MuleUpload

@Suite("Uploads to a bucket of another region")
struct RegionUploadTests {
    @Test
    func `the region is followed for parts and objects of any size, and remembered by the ledger`() throws {
        let harness = try EngineHarness(region: "eu-west-9")
        let path = try harness.file()
        var outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        #expect(harness.server.requests.contains { $0.signedRegion == "eu-west-9" })
        #expect(harness.server.requests.contains { $0.signedRegion == harness.server.region })

        let before = harness.server.requests.count
        var small = EngineHarness.Options()
        small.key = "small"
        small.partSize = nil
        outcome = try harness.upload(try harness.file("small", size: 1000), small)
        #expect(outcome.failure == nil)
        #expect(harness.server.requests.dropFirst(before).allSatisfy { $0.signedRegion == harness.server.region })
    }

    @Test
    func `a store that points to another host is not followed, and the sentence names the host`() throws {
        let evil = FakeS3()
        let harness = try EngineHarness(
            faults: [
                .on(
                    .create,
                    times: 9,
                    .redirect(status: 307, headers: [FakeHeader("location", evil.endpoint + "/bucket/key")])
                )
            ]
        )
        let failure = try harness.upload(try harness.file()).failure
        #expect(failure?.kind == .store)
        #expect(failure?.message.contains(evil.endpoint.dropFirst("http://".count)) == true)
        #expect(evil.requests.isEmpty)
    }
}
