package import MuleSystem

/// Why something that was named, or found below it, can't be sent.
package enum SourceProblem: Hashable, Sendable {
    /// Missing, or its facts can't be read.
    case unreadable(SystemError)
    /// What is in the directory is not known, or not all of it.
    case unreadableDirectory(SystemError)
    /// A directory, and nobody asked for what is below it.
    case directory
    case linkToDirectory
    /// A FIFO, a socket or a device: there is no end that could be confirmed.
    case endless(FileStatus.Kind, wasNamed: Bool)

    /// What is wrong and what to do about it.
    ///
    /// - Parameter name: the path, made safe to show.
    package func sentence(for name: String) -> String {
        switch self {
        case .unreadable(let error): "\(name) can't be read: \(error.reason)."
        case .unreadableDirectory(let error):
            "\(name) can't be read: \(error.reason); what is in it is not sent."
        case .directory: "\(name) is a directory: add --recursive to send the files below it."
        case .linkToDirectory: "\(name) links to a directory and is not followed."
        case .endless(let kind, wasNamed: false): "\(name) is \(kind.noun) and is not sent."
        case .endless(let kind, wasNamed: true):
            "\(name) is \(kind.noun), which has no end that could be confirmed. Send what it gives as standard input "
                + "instead: mule upload - DESTINATION < FILE"
        }
    }
}
