/// A shared configuration file that cannot be read or parsed. Quotes only names from the file: an invalid line may be a
/// secret.
package struct SharedConfigurationError: Error, Hashable, Sendable {
    package var path: String
    /// Counted from 1; nil if the problem is the file as a whole.
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
