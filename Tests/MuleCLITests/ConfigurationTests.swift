import Glibc
import MuleCLI
import MulePlan
import MuleUpload
import Testing

@Suite("The configuration file")
struct ConfigurationTests {
    @Test("the example shows every key, and parses")
    func example() throws {
        let here = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let configuration = try Configuration.load(path: Array("/\(here)/config.example.json".utf8))
        #expect(Mirror.unsetFields(of: configuration.store) == [])
        #expect(Mirror.unsetFields(of: configuration.transfer) == [])
        #expect(Mirror.unsetFields(of: configuration.object) == [])
        #expect(Mirror.unsetFields(of: configuration) == [])
        let bucket = try #require(configuration.buckets.first)
        #expect(Mirror.unsetFields(of: bucket.value) == [])
        #expect(configuration.store.partSize == 16 << 20)
        let timetable = try RateTimetable("08:00-18:00 Mon-Fri=50MB/s, *=off")
        #expect(configuration.transfer.limitRate == timetable)
        #expect(configuration.object.tags == [NamedText(name: "retention", text: "10y")])
    }

    @Test("an empty object is a configuration without settings")
    func empty() throws {
        #expect(try Configuration.parse(Array("{}".utf8)) == Configuration())
    }

    @Test("numbers stand for bytes, seconds and requests")
    func numbers() throws {
        let text = #"{"partSize": 8388608, "stallLimit": 90, "concurrency": 8, "limitRate": 0, "pageCache": "drop"}"#
        let configuration = try Configuration.parse(Array(text.utf8))
        #expect(configuration.store.partSize == 8_388_608)
        #expect(configuration.transfer.stallLimit == 90)
        #expect(configuration.transfer.pageCache == .drop)
        #expect(configuration.transfer.concurrency == .fixed(8))
        #expect(configuration.transfer.limitRate == RateTimetable(always: 0))
    }

    @Test("a bucket's options lie over the general ones")
    func buckets() throws {
        let text = #"{"region": "a", "profile": "p", "buckets": {"photos": {"region": "b", "checksum": "md5"}}}"#
        let configuration = try Configuration.parse(Array(text.utf8))
        #expect(configuration.store(forBucket: "photos").region == "b")
        #expect(configuration.store(forBucket: "photos").profile == "p")
        #expect(configuration.store(forBucket: "photos").checksum == .md5)
        #expect(configuration.store(forBucket: "other").region == "a")
        #expect(configuration.store(forBucket: "other").checksum == nil)
    }

    @Test("options laid over others hide only what they set, and pairs meet name by name")
    func layers() {
        var upper = ObjectOptions()
        upper.contentType = "text/plain"
        upper.metadata = [NamedText(name: "a", text: "upper"), NamedText(name: "c", text: "3")]
        var lower = ObjectOptions()
        lower.contentType = "hidden"
        lower.acl = "private"
        lower.metadata = [NamedText(name: "a", text: "lower"), NamedText(name: "b", text: "2")]
        let result = upper.over(lower)
        #expect(result.contentType == "text/plain")
        #expect(result.acl == "private")
        #expect(result.metadata.map(\.text) == ["upper", "2", "3"])
    }

    @Test(
        "a mistake is named with its key, what was found and what is allowed",
        arguments: [
            (#"{"regon": "x"}"#, "unknown key regon; did you mean \"region\"?"),
            (#"{"buckets": {"photos": {"regon": "x"}}}"#, "unknown key buckets.photos.regon; did you mean \"region\"?"),
            (
                #"{"buckets": {"my.photos": {"x": 1}}}"#,
                "unknown key buckets.\"my.photos\".x; known here are endpointURL, region"
            ),
            (#"{"buckets": {"photos": {"storageClass": "x"}}}"#, "unknown key buckets.photos.storageClass"),
            (#"{"object": {"contentTyp": "x"}}"#, "unknown key object.contentTyp; did you mean \"contentType\"?"),
            (#"{"part-size": 1}"#, "unknown key part-size; did you mean \"partSize\"?"),
            (#"{"a\u001bb": 1}"#, #"unknown key "a\x1Bb""#),
            (#"{"secretAccessKey": "hunter2"}"#, "mule keeps no secrets here"),
            (#"{"region": 5}"#, "region: a string in double quotes is wanted, but the number 5 was found"),
            (#"{"region": null}"#, "region: a string in double quotes is wanted, but null was found"),
            (#"{"partSize": true}"#, "partSize: a string or a whole number is wanted, but true was found"),
            (#"{"partSize": 1.5}"#, "partSize: a string or a whole number is wanted, but the number 1.5 was found"),
            (#"{"partSize": "8Q"}"#, "partSize: \"8Q\" has the unknown unit \"Q\""),
            (#"{"partSize": -1}"#, "partSize: \"-1\" is not a size"),
            (#"{"checksum": "crc23"}"#, "checksum: \"crc23\" is not one of auto, crc64nvme"),
            (#"{"caBundle": "/x\u0000y"}"#, "caBundle: a path can't hold a NUL"),
            (#"{"ledger": "x.sqlite"}"#, "ledger: \"x.sqlite\" is a relative path; begin it with / or ~/"),
            (#"{"object": {"metadata": {"a": 1}}}"#, "object.metadata.a: a string in double quotes is wanted"),
            (
                #"{"object": {"metadata": {"a b": "c"}}}"#,
                "object.metadata.\"a b\": \"c\" has a name that cannot be a header"
            ),
            (#"{"object": []}"#, "object: an object { } is wanted, but an array [ ] was found"),
            ("[]", "the document: an object { } is wanted, but an array [ ] was found"),
            ("{\n  \"region\": \"a\",\n}", "is not valid JSON, line 3, column 1: a key in double quotes is wanted"),
            (#"{"region": "a", "region": "b"}"#, "the key \"region\" stands here a second time"),
            (#"{"\u001b[2J": 1, "\u001b[2J": 2}"#, "the key \"\\x1B[2J\" stands here a second time"),
            (
                #"{"endpointURL": "https://me:hunter2@x"}"#,
                "endpointURL: the value must not hold a user name or password"
            ),
        ]
    )
    func mistakes(text: String, part: String) {
        let error = #expect(throws: ConfigurationError.self) { try Configuration.parse(Array(text.utf8)) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test("a missing file is an error only when it was named")
    func missing() throws {
        let path = Array("/nowhere/\u{1B}config.json".utf8)
        #expect(try Configuration.load(FileLocation(path: path, isExplicit: false)) == Configuration())
        #expect(try Configuration.load(nil) == Configuration())
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.load(FileLocation(path: path, isExplicit: true))
        }
        #expect(error?.description.hasPrefix("configuration file /nowhere/\\x1Bconfig.json does not exist") == true)
    }

    @Test("a directory or an endless file cannot be read, and the reason is told")
    func unreadable() {
        for path in ["/", "/dev/zero"] {
            let error = #expect(throws: ConfigurationError.self) {
                try Configuration.load(FileLocation(path: Array(path.utf8), isExplicit: false))
            }
            #expect(error?.description.hasPrefix("configuration file \(path) cannot be read: ") == true)
        }
    }
}

@Suite("Where mule's files are")
struct FileLocationTests {
    @Test("the configuration is looked for in order")
    func configuration() {
        var environment = ["HOME": "/home/u"]
        #expect(path(environment) == "/home/u/.config/mule/config.json")
        environment["XDG_CONFIG_HOME"] = "relative"
        #expect(path(environment) == "/home/u/.config/mule/config.json")
        environment["XDG_CONFIG_HOME"] = "/xdg"
        #expect(path(environment) == "/xdg/mule/config.json")
        #expect(FileLocation.configuration(flag: nil, environment: environment)?.isExplicit == false)
        environment["MULE_CONFIG"] = ""
        #expect(path(environment) == "/xdg/mule/config.json")
        environment["MULE_CONFIG"] = "m.json"
        #expect(path(environment) == "m.json")
        let flag: [UInt8] = [0xFF]
        #expect(
            FileLocation.configuration(flag: flag, environment: environment)
                == FileLocation(path: flag, isExplicit: true)
        )
        #expect(FileLocation.configuration(flag: nil, environment: [:]) == nil)
    }

    @Test("the ledger is looked for in order")
    func ledger() {
        var environment = ["HOME": "/home/u"]
        var configuration = Configuration()
        let path = { (flag: [UInt8]?) in
            FileLocation.ledger(flag: flag, environment: environment, configuration: configuration)
                .map { TextSafety.displayName($0.path) }
        }
        #expect(path(nil) == "/home/u/.local/state/mule/ledger.sqlite")
        environment["XDG_STATE_HOME"] = "/state"
        #expect(path(nil) == "/state/mule/ledger.sqlite")
        configuration.ledger = Array("~/l.sqlite".utf8)
        #expect(path(nil) == "/home/u/l.sqlite")
        environment["MULE_LEDGER"] = "/env.sqlite"
        #expect(path(nil) == "/env.sqlite")
        #expect(path(Array("flag".utf8)) == "flag")
        environment = [:]
        #expect(path(nil) == nil)
    }

    private func path(_ environment: [String: String]) -> String? {
        FileLocation.configuration(flag: nil, environment: environment).map { TextSafety.displayName($0.path) }
    }
}

extension Mirror {
    /// Names of the fields that are nil or empty.
    fileprivate static func unsetFields(of value: Any) -> [String] {
        Mirror(reflecting: value).children.compactMap { child in
            let field = Mirror(reflecting: child.value)
            let holdsMany =
                field.displayStyle == .optional || field.displayStyle == .collection
                || field.displayStyle == .dictionary
            return holdsMany && field.children.isEmpty ? child.label : nil
        }
    }
}
