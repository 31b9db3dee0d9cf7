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
    /// A symbolic link, and they are not to be followed.
    case link
    /// A link that leads back to a directory it lies in.
    case loop
    /// A FIFO, a socket or a device: there is no end that could be confirmed.
    case endless(FileStatus.Kind, wasNamed: Bool)
    /// A listed name with `..` in it, from which no key can be made.
    case leadsUp
    /// A listed name that no file can have; the path is its beginning.
    case nameTooLong
    /// The list itself, from some place on.
    case unreadableList(SystemError)

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
        case .link: "\(name) is a symbolic link and is not followed."
        case .loop: "\(name) leads back to a directory that it lies in and is not followed."
        case .leadsUp: "\(name) is listed with .. in its path, from which no object's name can be made; it is not sent."
        case .nameTooLong:
            "A name in the list is longer than any path can be (4,096 bytes) and is passed over; it begins with \(name)."
        case .unreadableList(let error):
            "The list of names in \(name) can't be read any further: \(error.reason); what follows in it is not sent."
        case .endless(let kind, wasNamed: false): "\(name) is \(kind.noun) and is not sent."
        case .endless(let kind, wasNamed: true):
            "\(name) is \(kind.noun), which has no end that could be confirmed. Send what it gives as standard input "
                + "instead: mule upload - DESTINATION < FILE"
        }
    }
}
