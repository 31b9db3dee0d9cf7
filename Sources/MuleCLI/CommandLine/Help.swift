/// Help pages in plain ASCII, from the flag table, the commands' pages, the exit statuses and the environment
/// variables.
package enum Help {
    /// `mule -h`, and `mule` alone: the commands on one screen.
    package static func brief(width: Int = 80) -> String {
        var page = HelpPage(width: width)
        introduction(&page)
        page.line()
        page.line(
            "\"mule COMMAND -h\" shows a command's examples and its most used options, \"mule COMMAND --help\" all."
        )
        return page.text
    }

    /// `mule COMMAND -h`: one screen of 24 lines.
    package static func brief(for command: Command, width: Int = 80) -> String {
        var page = HelpPage(width: width)
        let content = command.page
        page.line(content.summary.prefix(1).uppercased() + content.summary.dropFirst() + ".")
        page.line()
        page.line("Usage: mule \(command.rawValue) \(content.synopsis[0])")
        page.heading("Examples")
        for example in content.examples.prefix(3) {
            page.line("  # " + example.about)
            page.line("  " + example.line)
        }
        let flags = FlagTable.rows(for: command)
        let rows = content.common.compactMap { name, about in
            flags.first { $0.name == name }.map { (spelling($0), about) }
        }
        if !rows.isEmpty {
            page.heading("Options")
            page.rows(rows)
        }
        page.line()
        page.line("\"mule \(command.rawValue) --help\" shows all options.")
        return page.text
    }

    /// `mule --help`, wrapped to `width` columns (at least 60, and at most what is readable).
    package static func overview(width: Int = 80) -> String {
        var page = HelpPage(width: width)
        introduction(&page)
        page.line()
        page.wrapped(
            "\"mule COMMAND --help\" shows a command's options and examples, \"mule COMMAND -h\" the most used.",
            indent: 0
        )
        page.heading(Flag.Group.shared.rawValue)
        page.rows(FlagTable.rows.filter { $0.group == .shared }.map { (spelling($0), about($0)) })
        exitStatuses(&page)
        environment(&page)
        return page.text
    }

    /// `mule COMMAND --help`.
    package static func page(for command: Command, width: Int = 80) -> String {
        var page = HelpPage(width: width)
        let content = command.page
        for (index, synopsis) in content.synopsis.enumerated() {
            page.wrapped(
                (index == 0 ? "Usage: " : "or: ") + "mule \(command.rawValue) \(synopsis)",
                indent: index == 0 ? 0 : 3
            )
        }
        page.line()
        content.description.forEach { page.paragraph($0) }
        page.heading("Examples", separated: false)
        for (index, example) in content.examples.enumerated() {
            if index > 0 { page.line() }
            page.wrapped(example.about, indent: 2)
            page.line("    " + example.line)
        }
        let flags = FlagTable.rows(for: command)
        for group in Flag.Group.allCases where flags.contains(where: { $0.group == group }) {
            page.heading(group.rawValue)
            page.rows(flags.filter { $0.group == group }.map { (spelling($0), about($0)) })
        }
        page.line()
        page.line("If an option is given twice, the last one counts.")
        exitStatuses(&page)
        environment(&page)
        return page.text
    }

    private static func introduction(_ page: inout HelpPage) {
        page.paragraph("mule uploads files to S3 and S3-compatible stores, and resumes where it was interrupted.")
        page.paragraph(
            "After a kill, a power cut or a lost network, run the same command again: parts that the store has "
                + "confirmed are not sent twice, and exit status 0 means that the store confirmed every byte."
        )
        page.line("Usage: mule COMMAND [options] [operands]")
        page.heading("Commands")
        page.rows(Command.allCases.map { ($0.rawValue, $0.page.summary) })
    }

    private static func spelling(_ flag: Flag) -> String {
        let letter = flag.letter.map { "-\($0), " } ?? "    "
        return letter + "--\(flag.name)" + (flag.placeholder.map { " \($0)" } ?? "")
    }

    /// The text about an option in all documentation.
    package static func about(_ flag: Flag) -> String {
        var text = flag.help
        if flag.isRepeatable { text += " May be given several times." }
        if let negation = flag.negation { text += " Use --\(negation) to turn it off." }
        return text
    }

    private static func exitStatuses(_ page: inout HelpPage) {
        page.heading("Exit status (run it again?)")
        page.rows(
            ExitStatus.allCases.map { status in
                let number = String(status.rawValue)
                let again = status == .done ? "" : " (\(status.worthRetrying))"
                return (String(repeating: " ", count: 3 - number.count) + number, status.meaning + again)
            }
        )
    }

    private static func environment(_ page: inout HelpPage) {
        page.heading("Environment")
        page.rows(EnvironmentVariable.table.map { ($0.names.joined(separator: ", "), $0.meaning) })
    }
}
