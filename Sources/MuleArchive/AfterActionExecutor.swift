import Glibc
package import MuleLedger
package import MulePlan
package import MuleSystem
package import MuleUpload

/// Moves or removes a file whose object is proven: the one that was archived and no other, never through a symbolic link, and
/// in steps of which each can be gone on from.
///
/// A name is taken away first and looked at then: between a look at a name and its removal another file could take its place.
package struct AfterActionExecutor {
    /// What is to be done, as it is written down before.
    package struct Plan: Sendable {
        package var source: [UInt8]
        /// The file as it was archived.
        package var identity: SourceIdentity
        /// What was archived; nil where no checksum of it is on record.
        package var content: RecordedContent?
        package var action: ItemAction
        /// Short and unlike those of other uploads; part of the name that a file has on its way.
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

    /// Why a file is left as it is.
    package struct Refusal: Error, Hashable, Sendable {
        /// Continues a sentence that began with the file's name.
        package var reason: String
        /// Whether the file is not the one that was archived, so that there is nothing left to do for this job.
        package var isOver = false
        /// Why another name could not be written down; nothing was done then.
        package var ledger: LedgerError?

        static let changed = Refusal(reason: "has changed since it was archived", isOver: true)
    }

    package static let move = "move"
    package static let delete = "delete"

    private let isCancelled: @Sendable () -> Bool
    private var directories: [[UInt8]: Directory] = [:]
    /// Those that have got names, and those that have lost some, by their paths.
    private var gained: [[UInt8]: Directory] = [:]
    private var lost: [[UInt8]: Directory] = [:]

    package init(isCancelled: @escaping @Sendable () -> Bool) {
        self.isCancelled = isCancelled
    }

    private func archived(_ plan: Plan) -> ArchivedFile { ArchivedFile(plan: plan, isCancelled: isCancelled) }

    // MARK: Planning

    /// The name that a file is to have in a directory: its own, or with a number as `mv --backup=numbered` gives them, where
    /// there is another file.
    ///
    /// - Parameter relativePath: where it goes below the directory.
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

    /// The name under which a file waits for its end; hidden, in its own directory.
    package static func departing(_ source: [UInt8], id: String) -> [UInt8] {
        parent(source) + slash + Array(".mule-\(id).gone".utf8)
    }

    /// Whether the file has been given a name by which it waits for its end, or is a copy that is not whole.
    static func isOnItsWay(_ path: [UInt8]) -> Bool {
        let name = name(path)
        return name.starts(with: ".mule-".utf8) && (name.ends(with: ".gone") || name.ends(with: ".part"))
    }

    // MARK: Doing

    /// - Parameter replan: called before a move goes to another name than planned, since the planned one has been taken.
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
        // Where a file system writes down directories one by one, a file has two names for a moment, and never none.
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
                    try copy(plan, name, directory, to: target, targetDirectory)
                    return ItemAction(Self.move, target: target)
                default: throw Refusal(reason: "cannot be moved to \(LossyUTF8.string(target)): \(error.reason)")
                }
            }
            try putBackUnless(Self.name(target), is: checked, plan, in: targetDirectory, as: name, in: directory)
            withExtendedLifetime(checked) {}
            return ItemAction(Self.move, target: target)
        }
    }

    /// To another file system: a copy that is whole and durable takes its name first, then the original goes.
    private mutating func copy(
        _ plan: Plan,
        _ name: [UInt8],
        _ directory: Directory,
        to target: [UInt8],
        _ targetDirectory: Directory
    ) throws(Refusal) {
        let partial = Self.partial(plan)
        // Of a run that was killed while it copied.
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
        try finishCopy(plan, checked, name, directory)
        withExtendedLifetime(checked) {}
    }

    /// Removes the original of a copy that has its name.
    private mutating func finishCopy(
        _ plan: Plan,
        _ checked: ArchivedFile.Checked,
        _ name: [UInt8],
        _ directory: Directory
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

    // MARK: Going on

    /// Whether anything of the action shows on the disk: the file has its departing name, or it, or a whole copy of it, has the
    /// name that it was to move to.
    package static func hasBegun(_ plan: Plan) -> Bool {
        if let status = try? FileStatus.of(path: departing(plan.source, id: plan.id), followingLinks: false),
            ArchivedFile.mayHaveDeparted(status, plan)
        {
            return true
        }
        guard let candidate = ArchivedFile.candidate(for: plan) else { return false }
        // With another time it may be another file: whose original has gone, that is found out when it is gone on with.
        return candidate.modificationTime == plan.identity.modificationTime
            || (try? FileStatus.of(path: plan.source, followingLinks: false)) == nil
    }

    /// Removes what a run that was killed in the middle of a copy has left of it, where the file goes elsewhere or stays now.
    static func discardCopy(of plan: Plan) {
        guard plan.action.name == move, let target = plan.action.target,
            let directory = try? Directory.open(parent(target))
        else { return }
        try? directory.remove(partial(plan))
    }

    private static func partial(_ plan: Plan) -> [UInt8] { Array(".mule-\(plan.id).part".utf8) }

    /// Goes on with what an earlier run had begun, as far as it had come.
    ///
    /// - Returns: what was done; nil when nothing is left of the file that was archived.
    package mutating func resume(
        _ plan: Plan,
        replan: (ItemAction) throws(LedgerError) -> Void
    ) throws(Refusal) -> ItemAction? {
        let place = Self.parent(plan.source)
        let name = Self.name(plan.source)
        let file = archived(plan)
        // The place itself may be gone, and all that was in it.
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
            // The name that it has got has moved its change time.
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
                try finishCopy(plan, try file.check(name, in: directory), name, directory)
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

    /// The run that moved it may have died before the move was durable.
    private mutating func noteMove(_ plan: Plan) throws(Refusal) {
        guard let target = plan.action.target else { return }
        let place = Self.parent(target)
        gained[place] = try makeTarget(place, for: plan)
    }

    // MARK: Putting back

    /// Another file may have taken the name after it was looked at: that gets its name back.
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

    /// Gives a file that is not the one that was archived its name back.
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

    /// Where files are moved to may lie behind links: that is the user's word.
    private mutating func makeTarget(_ path: [UInt8], for plan: Plan) throws(Refusal) -> Directory {
        if let known = gained[path] { return known }
        do throws(SystemError) {
            try makeDirectories(path: path, like: Self.parent(plan.source))
            // Before anything is moved there, also where a run that was killed has made it: a file in a directory without a
            // name is lost. A file system with a journal keeps that order by itself, others don't.
            try syncNames(leadingTo: path + Self.slash)
            return try Directory.open(path)
        } catch {
            let place = LossyUTF8.string(path)
            if error.code == ENOTSUP { throw Self.opens("cannot be moved to \(place)") }
            throw Refusal(reason: "cannot be moved to \(place): \(error.reason)")
        }
    }

    /// A place that would give others more than they have.
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
