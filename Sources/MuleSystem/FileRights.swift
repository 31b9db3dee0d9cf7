internal import CLinux
import Glibc

// What a copy takes over of a file besides its content, as `mv` does between file systems: and never more rights.

extension File {
    /// The list of users and groups beyond owner, group and others (acl(5)); the group's bits of the mode are its mask then.
    static let accessList = "system.posix_acl_access"

    /// Gives this file the owner, the group, the extended attributes and the rights of the other one.
    ///
    /// Where the group can't be kept, the rights that it has beyond those of all others go: they would be another group's. An access
    /// control list that can't be kept is refused.
    ///
    /// - Parameter facts: of the other file.
    /// - Throws: `ENOTSUP` where more users could read or write this file than the other one.
    func takeRights(of other: File, _ facts: stat) throws(SystemError) {
        // First, since it takes away what programs may do by their files (capabilities(7)).
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
            // A directory may give its files a list of its own (default ACL), which opens them to others.
            removeAttribute(Self.accessList)
        }
        // Some file systems have the same rights for all files and can't change them (FAT): what counts is what came of it.
        _ = fchmod(descriptor, mode)
        // Who may read or write it: where all files may be executed, data becomes no program by that.
        guard try statusNow().st_mode & ~mode & 0o066 == 0 else { throw SystemError(code: ENOTSUP, call: "fchmod") }
    }

    fileprivate func statusNow() throws(SystemError) -> stat {
        var facts = stat()
        try retryingInterrupts("fstat") { fstat(descriptor, &facts) }
        return facts
    }

    /// Copies the extended attributes, but for the access control list.
    ///
    /// Those that the target can't hold at all are left out, as by `mv`. Where there is only no room for one, there is no copy.
    private func takeAttributes(of other: File) throws(SystemError) {
        for name in try other.attributeNames() where name != Self.accessList {
            do throws(SystemError) {
                guard let value = try other.attribute(name) else { continue }
                try setAttribute(name, value)
            } catch {
                // EPERM, EACCES: security.* and trusted.* may belong to the system alone. EINVAL: a name without a meaning there.
                guard [ENOTSUP, EPERM, EACCES, EINVAL].contains(error.code) else { throw error }
            }
        }
    }

    // MARK: Extended attributes

    /// Empty where the file system has none.
    func attributeNames() throws(SystemError) -> [String] {
        let names = try sized { flistxattr(descriptor, $0?.assumingMemoryBound(to: CChar.self), $1) }
        return (names ?? []).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Nil where the file has none of this name.
    func attribute(_ name: String) throws(SystemError) -> [UInt8]? {
        try sized { fgetxattr(descriptor, name, $0, $1) }
    }

    func setAttribute(_ name: String, _ value: [UInt8]) throws(SystemError) {
        try retryingInterrupts("fsetxattr") { fsetxattr(descriptor, name, value, value.count, 0) }
    }

    private func removeAttribute(_ name: String) {
        _ = fremovexattr(descriptor, name)
    }

    /// Asks how long the answer is, and then for the answer, once more where it has grown meanwhile.
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
                // The file has none, or the file system knows of none.
                case ENODATA, ENOTSUP: return nil
                default: throw error
                }
            }
        }
    }
}

/// Makes a directory and those that lead to it. Each that is made for one of the same name on the way to the original has its owner,
/// its attributes and its rights, so that a file is no more open in it than it was.
///
/// - Throws: `ENOTSUP` where more users could read or write in it than in the original.
package func makeDirectories(path: [UInt8], like original: [UInt8]) throws(SystemError) {
    if (try? FileStatus.of(path: path)) != nil { return }
    let slash = UInt8(ascii: "/")
    guard let end = path.lastIndex(of: slash), end > 0, let other = original.lastIndex(of: slash), other > 0,
        path[end...] == original[other...]
    else { return try makeDirectories(path: path, mode: 0o777) }
    try makeDirectories(path: Array(path[..<end]), like: Array(original[..<other]))
    let name = try cString(path, "mkdir")
    guard mkdir(name, 0o700) == 0 else {
        // Another job has just made it.
        if errno == EEXIST { return }
        throw SystemError.current("mkdir")
    }
    do throws(SystemError) {
        let model = try File.open(path: original, flags: O_RDONLY | O_DIRECTORY)
        var facts = try model.statusNow()
        // Its user is to write to it, though nothing may be written any more where the file came from.
        facts.st_mode |= 0o700
        try File.open(path: path, flags: O_RDONLY | O_DIRECTORY).takeRights(of: model, facts)
    } catch {
        rmdir(name)
        throw error
    }
}
