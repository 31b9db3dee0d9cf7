/// The script of `mule completion zsh`, for a directory of `fpath` or for `source`.
enum ZshCompletion {
    static var script: String {
        """
        #compdef mule
        # zsh completion for mule, printed by "mule completion zsh".

        _mule_list() {
            local -a found
            found=(${(f)"$(_call_program $1 ${(q)_mule_program} completion $1 2>/dev/null)"})
            _describe -t $1 $2 found
        }

        _mule_arguments() {
            case $1 in
        \(Command.allCases.map(arguments).joined(separator: "\n"))
            esac
        }

        _mule() {
            local curcontext=$curcontext state line _mule_program=$words[1]
            typeset -A opt_args
            local -a commands
            commands=(
        \(Command.allCases.map { "        " + CompletionWords.quoted("\($0.rawValue):\($0.page.summary)") }.joined(separator: "\n"))
            )
            _arguments -C '(- *)--help[show help]' '(- *)--version[show the version]' '1: :->command' '*:: :->rest'
            case $state in
                command) _describe -t commands command commands ;;
                rest) _mule_arguments $words[1] ;;
            esac
        }

        if [[ $funcstack[1] == _mule ]]; then
            _mule "$@"
        else
            compdef _mule mule
        fi
        """
    }

    private static func arguments(of command: Command) -> String {
        var lines = FlagTable.rows(for: command).flatMap(specifications)
        if let operand = action(command.page.operands, name: "operand") { lines.append("'*\(operand)'") }
        let text = lines.map { " \\\n                    " + $0 }.joined()
        return "        \(command.rawValue))\n            _arguments -s -S\(text)\n            ;;"
    }

    private static func specifications(_ flag: Flag) -> [String] {
        let about = escaped(CompletionWords.summary(flag))
        let value = flag.placeholder.map { action(flag.value, name: $0) ?? ":\(escaped($0)): " } ?? ""
        let spellings = CompletionWords.spellings(flag)
        let rest = CompletionWords.quoted("[\(about)]").dropFirst().dropLast() + quotedInside(value)
        let own = spellings.map { spelling in
            let equals = flag.placeholder == nil ? "" : spelling.hasPrefix("--") ? "=" : "+"
            let excluded = flag.isRepeatable ? "*" : "(\(spellings.joined(separator: " ")))"
            return "'\(excluded)\(spelling)\(equals)\(rest)'"
        }
        return own + (flag.negation.map { ["'--\($0)[turn off --\(flag.name)]'"] } ?? [])
    }

    private static func action(_ value: Flag.Value, name: String) -> String? {
        let name = escaped(name)
        return switch value {
        case .none, .text: nil
        case .choice(let words): ":\(name):(\(words.map(escaped).joined(separator: " ")))"
        case .file: ":\(name):_files"
        case .directory: ":\(name):_files -/"
        case .command: ":\(name):_cmdstring"
        case .profile: ":\(name): _mule_list profiles profile"
        case .job: ":\(name): _mule_list jobs job"
        case .uploadID: ":\(name): _mule_list ids \"upload ID\""
        }
    }

    /// Escapes the syntax of `_arguments`.
    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            if "[]:\\".contains(character) { result += "\\" }
            result.append(character)
        }
    }

    private static func quotedInside(_ text: String) -> Substring {
        CompletionWords.quoted(text).dropFirst().dropLast()
    }
}
