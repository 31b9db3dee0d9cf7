import TestSupport
import Testing

/// Requester pays and the expected owner: on every request, whichever command sends it.
@Suite struct RequestHeaderTests {
    private let store = FakeS3()
    private let mule: MuleRun
    private let options = ["--request-payer", "requester", "--expected-bucket-owner", "111122223333"]

    init() { mule = MuleRun(store) }

    private func expectOnAll(from first: Int = 0, _ what: String) {
        let requests = store.requests[first...]
        #expect(!requests.isEmpty, "\(what)")
        for request in requests {
            #expect(
                request.header("x-amz-request-payer") == "requester",
                "\(what): \(request.method) \(request.target)"
            )
            #expect(request.header("x-amz-expected-bucket-owner") == "111122223333", "\(what): \(request.target)")
        }
    }

    @Test func `an upload, its resume and its abort carry what the upload was started with`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 3, times: 2, .status(403, code: "AccessDenied")))
        #expect(try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/key"]).exitCode == 4)
        #expect(try mule.run("status", "--remote").exitCode == 0)
        #expect(try mule.run("resume").exitCode == 4)
        #expect(try mule.run("resume").exitCode == 0)
        expectOnAll("resume")
        #expect(store.count(.create) == 1)
        let exported = try mule.run("doctor", "--export", "-").lines.last.flatMap { JSONText($0) }
        #expect(exported?["attributes"]?["x-amz-request-payer"]?.text == "requester")

        store.add(.on(.uploadPart, part: 3, .status(403, code: "AccessDenied")))
        #expect(try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/other"]).exitCode == 4)
        let id = try #require(try mule.status().first?["id"]?.text)
        #expect(try mule.run("abort", id).exitCode == 0)
        expectOnAll("abort")
        #expect(store.violations.isEmpty)
    }

    @Test func `commands without an upload of their own take the options`() throws {
        let file = try mule.file(parts: 2)
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        for command in [
            ["verify", file, "bucket/key"], ["verify", "--download", file, "bucket/key"],
            ["status", "--remote", "bucket"], ["clean", "bucket"], ["doctor", "bucket"],
        ] {
            let before = store.requests.count
            _ = try mule.run(command + options)
            expectOnAll(from: before, command[0])
        }
    }

    @Test func `they may change while an upload is unfinished`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 3, .status(403, code: "AccessDenied")))
        #expect(try mule.uploadInParts(file).run().exitCode == 4)
        let before = store.requests.count
        let outcome = try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/key"])
        #expect(outcome.exitCode == 0 && store.count(.create) == 1, "\(outcome.err)")
        expectOnAll(from: before, "upload")
    }

    @Test func `an account has 12 digits`() throws {
        let file = try mule.file(parts: 1)
        for account in ["11112222333", "1111222233334", "11112222333x"] {
            let outcome = try mule.run("upload", "--expected-bucket-owner", account, file, "bucket/key")
            #expect(outcome.exitCode == 2 && outcome.explains("12 digits"), "\(outcome.err)")
        }
        #expect(store.requests.isEmpty)
    }
}
