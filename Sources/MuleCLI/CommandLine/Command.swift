/// What mule can be asked to do. A new command is a case here and a page in `CommandPages.swift`.
package enum Command: String, CaseIterable, Sendable {
    case upload, resume, status, abort, clean, adopt, verify, archive, report, doctor, config
}

/// What help says about a command, and what it asks of its operands.
package struct CommandPage: Sendable {
    /// A command line with a sentence about it.
    package struct Example: Sendable {
        package let line: String
        package let about: String
    }

    /// What follows the command's name in the usage line.
    package let synopsis: String
    /// One line for the overview.
    package let summary: String
    /// Paragraphs.
    package let description: [String]
    package let examples: [Example]
    /// Why these operands and switches make no sense together; nil when they do.
    let problem: @Sendable (Typed) -> String?
}
