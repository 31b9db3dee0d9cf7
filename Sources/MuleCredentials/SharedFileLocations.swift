import MuleSystem

/// The paths of the two shared files. https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
package struct SharedFileLocations: Hashable, Sendable {
    struct Location: Hashable, Sendable {
        var path: String
        /// Whether a variable named it; otherwise it is the default path.
        var isNamed: Bool
    }

    /// Nil if no variable names the file and there is no home directory.
    var config: Location?
    var credentials: Location?

    package init(environment: [String: String]) {
        func location(_ variable: String, _ usual: String) -> Location? {
            if let path = environment[nonEmpty: variable] {
                return Location(path: Self.expanding(path, environment), isNamed: true)
            }
            return environment[nonEmpty: "HOME"].map { Location(path: $0 + usual, isNamed: false) }
        }
        config = location("AWS_CONFIG_FILE", "/.aws/config")
        credentials = location("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials")
    }

    /// Inode, size and time of each file, to detect changes; nil if it cannot be inspected.
    var fileStates: [FileStatus?] {
        [config, credentials].map { location in
            location.flatMap { try? FileStatus.of(path: Array($0.path.utf8)) }
        }
    }

    /// Replaces `$NAME` and `${NAME}`, and then `~` and `~/x` by the home directory, as botocore does with Python's
    /// `expandvars` and `expanduser`. An unset variable stays as it is written.
    static func expanding(_ path: String, _ environment: [String: String]) -> String {
        let text = expandingVariables(Array(path.utf8)[...], environment)
        guard text == "~" || text.utf8.starts(with: "~/".utf8), let home = environment[nonEmpty: "HOME"] else {
            return text
        }
        return home + text.dropFirst()
    }

    private static func expandingVariables(_ text: ArraySlice<UInt8>, _ environment: [String: String]) -> String {
        var (rest, result) = (text, [UInt8]())
        while let dollar = rest.firstIndex(of: UInt8(ascii: "$")) {
            result += rest[..<dollar]
            rest = rest[(dollar + 1)...]
            let name: ArraySlice<UInt8>
            let length: Int
            if rest.first == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) {
                name = rest[(rest.startIndex + 1)..<end]
                length = name.count + 2
            } else {
                name = rest.prefix(while: isNameByte)
                length = name.count
            }
            // An empty variable counts as set.
            result +=
                environment[String(decoding: name, as: UTF8.self)].map { Array($0.utf8) } ?? [0x24]
                + rest.prefix(length)
            rest = rest.dropFirst(length)
        }
        return String(decoding: result + rest, as: UTF8.self)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension SharedFileLocations.Location {
    /// Far above any real file, and small enough to read as a whole.
    static let sizeLimit = 1 << 20

    /// The parsed file; nil if it does not exist.
    ///
    /// A default path that this user may not access (a service with another user's HOME) counts as missing, as in
    /// botocore.
    func read() throws(SharedConfigurationError) -> SharedFile? {
        let bytes = Array(path.utf8)
        let kind: FileStatus.Kind
        do throws(SystemError) {
            kind = try FileStatus.of(path: bytes).kind
        } catch {
            if error.isNoSuchFile || (error.isNoPermission && !isNamed) { return nil }
            throw SharedConfigurationError(path: path, problem: "cannot be read: \(error.reason)")
        }
        // A FIFO or a terminal could be read only once, or would block; /dev/null means "no file".
        guard kind == .regular || kind == .characterDevice else {
            throw SharedConfigurationError(path: path, problem: "cannot be read: it is not a file")
        }
        let content: [UInt8]
        do throws(SystemError) {
            content = try File.contents(path: bytes, limit: Self.sizeLimit)
        } catch {
            if error.isNoSuchFile { return nil }
            let reason = error.isTooBig ? "it is larger than 1 MiB" : error.reason
            throw SharedConfigurationError(path: path, problem: "cannot be read: \(reason)")
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
