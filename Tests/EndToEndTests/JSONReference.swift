import TestSupport
import Testing

/// docs/json.md as rules that output can be compared with: which objects mule prints, with which keys, of which types.
///
/// A table belongs to the `###` heading above it. A heading that starts with names in backquotes lists events, and a
/// paragraph that starts with "Printed by" names the commands; without such a paragraph the table is of an object, or
/// of the values of a string, within other objects.
struct JSONReference: Sendable {
    struct Key: Sendable {
        var name: String
        /// Any of them.
        var types: [String]
        var isOptional = false
    }

    struct Table: Sendable {
        var heading: String
        /// Empty for a record without the key `event`.
        var events: [String] = []
        /// Nil for what is part of records; empty where any command prints it.
        var commands: Set<String>?
        var keys: [Key] = []
        var values: [String] = []
        var examples: [String] = []
    }

    /// Empty if the document cannot be read: then all output differs from it.
    static let document = String(
        decoding: (try? Files.read(
            "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/docs/json.md"
        ))
            ?? [],
        as: UTF8.self
    )
    static let shared = JSONReference(document)

    private(set) var tables: [Table] = []
    /// By their headings, which are the names of their types.
    let nested: [String: Table]
    /// All that are named.
    let commands: Set<String>

    var records: [Table] { tables.filter { $0.commands != nil } }

    // MARK: Reading the document

    init(_ document: String) {
        var tables: [Table] = []
        var isExample = false
        var paragraph = ""
        var columns: [String] = []
        func endParagraph() {
            if !tables.isEmpty, paragraph.hasPrefix("Printed by ") {
                let sentence = paragraph.prefix { $0 != "." && $0 != ":" }
                tables[tables.count - 1].commands = Set(sentence.matches(of: /`mule ([a-z]+)/).map { String($0.1) })
            }
            paragraph = ""
        }
        for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                isExample.toggle()
            } else if isExample, !tables.isEmpty {
                tables[tables.count - 1].examples.append(String(line))
            } else if line.hasPrefix("### ") {
                tables.append(Table(heading: String(line.dropFirst(4))))
                let names = line.hasPrefix("### `") ? line.prefix { $0 != ":" } : ""
                tables[tables.count - 1].events = names.matches(of: /`([^`]+)`/).map { String($0.1) }
            } else if line.hasPrefix("|"), !tables.isEmpty {
                let cells = Self.cells(line)
                if !cells[0].hasPrefix("`") {
                    if cells[0] == "key" || cells[0] == "value" { columns = cells }
                } else if columns == ["key", "type", "meaning"], cells.count == 3 {
                    tables[tables.count - 1].keys.append(Self.key(cells[0], cells[1]))
                } else if columns == ["value", "meaning"] {
                    tables[tables.count - 1].values.append(Self.plain(cells[0]))
                }
            } else if line.isEmpty {
                endParagraph()
            } else {
                paragraph += (paragraph.isEmpty ? "" : " ") + line
            }
        }
        self.tables = tables
        nested = Dictionary(tables.filter { $0.commands == nil }.map { ($0.heading, $0) }) { first, _ in first }
        commands = tables.reduce(into: []) { $0.formUnion($1.commands ?? []) }
    }

    private static func cells(_ row: Substring) -> [String] {
        row.split(separator: "|").map { cell in
            String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }

    private static func plain(_ cell: String) -> String { cell.filter { $0 != "`" } }

    /// - Parameter type: as `string or null, optional` or `[error](#error) or null`.
    private static func key(_ name: String, _ type: String) -> Key {
        let words = type.replacing(/\[([^\]]+)\]\([^)]*\)/) { $0.1 }.split(separator: ", ").flatMap {
            $0.split(separator: " or ").map(String.init)
        }
        return Key(
            name: plain(name),
            types: words.filter { $0 != "optional" },
            isOptional: words.contains("optional")
        )
    }

    // MARK: Comparing output with it

    /// Lines of output. Each that is no JSON object, has its keys in another order, or differs from the document fails
    /// the test.
    ///
    /// - Parameter command: as `upload`; nil for any.
    func read(_ lines: [String], printedBy command: String?) -> [JSONText] {
        lines.map { line in
            guard let object = JSONText(line) else {
                Issue.record("not a JSON object: \(line)")
                return .null
            }
            if !object.isSorted { Issue.record("not sorted by key: \(line)") }
            for problem in problems(of: object, printedBy: command) { Issue.record("\(problem): \(line)") }
            return object
        }
    }

    /// What differs from the document, a sentence for each difference.
    func problems(of object: JSONText, printedBy command: String?) -> [String] {
        let program = command.map { "mule " + $0 } ?? "mule"
        let event = object["event"]?.text
        guard let (table, differences) = closest(to: object, printedBy: command) else {
            let what = event.map { "the event \"\($0)\"" } ?? "an object without \"event\""
            return ["\(program) printed \(what), which docs/json.md does not list"]
        }
        return differences.map { "\(program), \(event ?? table.heading): \($0)" }
    }

    /// The record of the document that the object is, or is most similar to; nil if the document has none with its
    /// event for this command.
    func closest(to object: JSONText, printedBy command: String?) -> (table: Table, differences: [String])? {
        let event = object["event"]?.text
        let candidates = records.filter { table in
            guard event.map(table.events.contains) ?? table.events.isEmpty else { return false }
            guard let command, let commands = table.commands, !commands.isEmpty else { return true }
            return commands.contains(command)
        }
        return candidates.map { ($0, differences(object, $0, below: "")) }.min { $0.1.count < $1.1.count }
    }

    private func differences(_ object: JSONText, _ table: Table, below path: String) -> [String] {
        guard case .object(let members) = object else { return ["\"\(path)\" is no object"] }
        var found: [String] = []
        for key in table.keys where !key.isOptional && object[key.name] == nil {
            found.append("the key \"\(path)\(key.name)\" of docs/json.md is missing")
        }
        for member in members {
            if let key = table.keys.first(where: { $0.name == member.name }) {
                found += differences(member.value, key.types, at: path + member.name)
            } else {
                found.append("docs/json.md does not list the key \"\(path)\(member.name)\"")
            }
        }
        return found
    }

    private func differences(_ value: JSONText, _ types: [String], at path: String) -> [String] {
        if types.contains(where: { fits(value, $0) }) { return [] }
        if case .object = value, let table = types.compactMap({ nested[$0] }).first(where: { !$0.keys.isEmpty }) {
            return differences(value, table, below: path + ".")
        }
        if case .array(let elements) = value, let type = types.compactMap(Self.element).first {
            return elements.flatMap { differences($0, [type], at: path + "[]") }
        }
        return ["\"\(path)\" is \(value), but docs/json.md says \(types.joined(separator: " or "))"]
    }

    private func fits(_ value: JSONText, _ type: String) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("number", .number), ("string", .string), ("object", .object): true
        case ("path", .string(let text)): !text.isEmpty
        case ("time", .string(let text)):
            text.map { ("0"..."9").contains($0) ? "0" : String($0) }.joined() == "0000-00-00T00:00:00Z"
        case ("integer", .number): value.integer != nil
        case (_, .array(let elements)):
            Self.element(type).map { type in elements.allSatisfy { fits($0, type) } } ?? false
        case (_, .string(let text)): nested[type]?.values.contains(text) ?? false
        case (_, .object): nested[type].map { differences(value, $0, below: "").isEmpty } ?? false
        default: false
        }
    }

    /// Whether the document says what the type is.
    func knows(_ type: String) -> Bool {
        if let type = Self.element(type) { return knows(type) }
        return ["null", "boolean", "number", "string", "object", "path", "time", "integer"].contains(type)
            || nested[type] != nil
    }

    /// `string` of `array of strings`; nil for any other type.
    static func element(_ type: String) -> String? {
        type.hasPrefix("array of ") ? String(type.dropFirst(9).dropLast()) : nil
    }
}
