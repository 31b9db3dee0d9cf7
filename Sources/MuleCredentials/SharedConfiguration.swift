package import MuleSystem

/// The shared `config` and `credentials` files of AWS tools, parsed. Printing or dumping it shows no values.
///
/// Rules: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html; where that page is silent, botocore's
/// `configloader` and `Session.full_config`.
package struct SharedConfiguration: Sendable {
    /// By the name's bytes: `String ==` would take two spellings of an accent for one profile.
    private var configProfiles: [[UInt8]: Profile] = [:]
    private var credentialsProfiles: [[UInt8]: Profile] = [:]
    private var servicesSections: [[UInt8]: Profile] = [:]
    private var singleSignOnSections: [[UInt8]: Profile] = [:]
    private var strayHeaders: [[UInt8]] = []
    let locations: SharedFileLocations
    /// What the files were before they were read.
    let fileStates: [FileStatus?]

    /// Reads both files. A missing one is no error; one that can't be read or understood is.
    package static func load(
        environment: [String: String]
    ) throws(SharedConfigurationError) -> SharedConfiguration {
        try load(from: SharedFileLocations(environment: environment))
    }

    static func load(from locations: SharedFileLocations) throws(SharedConfigurationError) -> SharedConfiguration {
        // Looked at before they are read, so that a change in between shows at the next look.
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
        for section in config?.sections ?? [] {
            switch SectionHeader(section.header) {
            case .profile(let name): configProfiles.merge(section, into: name)
            case .services(let name): servicesSections.merge(section, into: name)
            case .singleSignOnSession(let name): singleSignOnSections.merge(section, into: name)
            case .other(let header): strayHeaders.append(Array(header.utf8))
            }
        }
        for section in credentials?.sections ?? [] { credentialsProfiles.merge(section, into: section.header) }
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

    /// What one file has of the profile.
    func half(_ half: Half, of name: String) -> (profile: Profile, path: String)? {
        let key = Array(name.utf8)
        let (profile, location) =
            switch half {
            case .credentials: (credentialsProfiles[key], locations.credentials)
            case .config: (configProfiles[key], locations.config)
            }
        return profile.map { ($0, location?.path ?? "") }
    }

    /// Whether the config file has `[name]` where `[profile name]` would be right.
    func hasStrayHeader(_ name: String) -> Bool { strayHeaders.contains(Array(name.utf8)) }
}

extension SharedConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SharedConfiguration(\(profileNames.joined(separator: ", ")))" }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(self, children: ["profileNames": profileNames], displayStyle: .struct)
    }
}

extension [[UInt8]: Profile] {
    fileprivate mutating func merge(_ section: SharedFile.Section, into name: String) {
        let addition = Profile(name: name, settings: section.settings)
        self[Array(name.utf8), default: Profile(name: name, settings: [:])].override(with: addition)
    }
}
