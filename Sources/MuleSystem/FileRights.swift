internal import CLinux
import Glibc

// What a copy keeps of a file besides its content, as `mv` does between file systems. It never gets more permissions.

extension File {
    /// The access control list (acl(5)). With it, the group bits of the mode are the list's mask.
    static let accessList = "system.posix_acl_access"

    /// Gives this file the owner, group, extended attributes and permissions of another file.
    ///
    /// If the group cannot be kept, the group bits are reduced to those of "others", because they would apply to
    /// another group. A file with an access control list that cannot be kept is refused.
    ///
    /// - Parameter facts: the other file's status.
    /// - Throws: `ENOTSUP` if more users could read or write this file than the other one.
    func takeRights(of other: File, _ facts: stat) throws(SystemError) {
        // First, because chown clears the file's capabilities (capabilities(7)).
        if fchown(descriptor, facts.st_uid, facts.st_gid) != 0 { _ = fchown(descriptor, uid_t.max, facts.st_gid) }
        try takeAttributes(of: other)
        let list = try other.attribute(Self.accessList)
        let new = try statusNow()
        var mode = facts.st_mode & 0o7777
        if new.st_uid != facts.st_uid { mode &= ~0o4000 }
        if new.st_gid != facts.st_gid {
            guard list == nil else { throw SystemError(code: ENOTSUP, call: "fchown") }
            mode &= ~0o2070 | (mode & 0o007) << 3
        }
        if let list {
            try setAttribute(Self.accessList, list)
        } else {
            // The directory's default ACL may open its files to others.
            removeAttribute(Self.accessList)
        }
        // Some file systems (FAT) have fixed permissions for all files, so only the resulting mode counts.
        _ = fchmod(descriptor, mode)
        // Only read and write permissions: where all files are executable, the bit gives no access.
        guard try statusNow().st_mode & ~mode & 0o066 == 0 else { throw SystemError(code: ENOTSUP, call: "fchmod") }
    }

    fileprivate func statusNow() throws(SystemError) -> stat {
        var facts = stat()
        try retryingInterrupts("fstat") { fstat(descriptor, &facts) }
        return facts
    }

    /// Copies the extended attributes, except the access control list.
    ///
    /// Attributes that the target does not support are skipped, as by `mv`. If only the space is missing, the copy
    /// fails.
    private func takeAttributes(of other: File) throws(SystemError) {
        for name in try other.attributeNames() where name != Self.accessList {
            do throws(SystemError) {
                guard let value = try other.attribute(name) else { continue }
                try setAttribute(name, value)
            } catch {
                // EPERM, EACCES: security.* and trusted.* may be restricted. EINVAL: the name has no meaning there.
                guard [ENOTSUP, EPERM, EACCES, EINVAL].contains(error.code) else { throw error }
            }
        }
    }

    // MARK: Extended attributes

    /// Empty if the file system has no attributes.
    func attributeNames() throws(SystemError) -> [String] {
        let names = try sized { flistxattr(descriptor, $0?.assumingMemoryBound(to: CChar.self), $1) }
        return (names ?? []).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Nil if the file has no attribute of this name.
    func attribute(_ name: String) throws(SystemError) -> [UInt8]? {
        try sized { fgetxattr(descriptor, name, $0, $1) }
    }

    func setAttribute(_ name: String, _ value: [UInt8]) throws(SystemError) {
        try retryingInterrupts("fsetxattr") { fsetxattr(descriptor, name, value, value.count, 0) }
    }

    private func removeAttribute(_ name: String) {
        _ = fremovexattr(descriptor, name)
    }

    /// Asks for the length, then for the value, and repeats if the value has grown since.
    private func sized(_ call: (UnsafeMutableRawPointer?, Int) -> Int) throws(SystemError) -> [UInt8]? {
        while true {
            do throws(SystemError) {
                let length = try retryingInterrupts("getxattr") { call(nil, 0) }
                guard length > 0 else { return [] }
                let room = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 1)
                defer { room.deallocate() }
                let count = try retryingInterrupts("getxattr") { call(room.baseAddress, room.count) }
                return Array(room[..<count])
            } catch {
                switch error.code {
                case ERANGE: continue
                // The file has no such attribute, or the file system has none at all.
                case ENODATA, ENOTSUP: return nil
                default: throw error
                }
            }
        }
    }
}

/// Creates a directory and its missing parents. As long as their names match the path of the original, each gets the
/// owner, attributes and permissions of its counterpart, so that files in it are no more accessible than before.
///
/// - Throws: `ENOTSUP` if more users could read or write in it than in the original.
package func makeDirectories(path: [UInt8], like original: [UInt8]) throws(SystemError) {
    if (try? FileStatus.of(path: path)) != nil { return }
    let slash = UInt8(ascii: "/")
    guard let end = path.lastIndex(of: slash), end > 0, let other = original.lastIndex(of: slash), other > 0,
        path[end...] == original[other...]
    else { return try makeDirectories(path: path, mode: 0o777) }
    try makeDirectories(path: Array(path[..<end]), like: Array(original[..<other]))
    let name = try cString(path, "mkdir")
    guard mkdir(name, 0o700) == 0 else {
        // Another job has just created it.
        if errno == EEXIST { return }
        throw SystemError.current("mkdir")
    }
    do throws(SystemError) {
        let model = try File.open(path: original, flags: O_RDONLY | O_DIRECTORY)
        var facts = try model.statusNow()
        // Its owner must be able to write to it, even if the original is read-only.
        facts.st_mode |= 0o700
        try File.open(path: path, flags: O_RDONLY | O_DIRECTORY).takeRights(of: model, facts)
    } catch {
        rmdir(name)
        throw error
    }
}
