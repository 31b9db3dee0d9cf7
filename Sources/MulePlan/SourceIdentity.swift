/// Which file, in which state: what an upload belongs to.
package struct SourceIdentity: Hashable, Sendable {
    /// Canonical path, any bytes but NUL.
    package var path: [UInt8]
    package var device: UInt64
    package var inode: UInt64
    package var size: Int64
    /// Nanoseconds since 1970.
    package var modificationTime: Int64

    package init(path: [UInt8], device: UInt64, inode: UInt64, size: Int64, modificationTime: Int64) {
        self.path = path
        self.device = device
        self.inode = inode
        self.size = size
        self.modificationTime = modificationTime
    }

    /// What tells this file from the one it was before.
    package func changes(since before: SourceIdentity) -> [SourceChange] {
        var changes: [SourceChange] = []
        if size != before.size { changes.append(.size(before: before.size, now: size)) }
        if modificationTime != before.modificationTime {
            changes.append(.modificationTime(before: before.modificationTime, now: modificationTime))
        }
        if inode != before.inode { changes.append(.inode(before: before.inode, now: inode)) }
        if device != before.device { changes.append(.device) }
        return changes
    }

    /// Whether the file may have been changed after the moment, in milliseconds since 1970, without its time having moved.
    ///
    /// Some file systems count whole seconds (ext3, HFS+, old NFS servers), FAT every other one. A write that follows a
    /// look within the same unit leaves the time as it was. Git calls such files "racily clean" and compares their content.
    /// A time far in the future was set by somebody, and no write brings it back.
    package func mayHideChanges(since moment: Int64) -> Bool {
        let isWholeSecond = modificationTime % 1_000_000_000 == 0
        return isWholeSecond && (-Self.largestSkew..<Self.coarsestTime).contains(moment - modificationTime / 1_000_000)
    }

    /// Milliseconds.
    private static let coarsestTime: Int64 = 2000

    /// Milliseconds by which the clock of a file server may be ahead.
    private static let largestSkew: Int64 = 86_400_000
}

/// What an upload is made of that can be read once, from front to back.
package enum StreamSource: String, Hashable, Sendable, CaseIterable {
    case standardInput = "-"
    /// What a command prints. The command itself is kept nowhere: there may be passwords in it.
    case command = "stdin-command"

    /// What stands for a path in messages and events; nil for standard input.
    package var name: [UInt8]? { self == .standardInput ? nil : Array(rawValue.utf8) }
}

/// What is borne of a source that changes while it is sent.
package enum ChangingSource: String, Hashable, Sendable, CaseIterable {
    /// Nothing: the object is the file as it was at one moment, or there is none.
    case refuse
    /// Growth, as of a log that others write to: the size first seen is sent.
    case snapshotSize = "snapshot-size"

    /// The changes that are not borne.
    ///
    /// A file system's number alone is none: it changes from boot to boot. It proves nothing either, so that content must
    /// be compared where it is all that differs.
    package func offences(in changes: [SourceChange]) -> [SourceChange] {
        changes.filter { change in
            switch (change, self) {
            case (.device, _), (.modificationTime, .snapshotSize): false
            case (.size(let before, let now), .snapshotSize): now < before
            case (.size, .refuse), (.modificationTime, .refuse), (.inode, _): true
            }
        }
    }
}

package enum SourceChange: Hashable, Sendable {
    case size(before: Int64, now: Int64)
    case modificationTime(before: Int64, now: Int64)
    /// Another file stands under the same path.
    case inode(before: UInt64, now: UInt64)
    /// The file system has another number. Numbers of file systems change from boot to boot, so that alone is no sign
    /// of another content, but no proof of the same one either.
    case device
}
