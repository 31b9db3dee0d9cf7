import MuleSources
import MuleSystem

/// What a job finds below its source.
extension Selection {
    /// Whether files moved to the target would be archived again: it is in the source, under any name, and not
    /// excluded.
    ///
    /// - Parameters:
    ///   - target: canonical, as far as it exists.
    ///   - source: canonical.
    func meets(_ target: [UInt8], in source: [UInt8], _ mounts: MountTable) -> Bool {
        if let inner = Self.path(target, below: source) { return inner.isEmpty || !leavesOut(inner) }
        // A bind mount shows a directory under another name.
        return mounts.isBelow(target, source)
    }

    /// Whether the path below the source, or a directory that leads to it, is excluded.
    func leavesOut(_ path: [UInt8]) -> Bool {
        let ends = path.indices.filter { path[$0] == UInt8(ascii: "/") } + [path.endIndex]
        return ends.contains { excludes(Array(path[..<$0]), isDirectory: true) }
    }

    /// The path below a directory; nil if it is elsewhere.
    static func path(_ path: [UInt8], below directory: [UInt8]) -> [UInt8]? {
        let slash = UInt8(ascii: "/")
        if path == directory { return [] }
        let beginning = directory == [slash] ? directory : directory + [slash]
        return path.starts(with: beginning) ? Array(path.dropFirst(beginning.count)) : nil
    }
}
