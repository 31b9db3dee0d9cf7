import Glibc
import MuleCLI
import MuleJSON
import MulePlan
import MuleSources
import MuleUpload
import Testing

@Suite("The configuration file")
struct ConfigurationTests {
    @Test
    func `the example shows every key, and parses`() throws {
        let here = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let configuration = try Configuration.load(path: Array("/\(here)/config.example.json".utf8))
        #expect(Mirror.unsetFields(of: configuration.store) == [])
        #expect(Mirror.unsetFields(of: configuration.transfer) == [])
        #expect(unset(configuration.object) == [])
        #expect(Mirror.unsetFields(of: configuration) == [])
        let bucket = try #require(configuration.buckets.first)
        #expect(Mirror.unsetFields(of: bucket.value) == [])
        let job = try #require(configuration.jobs["dumps"])
        #expect(Mirror.unsetFields(of: job) == [])
        #expect(Mirror.unsetFields(of: job.selection) == [])
        #expect(Mirror.unsetFields(of: job.changes) == [])
        #expect(Mirror.unsetFields(of: job.store) == [])
        #expect(Mirror.unsetFields(of: job.transfer) == [])
        #expect(unset(job.object) == [])
        #expect(configuration.store.partSize == 16 << 20)
        let timetable = try RateTimetable("08:00-18:00 Mon-Fri=50MB/s, *=off")
        #expect(configuration.transfer.limitRate == timetable)
        #expect(configuration.object[pairs: .tags] == [NamedText(name: "retention", text: "10y")])
    }

    private func unset(_ options: ObjectOptions) -> [ObjectHeader] {
        ObjectHeader.allCases.filter { options[$0] == nil && options[pairs: $0].isEmpty }
    }

    @Test
    func `every header of the object is a key that the reference names with its option`() throws {
        let section = try #require(ConfigurationReference.sections.first { $0.title == "Object keys" })
        #expect(section.keys.map(\.name) == ObjectHeader.allCases.map(\.key) + ["sseCKeyFile"])
        #expect(section.keys.map(\.option) == ObjectHeader.allCases.map(\.flag) + ["sse-c-key-file"])
    }

    /// It does not go with the encryption that the example shows.
    @Test
    func `the file of the customer key is a key of its own`() throws {
        let text =
            #"{"object": {"sseCKeyFile": "~/k"}, "jobs": {"j": {"source": "/s", "destination": "b/", "#
            + #""object": {"sseCKeyFile": "/k"}}}}"#
        let configuration = try Configuration.parse(Array(text.utf8))
        #expect(configuration.object.customerKeyFile == Array("~/k".utf8))
        let job = try #require(configuration.jobs["j"])
        #expect(job.object.over(configuration.object).customerKeyFile == Array("/k".utf8))
        #expect(ObjectOptions().over(configuration.object).customerKeyFile == Array("~/k".utf8))
    }

    @Test
    func `an empty object is a configuration without settings`() throws {
        #expect(try Configuration.parse(Array("{}".utf8)) == Configuration())
    }

    @Test
    func `numbers stand for bytes, seconds and requests`() throws {
        let text = #"{"partSize": 8388608, "stallLimit": 90, "concurrency": 8, "limitRate": 500, "pageCache": "drop"}"#
        let configuration = try Configuration.parse(Array(text.utf8))
        #expect(configuration.store.partSize == 8_388_608)
        #expect(configuration.transfer.stallLimit == 90)
        #expect(configuration.transfer.pageCache == .drop)
        #expect(configuration.transfer.concurrency == .fixed(8))
        #expect(configuration.transfer.limitRate == RateTimetable(always: 500))
    }

    @Test
    func `a bucket's options lie over the general ones`() throws {
        let text = #"{"region": "a", "profile": "p", "buckets": {"photos": {"region": "b", "checksum": "md5"}}}"#
        let configuration = try Configuration.parse(Array(text.utf8))
        #expect(configuration.store(forBucket: "photos").region == "b")
        #expect(configuration.store(forBucket: "photos").profile == "p")
        #expect(configuration.store(forBucket: "photos").checksum == .md5)
        #expect(configuration.store(forBucket: "other").region == "a")
        #expect(configuration.store(forBucket: "other").checksum == nil)
    }

    @Test
    func `options laid over others hide only what they set, and pairs meet name by name`() {
        var upper = ObjectOptions()
        upper[.contentType] = "text/plain"
        upper[pairs: .metadata] = [NamedText(name: "a", text: "upper"), NamedText(name: "c", text: "3")]
        var lower = ObjectOptions()
        lower[.contentType] = "hidden"
        lower[.acl] = "private"
        lower[pairs: .metadata] = [NamedText(name: "a", text: "lower"), NamedText(name: "b", text: "2")]
        let result = upper.over(lower)
        #expect(result[.contentType] == "text/plain")
        #expect(result[.acl] == "private")
        #expect(result[pairs: .metadata].map(\.text) == ["upper", "2", "3"])
    }

    @Test(arguments: [
        (#"{"regon": "x"}"#, "unknown key regon; did you mean \"region\"?"),
        (#"{"buckets": {"photos": {"regon": "x"}}}"#, "unknown key buckets.photos.regon; did you mean \"region\"?"),
        (
            #"{"buckets": {"my.photos": {"x": 1}}}"#,
            "unknown key buckets.\"my.photos\".x; known keys: provider, endpointURL, region"
        ),
        (
            #"{"buckets": {"photos": {"storageClass": "x"}}}"#,
            "unknown key buckets.photos.storageClass; it belongs in the \"object\" of the document or of a job"
        ),
        (#"{"object": {"region": "x"}}"#, "unknown key object.region; it belongs outside of \"object\""),
        (#"{"after": "keep"}"#, "unknown key after; it belongs in a job of \"jobs\""),
        ("{\n  // here\n}", "line 2, column 3: JSON has no comments"),
        ("{\n  \"region\": \"a\" /* here */\n}", "line 2, column 17: JSON has no comments"),
        ("{\"concurrency\": # here\n 1}", "line 1, column 17: JSON has no comments"),
        ("{\"buckets\": {\"a\": {},\n}}", "line 1, column 21: remove the comma"),
        (#"{"object": {"contentTyp": "x"}}"#, "unknown key object.contentTyp; did you mean \"contentType\"?"),
        (#"{"part-size": 1}"#, "unknown key part-size; did you mean \"partSize\"?"),
        (#"{"a\u001bb": 1}"#, #"unknown key "a\x1Bb""#),
        (#"{"secretAccessKey": "hunter2"}"#, "secrets do not belong here"),
        (#"{"region": 5}"#, "region: expected a string in double quotes, found the number 5"),
        (#"{"region": null}"#, "region: expected a string in double quotes, found null"),
        (#"{"partSize": true}"#, "partSize: expected a string or a whole number, found true"),
        (#"{"partSize": 1.5}"#, "partSize: expected a string or a whole number, found the number 1.5"),
        (#"{"partSize": "8Q"}"#, "partSize: \"8Q\" has the unknown unit \"Q\""),
        (#"{"partSize": -1}"#, "partSize: \"-1\" is not a size"),
        (#"{"checksum": "crc23"}"#, "checksum: \"crc23\" is not one of auto, crc64nvme"),
        (#"{"caBundle": "/x\u0000y"}"#, "caBundle: a path cannot contain a NUL character"),
        (#"{"ledger": "x.sqlite"}"#, "ledger: \"x.sqlite\" is a relative path; start it with / or ~/"),
        (#"{"object": {"metadata": {"a": 1}}}"#, "object.metadata.a: expected a string in double quotes"),
        (
            #"{"object": {"metadata": {"a b": "c"}}}"#,
            "object.metadata.\"a b\": \"c\" has a name that cannot be a header"
        ),
        (#"{"object": []}"#, "object: expected an object { }, found an array [ ]"),
        ("[]", "the document: expected an object { }, found an array [ ]"),
        ("{\n  \"region\": \"a\",\n}", "is not valid JSON, line 2, column 16: remove the comma"),
        (#"{"region": "a", "region": "b"}"#, "the key \"region\" appears twice"),
        (#"{"\u001b[2J": 1, "\u001b[2J": 2}"#, "the key \"\\x1B[2J\" appears twice"),
        (
            #"{"endpointURL": "https://me:hunter2@x"}"#,
            "endpointURL: the value must not hold a user name or password"
        ),
    ]
    )
    func `a mistake is named with its key, what was found and what is allowed`(text: String, part: String) {
        let error = #expect(throws: ConfigurationError.self) { try Configuration.parse(Array(text.utf8)) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test
    func `a job is read, with what lies over the general settings`() throws {
        let text = #"""
            {"jobs": {"a.b_c-1": {"source": "~/spool", "destination": "b/x/", "exclude": ["*.tmp", "!a.tmp"], "minAge": 60,
             "after": "delete-after:7d", "overwrite": "allow", "until": "23:59", "maxBytes": "1G", "quarantineAfter": 1,
             "receiptObject": "b", "onSuccess": ["/bin/true"], "onFailure": "https://x/?t=1", "region": "r", "order": "newest",
             "concurrency": 4, "settle": "5s", "object": {"acl": "private"}}}}
            """#
        let job = try #require(Configuration.parse(Array(text.utf8)).jobs["a.b_c-1"])
        #expect(job.source == Array("~/spool".utf8))
        #expect(job.destination?.bucket == "b" && job.destination?.isInjective == true)
        #expect(try job.selection.exclude == [ExcludeRule(Array("*.tmp".utf8)), ExcludeRule(Array("!a.tmp".utf8))])
        #expect(job.selection.minimumAge == 60 && job.selection.order == .newest)
        #expect(job.after == .deleteAfter(604_800) && job.overwrite == .allow && job.until == 1439)
        #expect(job.maximumBytes == 1 << 30 && job.quarantineAfter == 1)
        #expect(job.receiptObject == ObjectAddress(bucket: "b", key: ObjectKey("")))
        #expect(job.onSuccess == .program(["/bin/true"]) && job.onFailure == .post("https://x/?t=1"))
        #expect(job.store.region == "r" && job.transfer.concurrency == .fixed(4) && job.changes.settle == 5)
        #expect(job.object[.acl] == "private")
    }

    @Test(arguments: [
        (#""source": "spool""#, #"jobs.j.source: "spool" is a relative path"#),
        (#""destination": "b/fixed""#, #"jobs.j.destination: "b/fixed" is the same key for every file"#),
        (
            #""destination": "b/{relpat}""#,
            #"jobs.j.destination: "b/{relpat}" has the unknown placeholder {relpat}; did"#
        ),
        (#""include": "*.db""#, "jobs.j.include: expected an array [ ] of strings, found a string"),
        (#""include": ["a", "["]"#, #"jobs.j.include.1: "[" has a [ without its ]"#),
        (#""exclude": ["!"]"#, #"jobs.j.exclude.0: "!" is an empty pattern"#),
        (#""exclude": [1]"#, "jobs.j.exclude.0: expected a string"),
        (#""minAge": "2h", "maxAge": "1h""#, "jobs.j.minAge: it is larger than maxAge, so that no file matches"),
        (#""minSize": 2, "maxSize": 1"#, "jobs.j.minSize: it is larger than maxSize"),
        (#""after": "move:sent""#, #"jobs.j.after: "move:sent" moves to a relative path"#),
        (#""after": "archive""#, "is not one of keep, move:DIR, delete, delete-after:7d"),
        (#""overwrite": "newer""#, #"jobs.j.overwrite: "newer" is not one of never, allow"#),
        (#""window": "22:00""#, "is not a window; write it like 22:00-06:00"),
        (#""window": "22:00-24:00""#, "is not a time of day; the last one is 23:59"),
        (#""window": "06:00-06:00""#, "starts and ends at the same time"),
        (#""requireMount": "disk""#, "is a relative path"),
        (#""requireMount": ["/a", 1]"#, "jobs.j.requireMount.1: expected a file path in double quotes"),
        (#""requireMount": {}"#, "expected a path in double quotes or an array [ ] of paths"),
        (#""until": "6:00""#, #"jobs.j.until: "6:00" is not a time of day"#),
        (#""until": "24:00""#, #"jobs.j.until: "24:00" is not a time of day"#),
        (#""until": "0a:00""#, "is not a time of day"),
        (#""maxBytes": 0"#, #"jobs.j.maxBytes: "0" must be more than 0"#),
        (#""maxDuration": "500ms""#, #"jobs.j.maxDuration: "500ms" is too short"#),
        (#""quarantineAfter": 0"#, "jobs.j.quarantineAfter: expected a whole number of runs, 1 or more"),
        (#""quarantineAfter": "3""#, "jobs.j.quarantineAfter: expected a whole number"),
        (#""receiptObject": "b/key""#, #"jobs.j.receiptObject: "b/key" is a single object"#),
        (#""receiptObject": "/x""#, #"jobs.j.receiptObject: "/x" has no bucket"#),
        (#""onSuccess": []"#, "jobs.j.onSuccess: expected a program and its arguments"),
        (#""onSuccess": ["sh", "-c"]"#, #"jobs.j.onSuccess.0: "sh" is not an absolute path"#),
        (#""onFailure": "ftp://x""#, "jobs.j.onFailure: the value is not a URL"),
        (#""onFailure": "https://me:hunter2@x""#, "jobs.j.onFailure: the value must not contain a user name"),
        (#""onFailure": "https://x/?token=hunter2 ""#, "jobs.j.onFailure: the value must be plain ASCII"),
        (#""onFailure": true"#, "jobs.j.onFailure: expected an array [ ] with a program"),
        (#""symlink": "skip""#, #"unknown key jobs.j.symlink; did you mean "symlinks"?"#),
        (#""storageClass": "x""#, #"unknown key jobs.j.storageClass; it belongs in "object""#),
        (#""logFile": "/x""#, "unknown key jobs.j.logFile; it belongs at the top of the document"),
        (#""object": {"acll": "x"}"#, #"unknown key jobs.j.object.acll; did you mean "acl"?"#),
    ]
    )
    func `a mistake in a job is named with its key`(members: String, part: String) {
        var job = members
        if !members.contains(#""source""#) { job += #", "source": "/s""# }
        if !members.contains(#""destination""#) { job += #", "destination": "b/""# }
        let text = #"{"jobs": {"j": {"# + job + "}}}"
        let error = #expect(throws: ConfigurationError.self) { try Configuration.parse(Array(text.utf8)) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test
    func `a job needs a source, a destination and a name that files can have`() {
        for name in ["", "a/b", "..", ".a", "-a", "ä", "a b", "a@b", String(repeating: "a", count: 101)] {
            let text = #"{"jobs": {"\#(name)": {"source": "/s", "destination": "b/"}}}"#
            let error = #expect(throws: ConfigurationError.self) { try Configuration.parse(Array(text.utf8)) }
            #expect(error?.description.contains("a job name has 1 to 100 characters") == true)
        }
        let text = #"{"jobs": {"j": {}}}"#
        let empty = #expect(throws: ConfigurationError.self) { try Configuration.parse(Array(text.utf8)) }
        #expect(empty?.description.contains("jobs.j: the job has no source") == true)
    }

    @Test
    func `every problem is found, each with its line and column, in their order`() throws {
        let text = #"""
            {
              "regon": "x",
              "jobs": {
                "ü": { "source": 5,
                  "destination": "b/", "exclude": ["a",
                  "["] },
                "j": []
              },
              "partSize": "8Q"
            }
            """#
        let reading = try Configuration.read(Array(text.utf8))
        let places = reading.problems.map { "\($0.place?.line ?? 0):\($0.place?.column ?? 0)" }
        #expect(places == ["2:3", "4:5", "4:12", "6:7", "7:5", "9:3"])
        let error = #expect(throws: ConfigurationError.self) { try Configuration.parse(Array(text.utf8)) }
        #expect(error?.description.hasPrefix("the configuration, line 2, column 3: unknown key regon") == true)
        #expect(reading.configuration.jobs["ü"]?.destination?.bucket == "b")
    }

    @Test
    func `a missing file is an error only when it was named`() throws {
        let path = Array("/nowhere/\u{1B}config.json".utf8)
        #expect(try Configuration.load(FileLocation(path: path, isExplicit: false)) == Configuration())
        #expect(try Configuration.load(nil) == Configuration())
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.load(FileLocation(path: path, isExplicit: true))
        }
        #expect(error?.description.hasPrefix("configuration file /nowhere/\\x1Bconfig.json does not exist") == true)
    }

    @Test
    func `a directory or an endless file cannot be read, and the reason is told`() {
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
    @Test
    func `the configuration is looked for in order`() {
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

    @Test
    func `the ledger is looked for in order`() {
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
