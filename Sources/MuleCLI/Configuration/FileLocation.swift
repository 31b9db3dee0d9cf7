/// The path of one of mule's own files, from flags, environment and configuration only; does not access the disk.
package struct FileLocation: Sendable, Equatable {
    /// Raw bytes.
    package let path: [UInt8]
    /// Whether the user named it: a missing file is then an error.
    package let isExplicit: Bool

    package init(path: [UInt8], isExplicit: Bool) {
        self.path = path
        self.isExplicit = isExplicit
    }

    /// The configuration file: `--config`, `$MULE_CONFIG`, `$XDG_CONFIG_HOME/mule/config.json`,
    /// `~/.config/mule/config.json`. Nil if none is named and there is no home directory.
    package static func configuration(flag: [UInt8]?, environment: [String: String]) -> FileLocation? {
        if let flag { return FileLocation(path: flag, isExplicit: true) }
        if let named = value("MULE_CONFIG", environment) {
            return FileLocation(path: Array(named.utf8), isExplicit: true)
        }
        return standard("XDG_CONFIG_HOME", "/.config", name: "/mule/config.json", environment: environment)
    }

    /// The ledger: `--ledger`, `$MULE_LEDGER`, the configuration's `ledger`, `$XDG_STATE_HOME/mule/ledger.sqlite`,
    /// `~/.local/state/mule/ledger.sqlite`. Nil if none is named and there is no home directory.
    package static func ledger(
        flag: [UInt8]?,
        environment: [String: String],
        configuration: Configuration
    ) -> FileLocation? {
        if let flag { return FileLocation(path: flag, isExplicit: true) }
        if let named = value("MULE_LEDGER", environment) {
            return FileLocation(path: Array(named.utf8), isExplicit: true)
        }
        if let named = configuration.ledger {
            return expand(named, environment: environment).map { FileLocation(path: $0, isExplicit: true) }
        }
        return standard("XDG_STATE_HOME", "/.local/state", name: "/mule/ledger.sqlite", environment: environment)
    }

    /// A path from the configuration file with its leading `~/` replaced by the home directory; nil without one.
    package static func expand(_ path: [UInt8], environment: [String: String]) -> [UInt8]? {
        guard path.starts(with: "~/".utf8) else { return path }
        return value("HOME", environment).map { Array($0.utf8) + path.dropFirst() }
    }

    /// The XDG Base Directory Specification says to ignore relative values.
    private static func standard(
        _ variable: String,
        _ belowHome: String,
        name: String,
        environment: [String: String]
    ) -> FileLocation? {
        if let base = value(variable, environment), base.hasPrefix("/") {
            return FileLocation(path: Array((base + name).utf8), isExplicit: false)
        }
        guard let home = value("HOME", environment) else { return nil }
        return FileLocation(path: Array((home + belowHome + name).utf8), isExplicit: false)
    }

    /// An empty variable counts as unset.
    private static func value(_ name: String, _ environment: [String: String]) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
