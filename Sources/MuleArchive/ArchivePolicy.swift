import Glibc
import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSources
import MuleSystem
import MuleUpload

/// Decides what a job does with files, from the file system and the ledger. Changes nothing, so plans and runs decide
/// the same.
struct ArchivePolicy {
    let job: ArchiveJob
    /// Milliseconds since 1970.
    let now: @Sendable () -> Int64

    /// A file to archive, or already archived.
    struct Found {
        var file: SourceWalk.Found
        /// The status with links followed.
        var status: FileStatus
    }

    // MARK: Eligibility

    enum Eligibility {
        case file(Found)
        case tooYoung
        /// Not a file to archive.
        case nothing
    }

    func look(at file: SourceWalk.Found) -> Eligibility {
        // Files about to be deleted, of this run or of a killed one.
        if AfterActionExecutor.isOnItsWay(file.path) { return .nothing }
        var status = file.status
        if status == nil || status?.kind == .symbolicLink { status = try? FileStatus.of(path: file.path) }
        // Moved or removed since its directory was read.
        guard let status, status.kind == .regular else { return .nothing }
        if let settle = job.settle, !hasSettled(status, for: settle) { return .tooYoung }
        // Later changes must be visible: a clock of whole seconds hides a change within the same second.
        if SourceIdentity(path: file.path, status).mayHideChanges(since: now()) { return .tooYoung }
        return .file(Found(file: file, status: status))
    }

    /// Uses the latest change of any kind, because copies often get the time of their original. A time in the future is
    /// ignored, because it would hold the file back indefinitely.
    private func hasSettled(_ status: FileStatus, for seconds: Double) -> Bool {
        let now = now() * 1_000_000
        return min(status.age(of: status.modificationTime, at: now), status.age(of: status.changeTime, at: now))
            >= seconds
    }

    /// Whether the file disappeared after its directory was read, which is no problem except for the job's own
    /// directory.
    func isOver(_ file: SourceWalk.Found, _ problem: SourceProblem) -> Bool {
        if case .unreadable(let error) = problem { error.code == ENOENT && file.path != job.source } else { false }
    }

    /// Whether it failed permanently in so many runs that it is quarantined.
    func isQuarantined(_ item: JobItem) -> Bool {
        item.failures >= job.quarantineAfter && !job.retriesQuarantined
    }

    // MARK: Files found

    enum WalkDecision {
        case send
        /// Send it again: the same file failed in an earlier run.
        case again
        /// Ask the store whether it still has the object.
        case ask(ItemUpload)
        /// Compare the file's content with what was archived, then call `decide(_:_:isSame:)`.
        case compare(ItemUpload)
        /// Archived and unchanged.
        case unchanged
        case skip
        /// `OpenItemFeed` handles it.
        case pass
    }

    /// - Parameters:
    ///   - item: one that no run is working on.
    ///   - isSame: the result of comparing the content; nil before.
    func decide(_ found: Found, _ item: JobItem, isSame: Bool? = nil) -> WalkDecision {
        guard let upload = item.upload else { return isQuarantined(item) ? .skip : .send }
        let verdict = SourceIdentity(path: item.source, found.status).verdict(since: upload.source)
        let hasChanged = verdict.isChanged || isSame == false
        if case .compare = verdict, isSame == nil, upload.state == .done,
            [.asked, .proved, .settled].contains(item.state)
        {
            return .compare(upload)
        }
        switch upload.state {
        case .aborted: return .send
        case .failed where !upload.mayHoldParts: return hasChanged ? .send : isQuarantined(item) ? .skip : .again
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

    // MARK: Items of earlier runs

    /// What is left to do for an archived file.
    enum Remainder: Sendable {
        /// The run that archived it ended before recording so.
        case unnoted
        /// The disk shows that this action started; finish it even if the job's settings changed.
        case started(ItemAction)
        /// An action was recorded and not started: the job's current `after` decides.
        case decided(ItemState, ItemAction?)
    }

    enum LeftoverDecision {
        case nothing
        case finish(Remainder)
        /// Ask the store again for the object: the file is due, or the store was not asked since the job found the
        /// file.
        case ask(ItemUpload)
        case skip
        case resume(ItemUpload)
        /// The file or its content was replaced: abort the upload.
        case abort(ItemUpload)
    }

    func decide(left item: JobItem) -> LeftoverDecision {
        guard let upload = item.upload else { return .nothing }
        switch (item.state, upload.state) {
        case (.settled, _), (_, .aborted): return .nothing
        case (.pending, .done):
            if isYoungerThanMeant(item) { return .nothing }
            return asksBeforeAction ? .ask(upload) : .finish(.unnoted)
        case (.acting, _):
            if let action = item.action, AfterActionExecutor.hasStarted(AfterActionExecutor.Plan(item, upload, action))
            {
                return .finish(.started(action))
            }
            return decideAgain(item, upload)
        case (.asked, _):
            // The walk handles the current file.
            if hasChanged(item, upload) { return .nothing }
            return isQuarantined(item) ? .skip : .ask(upload)
        case (.proved, _):
            guard job.isDue(upload, at: now()), !isYoungerThanMeant(item) else { return .nothing }
            return isQuarantined(item) && !hasChanged(item, upload) ? .skip : .ask(upload)
        // The store has nothing of these: the walk decides by the job's current settings.
        case (.pending, .failed) where !upload.mayHoldParts: return .nothing
        case (.pending, _):
            let hasChanged = hasChanged(item, upload)
            if isQuarantined(item), !hasChanged { return .skip }
            return hasChanged ? .abort(upload) : .resume(upload)
        }
    }

    /// Decides by the job's current `after`, if the recorded action did not start.
    private func decideAgain(_ item: JobItem, _ upload: ItemUpload) -> LeftoverDecision {
        if isYoungerThanMeant(item) { return .nothing }
        if job.isDue(upload, at: now()), job.dependsOnAge { return .ask(upload) }
        let fate = fate(of: item.source, id: upload.id, isDue: false, provedAt: upload.updatedAt)
        return .finish(.decided(fate.state, fate.action))
    }

    /// Whether the store's clock is needed before acting; its answer about the object shows it.
    private var asksBeforeAction: Bool {
        if case .deleteAfter = job.after { return false }
        return job.dependsOnAge
    }

    /// Whether an archived file is too young to be moved or deleted, which a run with a wrong clock did not notice.
    private func isYoungerThanMeant(_ item: JobItem) -> Bool {
        guard job.selection.minimumAge != nil, job.after != .keep,
            let status = try? FileStatus.of(path: item.source)
        else { return false }
        return job.selection.isTooYoung(status, now: now() * 1_000_000)
    }

    /// What to do with a file whose object is proven, by the job's current settings: its state before the action, and
    /// the action.
    ///
    /// - Parameters:
    ///   - id: the upload's ID.
    ///   - isDue: whether the time of a delayed deletion has come.
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

    /// Whether the content has certainly changed. A missing file is reported when it is opened.
    private func hasChanged(_ item: JobItem, _ upload: ItemUpload) -> Bool {
        guard let status = try? FileStatus.of(path: item.source) else { return false }
        let now = SourceIdentity(path: item.source, status)
        return now.verdict(since: upload.source, changing: job.changing).isChanged
    }

    // MARK: Comparing

    /// Compares the file's content with what was archived. If it matches, records the file's current identity.
    ///
    /// - Parameter onSign: called while the file is read.
    static func isSame(
        _ path: [UInt8],
        as upload: ItemUpload,
        _ ledger: Ledger,
        cancellation: Cancellation,
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
        intent.limits = job.service.limits
        intent.restartsChanged = true
        intent.sharesKey = !(job.destination.isInjective && found.file.name.isItsOwnKey)
        return intent
    }

    /// The file's object. May have to read the whole file.
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
