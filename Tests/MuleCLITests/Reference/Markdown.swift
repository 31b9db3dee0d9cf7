/// Writes a reference as Markdown (CommonMark).
enum Markdown {
    static func text(_ blocks: [ReferenceBlock]) -> String {
        var text = ""
        var isList = false
        for block in blocks {
            let isItem = if case .definition = block { true } else { false }
            if isList, !isItem { text += "\n" }
            isList = isItem
            switch block {
            case .heading(let title): text += "### \(title)\n\n"
            case .paragraph(let words): text += wrapped(running(words)) + "\n\n"
            case .definition(let term, let about):
                text += wrapped("- `\(term)`: \(running(about))", indent: "  ") + "\n"
            case .line(let line): text += "    \(line)\n\n"
            }
        }
        return text
    }

    static func running(_ text: String) -> String {
        ReferenceSpan.spans(of: text).map { span in
            switch span {
            case .plain(let words): escaped(String(words))
            case .literal(let words): "`\(words)`"
            }
        }
        .joined()
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            if "\\*_<>[]".contains(character) { result.append("\\") }
            result.append(character)
        }
    }

    /// Lines of at most 120 columns.
    private static func wrapped(_ text: String, indent: String = "") -> String {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + 1 + word.count <= 120 {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append((lines.isEmpty ? "" : indent) + word)
            }
        }
        return lines.joined(separator: "\n")
    }
}
