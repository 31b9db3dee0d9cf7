import Glibc
import MuleDigest
import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

/// The files that a job's selection means, with what is to be done about each: those that are archived and unchanged are passed
/// over by what the ledger knows, without a question to the store.
final class Candidates {
    private let job: ArchiveJob
    private let run: JobRun
    private let ledger: Ledger
    private let bookkeeper: Bookkeeper
    private let cancellation: Cancellation
    private var walk: OrderedWalk
    private var batch = 32

    /// Files that are looked up at once.
    private static let largestBatch = 512

    init(
        _ job: ArchiveJob,
        _ run: JobRun,
        _ ledger: Ledger,
        _ bookkeeper: Bookkeeper,
        _ cancellation: Cancellation
    ) {
        self.job = job
        self.run = run
        self.ledger = ledger
        self.bookkeeper = bookkeeper
        self.cancellation = cancellation
        walk = OrderedWalk(
            SourceWalk([job.source], isRecursive: true, selection: job.selection, now: ledger.now() * 1_000_000),
            order: job.order
        )
    }

    private struct Found {
        var file: SourceWalk.Found
        /// What is behind the path.
        var status: FileStatus
    }

    /// The next files to be sent, a few hundred at most; nil at the end.
    func next() throws(UploadFailure) -> [UploadIntent]? {
        while !cancellation.isCancelled {
            var found: [Found] = []
            var isAtEnd = false
            search: while found.count < batch {
                switch try step() {
                case .file(let file)?:
                    if let next = look(at: file) { found.append(next) }
                case .problem(let file, let problem)?: try fail(file, problem)
                case .leftOut?, .idle?: break
                case nil:
                    isAtEnd = true
                    break search
                }
                if cancellation.isCancelled { return nil }
            }
            batch = min(batch * 2, Self.largestBatch)
            let intents = try intents(found)
            if !intents.isEmpty { return intents }
            if isAtEnd { return nil }
        }
        return nil
    }

    private func step() throws(UploadFailure) -> SourceWalk.Step? {
        do {
            return try walk.next()
        } catch {
            throw UploadFailure(.source, "The files that were found can't be held: \(error.reason).", isResumable: true)
        }
    }

    // MARK: Looking

    /// The file, if it is to be archived in this run.
    private func look(at file: SourceWalk.Found) -> Found? {
        // Files on their way to their end, of this run or of one that was killed.
        if Disposal.isOnItsWay(file.path) { return nil }
        var status = file.status
        if status == nil || status?.kind == .symbolicLink { status = try? FileStatus.of(path: file.path) }
        // Moved or removed since its directory was read.
        guard let status, status.kind == .regular else { return nil }
        if let settle = job.settle, !hasSettled(status, for: settle) {
            bookkeeper.leaveForLater()
            return nil
        }
        bookkeeper.count { $0.found += 1 }
        return Found(file: file, status: status)
    }

    /// The time of the last change of any kind, since copies are often given the time of their original.
    private func hasSettled(_ status: FileStatus, for seconds: Double) -> Bool {
        let changed = max(status.modificationTime, status.changeTime)
        let age = Double(ledger.now()) / 1000 - Double(changed) / 1e9
        return age >= seconds
    }

    private func fail(_ file: SourceWalk.Found, _ problem: SourceProblem) throws(UploadFailure) {
        // Gone since its directory was read, which is no problem below the job's own.
        if case .unreadable(let error) = problem, error.code == ENOENT, file.path != job.source { return }
        if let item = try known(file.path), isQuarantined(item), item.upload == nil {
            return bookkeeper.leaveAlone(item)
        }
        let failure = UploadFailure(.source, problem.sentence(for: UTF8Repair.string(file.path)))
        bookkeeper.fail(FailedUpload(file.path, job.nowhere, failure))
    }

    private func isQuarantined(_ item: JobItem) -> Bool {
        item.failures >= job.quarantineAfter && !job.retriesQuarantined && item.run != run.run
    }

    private func known(_ path: [UInt8]) throws(UploadFailure) -> JobItem? { try known([path])[0] }

    private func known(_ paths: [[UInt8]]) throws(UploadFailure) -> [JobItem?] {
        do {
            return try ledger.items(of: run.job, at: paths)
        } catch {
            throw UploadFailure(ledger: error, path: UTF8Repair.string(ledger.path))
        }
    }

    // MARK: Deciding

    private enum Decision {
        case send
        /// The same file as in a run before, in which it failed.
        case again
        /// The store is to be asked whether it still has the object.
        case ask(ItemUpload)
        case pass
    }

    private func intents(_ found: [Found]) throws(UploadFailure) -> [UploadIntent] {
        guard !found.isEmpty else { return [] }
        var intents: [UploadIntent] = []
        for (file, item) in zip(found, try known(found.map(\.file.path))) {
            let decision = item.map { decide(file, $0) } ?? .send
            do throws(UploadFailure) {
                switch decision {
                case .send: intents.append(try intent(file, to: try address(of: file)))
                case .again:
                    var intent = try intent(file, to: try address(of: file))
                    intent.isKnown = true
                    intents.append(intent)
                case .ask(let upload):
                    guard let record = try record(upload.number) else { continue }
                    intents.append(try intent(file, to: record.upload.destination))
                case .pass: break
                }
            } catch {
                guard error.kind != .ledger else { throw error }
                bookkeeper.fail(FailedUpload(file.file.path, job.nowhere, error))
            }
        }
        return intents
    }

    private func decide(_ found: Found, _ item: JobItem) -> Decision {
        // Begun in this run, or left by an earlier one and taken up by this.
        if item.run == run.run { return .pass }
        guard let upload = item.upload else {
            guard isQuarantined(item) else { return .send }
            bookkeeper.leaveAlone(item)
            return .pass
        }
        let now = SourceIdentity(path: item.source, found.status)
        var hasChanged = !ChangingSource.refuse.offences(in: now.changes(since: upload.source)).isEmpty
        switch upload.state {
        case .aborted: return .send
        case .failed where !upload.mayHoldParts:
            guard isQuarantined(item), !hasChanged else { return hasChanged ? .send : .again }
            bookkeeper.leaveAlone(item)
            return .pass
        case .pending, .unknown, .failed: return .pass
        case .done: hasChanged = hasChanged || upload.source.mayHideChanges(since: upload.createdAt)
        }
        switch item.state {
        case .acting, .pending: return .pass
        case .proved where !hasChanged, .settled where !hasChanged:
            if job.checksRemote || (item.state == .settled && job.isDue(upload, at: ledger.now())) {
                return .ask(upload)
            }
            bookkeeper.count { $0.unchanged += 1 }
            return .pass
        case .proved, .settled: return .send
        }
    }

    // MARK: Intents

    private func intent(_ found: Found, to address: ObjectAddress) throws(UploadFailure) -> UploadIntent {
        let length = address.key.utf8.count
        guard length <= StoreLimits.amazon.maximumKeyLength else {
            throw UploadFailure(
                .usage,
                "The key for \(UTF8Repair.string(found.file.path)) is \(length) bytes long; S3 allows "
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

    private func address(of found: Found) throws(UploadFailure) -> ObjectAddress {
        let digest = job.destination.needsDigest ? try digest(of: found) : nil
        do {
            return try job.destination.address(
                for: found.file.name,
                in: job.naming,
                digest: digest,
                uuid: job.destination.needsUUID ? Self.uuid() : nil
            )
        } catch {
            throw UploadFailure(.usage, "The destination \(job.destination.text) \(error).")
        }
    }

    private func digest(of found: Found) throws(UploadFailure) -> [UInt8] {
        do throws(SystemError) {
            let file = try File.openForReading(path: found.file.path)
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
            throw UploadFailure(.source, "\(UTF8Repair.string(found.file.path)) can't be read: \(error.reason).")
        }
        throw UploadFailure(.interrupted, "interrupted", isResumable: true)
    }

    /// RFC 9562, version 4.
    private static func uuid() -> [UInt8] {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes
    }

    private func record(_ number: Int64) throws(UploadFailure) -> UploadRecord? {
        do {
            return try ledger.upload(number: number)
        } catch {
            throw UploadFailure(ledger: error, path: UTF8Repair.string(ledger.path))
        }
    }
}
