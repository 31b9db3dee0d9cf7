import Glibc
import MulePlan
import MuleSystem
package import MuleUpload

/// What must exist before a job touches anything (`requireMount`): mount points, and files that mark the right disk.
package enum RequiredMounts {
    /// - Parameter paths: absolute.
    package static func failure(of paths: [[UInt8]]) -> UploadFailure? {
        for path in paths {
            if let reason = reason(path) {
                return UploadFailure(
                    .source,
                    "\(LossyUTF8.string(path)), which requireMount names, \(reason). Mount its disk and run the job "
                        + "again.",
                    isResumable: true
                )
            }
        }
        return nil
    }

    private static func reason(_ path: [UInt8]) -> String? {
        do throws(SystemError) {
            let status = try FileStatus.of(path: path)
            guard status.kind == .directory else { return nil }
            return try isMountPoint(path) ? nil : "is a directory that is not a mount point"
        } catch {
            return error.code == ENOENT || error.code == ENOTDIR
                ? "does not exist" : "cannot be checked: \(error.reason)"
        }
    }
}
