/// A piece of a reference page, which is written as roff for man pages and as Markdown for docs/reference.
enum ReferenceBlock {
    case heading(String)
    case paragraph(String)
    /// A term with its explanation. In the term, words in capitals are names of values.
    case definition(term: String, about: String)
    /// A command line.
    case line(String)
}

/// The parts of running text: plain words, and what is typed as it is.
enum ReferenceSpan: Equatable {
    case plain(Substring)
    case literal(Substring)

    /// Options, and commands in double quotes, are literal.
    static func spans(of text: String) -> [ReferenceSpan] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated().flatMap { index, piece in
            let isQuoted = index % 2 == 1
            if isQuoted, piece.hasPrefix("mule ") { return [ReferenceSpan.literal(piece)] }
            return isQuoted ? [.plain("\"\(piece)\"")] : options(in: piece)
        }
    }

    private static func options(in text: Substring) -> [ReferenceSpan] {
        var spans: [ReferenceSpan] = []
        var rest = text
        while let dash = rest.indices.first(where: { startsOption(rest, at: $0) }) {
            if dash > rest.startIndex { spans.append(.plain(rest[..<dash])) }
            rest = rest[dash...]
            let option = rest.prefix { $0.isLetter || $0.isNumber || $0 == "-" }
            spans.append(.literal(option))
            rest = rest[option.endIndex...]
        }
        if !rest.isEmpty { spans.append(.plain(rest)) }
        return spans
    }

    private static func startsOption(_ text: Substring, at index: Substring.Index) -> Bool {
        let isAtWord = index == text.startIndex || " (".contains(text[text.index(before: index)])
        return isAtWord && text[index...].starts(with: "-") && text[index...].drop { $0 == "-" }.first?.isLetter == true
    }
}
