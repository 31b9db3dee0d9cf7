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
