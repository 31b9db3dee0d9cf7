/// What a section of the `config` file is about: `default`, `profile x`, `services x` or `sso-session x`.
enum SectionHeader: Hashable, Sendable {
    case profile(String)
    case services(String)
    case singleSignOnSession(String)
    /// Not a profile: another tool's, or one whose author forgot the word `profile`.
    case other(String)

    init(_ header: String) {
        guard header != "default" else {
            self = .profile(header)
            return
        }
        let words = Self.words(of: header) ?? []
        switch (words.count, words.first) {
        case (2, "profile"): self = .profile(words[1])
        case (2, "services"): self = .services(words[1])
        case (2, "sso-session"): self = .singleSignOnSession(words[1])
        default: self = .other(header)
        }
    }

    /// Words as a shell splits them: `profile "my name"` and `profile my\ name` are two. Nil when a quote stays open.
    private static func words(of text: String) -> [String]? {
        var words: [String] = []
        var word: String.UnicodeScalarView?
        var quote: Unicode.Scalar?
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if isEscaped {
                // Inside double quotes a backslash only escapes a double quote and itself.
                if quote != nil, scalar != "\"", scalar != "\\" { word?.append("\\") }
                word?.append(scalar)
                isEscaped = false
            } else if scalar == "\\" && quote != "'" {
                word = word ?? .init()
                isEscaped = true
            } else if let open = quote {
                if scalar == open { quote = nil } else { word?.append(scalar) }
            } else if scalar == "'" || scalar == "\"" {
                word = word ?? .init()
                quote = scalar
            } else if scalar == " " || scalar == "\t" {
                if let done = word { words.append(String(done)) }
                word = nil
            } else {
                word = word ?? .init()
                word?.append(scalar)
            }
        }
        guard quote == nil, !isEscaped else { return nil }
        if let done = word { words.append(String(done)) }
        return words
    }
}
