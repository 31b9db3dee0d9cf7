package import MuleSystem

/// Why a source, or something below it, cannot be uploaded.
package enum SourceProblem: Hashable, Sendable {
    /// Missing, or its status cannot be read.
    case unreadable(SystemError)
    /// The content of the directory is unknown or incomplete.
    case unreadableDirectory(SystemError)
    /// A directory, without a recursive option.
    case directory
    case linkToDirectory
    /// A symbolic link, and links are not followed.
    case link
    /// A link to a directory that contains it.
    case loop
    /// A FIFO, a socket or a device: it has no end that could be confirmed.
    case endless(FileStatus.Kind, wasNamed: Bool)
    /// A listed name with `..`, which has no key.
    case leadsUp
    /// A listed name that is too long for a file; the path is its start.
    case nameTooLong
    /// The list itself, from some position on.
    case unreadableList(SystemError)

    /// What is wrong and what to do about it.
    ///
    /// - Parameter name: the path, safe to show.
    package func sentence(for name: String) -> String {
        switch self {
        case .unreadable(let error): "\(name) cannot be read: \(error.reason)."
        case .unreadableDirectory(let error):
            "\(name) cannot be read: \(error.reason); its files are not sent."
        case .directory: "\(name) is a directory: add --recursive to send the files below it."
        case .linkToDirectory: "\(name) is a symbolic link to a directory and is not followed."
        case .link: "\(name) is a symbolic link and is not followed."
        case .loop: "\(name) links back to a directory that contains it and is not followed."
        case .leadsUp: "\(name) is listed with .. in its path, which is not allowed in an object name; it is not sent."
        case .nameTooLong:
            "A name in the list is longer than any path can be (4,096 bytes) and is skipped; it starts with \(name)."
        case .unreadableList(let error):
            "The list of names in \(name) cannot be read further: \(error.reason); the names after that are not sent."
        case .endless(let kind, wasNamed: false): "\(name) is \(kind.noun) and is not sent."
        case .endless(let kind, wasNamed: true):
            "\(name) is \(kind.noun), which has no size to confirm. Send its output as standard input instead: mule "
                + "upload - DESTINATION < FILE"
        }
    }
}
