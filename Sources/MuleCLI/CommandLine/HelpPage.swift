/// Lays out text: paragraphs wrapped to a width, and rows of a term with its explanation next to it.
struct HelpPage {
    private(set) var text = ""
    private let width: Int

    init(width: Int) { self.width = min(max(width, 60), 110) }

    mutating func line(_ line: String = "") { text += line + "\n" }

    mutating func heading(_ title: String, separated: Bool = true) {
        if separated { line() }
        line(title + ":")
    }

    mutating func paragraph(_ paragraph: String) {
        wrapped(paragraph, indent: 0)
        line()
    }

    mutating func wrapped(_ paragraph: String, indent: Int) {
        let margin = String(repeating: " ", count: indent)
        for piece in HelpPage.wrap(paragraph, to: width - indent) { line(margin + piece) }
    }

    /// A term that is too long for its column gets lines of its own.
    mutating func rows(_ rows: [(term: String, about: String)]) {
        let longest = rows.map { $0.term.utf8.count }.filter { $0 <= 26 }.max() ?? 0
        let column = longest + 4
        let margin = String(repeating: " ", count: column)
        for row in rows {
            var pieces = HelpPage.wrap(row.about, to: width - column)[...]
            let term = "  " + row.term
            if term.utf8.count <= column - 2, let first = pieces.popFirst() {
                line(term + String(repeating: " ", count: column - term.utf8.count) + first)
            } else {
                // The spaces at the start of an option are part of it.
                let indent = term.prefix { $0 == " " }.count
                wrapped(String(term.dropFirst(indent)), indent: indent)
            }
            for piece in pieces { line(margin + piece) }
        }
    }

    /// Lines of at most `columns`, broken at spaces; a longer word gets a line of its own.
    static func wrap(_ text: String, to columns: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.utf8.count + 1 + word.utf8.count <= columns {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}
