/// The script of `mule completion bash`, for bash 4.4 or later. It needs no other completion package.
enum BashCompletion {
    static var script: String {
        """
        # bash completion for mule, printed by "mule completion bash".

        # Completes the word in $current as a value of the kind $1.
        _mule_value() {
            case $1 in
                file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
                directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
                command) mapfile -t COMPREPLY < <(compgen -c -- "$current") ;;
                words) mapfile -t COMPREPLY < <(compgen -W "$2" -- "$current") ;;
                ids | jobs | profiles)
                    local IFS=$'\\n'
                    mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" completion "$1" 2>/dev/null)" -- "$current")
                    ;;
            esac
        }

        _mule_option() {
            case $1 in
        \(optionCases)
            esac
        }

        _mule_operand() {
            case $1 in
        \(operandCases)
            esac
        }

        _mule_options() {
            case $1 in
        \(commandCases)
                *) echo '--help --version' ;;
            esac
        }

        _mule() {
            local word option= command= index
            local current=${COMP_WORDS[COMP_CWORD]}
            # To bash, "=" is a word of its own.
            for ((index = 1; index < COMP_CWORD; index++)); do
                word=${COMP_WORDS[index]}
                if [[ -n $option ]]; then
                    [[ $word == '=' ]] || option=
                    continue
                fi
                case $word in
                    \(valued)) option=$word ;;
                    \(commands("|"))) [[ -n $command ]] || command=$word ;;
                esac
            done
            [[ $current == '=' ]] && current=
            COMPREPLY=()
            if [[ -n $option ]]; then
                _mule_option "$option"
            elif [[ $current == -* ]]; then
                _mule_value words "$(_mule_options "$command")"
            elif [[ -z $command ]]; then
                _mule_value words '\(commands(" "))'
            else
                _mule_operand "$command"
            fi
            # readline replaces only what is after a colon.
            if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
                COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
            fi
        }

        complete -F _mule mule
        """
    }

    private static var optionCases: String {
        lines(
            CompletionWords.valued.compactMap { flag in
                kind(flag.value).map {
                    "\(CompletionWords.spellings(flag).joined(separator: " | "))) _mule_value \($0) ;;"
                }
            }
        )
    }

    private static var operandCases: String {
        lines(
            Command.allCases.compactMap { command in
                kind(command.page.operands).map { "\(command.rawValue)) _mule_value \($0) ;;" }
            }
        )
    }

    private static var commandCases: String {
        lines(
            Command.allCases.map { command in
                "\(command.rawValue)) echo '\(CompletionWords.options(of: command).joined(separator: " "))' ;;"
            }
        )
    }

    private static func kind(_ value: Flag.Value) -> String? {
        switch value {
        case .none, .text: nil
        case .choice(let words): "words '\(words.joined(separator: " "))'"
        case .file: "file"
        case .directory: "directory"
        case .command: "command"
        case .profile: "profiles"
        case .job: "jobs"
        case .uploadID: "ids"
        }
    }

    private static var valued: String {
        CompletionWords.valued.flatMap(CompletionWords.spellings).joined(separator: "|")
    }

    private static func commands(_ separator: String) -> String {
        Command.allCases.map(\.rawValue).joined(separator: separator)
    }

    private static func lines(_ lines: [String]) -> String { lines.map { "        " + $0 }.joined(separator: "\n") }
}
