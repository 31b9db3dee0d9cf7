/// The commands. A new command needs a case here, a page in `Pages/`, and a line in `Program`.
package enum Command: String, CaseIterable, Sendable {
    case upload, resume, status, abort, clean, adopt, verify, archive, report, presign, policy, doctor, config,
        completion

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
        case .presign: .presign
        case .policy: .policy
        case .doctor: .doctor
        case .config: .config
        case .completion: .completion
        }
    }
}

/// The documentation of a command, and the check of its operands. Used by help, man pages and the reference in
/// docs/reference.
package struct CommandPage: Sendable {
    /// A command line with a sentence about it.
    package struct Example: Sendable {
        package let line: String
        package let about: String
    }

    /// What follows the command's name on a usage line; several for a command with several forms.
    package let synopsis: [String]
    /// One line for the overview.
    package let summary: String
    /// Paragraphs, for help and all other documentation.
    package let description: [String]
    /// More paragraphs, for the man page and the reference only.
    package var details: [String] = []
    /// What the operands are.
    let operands: Flag.Value
    /// The options that `-h` shows, with short texts.
    package let common: KeyValuePairs<String, String>
    /// The first three are the most useful: `-h` shows only these.
    package let examples: [Example]
    /// Why these operands and switches are not valid together; nil if they are.
    let problem: @Sendable (Arguments) -> String?
}
