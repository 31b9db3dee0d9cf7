/// What mule can be asked to do. A new command is a case here, a page in `Pages/`, and a line in `Program`.
package enum Command: String, CaseIterable, Sendable {
    case upload, resume, status, abort, clean, adopt, verify, archive, report, doctor, config, completion

    package var page: CommandPage {
        switch self {
        case .upload: .upload
        case .resume: .resume
        case .status: .status
        case .abort: .abort
        case .adopt: .adopt
        case .verify: .verify
        case .archive: .archive
        case .report: .report
        case .clean: .clean
        case .doctor: .doctor
        case .config: .config
        case .completion: .completion
        }
    }
}

/// What the documentation says about a command, and what it demands of its operands. Help, man pages and the reference in
/// docs/reference read it.
package struct CommandPage: Sendable {
    /// A command line with a sentence about it.
    package struct Example: Sendable {
        package let line: String
        package let about: String
    }

    /// What follows the command's name on a usage line; more than one where the command has several forms.
    package let synopsis: [String]
    /// One line for the overview.
    package let summary: String
    /// Paragraphs, for help and all other documentation.
    package let description: [String]
    /// More paragraphs, for the man page and the reference alone.
    package var details: [String] = []
    /// What the operands are.
    let operands: Flag.Value
    /// The options that `-h` shows, each with a few words.
    package let common: KeyValuePairs<String, String>
    /// The first three are the most useful: `-h` shows no others.
    package let examples: [Example]
    /// Why these operands and switches do not go together; nil when they do.
    let problem: @Sendable (Arguments) -> String?
}
