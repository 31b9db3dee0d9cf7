import Glibc
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// Checks whether a name leads to the archived file: by its metadata, or by its content if the metadata cannot tell.
struct ArchivedFile {
    let plan: AfterActionExecutor.Plan
    let isCancelled: @Sendable () -> Bool

    /// An open file that is the archived one. Its lease keeps writers out until it is released.
    struct Checked {
        var file: File
        var identity: SourceIdentity
    }

    // MARK: Candidates

    /// Whether it may be the archived file. Does not compare the content.
    func mayBe(_ name: [UInt8], in directory: Directory) -> Bool {
        guard let status = try? directory.status(of: name), status.kind == .regular else { return false }
        return !identity(status).verdict(since: plan.identity).isChanged
    }

    /// The same for the temporary name before deletion. Only mule uses such names, and some file systems change a
    /// file's time when it is renamed (FAT by FUSE).
    func mayHaveDeparted(_ departing: [UInt8], in directory: Directory) -> Bool {
        guard let status = try? directory.status(of: departing) else { return false }
        return Self.mayHaveDeparted(status, plan)
    }

    static func mayHaveDeparted(_ status: FileStatus, _ plan: AfterActionExecutor.Plan) -> Bool {
        status.kind == .regular && status.size == plan.identity.size
    }

    /// The file at the move's target, if it has the right size.
    static func candidate(for plan: AfterActionExecutor.Plan) -> FileStatus? {
        guard let target = plan.action.target, plan.action.name == AfterActionExecutor.move,
            let status = try? FileStatus.of(path: target, followingLinks: false), status.kind == .regular,
            status.size == plan.identity.size
        else { return nil }
        return status
    }

    /// Whether the file or a copy of it is at the target. Its time may differ: FAT stores even seconds only, and some
    /// file systems change the time on a rename.
    var isMoved: Bool {
        guard let status = Self.candidate(for: plan) else { return false }
        if status.modificationTime == plan.identity.modificationTime { return true }
        guard let content = plan.content, let file = try? File.openForReading(path: plan.action.target ?? []) else {
            return false
        }
        return (try? content.isContent(of: file, named: name, shouldStop: isCancelled)) == true
    }

    // MARK: Checks

    /// Opens the file, and makes sure that it is the complete archived file and that no process writes to it.
    ///
    /// - Parameter isOwnName: whether only mule uses this name, so that the rename may have changed its time.
    func check(
        _ name: [UInt8],
        in directory: Directory,
        isOwnName: Bool = false
    ) throws(AfterActionExecutor.Refusal) -> Checked {
        let file: File
        let status: FileStatus
        let holdsMore: Bool
        do throws(SystemError) {
            file = try directory.openFile(name, isCancelled: isCancelled)
            // Taken before the checks, which then see all earlier writes.
            if case .refused = file.takeWriteLease(), !isOnSharedFileSystem(plan.source) {
                throw SystemError(code: ETXTBSY, call: "lease")
            }
            status = try file.status()
            holdsMore = try file.holdsMore(than: status.size)
        } catch {
            switch error.code {
            case ENOENT: throw AfterActionExecutor.Refusal(reason: "no longer exists", isOver: true)
            case ELOOP: throw AfterActionExecutor.Refusal(reason: "is now a symbolic link", isOver: true)
            case ETXTBSY:
                throw AfterActionExecutor.Refusal(reason: "is still open for writing in another program")
            default: throw AfterActionExecutor.Refusal(reason: "cannot be opened: \(error.reason)")
            }
        }
        if holdsMore {
            throw AfterActionExecutor.Refusal(reason: "has more content than its size of \(status.size) bytes")
        }
        let now = identity(status)
        guard status.kind == .regular else { throw AfterActionExecutor.Refusal.changed }
        switch now.verdict(since: plan.identity) {
        case .same: break
        case .changed where isOwnName && Self.mayHaveDeparted(status, plan): try compare(file, now)
        case .changed: throw AfterActionExecutor.Refusal.changed
        case .compare: try compare(file, now)
        }
        return Checked(file: file, identity: now)
    }

    /// Whether the checked file is the one at the new name: another file may have taken the old name in between.
    func isStill(_ checked: Checked, named newName: [UInt8], in directory: Directory) -> Bool {
        guard let status = try? directory.status(of: newName), status.kind == .regular else { return false }
        var before = checked.identity
        // The rename has changed it.
        before.changeTime = status.changeTime
        let now = identity(status)
        if now == before { return true }
        // Some file systems derive inode numbers from names, or change times on a rename: the content decides.
        guard now.size == before.size, let file = try? directory.openFile(newName) else { return false }
        return (try? compare(file, now)) != nil
    }

    /// Whether the file and the move's target are two files with the same content.
    func isCopied(_ name: [UInt8], in directory: Directory) throws(AfterActionExecutor.Refusal) -> Bool {
        do throws(SystemError) {
            let copy = try File.openForReading(path: plan.action.target ?? [])
            let original = try directory.openFile(name)
            var offset: Int64 = 0
            while offset < plan.identity.size {
                if isCancelled() { throw SystemError(code: ECANCELED, call: "read") }
                let one = try copy.bytes(at: offset, count: 1 << 20)
                guard !one.isEmpty, try original.bytes(at: offset, count: 1 << 20) == one else { return false }
                offset += Int64(one.count)
            }
            return true
        } catch {
            throw AfterActionExecutor.Refusal(reason: "cannot be compared with its copy: \(error.reason)")
        }
    }

    // MARK: Comparing

    /// Makes sure that the file has the archived content.
    private func compare(_ file: File, _ identity: SourceIdentity) throws(AfterActionExecutor.Refusal) {
        guard let content = plan.content else {
            throw AfterActionExecutor.Refusal(
                reason: "may have changed since it was archived, and the ledger has no checksum to compare with"
            )
        }
        let isSame: Bool
        do {
            isSame = try content.isContent(of: file, named: name, shouldStop: isCancelled)
        } catch {
            throw AfterActionExecutor.Refusal(reason: "cannot be compared with what was archived: \(error.message)")
        }
        guard isSame else { throw AfterActionExecutor.Refusal.changed }
        guard let status = try? file.status(), SourceIdentity(path: identity.path, status) == identity else {
            throw AfterActionExecutor.Refusal(reason: "changed while it was compared with what was archived")
        }
    }

    private func identity(_ status: FileStatus) -> SourceIdentity {
        SourceIdentity(path: plan.identity.path, status)
    }

    private var name: String { LossyUTF8.string(plan.source) }

    /// On shared file systems the kernel refuses leases for other reasons.
    private func isOnSharedFileSystem(_ path: [UInt8]) -> Bool {
        (try? FileSystem.of(path: AfterActionExecutor.parent(path)))?.isShared ?? true
    }
}
