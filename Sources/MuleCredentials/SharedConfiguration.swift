package import MuleSystem

/// The shared `config` and `credentials` files of AWS tools, parsed. Printing or dumping it shows no values.
///
/// Rules: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html; where that page says nothing, botocore's
/// `configloader` and `Session.full_config`.
package struct SharedConfiguration: Sendable {
    /// Keyed by bytes: `String ==` treats two spellings of an accent as one profile.
    private var configProfiles: [[UInt8]: Profile] = [:]
    private var credentialsProfiles: [[UInt8]: Profile] = [:]
    private var servicesSections: [[UInt8]: Profile] = [:]
    private var singleSignOnSections: [[UInt8]: Profile] = [:]
    private var strayHeaders: [[UInt8]] = []
    let locations: SharedFileLocations
    /// The state of the files before they were read.
    let fileStates: [FileStatus?]

    /// Reads both files. One may be missing; one that cannot be read or parsed is an error.
    package static func load(
        environment: [String: String]
    ) throws(SharedConfigurationError) -> SharedConfiguration {
        try load(from: SharedFileLocations(environment: environment))
    }

    static func load(from locations: SharedFileLocations) throws(SharedConfigurationError) -> SharedConfiguration {
        // Before they are read, so that the next check sees a change in between.
        let states = locations.fileStates
        return SharedConfiguration(
            config: try locations.config?.read(),
            credentials: try locations.credentials?.read(),
            locations: locations,
            fileStates: states
        )
    }

    package init(
        config: SharedFile?,
        credentials: SharedFile?,
        locations: SharedFileLocations,
        fileStates: [FileStatus?] = []
    ) {
        self.locations = locations
        self.fileStates = fileStates
        var (profiles, services, sessions, keys) = (SectionBook(), SectionBook(), SectionBook(), SectionBook())
        for section in config?.sections ?? [] {
            switch SectionHeader(section.header) {
            case .profile(let name): profiles.add(section, as: name)
            case .services(let name): services.add(section, as: name)
            case .singleSignOnSession(let name): sessions.add(section, as: name)
            case .other(let header): strayHeaders.append(Array(header.utf8))
            }
        }
        for section in credentials?.sections ?? [] { keys.add(section, as: section.header) }
        (configProfiles, servicesSections, singleSignOnSections) =
            (profiles.sections, services.sections, sessions.sections)
        credentialsProfiles = keys.sections
    }

    /// The profile with the settings of both files; the credentials file wins.
    package func profile(_ name: String) -> Profile? {
        let key = Array(name.utf8)
        guard let config = configProfiles[key] else { return credentialsProfiles[key] }
        return credentialsProfiles[key].map { config.overridden(by: $0) } ?? config
    }

    /// The `[services x]` section: nested settings by service (`s3`).
    package func services(_ name: String) -> Profile? { servicesSections[Array(name.utf8)] }

    /// The `[sso-session x]` section.
    package func singleSignOnSession(_ name: String) -> Profile? { singleSignOnSections[Array(name.utf8)] }

    /// All profiles of both files, sorted by bytes.
    package var profileNames: [String] {
        Set(configProfiles.keys).union(credentialsProfiles.keys)
            .sorted { $0.lexicographicallyPrecedes($1) }
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// One of the two files.
    enum Half {
        case credentials, config
    }

    /// The settings of the profile in one file.
    func half(_ half: Half, of name: String) -> (profile: Profile, path: String)? {
        let key = Array(name.utf8)
        let (profile, location) =
            switch half {
            case .credentials: (credentialsProfiles[key], locations.credentials)
            case .config: (configProfiles[key], locations.config)
            }
        return profile.map { ($0, location?.path ?? "") }
    }

    /// Whether the config file has `[name]` instead of `[profile name]`.
    func hasStrayHeader(_ name: String) -> Bool { strayHeaders.contains(Array(name.utf8)) }
}

extension SharedConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SharedConfiguration(\(profileNames.joined(separator: ", ")))" }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(self, children: ["profileNames": profileNames], displayStyle: .struct)
    }
}

/// The sections of one kind, by name.
///
/// A repeated header continues its section, as in the AWS SDKs. Two headers for one name, `[default]` and
/// `[profile default]`, are two sections, of which only the last counts, as in botocore's `build_profile_map`: the key
/// of one must not be combined with the secret or token of the other (aws/aws-cli#9484).
private struct SectionBook {
    private(set) var sections: [[UInt8]: Profile] = [:]
    private var headers: [[UInt8]: String] = [:]

    mutating func add(_ section: SharedFile.Section, as name: String) {
        let key = Array(name.utf8)
        let addition = Profile(name: name, settings: section.settings)
        let isSame = headers.updateValue(section.header, forKey: key) == section.header
        sections[key] = isSame ? sections[key]?.overridden(by: addition) : addition
    }
}
