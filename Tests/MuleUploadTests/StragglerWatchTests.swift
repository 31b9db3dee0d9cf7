import MuleS3
import TestSupport
import Testing

@testable import MuleUpload

/// The law is tested where it is: `StragglerDetectorTests`.
@Suite struct StragglerWatchTests {
    private static let partSize: Int64 = 8 << 20
    /// The body of a part takes minutes, even if the kernel has accepted most of it and the other parts are slow on a
    /// busy machine; over another connection it takes no time.
    private static let crawl = Fault.Action.crawl(bytesPerSecond: 20_000)

    @Test func `a part that crawls at the end is sent again on another connection`() throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 6, Self.crawl)])
        let path = try harness.file(size: 6 * Self.partSize)
        let outcome = try harness.upload(path, .init(partSize: Self.partSize))
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent().sorted() == [1, 2, 3, 4, 5, 6, 6])
        let tries = harness.server.requests(.uploadPart).filter { $0.partNumber == 6 }
        #expect(Set(tries.map(\.connection)).count == 2)
        // The first try was cut on its way, not when it was there.
        #expect(tries.first?.bodyBytes ?? .max < Self.partSize / 2)
        #expect(outcome.completed.first?.bytesSent ?? .max <= 7 * Self.partSize)
    }

    /// An object in one request goes the same way.
    @Test func `one of many objects that crawls is sent again`() throws {
        let harness = try EngineHarness(faults: [.on(.putObject, key: "3", Self.crawl)])
        let files = try (1...5).map { number in
            let path = try harness.file("\(number)", size: Self.partSize, seed: UInt64(number))
            return (path, EngineHarness.Options(key: "\(number)", partSize: nil))
        }
        let outcome = try harness.upload(files)
        #expect(outcome.completed.count == 5)
        #expect(harness.server.requests(.putObject).count { $0.key == Array("3".utf8) } == 2)
        #expect(harness.server.count(.putObject) == 6)
        #expect(harness.server.violations.isEmpty)
    }

    /// Whose turn does not come moves nothing for seconds.
    @Test func `under a rate limit no one is watched`() {
        var transfer = BodyTransfer()
        let paced = StragglerWatch(isPaced: true, isDry: { true })
        #expect(paced.watch(Self.partSize, cuts: 0, with: &transfer) == nil)
        let watch = StragglerWatch(isPaced: false, isDry: { true })
        #expect(watch.watch(StragglerWatch.leastLength - 1, cuts: 0, with: &transfer) == nil)
        #expect(transfer.isLeftBehind == nil)
        #expect(watch.watch(StragglerWatch.leastLength, cuts: 0, with: &transfer) != nil)
        #expect(transfer.isLeftBehind != nil)
    }
}
