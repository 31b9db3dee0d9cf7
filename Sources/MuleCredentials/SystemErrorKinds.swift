import Glibc
import MuleSystem

extension SystemError {
    var isNoSuchFile: Bool { code == ENOENT || code == ENOTDIR }
    var isNoPermission: Bool { code == EACCES }
    var isTooBig: Bool { code == EFBIG }
}
