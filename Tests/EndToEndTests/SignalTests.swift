import Glibc
import MuleSystem
import TestSupport
import Testing

/// What a signal leaves behind: a program that died of it within a second, and parts that count.
@Suite(.serialized) struct SignalTests {
    private let store = FakeS3()
    private let mule: MuleRun

    /// A second, plus a margin for a busy machine; ignoring the signal takes half a minute.
    private static let soon = 10.0

    init() { mule = MuleRun(store) }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func `signal ends the run within a second and keeps the parts`(signal: Int32) throws {
        let file = try mule.file(parts: 5)
        store.add(
            .on(.uploadPart, part: 3, .stallAfter(bytes: 1 << 20)),
            .on(.uploadPart, part: 4, .stallAfter(bytes: 1 << 20))
        )
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.storedParts == [1, 2] && Set($0.partNumbers).isSuperset(of: [3, 4]) })
        let before = Moment.now()
        running.signal(signal)
        let outcome = running.wait()
        #expect(Moment.now().seconds(since: before) < Self.soon)
        #expect(outcome.end == .signal(signal))
        #expect(outcome.out.isEmpty)
        #expect(outcome.explains("Stopped. ", " are kept (", "Resume with: mule resume "), "\(outcome.err)")

        let pending = try mule.status()
        #expect(pending.map { $0["state"]?.text } == ["pending"])
        #expect(pending.first?["partsTotal"]?.integer == 5)
        #expect(store.storedParts.isSuperset(of: [1, 2]))

        #expect(try mule.run("resume").exitCode == 0)
        #expect(try store.holdsOnly(file))
        #expect(store.partNumbers.filter { [1, 2].contains($0) }.count == 2)
        #expect(try mule.status().isEmpty)
    }

    /// timeout(1) signals the process and its group, so that each signal comes twice.
    @Test func `one signal that comes twice is one stop`() throws {
        let file = try mule.file(parts: 5)
        store.add(
            .on(.uploadPart, part: 3, .stallAfter(bytes: 1 << 20)),
            .on(.uploadPart, part: 4, .stallAfter(bytes: 1 << 20))
        )
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.storedParts == [1, 2] && Set($0.partNumbers).isSuperset(of: [3, 4]) })
        running.signal(SIGINT)
        running.signal(SIGINT)
        running.signal(SIGTERM)
        let outcome = running.wait()
        #expect(outcome.end == .signal(SIGINT))
        #expect(outcome.explains("kept (2 of 5 parts)", "Resume with: mule resume "), "\(outcome.err)")
    }

    /// A stop when all but the last hundredth of the last part has gone: that part alone goes again.
    @Test func `stop shortly before the end costs the last part alone`() throws {
        let file = try mule.home.writeRandom("file", count: 3 * MuleRun.partSize)
        store.add(.on(.uploadPart, part: 3, .stallAfter(bytes: MuleRun.partSize / 100 * 99)))
        let running = try mule.uploadInParts(file).start()
        #expect(
            store.waitUntil { store in
                store.storedParts == [1, 2]
                    && store.requests(.uploadPart).contains { $0.bodyBytes == MuleRun.partSize / 100 * 99 }
            }
        )
        running.signal(SIGTERM)
        #expect(running.wait().end == .signal(SIGTERM))
        let before = store.requests.count
        #expect(try mule.run("resume").exitCode == 0)
        #expect(store.requests[before...].compactMap(\.partNumber) == [3])
        #expect(try store.holdsOnly(file))
    }

    @Test func `signal while the store completes is heard at once`() throws {
        let file = try mule.file(parts: 2)
        store.add(.on(.complete, .whitespaceThenResult(seconds: 30)))
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.requests(.complete).first?.status == 200 })
        let before = Moment.now()
        running.signal(SIGTERM)
        let outcome = running.wait()
        #expect(Moment.now().seconds(since: before) < Self.soon)
        #expect(outcome.end == .signal(SIGTERM))
    }

    @Test func `signal while the store is down is heard at once`() throws {
        let file = try mule.file(parts: 2)
        store.add(.on(.uploadPart, times: 1_000, .status(503, code: "SlowDown")))
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.count(.uploadPart) >= 3 })
        let before = Moment.now()
        running.signal(SIGINT)
        #expect(running.wait().end == .signal(SIGINT))
        #expect(Moment.now().seconds(since: before) < Self.soon)
    }

    @Test func `run that the parent shields from hangups continues`() throws {
        let gate = Gate()
        store.add(.on(.uploadPart, part: 1, .run(.beforeProcessing) { _ in gate.wait() }))
        defer { gate.open() }
        let file = try mule.file(parts: 2)
        var command = mule.uploadInParts(file)
        let words = [command.executable] + command.arguments.map { String(decoding: $0, as: UTF8.self) }
        command.executable = "/bin/sh"
        command.arguments = (["-c", "trap '' HUP; exec \"$@\"", "sh"] + words).map { Array($0.utf8) }
        let running = try command.start()
        #expect(store.waitUntil { $0.partNumbers.contains(1) })
        running.signal(SIGHUP)
        gate.open()
        #expect(running.wait().exitCode == 0)
        #expect(try store.holdsOnly(file))
    }
}
