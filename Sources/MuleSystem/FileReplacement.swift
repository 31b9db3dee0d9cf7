internal import CLinux
import Glibc

/// Replaces a file atomically: readers see the old content or the new one, also after a power cut.
package func replaceFile(path: [UInt8], with content: [UInt8], mode: UInt32) throws(SystemError) {
    // mkostemp's template. In the target's directory, because rename(2) works only within one file system.
    var name = (path + Array(".XXXXXX".utf8)).map { CChar(bitPattern: $0) } + [0]
    let descriptor = try retryingInterrupts("mkostemp") { mule_temporary_file(&name) }
    do throws(SystemError) {
        let file = File(descriptor: descriptor)
        try retryingInterrupts("fchmod") { fchmod(descriptor, mode) }
        var failure: SystemError?
        content.withUnsafeBytes { bytes in
            do throws(SystemError) { try file.write(bytes, at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        try retryingInterrupts("fsync") { fsync(descriptor) }
        let target = path.map { CChar(bitPattern: $0) } + [0]
        try retryingInterrupts("rename") { rename(name, target) }
    } catch {
        unlink(name)
        throw error
    }
    try syncDirectory(of: path)
}

/// Creates a file with this content. It gets its name after its content is on disk, so no reader and no power cut sees a
/// part of it, and a kill leaves nothing behind. The name is durable after a sync of the directory.
///
/// - Parameter beforeNaming: called when the content is on disk.
/// - Returns: false if the name is taken.
/// - Throws: `EOPNOTSUPP` or `EISDIR` if the file system has no unnamed files, `ENOENT` if there is no /proc.
package func createFile(
    path: [UInt8],
    with content: [UInt8],
    mode: UInt32,
    beforeNaming: () throws(SystemError) -> Void = {}
) throws(SystemError) -> Bool {
    let name = try cString(path, "link")
    let flags = mule_unnamed | O_DIRECTORY | O_RDWR
    let file = try File.open(path: parentDirectory(of: path), flags: flags, mode: mode)
    try file.write(content, at: 0)
    try retryingInterrupts("fsync") { fsync(file.descriptor) }
    try beforeNaming()
    do {
        // open(2), O_TMPFILE: without a capability only the name in /proc can be linked.
        let unnamed = try cString(Array("/proc/self/fd/\(file.descriptor)".utf8), "link")
        try retryingInterrupts("link") { linkat(AT_FDCWD, unnamed, AT_FDCWD, name, AT_SYMLINK_FOLLOW) }
    } catch {
        guard error.code == EEXIST else { throw error }
        return false
    }
    // btrfs syncs nothing of a file without a name, and a later sync of its directory would leave it empty.
    if try !FileSystem.syncsUnnamedFiles(path: path) { try retryingInterrupts("fsync") { fsync(file.descriptor) } }
    return true
}
