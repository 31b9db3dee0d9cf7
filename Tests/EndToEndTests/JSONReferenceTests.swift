import Glibc
import TestSupport
import Testing

/// docs/json.md: that it is whole, that output is compared with it, and that nothing in it is never printed.
@Suite struct JSONReferenceTests {
    private static let reference = JSONReference.shared

    // MARK: The document

    @Test func `every record has commands keys and an example`() {
        #expect(Self.reference.records.count > 20)
        for table in Self.reference.records {
            #expect(!table.keys.isEmpty && !table.examples.isEmpty, "\(table.heading)")
            for example in table.examples {
                let object = JSONText(example)
                #expect(object?.isSorted == true, "\(table.heading): \(example)")
                let event = object?["event"]?.text
                #expect(event.map(table.events.contains) ?? table.events.isEmpty, "\(table.heading): \(example)")
            }
            for command in table.commands?.isEmpty == false ? Array(table.commands ?? []) : [nil] {
                _ = Self.reference.read(table.examples, printedBy: command)
            }
        }
    }

    @Test func `keys are sorted and their types are explained`() {
        var used: Set<String> = []
        for table in Self.reference.tables {
            #expect(table.keys.isEmpty != table.values.isEmpty, "\(table.heading)")
            let names = table.keys.map { Array($0.name.utf8) }
            #expect(
                zip(names, names.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) },
                "\(table.heading): the keys are not sorted"
            )
            for key in table.keys {
                #expect(!key.types.isEmpty)
                for type in key.types {
                    #expect(Self.reference.knows(type), "\(table.heading), \(key.name): \(type)")
                    used.insert(JSONReference.element(type) ?? type)
                }
            }
        }
        let unused = Self.reference.nested.keys.filter { !used.contains($0) }
        #expect(unused.isEmpty, "\(unused): no key has this type, and no command prints it")
    }

    @Test func `links lead to tables`() {
        let anchors = Set(Self.reference.nested.keys.map { "#" + $0.replacing(" ", with: "-") })
        let links = JSONReference.document.matches(of: /\]\(([^)]*)\)/).map { String($0.1) }
        #expect(!links.isEmpty && Set(links).isSubset(of: anchors), "\(Set(links).subtracting(anchors))")
    }

    // MARK: The comparison

    @Test(
        arguments: [
            (#"{"event":"sent","id":"a","size":1,"state":"new"}"#, nil),
            (#"{"event":"sent","id":null,"size":1,"state":"new","more":{"times":["2026-11-20T23:56:00Z"]}}"#, nil),
            (#"{"event":"sent","size":1,"state":"new"}"#, "upload, sent: the key \"id\" of docs/json.md is missing"),
            (#"{"event":"sent","id":"a","size":1,"speed":1,"state":"new"}"#, "does not list the key \"speed\""),
            (
                #"{"event":"sent","id":1,"size":1,"state":"new"}"#,
                "\"id\" is number(1.0), but docs/json.md says string or null"
            ),
            (#"{"event":"sent","id":"a","size":1.5,"state":"new"}"#, "\"size\" is number(1.5)"),
            (#"{"event":"sent","id":"a","size":null,"state":"new"}"#, "\"size\" is null"),
            (#"{"event":"sent","id":"a","size":1,"state":"old"}"#, "\"state\" is string(\"old\")"),
            (
                #"{"event":"sent","id":"a","size":1,"state":"new","more":{}}"#,
                "the key \"more.times\" of docs/json.md is missing"
            ),
            (
                #"{"event":"sent","id":"a","size":1,"state":"new","more":{"times":["today"]}}"#,
                "\"more.times[]\" is string(\"today\")"
            ),
            (#"{"event":"received"}"#, "mule upload printed the event \"received\", which docs/json.md does not list"),
            (#"{"id":"a"}"#, "mule upload printed an object without \"event\""),
        ] as [(String, String?)]
    ) func `a difference is named`(line: String, problem: String?) throws {
        let reference = JSONReference(
            """
            ### `sent`: example

            Printed by `mule upload` and `mule
            resume`. Not by `mule status`.

            | key | type | meaning |
            |---|---|---|
            | `event` | string | |
            | `id` | string or null | |
            | `more` | [more](#more) or null, optional | |
            | `size` | integer | |
            | `state` | [state](#state) | |

            ### `received`: example

            Printed by `mule status`.

            | key | type | meaning |
            |---|---|---|
            | `event` | string | |

            ### more

            | key | type | meaning |
            |---|---|---|
            | `times` | array of times | |

            ### state

            | value | meaning |
            |---|---|
            | `new` | |
            """
        )
        let object = try #require(JSONText(line))
        let problems = reference.problems(of: object, printedBy: "upload")
        #expect(problems.count == (problem == nil ? 0 : 1), "\(problems)")
        if let problem { #expect(problems.first?.contains(problem) == true, "\(problems)") }
    }

    @Test func `output of a command is compared`() throws {
        let mule = MuleRun(FakeS3())
        var command = TestCommand("/bin/sh", ["-c", "echo '{\"event\":\"adopted\"}'", "upload"], home: mule.home.path)
        let outcome = try command.run()
        withKnownIssue {
            _ = outcome.objects
        } matching: { issue in
            issue.comments.contains { $0.rawValue.contains("mule upload printed the event \"adopted\"") }
        }
        command.arguments = ["-c", "echo '{\"message\":\"m\",\"event\":\"warning\"}'"].map { Array($0.utf8) }
        let unsorted = try command.run()
        withKnownIssue {
            _ = unsorted.objects
        } matching: { issue in
            issue.comments.contains { $0.rawValue.contains("not sorted") }
        }
    }

    // MARK: What is printed

    /// The keys that the objects of a scenario had, as `heading: key`.
    private final class Seen {
        private(set) var keys: Set<String> = []

        func add(_ objects: [JSONText], of command: String) {
            for object in objects {
                guard let table = JSONReference.shared.closest(to: object, printedBy: command)?.table else { continue }
                for name in object.names { keys.insert("\(table.heading), \(name)") }
                // One table for several events needs each of them.
                if let event = object["event"]?.text { keys.insert("\(table.heading), \(event)") }
            }
        }
    }

    /// A key, or an event, that no command prints any more must leave the document.
    @Test func `everything in the document is printed`() throws {
        let seen = Seen()
        try transfer(seen)
        try look(seen)
        try archive(seen)
        var missing: [String] = []
        for table in Self.reference.records {
            missing += (table.keys.map(\.name) + table.events).map { "\(table.heading), \($0)" }
        }
        missing.removeAll(where: seen.keys.contains)
        #expect(missing.isEmpty, "no command of this test printed \(missing)")
    }

    private func run(_ mule: MuleRun, _ seen: Seen, _ status: Int32, _ words: String...) throws -> [JSONText] {
        let outcome = try mule.run(words)
        #expect(outcome.exitCode == status, "\(words): \(outcome.err)")
        seen.add(outcome.objects, of: words[0])
        return outcome.objects
    }

    /// Uploads and what is said of those that are not finished.
    private func transfer(_ seen: Seen) throws {
        let store = FakeS3()
        store.profile.hasVersions = true
        let (mule, stranger) = (MuleRun(store), MuleRun(store))
        let file = try mule.file(parts: 3)
        /// An upload that has all parts but the last.
        func pending(_ key: String, of user: MuleRun? = nil) throws -> String {
            store.add(.on(.uploadPart, part: 3, times: 1_000, .status(403, code: "AccessDenied")))
            let words = ["upload", "--json", "-j", "1", "--part-size", "5MiB", file, "bucket/" + key]
            let outcome = try (user ?? mule).run(words)
            #expect(outcome.exitCode == 4, "\(outcome.err)")
            seen.add(outcome.objects, of: "upload")
            store.script([])
            return try #require(outcome.event("failed")?["id"]?.text)
        }
        let id = try pending("key")
        _ = try run(mule, seen, 0, "status", "--remote", "--json")
        _ = try run(mule, seen, 0, "resume", "--json", id)
        _ = try run(mule, seen, 0, "verify", "--json", file, "bucket/key")
        _ = try run(mule, seen, 6, "verify", "--json", file, "bucket/none")

        _ = try pending("adopt")
        _ = try run(stranger, seen, 0, "adopt", "--json", file, "bucket/adopt")
        _ = try run(mule, seen, 0, "abort", "--json", try pending("abort"))
        _ = try run(mule, seen, 0, "abort", "--json", "--forget", try pending("forget"))
        _ = try pending("foreign", of: stranger)
        _ = try pending("stale")
        _ = try run(mule, seen, 0, "clean", "--json", "--older-than", "0s", "--dry-run")
        store.profile.denied = [.abort]
        _ = try run(mule, seen, 4, "clean", "--json", "--older-than", "0s")
        store.profile.denied = [.listUploads]
        let unlisted = try run(mule, seen, 4, "clean", "--json", "bucket")
        #expect(unlisted.first { $0["event"]?.text == "failed" }?["uploadID"] == nil, "a bucket has none")
        store.profile.denied = []
        _ = try run(mule, seen, 0, "clean", "--json", "--older-than", "0s")
        _ = try run(mule, seen, 0, "clean", "--json", "--history", "0s")

        _ = try pending("export")
        _ = try run(mule, seen, 0, "doctor", "--export", "-")
        let export = mule.home.path("export.jsonl")
        #expect(try mule.run("doctor", "--export", export).exitCode == 0)
        _ = try run(stranger, seen, 0, "doctor", "--import", export, "--json")

        let small = try mule.home.write("small", to: "small")
        _ = try run(mule, seen, 0, "upload", "--json", "--dry-run", small, "bucket/plan/")
        _ = try run(mule, seen, 0, "upload", "--json", "--limit-rate", "5MB/s", file, small, "bucket/several/")

        store.profile.checksums = .ignored
        let sent = try run(mule, seen, 0, "upload", "--json", "--checksum", "sha256", file, "bucket/notice")
        #expect(sent.contains { $0["event"]?.text == "notice" }, "\(sent)")
    }

    /// Commands that check something.
    private func look(_ seen: Seen) throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        _ = try run(mule, seen, 0, "presign", "get", "--json", "bucket/key")
        #expect(store.requests.isEmpty)
        _ = try run(mule, seen, 0, "doctor", "--json")
        _ = try run(mule, seen, 0, "doctor", "--json", "bucket")
        #expect(!store.requests.isEmpty)
        let file = try mule.home.write("{\n  \"regoin\": \"a\"\n}", to: "c.json")
        _ = try run(mule, seen, 2, "config", "check", "--json", file)
    }

    /// Jobs, with their receipts, hooks and reports.
    private func archive(_ seen: Seen) throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        let hook = try mule.home.write("#!/bin/sh\ncat >> \"$HOME/hooks\"\n", to: "hook")
        chmod(hook, 0o755)
        func configure(_ after: String) throws {
            try mule.home.write(
                """
                {"jobs": {"nightly": {"source": "~/spool", "destination": "bucket/n/", "after": "\(after)",
                 "receipts": "~/receipts", "onSuccess": ["\(hook)"], "onFailure": ["\(hook)"]}}}
                """,
                to: ".config/mule/config.json"
            )
        }
        try mule.home.makeDirectory("spool/sub")
        try mule.home.write("moved", to: "spool/moved")
        try configure("move:~/done")
        _ = try run(mule, seen, 0, "archive", "--json", "nightly")
        // The directory that it would be moved to is a file.
        try mule.home.write("stays", to: "spool/sub/stays")
        try mule.home.write("in the way", to: "done/sub")
        let refused = try mule.run("archive", "--json", "nightly")
        seen.add(refused.objects, of: "archive")
        #expect(refused.event("actionFailed")?["action"]?.text == "move", "\(refused.out)")
        try Files.remove(mule.home.path("spool/sub/stays"))
        try configure("delete")
        try mule.home.write("deleted", to: "spool/deleted")
        _ = try run(mule, seen, 0, "archive", "--json", "nightly")

        try mule.home.write("denied", to: "spool/denied")
        store.add(.on(.putObject, times: 1_000, .status(403, code: "AccessDenied")))
        for _ in 0..<3 { _ = try run(mule, seen, 4, "archive", "--json", "nightly") }
        _ = try run(mule, seen, 0, "status", "--json")
        _ = try run(mule, seen, 0, "report", "--json", "--files")
        let hooks = try mule.home.read("hooks")
        let receipts = try Files.names(in: mule.home.path("receipts")).filter { $0.hasSuffix(".jsonl") }
        let texts = try [hooks] + receipts.map { try mule.home.read("receipts/" + $0) }
        for text in texts {
            let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
            seen.add(Self.reference.read(lines, printedBy: "report"), of: "report")
        }
        #expect(mkfifo(mule.home.path("spool/fifo"), 0o600) == 0)
        // The quarantined file and the pipe are two reasons.
        _ = try run(mule, seen, 1, "archive", "--dry-run", "--json", "nightly")
        let receipt = try #require(receipts.first)
        store.script([])
        let verified = try run(mule, seen, 0, "verify", "--json", "--receipt", mule.home.path("receipts/" + receipt))
        #expect(verified.last?["event"]?.text == "summary")
    }
}
