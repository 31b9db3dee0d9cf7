package import MuleSigning

/// Why mule cannot sign, or cannot determine the store.
package enum AWSEnvironmentError: Error, Hashable, Sendable {
    /// A shared file is invalid, so the credentials are unknown.
    case configuration(SharedConfigurationError)
    /// A variable has a value that it cannot have.
    case badVariable(BadSetting)
    /// The profile that was named is in neither file.
    case unknownProfile(UnknownProfile)
    case credentials(CredentialsUnavailable)

    /// A message for the user. Contains names of users and files, never a key.
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
    /// What named it: `--profile`, or a variable.
    package var origin: String
    /// The existing profiles, sorted, for a suggestion.
    package var known: [String]
    /// Whether the file has `[name]` instead of `[profile name]`.
    package var isStray: Bool
    /// The paths of the two files; one without a path is omitted.
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
