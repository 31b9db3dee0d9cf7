import Glibc
package import MuleLedger
package import MulePlan
package import MuleSystem
package import MuleUpload

/// Moves or deletes a file whose object is proven: only the archived file, never through a symbolic link, and in steps
/// that can each be resumed.
///
/// Renames the file first and checks it afterwards: between a check of a name and its removal, another file could take
/// that name.
package struct AfterActionExecutor {
    /// What to do, as recorded before.
    package struct Plan: Sendable {
        package var source: [UInt8]
        /// The identity of the archived file.
        package var identity: SourceIdentity
        /// The archived content; nil if no checksum of it is recorded.
        package var content: RecordedContent?
        package var action: ItemAction
        /// Short and unique per upload; part of the file's temporary name.
        package var id: String

        package init(
            source: [UInt8],
            identity: SourceIdentity,
            content: RecordedContent? = nil,
            action: ItemAction,
            id: String
        ) {
            self.source = source
            self.identity = identity
            self.content = content
            self.action = action
            self.id = id
        }

        init(_ item: JobItem, _ upload: ItemUpload, _ action: ItemAction, _ content: RecordedContent? = nil) {
            self.init(source: item.source, identity: upload.source, content: content, action: action, id: upload.id)
        }
    }

    /// Why a file is left unchanged.
    package struct Refusal: Error, Hashable, Sendable {
        /// Completes a sentence that starts with the file's name.
        package var reason: String
        /// Whether the file is not the archived one, so that the job has nothing left to do.
        package var isOver = false
        /// Why a new target could not be recorded; nothing was done then.
        package var ledger: LedgerError?

        static let changed = Refusal(reason: "has changed since it was archived", isOver: true)
    }

    package static let move = "move"
    package static let delete = "delete"

    private let isCancelled: @Sendable () -> Bool
    private var directories: [[UInt8]: Directory] = [:]
    /// Directories that have gained or lost names, by path.
    private var gained: [[UInt8]: Directory] = [:]
    private var lost: [[UInt8]: Directory] = [:]

    package init(isCancelled: @escaping @Sendable () -> Bool) {
        self.isCancelled = isCancelled
    }

    private func archived(_ plan: Plan) -> ArchivedFile { ArchivedFile(plan: plan, isCancelled: isCancelled) }

    // MARK: Planning

    /// The path for a file in a directory: its own name, or a numbered one, as from `mv --backup=numbered`, if that
    /// exists.
    ///
    /// - Parameter relativePath: the file's path below the directory.
    package static func target(in directory: [UInt8], for relativePath: [UInt8]) -> [UInt8] {
        let target = directory + slash + relativePath
        return free(target)
    }

    private static func free(_ target: [UInt8]) -> [UInt8] {
        var number = 0
        var name = target
        while (try? FileStatus.of(path: name, followingLinks: false)) != nil {
            number += 1
            name = target + Array(".~\(number)~".utf8)
        }
        return name
    }

    /// The hidden name, in its own directory, that a file gets before it is deleted.
    package static func departing(_ source: [UInt8], id: String) -> [UInt8] {
        parent(source) + slash + Array(".mule-\(id).gone".utf8)
    }

    /// Whether the name is that of a file about to be deleted, or of an incomplete copy.
    static func isOnItsWay(_ path: [UInt8]) -> Bool {
        let name = name(path)
        return name.starts(with: ".mule-".utf8) && (name.ends(with: ".gone") || name.ends(with: ".part"))
    }

    // MARK: Performing

    /// - Parameter replan: called before a move uses another target, because the planned one exists by now.
    /// - Returns: what was done.
    package mutating func perform(
        _ plan: Plan,
        replan: (ItemAction) throws(LedgerError) -> Void
    ) throws(Refusal) -> ItemAction {
        if plan.action.name == Self.move { return try move(plan, replan) }
        try remove(plan)
        return ItemAction(Self.delete)
    }

    /// Makes what was done durable.
    package mutating func sync() throws(SystemError) {
        // New names first: if the file system syncs directories one by one, a file briefly has two names, but never
        // none.
        for (_, directory) in gained { try directory.sync() }
        for (path, directory) in lost where gained[path] == nil { try directory.sync() }
        gained = [:]
        lost = [:]
        directories = [:]
    }

    private mutating func remove(_ plan: Plan) throws(Refusal) {
        let (place, name) = (Self.parent(plan.source), Self.name(plan.source))
        let directory = try opened(place)
        let departing = Self.name(plan.action.target ?? Self.departing(plan.source, id: plan.id))
        lost[place] = directory
        let checked = try archived(plan).check(name, in: directory)
        try attempt { () throws(SystemError) in try directory.move(name, to: directory, as: departing, isOwn: true) }
        try putBackUnless(departing, is: checked, plan, in: directory, as: name, in: directory)
        try attempt { () throws(SystemError) in try directory.remove(departing) }
        withExtendedLifetime(checked) {}
    }

    private mutating func move(
        _ plan: Plan,
        _ replan: (ItemAction) throws(LedgerError) -> Void
    ) throws(Refusal) -> ItemAction {
        guard var target = plan.action.target else { throw Refusal(reason: "has no directory to move to") }
        let (place, name) = (Self.parent(plan.source), Self.name(plan.source))
        let directory = try opened(place)
        let targetPlace = Self.parent(target)
        let targetDirectory = try makeTarget(targetPlace, for: plan)
        lost[place] = directory
        gained[targetPlace] = targetDirectory
        while true {
            let checked = try archived(plan).check(name, in: directory)
            do throws(SystemError) {
                try directory.move(name, to: targetDirectory, as: Self.name(target))
            } catch {
                switch error.code {
                case EEXIST:
                    target = Self.free(target)
                    try writeDown(ItemAction(Self.move, target: target), replan)
                    continue
                case EXDEV:
                    checked.file.giveWriteLeaseBack()
                    try copy(plan, name, directory: directory, to: target, targetDirectory: targetDirectory)
                    return ItemAction(Self.move, target: target)
                default: throw Refusal(reason: "cannot be moved to \(LossyUTF8.string(target)): \(error.reason)")
                }
            }
            try putBackUnless(Self.name(target), is: checked, plan, in: targetDirectory, as: name, in: directory)
            withExtendedLifetime(checked) {}
            return ItemAction(Self.move, target: target)
        }
    }

    /// Moves to another file system: a complete, durable copy gets its name before the original is removed.
    private mutating func copy(
        _ plan: Plan,
        _ name: [UInt8],
        directory: Directory,
        to target: [UInt8],
        targetDirectory: Directory
    ) throws(Refusal) {
        let partial = Self.partial(plan)
        // Left by a run that was killed during the copy.
        try? targetDirectory.remove(partial)
        do throws(SystemError) {
            let original = try directory.openFile(name)
            let copy = try targetDirectory.makeFile(partial)
            try copy.becomeCopy(of: original, while: { !isCancelled() })
            try copy.sync()
        } catch {
            try? targetDirectory.remove(partial)
            let place = LossyUTF8.string(target)
            if error.code == ENOTSUP { throw Self.opens("cannot be copied to \(place)") }
            throw Refusal(reason: "cannot be copied to \(place): \(error.reason)")
        }
        let checked: ArchivedFile.Checked
        do throws(Refusal) {
            checked = try archived(plan).check(name, in: directory)
        } catch {
            try? targetDirectory.remove(partial)
            throw error
        }
        try attempt { () throws(SystemError) in
            try targetDirectory.move(partial, to: targetDirectory, as: Self.name(target))
            try targetDirectory.sync()
        }
        try finishCopy(plan, checked, name: name, directory: directory)
        withExtendedLifetime(checked) {}
    }

    /// Removes the original of a complete copy.
    private mutating func finishCopy(
        _ plan: Plan,
        _ checked: ArchivedFile.Checked,
        name: [UInt8],
        directory: Directory
    ) throws(Refusal) {
        let departing = Self.name(Self.departing(plan.source, id: plan.id))
        try attempt { () throws(SystemError) in try directory.move(name, to: directory, as: departing, isOwn: true) }
        try putBackUnless(departing, is: checked, plan, in: directory, as: name, in: directory)
        try attempt { () throws(SystemError) in try directory.remove(departing) }
    }

    private func writeDown(
        _ action: ItemAction,
        _ replan: (ItemAction) throws(LedgerError) -> Void
    ) throws(Refusal) {
        do {
            try replan(action)
        } catch {
            throw Refusal(reason: "cannot be recorded: the ledger \(error.reason)", ledger: error)
        }
    }

    // MARK: Resuming

    /// Whether the disk shows that the action started: the file has its temporary name, or the target is the file or a
    /// complete copy of it.
    package static func hasStarted(_ plan: Plan) -> Bool {
        if let status = try? FileStatus.of(path: departing(plan.source, id: plan.id), followingLinks: false),
            ArchivedFile.mayHaveDeparted(status, plan)
        {
            return true
        }
        guard let candidate = ArchivedFile.candidate(for: plan) else { return false }
        // With another time it may be another file, unless the original is gone; resuming checks that.
        return candidate.modificationTime == plan.identity.modificationTime
            || (try? FileStatus.of(path: plan.source, followingLinks: false)) == nil
    }

    /// Removes the incomplete copy of a killed run, if the file now moves elsewhere or stays.
    static func discardCopy(of plan: Plan) {
        guard plan.action.name == move, let target = plan.action.target,
            let directory = try? Directory.open(parent(target))
        else { return }
        try? directory.remove(partial(plan))
    }

    private static func partial(_ plan: Plan) -> [UInt8] { Array(".mule-\(plan.id).part".utf8) }

    /// Resumes an action that an earlier run started.
    ///
    /// - Returns: what was done; nil if nothing is left of the archived file.
    package mutating func resume(
        _ plan: Plan,
        replan: (ItemAction) throws(LedgerError) -> Void
    ) throws(Refusal) -> ItemAction? {
        let place = Self.parent(plan.source)
        let name = Self.name(plan.source)
        let file = archived(plan)
        // The directory itself may be gone with all its files.
        guard let directory = try? opened(place) else {
            guard file.isMoved else { return nil }
            try noteMove(plan)
            return plan.action
        }
        let departing = Self.name(Self.departing(plan.source, id: plan.id))
        let isThere = file.mayBe(name, in: directory)
        if !isThere, file.mayHaveDeparted(departing, in: directory) {
            guard plan.action.name == Self.delete || file.isMoved else {
                throw Refusal(
                    reason: "is still named \(LossyUTF8.string(departing)), and the ledger does not say "
                        + "what to do with it"
                )
            }
            lost[place] = directory
            // Renaming has changed the change time.
            let checked: ArchivedFile.Checked
            do throws(Refusal) {
                checked = try file.check(departing, in: directory, isOwnName: true)
            } catch {
                guard error.isOver else { throw error }
                throw putBack(departing, in: directory, as: name, in: directory)
            }
            try attempt { () throws(SystemError) in try directory.remove(departing) }
            withExtendedLifetime(checked) {}
            return plan.action
        }
        if plan.action.name == Self.move, file.isMoved {
            try noteMove(plan)
            lost[place] = directory
            guard isThere else { return plan.action }
            // Two names of one file are no copy.
            if try file.isCopied(name, in: directory) {
                try finishCopy(plan, try file.check(name, in: directory), name: name, directory: directory)
                return plan.action
            }
        }
        guard isThere else { return nil }
        if plan.action.name == Self.move, let target = plan.action.target,
            (try? FileStatus.of(path: target, followingLinks: false)) != nil
        {
            let other = ItemAction(Self.move, target: Self.free(target))
            try writeDown(other, replan)
            var again = plan
            again.action = other
            return try perform(again, replan: replan)
        }
        return try perform(plan, replan: replan)
    }

    /// The run that moved the file may have been killed before the move was durable.
    private mutating func noteMove(_ plan: Plan) throws(Refusal) {
        guard let target = plan.action.target else { return }
        let place = Self.parent(target)
        gained[place] = try makeTarget(place, for: plan)
    }

    // MARK: Putting back

    /// Another file may have taken the name after the check: it gets its name back.
    private func putBackUnless(
        _ newName: [UInt8],
        is checked: ArchivedFile.Checked,
        _ plan: Plan,
        in newDirectory: Directory,
        as name: [UInt8],
        in directory: Directory
    ) throws(Refusal) {
        if archived(plan).isStill(checked, named: newName, in: newDirectory) { return }
        throw putBack(newName, in: newDirectory, as: name, in: directory)
    }

    /// Renames a file that is not the archived one back to its name.
    private func putBack(
        _ newName: [UInt8],
        in newDirectory: Directory,
        as name: [UInt8],
        in directory: Directory
    ) -> Refusal {
        do throws(SystemError) {
            try newDirectory.move(newName, to: directory, as: name)
            return .changed
        } catch {
            return Refusal(
                reason: "was replaced at the same moment; the new file is now named \(LossyUTF8.string(newName)): "
                    + error.reason
            )
        }
    }

    // MARK: Directories

    private mutating func opened(_ path: [UInt8]) throws(Refusal) -> Directory {
        do {
            return try directory(path)
        } catch {
            let what =
                error.code == ELOOP || error.code == ENOTDIR
                ? "is now behind a symbolic link" : "cannot be reached: \(error.reason)"
            throw Refusal(reason: what)
        }
    }

    private mutating func directory(_ path: [UInt8]) throws(SystemError) -> Directory {
        if let known = directories[path] { return known }
        let opened = try Directory.open(canonical: path)
        directories[path] = opened
        return opened
    }

    /// The target may be behind links, because the user chose it.
    private mutating func makeTarget(_ path: [UInt8], for plan: Plan) throws(Refusal) -> Directory {
        if let known = gained[path] { return known }
        do throws(SystemError) {
            try makeDirectories(path: path, like: Self.parent(plan.source))
            // Before anything is moved there, even if a killed run created it: a file in a directory without a durable
            // name is lost. A journaling file system keeps that order on its own, others do not.
            try syncNames(leadingTo: path + Self.slash)
            return try Directory.open(path)
        } catch {
            let place = LossyUTF8.string(path)
            if error.code == ENOTSUP { throw Self.opens("cannot be moved to \(place)") }
            throw Refusal(reason: "cannot be moved to \(place): \(error.reason)")
        }
    }

    /// The refusal for a target that would give other users more access.
    private static func opens(_ what: String) -> Refusal {
        Refusal(
            reason: what
                + " with its permissions: other users could read or write it there. Choose a file system that keeps "
                + "owners, modes and access control lists, or mount it with a stricter umask"
        )
    }

    private func attempt(_ body: () throws(SystemError) -> Void) throws(Refusal) {
        do {
            try body()
        } catch {
            throw Refusal(reason: "cannot be removed: \(error.reason)")
        }
    }

    private static let slash = [UInt8(ascii: "/")]

    static func parent(_ path: [UInt8]) -> [UInt8] {
        guard let end = path.lastIndex(of: slash[0]), end > 0 else { return slash }
        return Array(path[..<end])
    }

    static func name(_ path: [UInt8]) -> [UInt8] {
        path.lastIndex(of: slash[0]).map { Array(path[($0 + 1)...]) } ?? path
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
