/// The words for the completion scripts of all shells.
enum CompletionWords {
    /// Each option of a command with its negation.
    static func options(of command: Command) -> [String] {
        FlagTable.rows(for: command).flatMap { flag in
            let names = [flag.name, flag.negation].compactMap(\.self).map { "--" + $0 }
            return names + (flag.letter.map { ["-\($0)"] } ?? [])
        }
    }

    /// The options with a value, each once; those with the same name take the same kind of value.
    static var valued: [Flag] {
        var names: Set<String> = []
        return FlagTable.rows.filter { $0.placeholder != nil && names.insert($0.name).inserted }
    }

    /// How an option with a value is written.
    static func spellings(_ flag: Flag) -> [String] { ["--" + flag.name] + (flag.letter.map { ["-\($0)"] } ?? []) }

    /// The first sentence of an option's help, without its full stop.
    static func summary(_ flag: Flag) -> String {
        var words: [Substring] = []
        for word in flag.help.split(separator: " ") {
            words.append(word)
            if word.hasSuffix("."), !word.hasSuffix("..") { break }
        }
        var text = words.joined(separator: " ")
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }

    /// In single quotes, for a Bourne-like shell.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
