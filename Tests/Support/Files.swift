import Glibc

/// What tests do to files in place: read, damage, age.
package enum Files {
    /// The whole file.
    package static func read(_ path: String) throws(FileFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("open", path) }
        defer { close(descriptor) }
        var content: [UInt8] = []
        while true {
            var failed = false
            let piece = [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
                let got = Glibc.read(descriptor, buffer.baseAddress, 1 << 20)
                failed = got < 0
                count = max(got, 0)
            }
            if failed { throw FileFailure("read", path) }
            if piece.isEmpty { return content }
            content += piece
        }
    }

    /// The names in a directory but `.` and `..`, sorted.
    package static func names(in directory: String) throws(FileFailure) -> [String] {
        guard let stream = opendir(directory) else { throw FileFailure("opendir", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Whether a path is there (a dangling symbolic link counts).
    package static func exists(_ path: String) -> Bool {
        var facts = stat()
        return lstat(path, &facts) == 0
    }

    /// Size in bytes.
    package static func size(_ path: String) throws(FileFailure) -> Int64 {
        var facts = stat()
        guard stat(path, &facts) == 0 else { throw FileFailure("stat", path) }
        return Int64(facts.st_size)
    }

    /// What a symbolic link holds.
    package static func target(ofLink path: String) throws(FileFailure) -> String {
        let capacity = Int(PATH_MAX)
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            count = buffer.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { max(0, readlink(path, $0, capacity)) } ?? 0
            }
        }
        guard !bytes.isEmpty else { throw FileFailure("readlink", path) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes bytes at an offset in place, as a careless program would: the inode stays, the modification time moves.
    package static func overwrite(_ path: String, at offset: Int64, with bytes: [UInt8]) throws(FileFailure) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("open", path) }
        defer { close(descriptor) }
        let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, Int(offset)) }
        guard written == bytes.count else { throw FileFailure("pwrite", path) }
    }

    /// Cuts or grows the file in place.
    package static func truncate(_ path: String, to size: Int64) throws(FileFailure) {
        guard Glibc.truncate(path, Int(size)) == 0 else { throw FileFailure("truncate", path) }
    }

    /// Sets the modification time; the access time stays.
    package static func setModificationTime(
        _ path: String,
        seconds: Int64,
        nanoseconds: Int64 = 0
    ) throws(FileFailure) {
        // UTIME_OMIT of utimensat(2), a macro that Swift does not import.
        let keep = timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)
        let times = [keep, timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))]
        guard utimensat(AT_FDCWD, path, times, 0) == 0 else { throw FileFailure("utimensat", path) }
    }

    package static func setMode(_ path: String, _ mode: UInt32) throws(FileFailure) {
        guard chmod(path, mode) == 0 else { throw FileFailure("chmod", path) }
    }

    /// The permission bits.
    package static func mode(_ path: String) -> UInt32? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }

    package static func remove(_ path: String) throws(FileFailure) {
        guard Glibc.remove(path) == 0 else { throw FileFailure("remove", path) }
    }
}
