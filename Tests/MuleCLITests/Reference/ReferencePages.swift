import MuleCLI

/// The reference as it follows from the program's own tables.
enum ReferencePages {
    static var synopsis: [(command: Command, text: String)] {
        Command.allCases.flatMap { command in command.page.synopsis.map { (command, $0) } }
    }

    static func usage(_ command: Command) -> [ReferenceBlock] {
        command.page.synopsis.map { .line("mule \(command.rawValue) \($0)") }
    }

    static func description(_ command: Command) -> [ReferenceBlock] {
        (command.page.description + command.page.details).map { .paragraph($0) }
    }

    static func examples(_ command: Command) -> [ReferenceBlock] {
        command.page.examples.flatMap { [.paragraph($0.about), .line($0.line)] }
    }

    /// All options, by the headings of help. Those that not every command takes name their commands.
    static var options: [ReferenceBlock] {
        Flag.Group.allCases.flatMap { group -> [ReferenceBlock] in
            let flags = FlagTable.rows.filter { $0.group == group }
            return [.heading(group.rawValue)]
                + flags.map { flag in
                    let commands = Command.allCases.filter(flag.commands.contains).map { "\"mule \($0.rawValue)\"" }
                    let takers = group == .shared ? "" : " For \(commands.joined(separator: ", "))."
                    let variable = flag.readsEnvironment ? " Variable: \(flag.environmentName)." : ""
                    return .definition(term: spelling(flag), about: Help.about(flag) + takers + variable)
                }
        }
    }

    private static func spelling(_ flag: Flag) -> String {
        let letter = flag.letter.map { "-\($0), " } ?? ""
        let value = flag.placeholder.map { flag.valueIsOptional ? " [\($0)]" : " \($0)" } ?? ""
        return "\(letter)--\(flag.name)\(value)"
    }

    static var exitStatuses: [ReferenceBlock] {
        ExitStatus.allCases.map { status in
            let meaning = status.meaning.prefix(1).uppercased() + status.meaning.dropFirst()
            let again =
                status == .done
                ? ""
                : " Run it again? \(status.worthRetrying.prefix(1).uppercased())\(status.worthRetrying.dropFirst())."
            return .definition(term: "\(status.rawValue)", about: "\(meaning).\(again)")
        }
    }

    static var environment: [ReferenceBlock] {
        EnvironmentVariable.table.map { .definition(term: $0.names.joined(separator: ", "), about: $0.meaning) }
    }

    static func keys(_ section: ConfigurationReference) -> [ReferenceBlock] {
        section.keys.map { key in
            let option = key.option.map { " Option: --\($0)." } ?? ""
            return .definition(term: key.name, about: "(\(key.kind)) \(key.about)\(option)")
        }
    }

    // MARK: Whole files

    /// A man page: a template with its lines `@NAME@` replaced.
    static func manPage(template: String) -> String {
        var page = ""
        for line in template.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            switch line {
            case "@SYNOPSIS@":
                page += synopsis.map { "\(Roff.term("mule " + $0.command.rawValue + " " + $0.text))\n" }.joined(
                    separator: ".br\n"
                )
            case "@COMMANDS@":
                for command in Command.allCases {
                    page += Roff.text([.heading("mule \(command.rawValue)")] + description(command))
                }
            case "@OPTIONS@": page += Roff.text(options)
            case "@EXAMPLES@":
                for command in Command.allCases {
                    page += Roff.text([.heading("mule \(command.rawValue)")] + examples(command))
                }
            case "@EXIT STATUS@": page += Roff.text(exitStatuses)
            case "@ENVIRONMENT@": page += Roff.text(environment)
            case "@KEYS@":
                for section in ConfigurationReference.sections {
                    page += Roff.text([.heading(section.title), .paragraph(section.introduction)] + keys(section))
                }
            default:
                let version = line.replacing("@VERSION@", with: Version.number)
                page += version + "\n"
            }
        }
        return page
    }

    private static let note = "<!-- Written by make reference from the tables in Sources/MuleCLI. -->\n\n"

    static var commands: String {
        var page = note + "# Commands, options, exit statuses, variables\n\n"
        page += "`mule COMMAND --help` and mule(1) say the same.\n\n"
        for command in Command.allCases {
            page += "## mule \(command.rawValue)\n\n"
            page += Markdown.text(usage(command) + description(command) + [.paragraph("Examples:")] + examples(command))
        }
        page +=
            "## Options\n\n"
            + Markdown.text([.paragraph("If an option is given twice, the last one counts.")] + options)
        page += "\n## Exit statuses\n\n" + Markdown.text(exitStatuses)
        page += "\n## Variables\n\n" + Markdown.text(environment)
        return page
    }

    static var configuration: String {
        var page = note + "# Configuration\n\n"
        page += Markdown.text([
            .paragraph(
                "The file is JSON: --config, MULE_CONFIG, or mule/config.json in XDG_CONFIG_HOME (~/.config). An "
                    + "unknown key is an error. \"mule config check\" checks the file, and config.example.json shows "
                    + "every key. Paths are absolute or start with ~/. Where an option has the same meaning, the "
                    + "value is written as for the option; the option takes precedence. The file holds no secrets."
            )
        ])
        for section in ConfigurationReference.sections {
            page += "## \(section.title)\n\n" + Markdown.text([.paragraph(section.introduction)] + keys(section)) + "\n"
        }
        return String(page.dropLast())
    }
}
