import MulePlan

/// Parses the arguments into a command, flags with values, and operands.
///
/// Flags and operands may come in any order, and flags before the command too. `--` ends the flags, and a lone `-` is
/// an operand. If a flag is repeated, the last one counts.
package struct CommandLineParser {
    /// A flag on the line, with its value.
    private struct Occurrence {
        let flag: Flag
        let spelling: String
        let value: [UInt8]
        let isOn: Bool
        /// Whether the value of a flag that takes one is missing.
        var standsAlone = false

        var isHelp: Bool { flag.name == "help" }
    }

    private var words: ArraySlice<[UInt8]>
    private var command: Command?
    private var isHelpCommand = false
    private var isVersionCommand = false
    private var occurrences: [Occurrence] = []
    private var operands: [[UInt8]] = []

    private init(_ words: [[UInt8]]) { self.words = words[...] }

    /// The arguments without the program's own name, as raw bytes. A `MULE_<NAME>` variable in `environment` replaces a
    /// flag of the command that was not given; an empty one counts as unset.
    package static func parse(
        _ words: [[UInt8]],
        environment: [String: String] = [:]
    ) throws(UsageError) -> Arguments {
        var parser = CommandLineParser(words)
        try parser.readWords()
        return try parser.meaning(environment)
    }

    private mutating func readWords() throws(UsageError) {
        while let argument = words.popFirst() {
            if argument == Array("--".utf8) {
                while let operand = words.popFirst() { try take(operand: operand) }
            } else if argument.starts(with: "--".utf8) {
                try readLongFlag(argument.dropFirst(2))
            } else if argument.count > 1, argument.first == UInt8(ascii: "-") {
                try readLetters(argument.dropFirst())
            } else {
                try take(operand: argument)
            }
        }
    }

    private mutating func take(operand: [UInt8]) throws(UsageError) {
        guard command == nil else { return operands.append(operand) }
        let word = TextSafety.displayName(operand)
        if word == "help" {
            isHelpCommand = true
        } else if word == "version" {
            isVersionCommand = true
        } else if let named = Command(rawValue: word) {
            command = named
        } else {
            let names = Command.allCases.map(\.rawValue)
            let guess =
                ForeignWords.hint(forCommand: word)
                ?? Suggestion.nearest(of: word, in: names).map { "did you mean \"\($0)\"?" }
            throw UsageError(
                "unknown command \"\(word)\"; \(guess ?? "the commands are \(names.joined(separator: ", "))")",
                command: nil
            )
        }
    }

    private mutating func readLongFlag(_ text: ArraySlice<UInt8>) throws(UsageError) {
        let parts = text.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        let name = TextSafety.displayName(Array(parts.first ?? []))
        let attached = parts.count > 1 ? Array(parts[1]) : nil
        guard let (flag, isOn) = lookUp({ $0.name == name || $0.negation == name }, negatedBy: name) else {
            throw unknown(name)
        }
        if flag.placeholder == nil, attached != nil {
            let ways = ["--\(flag.name)"] + (flag.negation.map { ["--\($0)"] } ?? [])
            throw UsageError("--\(name) takes no value; write \(ways.joined(separator: " or "))", command: command)
        }
        var value = attached ?? []
        let standsAlone = flag.valueIsOptional && attached == nil && nextIsFlag
        if flag.placeholder != nil, attached == nil, !standsAlone {
            value = try nextArgument(for: "--\(name)", flag)
        }
        occurrences.append(
            Occurrence(
                flag: flag,
                spelling: "--\(name)",
                value: value,
                isOn: isOn && !standsAlone,
                standsAlone: standsAlone
            )
        )
    }

    private mutating func readLetters(_ letters: ArraySlice<UInt8>) throws(UsageError) {
        var rest = letters
        while let byte = rest.popFirst() {
            let letter = Character(Unicode.Scalar(byte < 0x80 ? byte : UInt8(ascii: "?")))
            guard let (flag, _) = lookUp({ $0.letter == letter }, negatedBy: nil) else {
                let hint = ForeignWords.hint(forLetter: letter).map { "; \($0)" } ?? ""
                throw UsageError(
                    "unknown option -\(TextSafety.displayName([byte])) in "
                        + "\"-\(TextSafety.displayName(Array(letters)))\"\(hint)",
                    command: command
                )
            }
            var value: [UInt8] = []
            if flag.placeholder != nil {
                value = try rest.isEmpty ? nextArgument(for: "-\(letter)", flag) : Array(rest)
                rest = []
            }
            occurrences.append(Occurrence(flag: flag, spelling: "-\(letter)", value: value, isOn: true))
        }
    }

    /// Whether the next argument cannot be a value.
    private var nextIsFlag: Bool {
        guard let next = words.first else { return true }
        return next.count > 1 && next.first == UInt8(ascii: "-")
    }

    private mutating func nextArgument(for spelling: String, _ flag: Flag) throws(UsageError) -> [UInt8] {
        guard let value = words.popFirst() else { throw missingValue(of: spelling, flag) }
        return value
    }

    /// The command's row for a flag. While no command is known, any row with the name is used: all take a value or
    /// none. A row with an optional value comes first, because a missing value can be reported later.
    private func lookUp(_ matches: (Flag) -> Bool, negatedBy name: String?) -> (Flag, isOn: Bool)? {
        let found = FlagTable.rows.filter(matches)
        let flag =
            found.first { row in command.map { row.commands.contains($0) } ?? row.valueIsOptional } ?? found.first
        return flag.map { ($0, name == nil || $0.negation != name) }
    }

    /// The command's row for a flag, which may have been parsed before the command was known.
    private func row(of occurrence: Occurrence, for command: Command) throws(UsageError) -> Flag {
        let rows = FlagTable.rows.filter { $0.name == occurrence.flag.name }
        guard let row = rows.first(where: { $0.commands.contains(command) }) else {
            let takers = Command.allCases.filter { taker in rows.contains { $0.commands.contains(taker) } }
            let names = takers.map { "\"mule \($0.rawValue)\"" }.joined(separator: " and ")
            throw UsageError(
                "\(occurrence.spelling) belongs to \(names), not to \"mule \(command.rawValue)\"",
                command: command
            )
        }
        if occurrence.standsAlone, !row.valueIsOptional { throw missingValue(of: occurrence.spelling, row) }
        return row
    }

    private func missingValue(of spelling: String, _ flag: Flag) -> UsageError {
        UsageError("\(spelling) needs a value: \(spelling) \(flag.placeholder ?? "")", command: command)
    }

    private func unknown(_ name: String) -> UsageError {
        let secrets = ["secret", "access-key", "password", "passwd", "token", "credential"]
        if secrets.contains(where: { name.lowercased().split(separator: "_").joined(separator: "-").contains($0) }) {
            return UsageError(
                "unknown option --\(name): mule takes no secrets on its command line, where every process can read "
                    + "them. Put them into a profile (aws configure) or AWS_* variables",
                command: command
            )
        }
        let rows = command.map { FlagTable.rows(for: $0) } ?? FlagTable.rows
        let names = rows.flatMap { [$0.name] + ($0.negation.map { [$0] } ?? []) }
        let guess =
            ForeignWords.hint(forOption: name)
            ?? Suggestion.nearest(of: name, in: names).map { "did you mean --\($0)?" }
        return UsageError("unknown option --\(name)\(guess.map { "; \($0)" } ?? "")", command: command)
    }

    private func meaning(_ environment: [String: String]) throws(UsageError) -> Arguments {
        var arguments = Arguments()
        arguments.command = command
        arguments.operands = operands
        arguments.wantsHelp = isHelpCommand
        arguments.wantsVersion = isVersionCommand
        // Help and version are shown regardless of the rest of the line.
        for occurrence in occurrences where occurrence.isHelp || occurrence.flag.name == "version" {
            try apply(occurrence, to: &arguments)
            if occurrence.isHelp { arguments.wantsBriefHelp = occurrence.spelling == "-h" }
        }
        if arguments.wantsHelp || arguments.wantsVersion { return arguments }
        guard let command else {
            throw UsageError("no command given", command: nil)
        }
        for flag in FlagTable.rows(for: command) where flag.readsEnvironment {
            guard let value = environment[flag.environmentName], !value.isEmpty else { continue }
            let name = flag.environmentName
            try apply(Occurrence(flag: flag, spelling: name, value: Array(value.utf8), isOn: true), to: &arguments)
        }
        for occurrence in occurrences {
            try apply(occurrence, as: row(of: occurrence, for: command), to: &arguments)
        }
        if let problem = EmptyOperand.problem(arguments) ?? command.page.problem(arguments) {
            throw UsageError(problem, command: command)
        }
        return arguments
    }

    private func apply(
        _ occurrence: Occurrence,
        as flag: Flag? = nil,
        to arguments: inout Arguments
    ) throws(UsageError) {
        do { try (flag ?? occurrence.flag).update(&arguments, occurrence.value, occurrence.isOn) } catch {
            let value = error.hidesValue ? "the value" : "\"\(TextSafety.displayName(occurrence.value))\""
            throw UsageError("\(occurrence.spelling): \(value) \(error.why)", command: command)
        }
    }
}
