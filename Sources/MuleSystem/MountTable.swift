import Glibc

/// The mounts of this process. They show that two paths lead to one directory: a bind mount gives a directory a second
/// name, without a symbolic link. proc(5), /proc/self/mountinfo.
package struct MountTable: Sendable {
    private struct Mount: Sendable {
        /// Major and minor number.
        var device: [UInt8]
        /// The directory within the file system that is mounted, and the mount point.
        var root: [UInt8]
        var point: [UInt8]
    }

    /// A path within its file system.
    private struct Place: Hashable {
        var device: [UInt8]
        var path: [UInt8]
    }

    private let mounts: [Mount]

    private static let slash = UInt8(ascii: "/")

    /// Empty if the kernel does not tell: then only the paths are compared.
    package static func current() -> MountTable {
        MountTable((try? File.contents(path: Array("/proc/self/mountinfo".utf8), limit: 16 << 20)) ?? [])
    }

    /// - Parameter text: lines of mountinfo.
    package init(_ text: [UInt8]) {
        mounts = text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard words.count == 6 else { return nil }
            return Mount(device: Array(words[2]), root: Self.unescaped(words[3]), point: Self.unescaped(words[4]))
        }
    }

    /// Whether a path is a directory or lies in it, under any of their names.
    ///
    /// - Parameters:
    ///   - path: canonical, as far as it exists.
    ///   - directory: canonical.
    package func isBelow(_ path: [UInt8], _ directory: [UInt8]) -> Bool {
        if Self.inner(path, of: directory) != nil { return true }
        guard let target = place(of: path) else { return false }
        // What the directory contains: its own file system, and those mounted below it.
        let shown = [place(of: directory)] + mounts.filter { Self.inner($0.point, of: directory) != nil }.map(place)
        return shown.contains { place in
            place.map { $0.device == target.device && Self.inner(target.path, of: $0.path) != nil } ?? false
        }
    }

    private func place(_ mount: Mount) -> Place? { Place(device: mount.device, path: mount.root) }

    /// Of mounts with the longest matching path, the last one is on top.
    private func place(of path: [UInt8]) -> Place? {
        var best: (mount: Mount, rest: [UInt8])?
        for mount in mounts {
            guard let rest = Self.inner(path, of: mount.point) else { continue }
            if mount.point.count >= best?.mount.point.count ?? 0 { best = (mount, rest) }
        }
        return best.map { Place(device: $0.mount.device, path: Self.joined($0.mount.root, $0.rest)) }
    }

    /// The path relative to a directory, without a slash at its start; nil if it lies elsewhere.
    private static func inner(_ path: [UInt8], of directory: [UInt8]) -> [UInt8]? {
        if path == directory { return [] }
        let beginning = directory == [slash] ? directory : directory + [slash]
        return path.starts(with: beginning) ? Array(path.dropFirst(beginning.count)) : nil
    }

    private static func joined(_ directory: [UInt8], _ rest: [UInt8]) -> [UInt8] {
        rest.isEmpty ? directory : (directory == [slash] ? [] : directory) + [slash] + rest
    }

    /// Spaces, tabs, line feeds and backslashes are written as three octal digits.
    private static func unescaped(_ word: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = word
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
                bytes.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 * 8 + Int($1 - 0x30) }))
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}
