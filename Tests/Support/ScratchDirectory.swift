import Glibc

/// A directory for a test under `TMPDIR` (or `/tmp`), or at a chosen path; removed with its content when the last
/// reference goes.
package final class ScratchDirectory: Sendable {
    /// Absolute path without a trailing slash.
    package let path: String

    package init(_ label: String = "mule-test", in directory: String? = nil) {
        let parent = directory ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/\(label).XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            fatalError("mkdtemp in \(parent): \(String(cString: strerror(errno)))")
        }
        let made = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let resolved = realpath(made, nil)
        path = resolved.map { String(cString: $0) } ?? made
        free(resolved)
    }

    deinit {
        Self.remove(Array(path.utf8))
    }

    /// Removes a file, or a directory with all it holds. Names are bytes: they need not be UTF-8.
    private static func remove(_ path: [UInt8]) {
        let name = path.map { CChar(bitPattern: $0) } + [0]
        var facts = stat()
        guard lstat(name, &facts) == 0 else { return }
        if facts.st_mode & S_IFMT == S_IFDIR {
            // A test may have taken away the rights that are needed to look into it.
            chmod(name, 0o700)
            for entry in entries(of: name) { remove(path + [UInt8(ascii: "/")] + entry) }
        }
        Glibc.remove(name)
    }

    private static func entries(of directory: [CChar]) -> [[UInt8]] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != Array(".".utf8) && name != Array("..".utf8) { names.append(name) }
        }
        return names
    }

    /// The absolute path of `name` inside the directory; nothing is created.
    package func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes a directory and its parents.
    @discardableResult
    package func makeDirectory(_ name: String) throws(FileFailure) -> String {
        var partial = path
        for component in name.split(separator: "/") {
            partial += "/\(component)"
            if mkdir(partial, 0o755) != 0 && errno != EEXIST { throw FileFailure("mkdir", partial) }
        }
        return partial
    }

    /// Writes a file (its directory is made when missing) and returns its path.
    @discardableResult
    package func write(_ bytes: [UInt8], to name: String) throws(FileFailure) -> String {
        let file = try create(name)
        defer { close(file.descriptor) }
        var failure: FileFailure?
        bytes.withUnsafeBytes { bytes in
            do throws(FileFailure) { try file.append(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        return file.path
    }

    @discardableResult
    package func write(_ text: String, to name: String) throws(FileFailure) -> String {
        try write(Array(text.utf8), to: name)
    }

    /// Writes `count` bytes drawn from `SeededRandom(seed:)`.
    @discardableResult
    package func writeRandom(_ name: String, count: Int64, seed: UInt64 = 1) throws(FileFailure) -> String {
        let file = try create(name)
        defer { close(file.descriptor) }
        var random = SeededRandom(seed: seed)
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { block.deallocate() }
        var left = count
        while left > 0 {
            let piece = UnsafeMutableRawBufferPointer(rebasing: block[..<Int(min(left, Int64(block.count)))])
            random.fill(piece)
            try file.append(UnsafeRawBufferPointer(piece))
            left -= Int64(piece.count)
        }
        return file.path
    }

    /// Makes a file of `size` bytes without writing any: all zeros, no blocks on disk.
    @discardableResult
    package func makeSparse(_ name: String, size: Int64) throws(FileFailure) -> String {
        let file = try create(name)
        defer { close(file.descriptor) }
        guard ftruncate(file.descriptor, Int(size)) == 0 else { throw FileFailure("ftruncate", file.path) }
        return file.path
    }

    package func read(_ name: String) throws(FileFailure) -> [UInt8] { try Files.read(path(name)) }

    private func create(_ name: String) throws(FileFailure) -> OpenFile {
        if let slash = name.lastIndex(of: "/") { try makeDirectory(String(name[..<slash])) }
        let full = path(name)
        let descriptor = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileFailure("open", full) }
        return OpenFile(path: full, descriptor: descriptor)
    }

    private struct OpenFile {
        let path: String
        let descriptor: Int32

        func append(_ bytes: UnsafeRawBufferPointer) throws(FileFailure) {
            var left = bytes[...]
            while !left.isEmpty {
                let rest = UnsafeRawBufferPointer(rebasing: left)
                let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
                guard written > 0 else { throw FileFailure("write", path) }
                left = left.dropFirst(written)
            }
        }
    }
}

/// A failed call on a file of a test.
package struct FileFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ call: String, _ path: String) { description = "\(call) \(path): \(String(cString: strerror(errno)))" }
}
