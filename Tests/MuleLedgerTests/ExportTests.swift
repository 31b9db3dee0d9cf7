import MuleJSON
import MulePlan
import TestSupport
import Testing

@testable import MuleLedger

/// Uploads on their way from one ledger to another.
@Suite struct ExportTests {
    private let directory = ScratchDirectory()

    private func ledger(_ name: String) throws -> Ledger {
        try Ledger(path: Array(directory.path("\(name)/ledger.sqlite").utf8))
    }

    /// One of each kind: under way, of an odd name, done, aborted, a stream.
    private func filled(_ name: String = "from") throws -> Ledger {
        let ledger = try ledger(name)
        let (first, lease) = try #require(try ledger.take())
        _ = try ledger.recordCreateAttempt(first)
        _ = try ledger.recordCreated(
            first,
            uploadID: "2~abc+/=",
            negotiated: "CRC64NVME/FULL_OBJECT",
            abortDate: "2026-12-01T00:00:00Z",
            mayHaveSiblings: true
        )
        for number in [1, 2, 5] {
            var part = PartRecord.sample(number)
            part.digest = number == 5 ? Array(0..<16) : nil
            part.crc = Array(1...8)
            try ledger.commit(part, of: first)
        }
        let odd = Array("/data/100% ".utf8) + [0xFF, 0x0A] + Array("ü.dat".utf8)
        let second = try #require(try ledger.take(.sample(sourceBytes: odd, key: "a\u{1}%2F\nü"))).record
        try ledger.end(second, .stopped(.failed, error: "AccessDenied\nin two lines"))
        try ledger.end(try #require(try ledger.take(.sample(key: "done"))).record, .sampleDone, bytesSent: 9)
        try ledger.end(try #require(try ledger.take(.sample(key: "aborted"))).record, .aborted)
        _ = try ledger.take(.sampleStream)
        withExtendedLifetime(lease) {}
        return ledger
    }

    private func export(_ ledger: Ledger) throws -> String {
        var lines = [ExportFormat.header(at: 1_763_683_200_000).line]
        let walk = try ledger.forEachUpload { upload in
            lines.append(ExportFormat.line(upload).line)
            return true
        }
        #expect(walk.uploads == lines.count - 1)
        #expect(walk.damaged.isEmpty)
        return lines.joined(separator: "\n") + "\n"
    }

    private func take(_ text: String, into ledger: Ledger) throws -> Ledger.ImportResult {
        var rest = try ExportFormat.read(Array(text.utf8))[...]
        var line = 1
        return try ledger.importUploads {
            line += 1
            return rest.popFirst().map { .upload($0, line: line) } ?? .end
        }
    }

    private func content(_ ledger: Ledger) throws -> [ExportedUpload] {
        var uploads: [ExportedUpload] = []
        _ = try ledger.forEachUpload { upload in
            var upload = upload
            upload.record.number = 0
            uploads.append(upload)
            return true
        }
        return uploads
    }

    @Test func `what is exported is imported the same`() throws {
        let from = try filled()
        let text = try export(from)
        let to = try ledger("to")
        #expect(try take(text, into: to) == .done(added: 5, identical: 0))
        #expect(try content(to) == (try content(from)))
        #expect(try content(to).map(\.parts.count) == [3, 0, 0, 0, 0])
        #expect(try export(to) == text)
        // Once more changes nothing.
        #expect(try take(text, into: to) == .done(added: 0, identical: 5))
        #expect(try content(to) == (try content(from)))
        #expect(
            try RawDatabase(directory.path("to/ledger.sqlite"))
                .column("SELECT name FROM sqlite_schema WHERE name LIKE 'import%'").isEmpty
        )
    }

    @Test func `an upload that restarts has a token of its own, also one that was started elsewhere`() {
        let token = RandomName.token()
        #expect(RandomName.token(after: token) == token + "-2")
        #expect(RandomName.token(after: token + "-2") == token + "-3")
        #expect(RandomName.token(after: "").utf8.count == 32)
        #expect(RandomName.token(after: "") != RandomName.token(after: ""))
    }

    @Test func `uploads that were started elsewhere or again go along`() throws {
        var upload = try #require(try content(try filled()).first)
        let token = upload.record.token
        for other in ["", token + "-2", token + "-31"] {
            upload.record.token = other
            #expect(ExportFormat.accepts(ExportFormat.line(upload).line), "\(other)")
        }
        for other in ["-2", token + "-", token + "-1", token + "-+2", token + "-2-2", token.uppercased() + "A", "é"] {
            upload.record.token = other
            #expect(!ExportFormat.accepts(ExportFormat.line(upload).line), "\(other)")
        }
    }

    @Test func `an imported upload is found by its source`() throws {
        let to = try ledger("to")
        _ = try take(try export(try filled()), into: to)
        guard case .found(let record, let lease)? = try to.claim([.sample()]).first else {
            Issue.record("a new row was created")
            return
        }
        #expect(try to.parts(of: record.number).map(\.number) == [1, 2, 5])
        try to.commit(.sample(3), of: record)
        #expect(try to.upload(id: record.id)?.partsDone == 4)
        withExtendedLifetime(lease) {}
    }

    /// A column that the export forgets would be lost on the way.
    @Test func `every column of the ledger is in the export`() throws {
        _ = try filled()
        let raw = try RawDatabase(directory.path("from/ledger.sqlite"))
        let columns = try raw.column("SELECT name FROM pragma_table_info('uploads')")
        let known = [
            "number", "id", "state", "source", "device", "inode", "size", "modified", "endpoint", "region",
            "addressing",
            "profile", "ca_bundle", "bucket", "key", "attributes", "only_if_absent", "checksum", "payload_signing",
            "part_size", "part_count", "token", "create_attempted_at", "upload_id", "integrity", "abort_date",
            "abort_requested", "parts_done", "bytes_done", "bytes_sent", "etag", "version_id", "checksum_algorithm",
            "checksum_type", "checksum_value", "last_error", "created_at", "updated_at", "changing",
            "change_time", "client_certificate", "client_key", "signer", "signer_protocol", "sse_c", "if_match",
            "complete_attempted_at",
        ]
        #expect(columns.filter { !known.contains($0) } == [], "teach ExportFormat, ExportReader and store(_:as:in:)")
        #expect(
            try raw.column("SELECT name FROM pragma_table_info('parts')")
                == ["upload", "number", "size", "etag", "crc", "digest"]
        )
    }

    @Test func `an upload that is there in another state is refused, and all with it`() throws {
        let from = try filled()
        let text = try export(from)
        let to = try ledger("to")
        _ = try take(text, into: to)
        let record = try #require(try to.unfinished().first)
        try to.commit(.sample(8), of: record)
        var lines = text.split(separator: "\n").map(String.init)
        lines.append(lines.remove(at: 1))
        lines.insert(lines[1].replacing("done\"", with: "done2\""), at: 1)
        let before = try content(to)
        guard case .conflict(let problem) = try take(text, into: to) else {
            Issue.record("taken")
            return
        }
        #expect(problem.line == 2)
        #expect(problem.reason.contains(record.id))
        #expect(try content(to) == before)
    }

    @Test func `nothing is taken when a later line is in the way`() throws {
        let text = try export(try filled())
        let to = try ledger("to")
        let lines = text.split(separator: "\n").map(String.init)
        let twice = (lines + [lines[1].replacing("\"lastError\":null", with: "\"lastError\":\"x\"")]).joined(
            separator: "\n"
        )
        guard case .conflict(let problem) = try take(twice, into: to) else {
            Issue.record("taken")
            return
        }
        #expect(problem.line == 7)
        #expect(try to.all().isEmpty)
        // Another name for the same upload at the store.
        let id = try #require(try ExportFormat.read(Array(text.utf8)).first).record.id
        let renamed = (lines + [lines[1].replacing("\"id\":\"\(id)\"", with: "\"id\":\"zzzzz\"")]).joined(
            separator: "\n"
        )
        guard case .conflict(let other) = try take(renamed, into: to) else {
            Issue.record("taken")
            return
        }
        #expect(other.reason.contains("upload ID"))
        #expect(try to.all().isEmpty)
    }

    // MARK: Hostile exports

    private static let header = #"{"exportedAt":"2026-11-20T00:00:00Z","format":"mule-ledger","version":1}"#

    private func problem(_ text: String) -> ExportProblem? {
        do {
            _ = try ExportFormat.read(Array(text.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test(
        arguments: [
            "", "\n", "{}", "[]", "null", "hello", "{\"format\":\"mule-ledger\"}",
            "{\"format\":\"mule-ledger\",\"version\":0}", "{\"format\":\"other\",\"version\":1}",
            "{\"format\":\"mule-ledger\",\"version\":\"1\"}",
        ]
    )
    func `what does not begin with the format is refused in its first line`(text: String) {
        #expect(problem(text)?.line == 1)
    }

    @Test func `a later version is told apart from nonsense`() {
        #expect(problem(#"{"format":"mule-ledger","version":2}"#)?.reason.contains("newer mule") == true)
    }

    /// Each change to a good line makes it one that is refused.
    @Test func `every field is held to its rules`() throws {
        let good = try #require(try export(try filled()).split(separator: "\n").dropFirst().first)
        guard case .object(let members) = try JSONReader.read(Array(good.utf8)) else { return }
        func problem(with name: String, _ value: JSONValue?) -> ExportProblem? {
            var changed = members
            changed[name] = value
            return self.problem(Self.header + "\n" + JSONValue.object(changed).line)
        }
        #expect(self.problem(Self.header + "\n" + good) == nil)
        for name in members.keys {
            // Older exports do not have these.
            let mayMiss = ["clientCertificate", "clientKey", "completeAttemptedAt", "customerKey", "ifMatch"].contains(
                name
            )
            #expect(problem(with: name, nil)?.reason == (mayMiss ? nil : "\"\(name)\" is missing"))
            #expect(problem(with: name, .double(1.5)) != nil, "\(name)")
            #expect(problem(with: name, .array([.array([])])) != nil, "\(name)")
            #expect(problem(with: name, .string(String(repeating: "x", count: 70_000))) != nil, "\(name)")
            #expect(problem(with: name, .string("a\u{0}b\r\n")) != nil || name == "key", "\(name)")
            #expect(problem(with: name, .int(.min)) != nil, "\(name)")
            #expect(problem(with: name, .int(.max)) != nil || name == "bytesSent", "\(name)")
        }
        #expect(problem(with: "colour", "blue")?.reason.contains("unknown") == true)
        let bad: [(String, JSONValue)] = [
            ("id", ""), ("id", "../x"), ("state", "active"), ("endpoint", "ftp://x"), ("endpoint", "https://"),
            ("endpoint", "https://a:b@c"), ("endpoint", "https://a b"), ("region", ""), ("region", "eu west"),
            ("addressing", "sideways"), ("caBundle", "relative"), ("clientCertificate", "relative"),
            ("clientKey", "relative"), ("signer", "sftp://x"), ("signer", "https://u@h"), ("signerProtocol", "other"),
            ("bucket", "a/b"), ("bucket", ""), ("bucket", "ü"),
            ("key", ""), ("key", .string(String(repeating: "k", count: 1025))), ("token", "abc"),
            ("token", .string(String(repeating: "A", count: 32))), ("partSize", 0), ("partCount", 7), ("size", 5),
            ("uploadID", nil), ("uploadID", ""), ("changing", "sometimes"),
            ("attributes", ["authorization": "x"]), ("attributes", ["host": "x"]),
            ("attributes", ["x-amz-meta-a": "b\r\nhost: c"]), ("attributes", ["x-amz-meta-a b": "c"]),
            ("attributes", ["x-amz-meta-A": "c"]), ("attributes", ["content-type": 1]),
            ("source", ["path": "/x"]), ("proof", [:]), ("proof", ["eTag": 1]),
        ]
        for (name, value) in bad { #expect(problem(with: name, value) != nil, "\(name): \(value.line)") }
    }

    @Test func `sources are held to their rules`() throws {
        let good = try #require(try export(try filled()).split(separator: "\n").dropFirst().first)
        let bad = [
            #""path":"relative""#, #""path":"""#, #""path":"/a%0""#, #""path":"/a%GG""#, #""path":"/a%00""#,
        ]
        for path in bad {
            #expect(problem(Self.header + "\n" + good.replacing(#""path":"/data/file""#, with: path)) != nil, "\(path)")
        }
        for device in ["\"\"", "\"-1\"", "\"01\"", "\"+1\"", "\"18446744073709551616\"", "5"] {
            let line = good.replacing(#""device":"18446744073709551615""#, with: "\"device\":\(device)")
            #expect(line != good)
            #expect(problem(Self.header + "\n" + line) != nil, "\(device)")
        }
    }

    @Test(
        arguments: [
            #""number":0"#, #""number":-1"#, #""number":10001"#, #""number":2"#, #""number":9"#, #""number":"1""#,
            #""number":1.0"#,
        ]
    )
    func `numbers of parts rise, from 1 to what the size makes`(number: String) throws {
        let good = try #require(try export(try filled()).split(separator: "\n").dropFirst().first)
        #expect(problem(Self.header + "\n" + good.replacing(#""number":1,"#, with: number + ",")) != nil)
    }

    @Test func `parts are held to their rules`() throws {
        let good = try #require(try export(try filled()).split(separator: "\n").dropFirst().first)
        let changes = [
            (#""size":8388608}"#, #""size":8388607}"#), (#""crc":"0102030405060708""#, #""crc":"01020304050607""#),
            (#""crc":"0102030405060708""#, #""crc":null"#),
            (#""crc":"0102030405060708""#, #""crc":"zz02030405060708""#),
            (#""digest":null"#, #""digest":"00""#), (#""digest":null"#, #""digest":null,"more":1"#),
            (#""eTag":"etag-1""#, #""eTag":null"#),
        ]
        for (before, after) in changes {
            #expect(good.contains(before), "\(before)")
            #expect(problem(Self.header + "\n" + good.replacing(before, with: after)) != nil, "\(after)")
        }
    }

    @Test func `a line that is too long is refused before it is read`() {
        let line = [UInt8](repeating: UInt8(ascii: "["), count: ExportFormat.longestLine + 1)
        var reader = ExportReader()
        #expect(throws: ExportProblem(line: 1, reason: "is longer than 16777216 bytes")) { _ = try reader.read(line) }
    }

    /// Any byte of an export may be wrong, and any line may end early: the result is an error, or valid uploads.
    @Test func `exports with faults in them never end the program`() throws {
        let text = Array(try export(try filled()).utf8)
        var random = SeededRandom(seed: 53)
        for _ in 0..<2_000 {
            var faulty = text
            switch Int.random(in: 0..<3, using: &random) {
            case 0: faulty[Int.random(in: 0..<faulty.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            case 1: faulty.removeLast(Int.random(in: 1...faulty.count, using: &random))
            default:
                let start = Int.random(in: 0..<faulty.count, using: &random)
                faulty.removeSubrange(start..<min(faulty.count, start + Int.random(in: 1...20, using: &random)))
            }
            _ = try? ExportFormat.read(faulty)
        }
    }

    // MARK: Damage

    @Test func `what can be read of a damaged ledger is exported`() throws {
        let path = directory.path("damaged/ledger.sqlite")
        do {
            let ledger = try ledger("damaged")
            for index in 0..<300 {
                let (record, _) = try #require(try ledger.take(.sample(key: "key-\(index)")))
                try ledger.commit(.sample(1), .sample(2), of: record)
            }
        }
        let pages = Int(try Files.size(path)) / 4096
        var found: Set<Int> = []
        var unreadable = 0
        for page in stride(from: 2, to: pages, by: 7) {
            let copy = try directory.write(try Files.read(path), to: "copy-\(page)/ledger.sqlite")
            try Files.overwrite(copy, at: Int64(page) * 4096, with: [UInt8](repeating: 0xA5, count: 4096))
            guard let ledger = try? Ledger(path: Array(copy.utf8)) else {
                unreadable += 1
                continue
            }
            var good = 0
            let walk: Ledger.Walk
            do {
                walk = try ledger.forEachUpload { upload in
                    if upload.record.id.utf8.count == 5 { good += 1 }
                    return true
                }
            } catch {
                Issue.record("page \(page): \(error)")
                continue
            }
            #expect(good == walk.uploads)
            // A page of an inner node may take many with it, a leaf a few.
            if good < 300 { #expect(!walk.damaged.isEmpty, "page \(page)") }
            found.insert(good)
        }
        #expect(unreadable <= 1, "only pages that describe the tables take all of it")
        #expect(found.contains(300), "a page of an index takes nothing with it")
        #expect(found.filter { $0 > 280 && $0 < 300 }.count > 0, "a leaf takes a few with it")
    }
}
