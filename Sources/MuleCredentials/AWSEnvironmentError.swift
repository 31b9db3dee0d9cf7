package import MuleSigning

/// Why mule cannot sign, or does not know for which store.
package enum AWSEnvironmentError: Error, Hashable, Sendable {
    /// A shared file is at fault: mend it. Nothing can be said about credentials.
    case configuration(SharedConfigurationError)
    /// A variable has a value that it cannot have.
    case badVariable(BadSetting)
    /// The profile that was named is in neither file.
    case unknownProfile(UnknownProfile)
    case credentials(CredentialsUnavailable)

    /// A message for the user. Has names of users and files, never a key.
    package var reason: String {
        switch self {
        case .configuration(let error): error.description
        case .badVariable(let setting): setting.reason
        case .unknownProfile(let profile): profile.reason
        case .credentials(let error): error.reason
        }
    }
}

/// A profile that does not exist.
package struct UnknownProfile: Hashable, Sendable {
    package var name: String
    /// Who named it: `--profile`, or a variable's name.
    package var origin: String
    /// The profiles that there are, sorted; candidates for a near miss.
    package var known: [String]
    /// The file has `[name]` where `[profile name]` would be right.
    package var isStray: Bool
    /// The two files that were looked into; a file for which there is no place is left out.
    package var paths: [String]

    private static let shownNames = 20

    package var reason: String {
        var text = "there is no profile \"\(name)\" (named by \(origin)) in \(paths.joined(separator: " or "))"
        if paths.isEmpty { text = "there is no profile \"\(name)\" (named by \(origin)): HOME is not set" }
        if isStray { return text + "; the config file has [\(name)], which must be written [profile \(name)]" }
        if known.isEmpty { return text + "; there are no profiles at all, run \"aws configure\" to create one" }
        let rest = known.count - Self.shownNames
        let names = known.prefix(Self.shownNames).joined(separator: ", ")
        return text + "; known profiles: \(names)\(rest > 0 ? " and \(rest) more" : "")"
    }
}
