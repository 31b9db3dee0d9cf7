/// The header of a section of the `config` file: `default`, `profile x`, `services x` or `sso-session x`.
enum SectionHeader: Hashable, Sendable {
    case profile(String)
    case services(String)
    case singleSignOnSession(String)
    /// Not a profile: another tool's section, or the word `profile` is missing.
    case other(String)

    init(_ header: String) {
        guard header != "default" else {
            self = .profile(header)
            return
        }
        let words = shellWords(header) ?? []
        switch (words.count, words.first) {
        case (2, "profile"): self = .profile(words[1])
        case (2, "services"): self = .services(words[1])
        case (2, "sso-session"): self = .singleSignOnSession(words[1])
        default: self = .other(header)
        }
    }
}
