/// Writes a reference as roff with man macros: man(7), groff_man(7).
enum Roff {
    static func text(_ blocks: [ReferenceBlock]) -> String {
        var text = ""
        var isAfterHeading = false
        for block in blocks {
            let piece = self.text(block)
            // A heading starts a paragraph by itself.
            text += isAfterHeading && piece.hasPrefix(".PP\n") ? String(piece.dropFirst(4)) : piece
            isAfterHeading = if case .heading = block { true } else { false }
        }
        return text
    }

    private static func text(_ block: ReferenceBlock) -> String {
        switch block {
        case .heading(let title): ".SS \(escaped(title))\n"
        case .paragraph(let text): ".PP\n\(running(text))\n"
        case .definition(let term, let about): ".TP\n\(self.term(term))\n\(running(about))\n"
        case .line(let line): ".PP\n.nf\n.RS 4\n\(guarded(escaped(line)))\n.RE\n.fi\n"
        }
    }

    /// One sentence on a line, as roff sources have it.
    private static func running(_ text: String) -> String {
        let line = ReferenceSpan.spans(of: text).map { span in
            switch span {
            case .plain(let words): escaped(String(words))
            case .literal(let words): "\\fB\(escaped(String(words)))\\fR"
            }
        }
        .joined()
        var lines: [String] = []
        for sentence in line.split(separator: ". ", omittingEmptySubsequences: true) {
            lines.append(guarded(String(sentence)) + ".")
        }
        if var last = lines.popLast() {
            last.removeLast()
            lines.append(last)
        }
        return lines.joined(separator: "\n")
    }

    /// Literal in bold, names of values in italics.
    static func term(_ term: String) -> String {
        let words = term.split(separator: " ").map { word in
            let isName =
                word.contains("|") || word == "[options]"
                || word.contains { $0.isUppercase } && word.uppercased() == word && !word.contains("_")
            let comma = word.hasSuffix(",") ? "," : ""
            let bare = escaped(String(comma.isEmpty ? word : word.dropLast()))
            return (isName ? "\\fI\(bare)\\fR" : "\\fB\(bare)\\fR") + comma
        }
        return words.joined(separator: " ")
    }

    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            case "'": result += "\\(aq"
            case "`": result += "\\(ga"
            case "^": result += "\\(ha"
            case "~": result += "\\(ti"
            default: result.append(character)
            }
        }
    }

    /// A line that starts with a dot would be a request.
    private static func guarded(_ line: String) -> String { line.hasPrefix(".") ? "\\&" + line : line }
}
