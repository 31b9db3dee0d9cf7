import Glibc

/// File owners.
package enum Ownership {
    /// The owner of a file (of its directory, if the file does not exist) and the user of this process, if they differ.
    /// Nil for root, who may use all files.
    package static func difference(at path: [UInt8]) -> (owner: String, user: String)? {
        let user = geteuid()
        guard user != 0 else { return nil }
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let directory = slash.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(path[..<$0]) } ?? [UInt8(ascii: ".")]
        let status = (try? FileStatus.of(path: path)) ?? (try? FileStatus.of(path: directory))
        guard let owner = status?.owner, owner != user else { return nil }
        return (name(of: owner), name(of: user))
    }

    /// The number if the user has no name.
    static func name(of user: uid_t) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16 << 10) { buffer in
            guard let base = buffer.baseAddress, getpwuid_r(user, &entry, base, buffer.count, &found) == 0,
                found != nil, let name = entry.pw_name
            else { return "\(user)" }
            return String(cString: name)
        }
    }
}
