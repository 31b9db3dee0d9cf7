/// A shared configuration file that can't be read or understood. Quotes nothing of the file's content but names: a line
/// that makes no sense may be a secret.
package struct SharedConfigurationError: Error, Hashable, Sendable {
    package var path: String
    /// Counted from 1; nil when the file as a whole is the trouble.
    package var line: Int?
    /// Without a full stop, as the middle of a sentence.
    package var problem: String

    package init(path: String, line: Int? = nil, problem: String) {
        self.path = path
        self.line = line
        self.problem = problem
    }
}

extension SharedConfigurationError: CustomStringConvertible {
    package var description: String {
        "\(path)\(line.map { ", line \($0)" } ?? ""): \(problem)"
    }
}
