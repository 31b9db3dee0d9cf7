import Glibc

/// Whose files they are.
package enum Ownership {
    /// The owner of a file, and the user that this process runs as, where they are not the same; of its directory where there is
    /// no file. Root may use the files of all.
    package static func difference(at path: [UInt8]) -> (owner: String, user: String)? {
        let user = geteuid()
        guard user != 0 else { return nil }
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let directory = slash.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(path[..<$0]) } ?? [UInt8(ascii: ".")]
        let status = (try? FileStatus.of(path: path)) ?? (try? FileStatus.of(path: directory))
        guard let owner = status?.owner, owner != user else { return nil }
        return (name(of: owner), name(of: user))
    }

    /// The number where the user has no name.
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
