import Glibc
import TestSupport
import Testing

/// What `--json` says of uploads. That it has exactly the keys of docs/json.md, every test of output checks.
@Suite struct JSONContractTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    @Test(arguments: [1, 3]) func `completed says what was sent and confirmed`(parts: Int) throws {
        let file = try mule.file(parts: parts)
        let outcome = try mule.uploadInParts(file, "bucket/key", "--json").run()
        #expect(outcome.exitCode == 0)
        let event = try #require(outcome.objects.last)
        #expect(event["event"]?.text == "completed")
        #expect(event["destination"]?.text == "bucket/key")
        #expect(event["source"]?.text == file)
        #expect(try event["size"]?.integer == Files.size(file))
        #expect(try event["bytesSent"]?.integer == Files.size(file))
        #expect(event["bytesSkipped"]?.integer == 0)
        #expect(event["parts"] == (parts == 1 ? .null : .number(Double(parts))))
        let object = try #require(store.object(key: "key"))
        #expect(event["eTag"]?.text == object.eTag)
        #expect(event["checksum"]?["algorithm"]?.text == "CRC64NVME")
        #expect(event["checksum"]?["type"]?.text == "FULL_OBJECT")
        #expect(event["checksum"]?["value"]?.text == object.checksum?.value)
    }

    @Test func `retries count as bytes sent`() throws {
        let file = try mule.file(parts: 2)
        store.add(.on(.uploadPart, part: 1, .status(500, code: "InternalError")))
        let event = try mule.uploadInParts(file, "bucket/key", "--json").run().event("completed")
        #expect(try event?["bytesSent"]?.integer == Files.size(file) + MuleRun.partSize)
        #expect(event?["bytesSkipped"]?.integer == 0)
    }

    @Test func `failed says what the store answered`() throws {
        store.profile.denied = [.create]
        let file = try mule.file(parts: 2)
        let outcome = try mule.uploadInParts(file, "bucket/key", "--json").run()
        #expect(outcome.exitCode == 4)
        let event = try #require(outcome.objects.last)
        #expect(event["event"]?.text == "failed")
        #expect(event["source"]?.text == file)
        #expect(event["destination"]?.text == "bucket/key")
        let error = try #require(event["error"])
        #expect(error["httpStatus"]?.integer == 403)
        #expect(error["s3Code"]?.text == "AccessDenied")
        #expect(error["kind"]?.text == "store")
        #expect(error["requestID"]?.text == store.requests(.create).last?.requestID)
        #expect(error["message"]?.text?.contains("bucket/key") == true)
    }

    @Test(arguments: ["missing", "."]) func `source that cannot be sent has its failed event`(source: String) throws {
        let outcome = try mule.run("upload", "--json", source, "bucket/below/")
        #expect(outcome.exitCode == 3)
        let event = try #require(outcome.objects.last)
        #expect(event["source"]?.text == source)
        #expect(event["error"]?["kind"]?.text == "source")
        #expect(event["resumable"] == .bool(false))
    }

    @Test func `status says how far the upload is`() throws {
        let file = try mule.file(parts: 3)
        for part in [2, 3] { store.add(.on(.uploadPart, part: part, .stallAfter(bytes: 1 << 20))) }
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.storedParts == [1] && Set($0.partNumbers) == [1, 2, 3] })
        running.signal(2)
        _ = running.wait()

        let outcome = try mule.run("status", "--json")
        #expect(outcome.exitCode == 0 && outcome.err.isEmpty && outcome.lines.count == 1)
        let upload = try #require(outcome.objects.first)
        #expect(upload["state"]?.text == "pending")
        #expect(upload["source"]?.text == file)
        #expect(upload["destination"]?.text == "bucket/key")
        #expect(try upload["size"]?.integer == Files.size(file))
        #expect(upload["partSize"]?.integer == MuleRun.partSize)
        #expect(upload["partsTotal"]?.integer == 3)
        #expect(upload["partsDone"]?.integer == 1)
        #expect(upload["bytesDone"]?.integer == MuleRun.partSize)
        #expect(upload["uploadID"]?.text == store.uploads.first?.id)
        #expect(upload["createdAt"]?.text != nil && upload["updatedAt"]?.text != nil)
    }

    @Test func `an active upload names its process and store`() throws {
        let file = try mule.file(parts: 2)
        store.add(.on(.uploadPart, times: 1_000, .stallAfter(bytes: 1 << 20)))
        let running = try mule.uploadInParts(file, "bucket/key", "--stall-limit", "1h").start()
        #expect(store.waitUntil { !$0.partNumbers.isEmpty })
        let upload = try #require(try mule.status().first)
        #expect(upload["state"]?.text == "active")
        #expect(upload["process"]?.integer == Int64(running.pid))
        #expect(upload["endpoint"]?.text == mule.environment["AWS_ENDPOINT_URL"])
        #expect(try mule.run("status").out.contains("process \(running.pid) since "))

        let watching = try mule.start(["status", "--watch"])
        #expect(watching.waitForText("process \(running.pid) since"))
        let first = watching.outputSoFar
        while watching.outputSoFar == first, watching.isRunning { usleep(10_000) }
        #expect(watching.outputSoFar.hasPrefix(first + first.prefix(20)))
        watching.signal(2)
        #expect(watching.wait().end == .signal(2))
        running.signal(9)
        _ = running.wait()
        #expect(try mule.status().first?["process"] == .null)
    }

    @Test func `status of nothing prints nothing`() throws {
        let outcome = try mule.run("status", "--json")
        #expect(outcome.exitCode == 0)
        #expect(outcome.standardOutput.isEmpty && outcome.standardError.isEmpty)
    }

    @Test func `every file has its last event`() throws {
        let good = try mule.home.write("good", to: "good")
        store.add(.on(.putObject, key: "all/bad", times: 100, .status(403, code: "AccessDenied")))
        let bad = try mule.home.write("bad", to: "bad")
        let outcome = try mule.run("upload", "--json", good, bad, "bucket/all/")
        #expect(outcome.exitCode == 4)
        #expect(outcome.event("completed")?["source"]?.text == good)
        #expect(outcome.event("failed")?["source"]?.text == bad)
    }
}
