/// Which file, in which state: what an upload belongs to.
///
/// Size and modification time say whether it is another content. Device, inode and change time say only that the content
/// must be compared: many file systems give other numbers at each mount, and a change time moves with each name and each
/// permission.
package struct SourceIdentity: Hashable, Sendable {
    /// Canonical path, any bytes but NUL.
    package var path: [UInt8]
    package var device: UInt64
    package var inode: UInt64
    package var size: Int64
    /// Nanoseconds since 1970.
    package var modificationTime: Int64
    /// When anything of the file was changed last, in nanoseconds since 1970. No program can set it. Nil where it is not
    /// known.
    package var changeTime: Int64?

    package init(
        path: [UInt8],
        device: UInt64,
        inode: UInt64,
        size: Int64,
        modificationTime: Int64,
        changeTime: Int64? = nil
    ) {
        self.path = path
        self.device = device
        self.inode = inode
        self.size = size
        self.modificationTime = modificationTime
        self.changeTime = changeTime
    }

    /// What tells this file from the one it was before.
    package func changes(since before: SourceIdentity) -> [SourceChange] {
        var changes: [SourceChange] = []
        if size != before.size { changes.append(.size(before: before.size, now: size)) }
        if modificationTime != before.modificationTime {
            changes.append(.modificationTime(before: before.modificationTime, now: modificationTime))
        } else if changeTime != before.changeTime, size == before.size {
            // What another size or modification time implies is not told twice.
            changes.append(.changeTime)
        }
        if inode != before.inode { changes.append(.inode(before: before.inode, now: inode)) }
        if device != before.device { changes.append(.device) }
        return changes
    }

    /// What this look at the file and an earlier one say together.
    ///
    /// - Parameters:
    ///   - changing: what may change.
    ///   - moment: of the earlier look, in milliseconds since 1970; nil where no clock could hide a change.
    package func verdict(
        since before: SourceIdentity,
        changing: ChangingSource = .refuse,
        lookedAt moment: Int64? = nil
    ) -> SourceVerdict {
        let changes = changes(since: before)
        let offences = changing.offences(in: changes)
        guard offences.isEmpty else { return .changed(offences) }
        return changes.isEmpty && before.showsChanges(since: moment) ? .same : .compare(changes)
    }

    /// Whether a change after the moment shows in the times.
    private func showsChanges(since moment: Int64?) -> Bool {
        guard let moment else { return true }
        // A write moves the change time, whatever becomes of the other.
        return !Self.mayHideChanges(changeTime ?? modificationTime, since: moment)
    }

    /// Whether the file may have been changed after the moment, in milliseconds since 1970, without its time having moved.
    ///
    /// Some file systems count whole seconds (ext3, HFS+, old NFS servers), FAT every other one. A write that follows a
    /// look within the same unit leaves the time as it was. Git calls such files "racily clean" and compares their content.
    /// A time far in the future was set by somebody, and no write brings it back.
    package func mayHideChanges(since moment: Int64) -> Bool {
        Self.mayHideChanges(modificationTime, since: moment)
    }

    private static func mayHideChanges(_ time: Int64, since moment: Int64) -> Bool {
        let isWholeSecond = time % 1_000_000_000 == 0
        return isWholeSecond && (-largestSkew..<coarsestTime).contains(moment - time / 1_000_000)
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

/// What two looks at a file say of its content.
package enum SourceVerdict: Hashable, Sendable {
    /// Nothing differs by which a change would show.
    case same
    /// The facts can't tell: the content must be compared with what is on record.
    case compare([SourceChange])
    /// Another content.
    case changed([SourceChange])

    package var isChanged: Bool { if case .changed = self { true } else { false } }
}

/// What is borne of a source that changes while it is sent.
package enum ChangingSource: String, Hashable, Sendable, CaseIterable {
    /// Nothing: the object is the file as it was at one moment, or there is none.
    case refuse
    /// Growth, as of a log that others write to: the size first seen is sent.
    case snapshotSize = "snapshot-size"

    /// Whether the change is one that the policy means, so that no comparison is needed for it.
    package func allows(_ change: SourceChange) -> Bool {
        switch (change, self) {
        case (.size(let before, let now), .snapshotSize): now >= before
        case (.modificationTime, .snapshotSize): true
        default: false
        }
    }

    /// The changes that mean another content and are not allowed.
    package func offences(in changes: [SourceChange]) -> [SourceChange] {
        changes.filter { change in
            switch (change, self) {
            case (.device, _), (.inode, _), (.changeTime, _), (.modificationTime, .snapshotSize): false
            case (.size(let before, let now), .snapshotSize): now < before
            case (.size, .refuse), (.content, _): true
            case (.modificationTime(let before, let now), .refuse): !SourceChange.isOtherZone(before, now)
            }
        }
    }
}

package enum SourceChange: Hashable, Sendable {
    case size(before: Int64, now: Int64)
    case modificationTime(before: Int64, now: Int64)
    /// Another file stands under the same path.
    case inode(before: UInt64, now: UInt64)
    /// Something of the file was changed: its content, a name, its permissions or its times.
    case changeTime
    /// The bytes are others, as a comparison has shown.
    case content
    /// The file system has another number. Numbers of file systems change from boot to boot, so that alone is no sign
    /// of another content, but no proof of the same one either.
    case device

    /// Whether two times may be one local time, read in two time zones: FAT keeps local time, so that all its times move
    /// when summer time begins. Zones lie whole quarters of an hour apart, a day at most.
    static func isOtherZone(_ before: Int64, _ now: Int64) -> Bool {
        let (difference, hasOverflowed) = now.subtractingReportingOverflow(before)
        return !hasOverflowed && difference != 0 && difference % quarterOfAnHour == 0
            && (-day...day).contains(difference)
    }

    /// Nanoseconds.
    private static let quarterOfAnHour: Int64 = 900_000_000_000
    private static let day: Int64 = 96 * quarterOfAnHour
}
