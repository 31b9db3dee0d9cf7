/// Which file, and in which state, an upload belongs to.
///
/// Another size or modification time means other content. Another device, inode or change time only means that the
/// content must be compared: many file systems get new numbers at each mount, and new names or permissions change the
/// change time.
package struct SourceIdentity: Hashable, Sendable {
    /// Canonical path, any bytes except NUL.
    package var path: [UInt8]
    package var device: UInt64
    package var inode: UInt64
    package var size: Int64
    /// Nanoseconds since 1970.
    package var modificationTime: Int64
    /// Last change of content, names or permissions, in nanoseconds since 1970. No program can set it. Nil if unknown.
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

    /// What differs between this state of the file and an earlier one.
    package func changes(since before: SourceIdentity) -> [SourceChange] {
        var changes: [SourceChange] = []
        if size != before.size { changes.append(.size(before: before.size, now: size)) }
        if modificationTime != before.modificationTime {
            changes.append(.modificationTime(before: before.modificationTime, now: modificationTime))
        } else if changeTime != before.changeTime, size == before.size {
            // Not reported if it only follows from a new size or modification time.
            changes.append(.changeTime)
        }
        if inode != before.inode { changes.append(.inode(before: before.inode, now: inode)) }
        if device != before.device { changes.append(.device) }
        return changes
    }

    /// Compares this state of the file with an earlier one.
    ///
    /// - Parameters:
    ///   - changing: which changes are allowed.
    ///   - moment: the time of the earlier look, in milliseconds since 1970; nil if the clock cannot hide a change.
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

    /// Whether a change after the moment must show in the times.
    private func showsChanges(since moment: Int64?) -> Bool {
        guard let moment else { return true }
        // A write always moves the change time, even if a program resets the modification time.
        return !Self.mayHideChanges(changeTime ?? modificationTime, since: moment)
    }

    /// Whether the file may have been changed after the moment, in milliseconds since 1970, without a new time.
    ///
    /// Some file systems count whole seconds (ext3, HFS+, old NFS servers), FAT counts two seconds. A write in the same
    /// unit as the earlier look does not change the time. Git calls such files "racily clean" and compares their
    /// content. A time far in the future was set by a program, and a write moves it to the present.
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

/// A source that can be read only once, from start to end.
package enum StreamSource: String, Hashable, Sendable, CaseIterable {
    case standardInput = "-"
    /// A command's output. The command itself is not stored: it may contain passwords.
    case command = "stdin-command"

    /// The name for messages and events; nil for standard input.
    package var name: [UInt8]? { self == .standardInput ? nil : Array(rawValue.utf8) }
}

/// What two looks at a file say about its content.
package enum SourceVerdict: Hashable, Sendable {
    /// No difference, and every change would have shown.
    case same
    /// The facts are not enough: the content must be compared with the record.
    case compare([SourceChange])
    /// Other content.
    case changed([SourceChange])

    package var isChanged: Bool { if case .changed = self { true } else { false } }
}

/// What to do about a source that changes while it is sent.
package enum ChangingSource: String, Hashable, Sendable, CaseIterable {
    /// Fail: the object is the file as it was at one moment, or there is none.
    case refuse
    /// Accept growth, as of a log: the size first seen is sent.
    case snapshotSize = "snapshot-size"

    /// Whether the policy allows the change, so that no comparison is needed.
    package func allows(_ change: SourceChange) -> Bool {
        switch (change, self) {
        case (.size(let before, let now), .snapshotSize): now >= before
        case (.modificationTime, .snapshotSize): true
        default: false
        }
    }

    /// Changes that mean other content and are not allowed.
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
    /// Another file has the same path.
    case inode(before: UInt64, now: UInt64)
    /// The content, a name, the permissions or the times changed.
    case changeTime
    /// A comparison found different bytes.
    case content
    /// The file system has another number. These numbers change from boot to boot, so this neither proves other content
    /// nor the same one.
    case device

    /// Whether two times may be one local time, read in two time zones: FAT stores local time, so all its times move
    /// when summer time starts. Zones differ by multiples of 15 minutes, by a day at most.
    static func isOtherZone(_ before: Int64, _ now: Int64) -> Bool {
        let (difference, hasOverflowed) = now.subtractingReportingOverflow(before)
        return !hasOverflowed && difference != 0 && difference % quarterOfAnHour == 0
            && (-day...day).contains(difference)
    }

    /// Nanoseconds.
    private static let quarterOfAnHour: Int64 = 900_000_000_000
    private static let day: Int64 = 96 * quarterOfAnHour
}
