extension JSONValue {
    /// The document on several lines, for people: keys sorted, two spaces for each level.
    package var indented: String { indented(by: 0) }

    private func indented(by level: Int) -> String {
        let margin = String(repeating: "  ", count: level)
        func block(_ open: String, _ lines: [String], _ close: String) -> String {
            lines.isEmpty
                ? open + close
                : open + "\n" + lines.map { margin + "  " + $0 }.joined(separator: ",\n") + "\n" + margin + close
        }
        switch self {
        case .array(let values): return block("[", values.map { $0.indented(by: level + 1) }, "]")
        case .object(let members):
            let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            let lines = sorted.map { "\(JSONValue.string($0.key).line): \($0.value.indented(by: level + 1))" }
            return block("{", lines, "}")
        default: return line
        }
    }
}
