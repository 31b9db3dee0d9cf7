/// An invalid command line or `MULE_*` variable; nothing was sent. Ends with `ExitStatus.usage`.
package struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was typed, why it is wrong, what is allowed: one or two sentences without a full stop at the end.
    package let reason: String
    /// The command whose help page explains it; nil for the overview.
    package let command: Command?

    package init(_ reason: String, command: Command?) {
        self.reason = reason
        self.command = command
    }

    /// The whole message, without a program name before it.
    package var description: String {
        let separator = reason.hasSuffix("?") ? " See" : "; see"
        return "\(reason)\(separator) \"mule \(command.map { $0.rawValue + " " } ?? "")--help\""
    }
}
