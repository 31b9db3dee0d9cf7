internal import CLinux
import Glibc

/// Whether the file is itself a mount point, so that files created in its directory are not next to the original.
/// `docker run -v FILE:FILE`, a Kubernetes `subPath` and `mount --bind FILE FILE` do this. False if the system does not
/// tell.
package func isMountedAlone(_ path: [UInt8]) -> Bool {
    guard let name = try? cString(path, "statx") else { return false }
    let answer = mule_is_mount_root(name)
    if answer >= 0 { return answer == 1 }
    let directory = parentDirectory(of: path)
    guard let mine = mountNumber(path), let theirs = mountNumber(directory) else { return false }
    return mine != theirs
}

/// From proc_pid_fdinfo(5), Linux 3.15; nil if /proc does not tell. Closing an `O_PATH` descriptor drops no locks of
/// the file.
private func mountNumber(_ path: [UInt8]) -> Substring? {
    let pathOnly: Int32 = 0o10000000  // O_PATH, which <fcntl.h> declares with _GNU_SOURCE only.
    guard let file = try? File.open(path: path, flags: pathOnly),
        let text = try? File.contents(path: Array("/proc/self/fdinfo/\(file.descriptor)".utf8), limit: 4096)
    else { return nil }
    let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
    return line?.dropFirst("mnt_id:".utf8.count)
}

/// Why no file can be created and written in the directory of a path; nil if it works. Creates, writes, syncs and
/// removes one to find out.
///
/// SQLite reports only that it cannot open a file: it retries read-only, and keeps the error of that
/// (https://sqlite.org/src/file/src/os_unix.c, `unixOpen`).
package func obstacleToNewFile(nextTo path: [UInt8]) -> SystemError? {
    do {
        let file = try File.openNameless(directory: parentDirectory(of: path))
        try file.write([UInt8](repeating: 0x6D, count: 16 << 10), at: 0)
        try retryingInterrupts("fsync") { fsync(file.descriptor) }
        return nil
    } catch {
        return error
    }
}
