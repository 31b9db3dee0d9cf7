import Glibc
import MuleDigest
import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

/// What a job does about files, by what the file system and the ledger say of them. It changes nothing, so that a plan and a run
/// come to the same.
struct ArchivePolicy {
    let job: ArchiveJob
    /// Milliseconds since 1970.
    let now: @Sendable () -> Int64

    /// A file that is to be archived, or has been.
    struct Found {
        var file: SourceWalk.Found
        /// What is behind the path.
        var status: FileStatus
    }

    // MARK: Looking

    enum Eligibility {
        case file(Found)
        case tooYoung
        /// Nothing to be archived.
        case nothing
    }

    func look(at file: SourceWalk.Found) -> Eligibility {
        // Files on their way to their end, of this run or of one that was killed.
        if AfterActionExecutor.isOnItsWay(file.path) { return .nothing }
        var status = file.status
        if status == nil || status?.kind == .symbolicLink { status = try? FileStatus.of(path: file.path) }
        // Moved or removed since its directory was read.
        guard let status, status.kind == .regular else { return .nothing }
        if let settle = job.settle, !hasSettled(status, for: settle) { return .tooYoung }
        // What is archived must show each later change: a clock of whole seconds hides one within the second.
        if SourceIdentity(path: file.path, status).mayHideChanges(since: now()) { return .tooYoung }
        return .file(Found(file: file, status: status))
    }

    /// The time of the last change of any kind, since copies are often given the time of their original; one that lies in the
    /// future says nothing, and would keep the file here for good.
    private func hasSettled(_ status: FileStatus, for seconds: Double) -> Bool {
        let now = now() * 1_000_000
        return min(status.age(of: status.modificationTime, at: now), status.age(of: status.changeTime, at: now))
            >= seconds
    }

    /// Gone since its directory was read, which is no problem below the job's own.
    func isOver(_ file: SourceWalk.Found, _ problem: SourceProblem) -> Bool {
        if case .unreadable(let error) = problem { error.code == ENOENT && file.path != job.source } else { false }
    }

    /// Whether it has failed for good in so many runs that it is left alone.
    func isQuarantined(_ item: JobItem) -> Bool {
        item.failures >= job.quarantineAfter && !job.retriesQuarantined
    }

    // MARK: What is found

    enum WalkDecision {
        case send
        /// The same file as in a run before, in which it failed.
        case again
        /// The store is to be asked whether it still has the object.
        case ask(ItemUpload)
        /// The file's content is to be compared with what was archived; then `decide(_:_:isSame:)` says what is next.
        case compare(ItemUpload)
        /// Archived, and not changed since.
        case unchanged
        case leaveAlone
        /// Whoever looks after what earlier runs have left deals with it.
        case pass
    }

    /// - Parameters:
    ///   - item: one that no run is dealing with.
    ///   - isSame: what a comparison of the content has shown; nil before one.
    func decide(_ found: Found, _ item: JobItem, isSame: Bool? = nil) -> WalkDecision {
        guard let upload = item.upload else { return isQuarantined(item) ? .leaveAlone : .send }
        let verdict = SourceIdentity(path: item.source, found.status).verdict(since: upload.source)
        let hasChanged = verdict.isChanged || isSame == false
        if case .compare = verdict, isSame == nil, upload.state == .done,
            [.asked, .proved, .settled].contains(item.state)
        {
            return .compare(upload)
        }
        switch upload.state {
        case .aborted: return .send
        case .failed where !upload.mayHoldParts: return hasChanged ? .send : isQuarantined(item) ? .leaveAlone : .again
        case .pending, .unknown, .failed: return .pass
        case .done: break
        }
        switch item.state {
        case .acting, .pending: return .pass
        case .asked: return hasChanged ? .send : .pass
        case .proved where !hasChanged, .settled where !hasChanged:
            let isDue = item.state == .settled && job.isDue(upload, at: self.now())
            return job.checksRemote || isDue ? .ask(upload) : .unchanged
        case .proved, .settled: return .send
        }
    }

    // MARK: What is left

    /// What is left to be done about a file that is archived.
    enum Remainder: Sendable {
        /// The run that archived it ended before it could record so.
        case unnoted
        /// This action shows on the disk, and is finished whatever the job says today.
        case begun(ItemAction)
        /// An action was recorded and nothing of it shows on the disk: the job's `after` of today decides.
        case decided(ItemState, ItemAction?)
    }

    enum LeftoverDecision {
        case nothing
        case finish(Remainder)
        /// The store is asked once more whether it has the object: the file's time has come, or nobody has asked since the job
        /// took it up.
        case ask(ItemUpload)
        case leaveAlone
        case resume(ItemUpload)
        /// Another file, or another content, stands there: what was begun is given up.
        case giveUp(ItemUpload)
    }

    func decide(left item: JobItem) -> LeftoverDecision {
        guard let upload = item.upload else { return .nothing }
        switch (item.state, upload.state) {
        case (.settled, _), (_, .aborted): return .nothing
        case (.pending, .done):
            if isYoungerThanMeant(item) { return .nothing }
            return asksBeforeAction ? .ask(upload) : .finish(.unnoted)
        case (.acting, _):
            if let action = item.action, AfterActionExecutor.hasBegun(AfterActionExecutor.Plan(item, upload, action)) {
                return .finish(.begun(action))
            }
            return decideAgain(item, upload)
        case (.asked, _):
            // What stands there now is the walk's.
            if hasChanged(item, upload) { return .nothing }
            return isQuarantined(item) ? .leaveAlone : .ask(upload)
        case (.proved, _):
            guard job.isDue(upload, at: now()), !isYoungerThanMeant(item) else { return .nothing }
            return isQuarantined(item) && !hasChanged(item, upload) ? .leaveAlone : .ask(upload)
        // Of these nothing is at the store: the walk decides, by what the job says today.
        case (.pending, .failed) where !upload.mayHoldParts: return .nothing
        case (.pending, _):
            let hasChanged = hasChanged(item, upload)
            if isQuarantined(item), !hasChanged { return .leaveAlone }
            return hasChanged ? .giveUp(upload) : .resume(upload)
        }
    }

    /// What the job's `after` says today of a file for which another day's action was recorded, and not begun.
    private func decideAgain(_ item: JobItem, _ upload: ItemUpload) -> LeftoverDecision {
        if isYoungerThanMeant(item) { return .nothing }
        if job.isDue(upload, at: now()), job.dependsOnAge { return .ask(upload) }
        let fate = fate(of: item.source, id: upload.id, isDue: false, provedAt: upload.updatedAt)
        return .finish(.decided(fate.state, fate.action))
    }

    /// Whether the store's clock is to be seen before anything is done: by its answer about the object.
    private var asksBeforeAction: Bool {
        if case .deleteAfter = job.after { return false }
        return job.dependsOnAge
    }

    /// Whether a file that is archived is too young to be moved or deleted: a run with a wrong clock did not see that.
    private func isYoungerThanMeant(_ item: JobItem) -> Bool {
        guard job.selection.minimumAge != nil, job.after != .keep,
            let status = try? FileStatus.of(path: item.source)
        else { return false }
        return job.selection.isTooYoung(status, now: now() * 1_000_000)
    }

    /// What becomes of a file whose object is proven, by what the job says today: its state before the action, and the action.
    ///
    /// - Parameters:
    ///   - id: of its upload.
    ///   - isDue: whether the day of a delayed deletion has come.
    ///   - provedAt: milliseconds since 1970.
    func fate(
        of source: [UInt8],
        id: String,
        isDue: Bool,
        provedAt: Int64
    ) -> (state: ItemState, action: ItemAction?) {
        switch job.after {
        case .keep: return (.settled, nil)
        case .deleteAfter(let seconds) where !isDue:
            return (.proved, ItemAction(AfterActionExecutor.delete, dueAt: provedAt + Int64(seconds * 1000)))
        case .delete, .deleteAfter:
            return (
                .acting, ItemAction(AfterActionExecutor.delete, target: AfterActionExecutor.departing(source, id: id))
            )
        case .move(let directory):
            let target = AfterActionExecutor.target(in: directory, for: job.relativePath(of: source))
            return (.acting, ItemAction(AfterActionExecutor.move, target: target))
        }
    }

    /// Whether another content stands there for certain. A file that has gone is told by whoever opens it.
    private func hasChanged(_ item: JobItem, _ upload: ItemUpload) -> Bool {
        guard let status = try? FileStatus.of(path: item.source) else { return false }
        let now = SourceIdentity(path: item.source, status)
        return now.verdict(since: upload.source, changing: job.changing).isChanged
    }

    // MARK: Comparing

    /// Whether the file is what was archived, by its content. Where it is, the ledger knows it from then on by the facts that
    /// it has now.
    ///
    /// - Parameter onSign: called while it is read.
    static func isSame(
        _ path: [UInt8],
        as upload: ItemUpload,
        _ ledger: Ledger,
        _ cancellation: Cancellation,
        onSign: @escaping @Sendable () -> Void
    ) throws(UploadFailure) -> Bool {
        let record = try ledger.reporting { ledger throws(LedgerError) in try ledger.upload(number: upload.number) }
        guard let record, let content = RecordedContent(record) else { return false }
        let source = try SourceFile.open(path: path) { cancellation.isCancelled }
        let differences = try source.differences(
            from: content,
            shouldStop: { cancellation.isCancelled },
            onProgress: onSign
        )
        guard differences.isEmpty else { return false }
        _ = try ledger.reporting { ledger throws(LedgerError) in try ledger.note(source.identity, of: record) }
        return true
    }

    // MARK: Intents

    func intent(_ found: Found, to address: ObjectAddress) throws(UploadFailure) -> UploadIntent {
        let length = address.key.utf8.count
        guard length <= StoreLimits.amazon.maximumKeyLength else {
            throw UploadFailure(
                .usage,
                "The key for \(LossyUTF8.string(found.file.path)) is \(length) bytes long; S3 allows "
                    + "\(StoreLimits.amazon.maximumKeyLength)."
            )
        }
        var intent = UploadIntent(
            path: found.file.path,
            seen: found.file.status,
            destination: address,
            store: job.store,
            sizing: job.sizing,
            attributes: job.attributes,
            onlyIfAbsent: !job.mayOverwrite,
            integrity: job.integrity,
            changing: job.changing
        )
        intent.restartsChanged = true
        intent.sharesKey = !(job.destination.isInjective && found.file.name.isItsOwnKey)
        return intent
    }

    /// The file's object, for which the whole file may have to be read.
    ///
    /// - Parameter uuid: 16 bytes.
    func address(of found: Found, uuid: [UInt8]?, _ cancellation: Cancellation) throws(UploadFailure) -> ObjectAddress {
        let digest = job.destination.needsDigest ? try digest(of: found, cancellation) : nil
        do {
            return try job.destination.address(for: found.file.name, in: job.naming, digest: digest, uuid: uuid)
        } catch {
            throw UploadFailure(.usage, "The destination \(job.destination.text) \(error).")
        }
    }

    private func digest(of found: Found, _ cancellation: Cancellation) throws(UploadFailure) -> [UInt8] {
        let file = try SourceFile.open(path: found.file.path) { cancellation.isCancelled }.file
        do throws(SystemError) {
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
            defer { room.deallocate() }
            var digest = MessageDigest(.sha256)
            var offset: Int64 = 0
            while !cancellation.isCancelled {
                let count = try file.read(into: room, at: offset)
                if count == 0 { return digest.finish() }
                digest.update(UnsafeRawBufferPointer(rebasing: room[..<count]))
                offset += Int64(count)
            }
        } catch {
            throw UploadFailure(.source, "\(LossyUTF8.string(found.file.path)) cannot be read: \(error.reason).")
        }
        throw UploadFailure(.interrupted, "interrupted", isResumable: true)
    }
}
