import MuleJSON

/// Rows of a table as RFC 4180 has them, without the line feed at their ends.
struct CSV {
    /// Whether control characters are to be made harmless: where a terminal shows them, and not where a program reads them.
    let isShown: Bool

    func header(_ columns: [String]) -> String { row(columns.map { .string($0) }) }

    /// - Parameter columns: names of members; a dot leads into an object.
    func row(_ members: [String: JSONValue], _ columns: [String]) -> String {
        row(columns.map { Self.value(of: $0.split(separator: "."), in: .object(members)) })
    }

    private func row(_ values: [JSONValue]) -> String { values.map(cell).joined(separator: ",") + "\r" }

    private static func value(of path: [Substring], in value: JSONValue) -> JSONValue {
        guard let name = path.first else { return value }
        guard case .object(let members) = value, let member = members[String(name)] else { return .null }
        return self.value(of: Array(path.dropFirst()), in: member)
    }

    private func cell(_ value: JSONValue) -> String {
        switch value {
        case .null: ""
        case .string(let text): quoted(harmless(isShown ? TextSafety.displayName(text) : text))
        default: value.line
        }
    }

    /// Spreadsheets take a text that begins like this for a formula, which a file's name must not be: an apostrophe before it
    /// keeps them from that. Numbers of our own are no texts.
    private func harmless(_ text: String) -> String {
        guard let first = text.utf8.first, "=+-@\t\r".utf8.contains(first) else { return text }
        return "'" + text
    }

    private func quoted(_ text: String) -> String {
        guard text.utf8.contains(where: { ",\"\r\n".utf8.contains($0) }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
