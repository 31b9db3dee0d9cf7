import MuleJSON

/// Rows of a table in the format of RFC 4180, without line ends.
struct CSV {
    /// Whether to escape control characters: for a terminal, not for a program.
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

    /// Spreadsheets interpret a text that starts like this as a formula; a leading apostrophe prevents that for file
    /// names. Not applied to numbers.
    private func harmless(_ text: String) -> String {
        guard let first = text.utf8.first, "=+-@\t\r".utf8.contains(first) else { return text }
        return "'" + text
    }

    private func quoted(_ text: String) -> String {
        guard text.utf8.contains(where: { ",\"\r\n".utf8.contains($0) }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
