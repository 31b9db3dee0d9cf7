import Glibc
import TestSupport
import Testing

/// Files at the edges of the cut, and the parts they come to.
@Suite struct SizeTests {
    private static let part = MuleRun.partSize

    /// Size, and the number of parts; 0 stands for a single request.
    static let cases: [(size: Int64, parts: Int)] = [
        (0, 0), (1, 0), (part - 1, 0), (part, 0), (part + 1, 2), (2 * part - 1, 2), (2 * part, 2), (2 * part + 1, 3),
    ]

    @Test(arguments: cases) func `file is cut into the right parts`(size: Int64, parts: Int) throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        let file = try mule.home.writeRandom("file", count: size)
        let outcome = try mule.uploadInParts(file, "bucket/key", "--json").run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.event("completed")?["parts"] == (parts == 0 ? .null : .number(Double(parts))))
        #expect(store.partNumbers.sorted() == (parts == 0 ? [] : Array(1...parts)))
        #expect(store.count(.putObject) == (parts == 0 ? 1 : 0))
        #expect(try store.holdsOnly(file))
    }

    @Test func `parts grow when ten thousand would not suffice`() throws {
        let store = FakeS3(.sink)
        let mule = MuleRun(store)
        let file = try mule.home.makeSparse("sparse", size: 10_001 * Self.part)
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.storedParts.count >= 2 })
        running.signal(2)
        _ = running.wait()
        let upload = try #require(try mule.status().first)
        #expect(upload["partSize"]?.integer == 6 << 20)
        #expect(upload["partsTotal"]?.integer == 8_335)
        #expect(store.requests(.uploadPart).first?.header("content-length") == "\(6 << 20)")
    }

    /// Fifty gigabytes, a minute and a half with everything on one machine: by hand, with `MULE_TEST_LONG=1`.
    @Test(.enabled(if: getenv("MULE_TEST_LONG") != nil, "takes minutes"))
    func `file of 10001 smallest parts arrives whole`() throws {
        let store = FakeS3(.sink)
        let mule = MuleRun(store)
        let size = 10_001 * Self.part
        let file = try mule.home.makeSparse("sparse", size: size)
        let arguments = ["upload", "--json", "--part-size", "5MiB", "--payload-signing", "never", file, "bucket/key"]
        let outcome = try mule.command(arguments).run(timeoutSeconds: 1_800)
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        print("10,001 x 5 MiB: \(outcome.seconds) s, \(outcome.cpuSeconds) CPU s, peak \(outcome.peakMemory >> 20) MiB")
        print(outcome.out)
        #expect(outcome.event("completed")?["parts"]?.integer == 8_335)
        #expect(outcome.event("completed")?["bytesSent"]?.integer == size)
        #expect(Set(store.partNumbers) == Set(1...8_335))
        #expect(store.object(key: "key")?.size == size)
        #expect(store.uploads.isEmpty && store.violations.isEmpty)
    }
}
