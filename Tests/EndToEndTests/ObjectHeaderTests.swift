import MulePlan
import TestSupport
import Testing

/// Every header of the object is an option and a key of the configuration, is sent with the object, and survives an
/// export. The values are those of `config.example.json`.
@Suite struct ObjectHeaderTests {
    private let store = FakeS3()
    private let mule: MuleRun
    /// Flags with values, and what they come to in a request.
    private var flags: [String] = []
    private var headers: [(name: String, value: String)] = []
    private let configuration: String

    init() throws {
        mule = MuleRun(store)
        let here = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let example = String(decoding: try Files.read(here + "/config.example.json"), as: UTF8.self).replacing(
            "\n",
            with: " "
        )
        let object = try #require(JSONText(example)?["object"])
        for header in ObjectHeader.allCases {
            let value = try #require(object[header.key], "\(header.key) is not in config.example.json")
            let pairs = value.names.map { (name: $0, text: value[$0]?.text ?? "") }
            for text in value.text.map({ [$0] }) ?? pairs.map({ "\($0.name)=\($0.text)" }) {
                flags += ["--\(header.flag)", text]
                if header.kind != .metadata { headers.append((header.name, text)) }
            }
            if header.kind == .metadata { headers += pairs.map { (header.name + $0.name, $0.text) } }
        }
        // The example's "object", without what points elsewhere.
        let start = try #require(example.firstRange(of: "\"object\"")).lowerBound
        let end = try #require(example.firstRange(of: "\"buckets\"")).lowerBound
        let members = String(example[start..<end]).split(separator: ",").dropLast().joined(separator: ",")
        configuration = try mule.home.write("{\(members)}", to: "own.json")
    }

    @Test(arguments: [1, 2], [false, true])
    func `every header is sent when the object is created`(parts: Int, isConfigured: Bool) throws {
        let file = try mule.file(parts: parts)
        let options = isConfigured ? ["--config", configuration] : flags
        let outcome = try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/key"])
        #expect(outcome.exitCode == 0 && outcome.messages.isEmpty, "\(outcome.err)")
        let request = try #require(store.requests(parts == 1 ? .putObject : .create).first)
        for (name, value) in headers { #expect(request.header(name) == value, "\(name)") }
        #expect(store.violations.isEmpty)
    }

    @Test func `every header survives an export and an import`() throws {
        let file = try mule.file(parts: 1)
        #expect(try mule.run(["upload"] + flags + [file, "bucket/key"]).exitCode == 0)
        let export = try mule.run("doctor", "--export", "-")
        let other = MuleRun(store)
        var command = other.command(["doctor", "--import", "-"])
        command.input = .bytes(export.standardOutput)
        let taken = try command.run()
        #expect(taken.exitCode == 0, "\(taken.err)")
        let lines = try other.run("doctor", "--export", "-").lines
        let attributes = try #require(lines.last.flatMap { JSONText($0)?["attributes"] })
        for (name, value) in headers { #expect(attributes[name]?.text == value, "\(name)") }
        #expect(attributes.names.count == headers.count)
    }
}
