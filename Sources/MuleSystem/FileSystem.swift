internal import CLinux
import Glibc

/// The file system of a file: a local one, or one that other machines may write to as well.
package struct FileSystem: Hashable, Sendable {
    /// As `mount` shows it, such as "nfs"; "local" for a disk of this machine.
    package var name: String
    /// Whether other machines may have the same files open. Shared memory does not reach them, locks may.
    package var isShared: Bool
    /// Bytes that this user may still write, without regard to quotas.
    package var available: Int64
    /// Whether overwriting needs new space, unless the file is exempt (`File.writeInPlace`).
    package var copiesOnWrite: Bool

    package init(name: String, isShared: Bool, available: Int64, copiesOnWrite: Bool = false) {
        self.name = name
        self.isShared = isShared
        self.available = available
        self.copiesOnWrite = copiesOnWrite
    }

    /// The file system of an existing file or directory.
    package static func of(path: [UInt8]) throws(SystemError) -> FileSystem {
        var facts = statfs()
        let name = path.map { CChar(bitPattern: $0) } + [0]
        try retryingInterrupts("statfs") { mule_statfs(name, &facts) }
        // `f_type` is a signed word of 32 or 64 bits, depending on the machine.
        let type = UInt32(truncatingIfNeeded: facts.f_type)
        let shared = sharedTypes[type]
        let (bytes, overflows) = Int64(clamping: facts.f_bavail).multipliedReportingOverflow(by: Int64(facts.f_bsize))
        return FileSystem(
            name: shared ?? "local",
            isShared: shared != nil,
            available: overflows ? .max : bytes,
            copiesOnWrite: copyingTypes.contains(type)
        )
    }

    /// Whether fsync(2) writes a file that has no name yet (O_TMPFILE): known of ext4, XFS and tmpfs. btrfs does not before
    /// Linux 6.15 (commit 5e85262e542d), also below overlayfs.
    static func syncsUnnamedFiles(path: [UInt8]) throws(SystemError) -> Bool {
        var facts = statfs()
        let name = try cString(path, "statfs")
        try retryingInterrupts("statfs") { mule_statfs(name, &facts) }
        return [0xEF53, 0x5846_5342, 0x0102_1994].contains(UInt32(truncatingIfNeeded: facts.f_type))
    }

    /// btrfs and bcachefs.
    private static let copyingTypes: Set<UInt32> = [0x9123_683E, 0xCA45_1A4E]

    /// statfs(2) and linux/magic.h. FUSE does not tell what is behind it, which is often another machine (sshfs,
    /// GlusterFS, s3fs).
    private static let sharedTypes: [UInt32: String] = [
        0x6969: "nfs", 0x517B: "smb", 0xFE53_4D42: "smb", 0xFF53_4D42: "cifs", 0x564C: "ncp", 0x5346_414F: "afs",
        0x6B41_4653: "afs", 0x7375_7245: "coda", 0x00C3_6400: "ceph", 0x0102_1997: "9p", 0x0BD0_0BD0: "lustre",
        0x4750_4653: "gpfs", 0x7461_636F: "ocfs2", 0x0116_1970: "gfs2", 0x6573_5546: "fuse", 0x1983_0326: "beegfs",
        0xAAD7_AAEA: "panfs", 0x786F_4256: "vboxsf",
    ]
}

/// Identifies a file system, as far as possible, across mounts and reboots.
package struct FileSystemIdentity: Hashable, Sendable {
    /// From `stat`. Some file systems get a new number at each mount; another disk in the same slot may get the same
    /// one.
    package var device: UInt64
    /// The file system's own ID (`f_fsid`); 0 if it has none.
    package var number: UInt64

    package init(device: UInt64, number: UInt64) {
        self.device = device
        self.number = number
    }

    /// For an existing file or directory.
    package static func of(path: [UInt8]) throws(SystemError) -> FileSystemIdentity {
        let device = try FileStatus.of(path: path).device
        var facts = statfs()
        let name = try cString(path, "statfs")
        try retryingInterrupts("statfs") { mule_statfs(name, &facts) }
        return FileSystemIdentity(device: device, number: mule_file_system_id(&facts))
    }

    package func isSame(as other: FileSystemIdentity) -> Bool {
        number != 0 && other.number != 0 ? number == other.number : device == other.device
    }
}

/// Whether this directory is a mount point, of a disk or of another directory (bind mount).
package func isMountPoint(_ path: [UInt8]) throws(SystemError) -> Bool {
    let name = try cString(path, "statx")
    let answer = mule_is_mount_root(name)
    if answer >= 0 { return answer == 1 }
    let here = try FileStatus.of(path: path)
    let above = try FileStatus.of(path: path + Array("/..".utf8))
    return here.device != above.device || here.inode == above.inode
}
