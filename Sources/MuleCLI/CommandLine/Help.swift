/// Help pages, made from the flag table, the commands' pages and the exit statuses. Plain ASCII.
package enum Help {
    /// `mule --help`, wrapped to `width` columns (never below 60, nor wider than reads well).
    package static func overview(width: Int = 80) -> String {
        var page = HelpPage(width: width)
        page.paragraph("mule sends files to S3 and S3-compatible stores, and carries on where it was stopped.")
        page.paragraph(
            "After a kill, a power cut or a lost network, run the same command again: parts that the store has "
                + "confirmed are not sent twice, and 0 as exit status means that the store confirmed every byte."
        )
        page.line("Usage: mule COMMAND [options] [operands]")
        page.heading("Commands")
        page.rows(Command.allCases.map { ($0.rawValue, $0.page.summary) })
        page.line()
        page.wrapped("\"mule COMMAND --help\" shows a command's options and examples.", indent: 0)
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
        page.line("Usage: mule \(command.rawValue) \(content.synopsis)")
        page.line()
        content.description.forEach { page.paragraph($0) }
        let flags = FlagTable.rows(for: command)
        for group in Flag.Group.allCases where flags.contains(where: { $0.group == group }) {
            page.heading(group.rawValue, separated: group != flags.first?.group)
            page.rows(flags.filter { $0.group == group }.map { (spelling($0), about($0)) })
        }
        page.line()
        page.line("Of an option that is given twice, the last one counts.")
        page.heading("Examples")
        for (index, example) in content.examples.enumerated() {
            if index > 0 { page.line() }
            page.wrapped(example.about, indent: 2)
            page.line("    " + example.line)
        }
        exitStatuses(&page)
        environment(&page)
        return page.text
    }

    private static func spelling(_ flag: Flag) -> String {
        let letter = flag.letter.map { "-\($0), " } ?? "    "
        return letter + "--\(flag.name)" + (flag.placeholder.map { " \($0)" } ?? "")
    }

    private static func about(_ flag: Flag) -> String {
        var text = flag.help
        if flag.isRepeatable { text += " May be given several times." }
        if let negation = flag.negation { text += " --\(negation) takes it back." }
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
        page.rows([
            ("MULE_CONFIG, MULE_LEDGER", "As --config and --ledger."),
            ("MULE_HOST", "What {host} in a job's destination stands for; the machine's name if unset."),
            (
                "MULE_REGION, ...",
                "Each shared or transfer option that takes a value has a variable of its name: MULE_PART_SIZE stands "
                    + "in for --part-size. An option on the command line comes first, then MULE_*, AWS_*, the "
                    + "configuration file, the AWS configuration."
            ),
            ("AWS_PROFILE, AWS_REGION", "As --profile and --region."),
            ("AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL", "As --endpoint-url."),
            ("AWS_CA_BUNDLE", "As --ca-bundle."),
            (
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
                "Credentials, with AWS_SESSION_TOKEN for temporary ones. There is no option for them: a command line "
                    + "can be read by every process."
            ),
            (
                "XDG_CONFIG_HOME, XDG_STATE_HOME",
                "Where mule/config.json and mule/ledger.sqlite are looked for; ~/.config and ~/.local/state if unset."
            ),
        ])
    }
}
