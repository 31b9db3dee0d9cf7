import MuleSystem

/// Where the two shared files are.
/// https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
package struct SharedFileLocations: Hashable, Sendable {
    struct Location: Hashable, Sendable {
        var path: String
        /// A variable named it; otherwise it is the usual place.
        var isNamed: Bool
    }

    /// Nil when no variable names the file and there is no home directory.
    var config: Location?
    var credentials: Location?

    package init(environment: [String: String]) {
        func location(_ variable: String, _ usual: String) -> Location? {
            if let path = environment[nonEmpty: variable] {
                return Location(path: Self.expandingHome(path, environment), isNamed: true)
            }
            return environment[nonEmpty: "HOME"].map { Location(path: $0 + usual, isNamed: false) }
        }
        config = location("AWS_CONFIG_FILE", "/.aws/config")
        credentials = location("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials")
    }

    /// What tells one state of the files from another: inode, size and time; nil for one that can't be looked at.
    var fileStates: [FileStatus?] {
        [config, credentials].map { location in
            location.flatMap { try? FileStatus.of(path: Array($0.path.utf8)) }
        }
    }

    /// `~/x` in the home directory; anything else stays as it is.
    static func expandingHome(_ path: String, _ environment: [String: String]) -> String {
        guard path.utf8.starts(with: "~/".utf8), let home = environment[nonEmpty: "HOME"] else { return path }
        return home + path.dropFirst()
    }
}

extension SharedFileLocations.Location {
    /// Far above any real file, and small enough to be read whole.
    static let sizeLimit = 1 << 20

    /// The parsed file; nil when there is none.
    ///
    /// A usual place that this user may not even look into (a service that runs with another's HOME) counts as none, as
    /// with botocore.
    func read() throws(SharedConfigurationError) -> SharedFile? {
        let bytes = Array(path.utf8)
        let kind: FileStatus.Kind
        do throws(SystemError) {
            kind = try FileStatus.of(path: bytes).kind
        } catch {
            if error.isNoSuchFile || (error.isNoPermission && !isNamed) { return nil }
            throw SharedConfigurationError(path: path, problem: "can't be read: \(error.reason)")
        }
        // A FIFO or a terminal would answer differently each time, or never; /dev/null stands for "no file".
        guard kind == .regular || kind == .characterDevice else {
            throw SharedConfigurationError(path: path, problem: "can't be read: it is not a file")
        }
        let content: [UInt8]
        do throws(SystemError) {
            content = try File.contents(path: bytes, limit: Self.sizeLimit)
        } catch {
            if error.isNoSuchFile { return nil }
            let reason = error.isTooBig ? "it is larger than 1 MiB" : error.reason
            throw SharedConfigurationError(path: path, problem: "can't be read: \(reason)")
        }
        return try SharedFile(parsing: content, path: path)
    }
}

extension [String: String] {
    /// The variable's value; an empty one counts as unset.
    subscript(nonEmpty variable: String) -> String? {
        guard let value = self[variable], !value.isEmpty else { return nil }
        return value
    }
}
