import Glibc
package import MuleSystem

/// The names in a directory, sorted by bytes, in one block of memory: a directory may have a million of them.
package struct DirectoryNames {
    private var bytes: [UInt8] = []
    /// Where names start in `bytes`; each ends with a NUL.
    private var starts: [Int] = []

    package init(of directory: [UInt8]) throws(SystemError) {
        let path = directory.map { CChar(bitPattern: $0) } + [0]
        guard let stream = opendir(path) else { throw SystemError.current("opendir") }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 { return }
                    starts.append(bytes.count)
                    bytes.append(contentsOf: UnsafeRawBufferPointer(start: name, count: strnlen(name, 255)))
                    bytes.append(0)
                }
            }
        }
        // A partly read directory must not be taken for all of it.
        if errno != 0 { throw SystemError.current("readdir") }
        bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            starts.sort { left, right in
                base.withMemoryRebound(to: CChar.self, capacity: bytes.count) { strcmp($0 + left, $0 + right) < 0 }
            }
        }
    }

    package var count: Int { starts.count }

    package subscript(index: Int) -> ArraySlice<UInt8> { bytes[starts[index]...].prefix { $0 != 0 } }
}
