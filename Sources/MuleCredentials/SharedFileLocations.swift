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
                return Location(path: Self.expanding(path, environment), isNamed: true)
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

    /// With `$NAME` and `${NAME}` replaced, and then `~` and `~/x` by the home directory, as botocore does with Python's
    /// `expandvars` and `expanduser`. A variable that is not set stays as it was written.
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
            // Of what is set, also to nothing at all.
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
            throw SharedConfigurationError(path: path, problem: "cannot be read: \(error.reason)")
        }
        // A FIFO or a terminal would answer differently each time, or never; /dev/null stands for "no file".
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
