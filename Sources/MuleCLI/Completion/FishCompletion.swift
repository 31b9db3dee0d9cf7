/// The script of `mule completion fish`, for a directory of `fish_complete_path`.
enum FishCompletion {
    static var script: String {
        """
        # fish completion for mule, printed by "mule completion fish".

        function __mule_list
            set -l words (commandline -poc)
            $words[1] completion $argv[1] 2>/dev/null
        end

        complete -c mule -f
        complete -c mule -n __fish_use_subcommand -l help -d 'Show help'
        complete -c mule -n __fish_use_subcommand -l version -d 'Show the version'
        \(Command.allCases.map { command in
            "complete -c mule -n __fish_use_subcommand -a \(command.rawValue) -d \(quoted(command.page.summary))"
        }.joined(separator: "\n"))
        \(Command.allCases.flatMap(lines).joined(separator: "\n"))
        """
    }

    private static func lines(of command: Command) -> [String] {
        let start = "complete -c mule -n '__fish_seen_subcommand_from \(command.rawValue)'"
        let operand = candidates(command.page.operands).map { ["\(start) \($0)"] } ?? []
        return operand
            + FlagTable.rows(for: command).flatMap { flag in
                let letter = flag.letter.map { " -s \($0)" } ?? ""
                let value = flag.placeholder == nil ? "" : " -r " + (candidates(flag.value) ?? "-f")
                let own = "\(start)\(letter) -l \(flag.name)\(value) -d \(quoted(CompletionWords.summary(flag)))"
                return [own]
                    + (flag.negation.map { ["\(start) -l \($0) -d \(quoted("Turn off --\(flag.name)"))"] } ?? [])
            }
    }

    private static func candidates(_ value: Flag.Value) -> String? {
        switch value {
        case .none, .text: nil
        case .choice(let words): "-f -a \(quoted(words.joined(separator: " ")))"
        case .file: "-F"
        case .directory: "-f -a '(__fish_complete_directories)'"
        case .command: "-f -a '(__fish_complete_subcommand --allow-functions-and-builtins)'"
        case .profile: "-f -a '(__mule_list profiles)'"
        case .job: "-f -a '(__mule_list jobs)'"
        case .uploadID: "-f -a '(__mule_list ids)'"
        }
    }

    private static func quoted(_ text: String) -> String {
        "'"
            + text.reduce(into: "") { result, character in
                if character == "'" || character == "\\" { result += "\\" }
                result.append(character)
            } + "'"
    }
}
