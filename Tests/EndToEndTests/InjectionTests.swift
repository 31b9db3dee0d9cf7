import MulePlan
import TestSupport
import Testing

/// Texts from every source that could start another header or request: refused with a sentence before anything is sent,
/// or encoded.
@Suite struct InjectionTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    /// What would end a header's line, a C string, or be obeyed by a terminal.
    static let endings = ["\r\nx-amz-acl: public-read", "\n", "\r", "\u{1B}[31m", "\u{7F}", "\u{85}"]

    private func expectRefused(_ outcome: CommandOutcome, _ what: String, codes: [Int32] = [2]) {
        #expect(outcome.exitCode.map(codes.contains) == true, "\(what): \(outcome.end) \(outcome.err)")
        #expect(outcome.messages.count == 1 && outcome.out.isEmpty, "\(what): \(outcome.err)")
        let isClean = outcome.err.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control }
        #expect(isClean, "\(what): \(outcome.err)")
        #expect(store.requests.count == 0, "\(what)")
    }

    @Test(arguments: endings) func `flags are refused`(ending: String) throws {
        let file = try mule.home.write("x", to: "file")
        var values = ["--region": ["v\(ending)w"]]
        for header in ObjectHeader.allCases {
            values["--" + header.flag] = header.kind.holdsPairs ? ["a=v\(ending)w", "a\(ending)=v"] : ["v\(ending)w"]
        }
        for (flag, values) in values {
            for value in values { expectRefused(try mule.run("upload", flag, value, file, "bucket/key"), flag) }
        }
        expectRefused(
            try mule.run("upload", "--endpoint-url", store.endpoint + "/\(ending)", file, "bucket/key"),
            "endpoint"
        )
        expectRefused(try mule.run("upload", "--profile", "p\(ending)", file, "bucket/key"), "profile")
        expectRefused(try mule.run("upload", file, "buck\(ending)et/key"), "bucket")
    }

    @Test(arguments: endings) func `variables are refused`(ending: String) throws {
        let file = try mule.home.write("x", to: "file")
        let names = [
            "MULE_REGION", "MULE_PROFILE", "MULE_ENDPOINT_URL", "AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        ]
        for name in names {
            // A letter of another script is no control character, and secrets may be any text.
            if ending == "\u{85}", name == "AWS_SECRET_ACCESS_KEY" { continue }
            var mule = mule
            mule.environment[name] = "v\(ending)w"
            expectRefused(try mule.run("upload", file, "bucket/key"), name, codes: [2, 5])
        }
        // What is no host is refused; in the path of an endpoint everything is encoded.
        var host = mule
        host.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1\(ending):1"
        expectRefused(try host.run("upload", file, "bucket/key"), "AWS_ENDPOINT_URL")
    }

    @Test(arguments: ["\\r\\nx-amz-acl: public-read", "\\n", "\\u0000", "\\u001b[31m", "\\u007f", "\\u0085"])
    func `configuration is refused`(ending: String) throws {
        let file = try mule.home.write("x", to: "file")
        let values = ObjectHeader.allCases.flatMap { header in
            let values = ["{\"a\": \"v\(ending)\"}", "{\"a\(ending)\": \"v\"}"]
            return (header.kind.holdsPairs ? values : ["\"v\(ending)w\""]).map { "\"\(header.key)\": \($0)" }
        }
        let documents =
            values.map { "{\"object\": {\($0)}}" } + [
                "{\"region\": \"r\(ending)\"}", "{\"endpointURL\": \"\(store.endpoint)/\(ending)\"}",
                "{\"profile\": \"p\(ending)\"}",
            ]
        for document in documents {
            let path = try mule.home.write(document, to: "config.json")
            var mule = mule
            mule.environment["AWS_ENDPOINT_URL"] = nil
            mule.environment["AWS_REGION"] = nil
            expectRefused(try mule.run("upload", "--config", path, file, "bucket/key"), document)
        }
    }

    @Test(arguments: ["\0", "\u{1B}[31m", "\u{7F}", "\n x-amz-acl: public-read", " x\u{85}"])
    func `aws files are refused`(ending: String) throws {
        let file = try mule.home.write("x", to: "file")
        for (name, keys) in [("region", ["k", "s"]), ("aws_access_key_id", []), ("aws_session_token", ["k", "s"])] {
            var text = "[default]\n\(name) = v\(ending)\n"
            if name == "aws_access_key_id" { text += "aws_secret_access_key = s\n" }
            if keys.count == 2 { text += "aws_access_key_id = \(keys[0])\naws_secret_access_key = \(keys[1])\n" }
            let path = try mule.home.write(text, to: "aws")
            var mule = mule
            mule.environment = ["AWS_ENDPOINT_URL": store.endpoint, "AWS_CONFIG_FILE": path]
            expectRefused(try mule.run("upload", file, "bucket/key"), text, codes: [2, 5])
        }
    }

    @Test func `names and texts of other scripts arrive`() throws {
        let file = try mule.home.write("x", to: "naïve \u{202E}name\u{1}")
        let key = "ключ \u{1}\r\n\u{7F}?uploads=&x=y#z"
        let outcome = try mule.run("upload", "--tag", "größe=ü&x=y", file, "bucket/\(key)")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys() == [Array(key.utf8)])
        #expect(store.requests.allSatisfy { $0.header("x-amz-acl") == nil } && store.violations.isEmpty)
        let tagging = store.requests.compactMap { $0.header("x-amz-tagging") }
        #expect(tagging == ["gr%C3%B6%C3%9Fe=%C3%BC%26x%3Dy"])
    }
}
