import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import Synchronization

/// One thread of the pool: its connections, its buffer, and the loop that takes work and carries it all the way.
final class Worker {
    let run: UploadRun
    let digester = Digester()
    private var connections: [ObjectIdentifier: S3Connection] = [:]
    private var random = SystemRandomNumberGenerator()
    private let heart: Heart?

    init(_ run: UploadRun) {
        self.run = run
        heart = nil
    }

    /// One on its own, for what asks stores and has no queue of uploads.
    ///
    /// - Parameter onEvent: hears of what could not be made sure.
    init(
        ledger: Ledger,
        settings: RunSettings,
        cancellation: Cancellation,
        onEvent: @escaping @Sendable (UploadEvent) -> Void = { _ in }
    ) {
        run = UploadRun(ledger: ledger, settings: settings, cancellation: cancellation, onEvent: onEvent)
        heart = Heart(run.patience)
    }

    /// Works until the queue has nothing more to give.
    func work() {
        while let work = run.queue.next() {
            if run.queue.wantsWorker() { run.hire() }
            let began = Moment.now()
            perform(work)
            run.queue.done(work, in: Moment.now().seconds(since: began))
        }
    }

    private func perform(_ work: Work) {
        let transfer = work.transfer
        do throws(UploadFailure) {
            if transfer.isStopped || run.isStopping { throw UploadFailure.interrupted }
            run.recorder.waitForRoom()
            switch work.step {
            case .begin: try begin(transfer)
            case .lookAgain(let isGone): try lookAgain(transfer, isGone: isGone)
            case .part(let part): try carry(part, of: transfer)
            case .complete: try complete(transfer)
            }
        } catch {
            if case .part(let part) = work.step { part.release?() }
            run.fail(transfer, error)
        }
        transfer.change { $0.endWork() }
        run.endIfStopped(transfer)
    }

    // MARK: Requests

    /// The warm connection to the store.
    private func connection(_ service: S3Service) throws(UploadFailure) -> S3Connection {
        if let connection = connections[ObjectIdentifier(service)] { return connection }
        do {
            let connection = try S3Connection(service: service)
            connections[ObjectIdentifier(service)] = connection
            return connection
        } catch {
            var failure = UploadFailure(.usage, "No connection can be made: \(error.sentence).")
            failure.stopsRun = true
            throw failure
        }
    }

    /// Makes a request until it succeeds, is refused for good, or nothing has moved for too long.
    ///
    /// - Returns: the result, or the refusal with its evidence for the caller to judge. `ambiguous` tells whether an
    ///   earlier try may have been carried out although its answer never came.
    func persist<Result>(
        _ transfer: Transfer,
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        try persist(with: transfer.job.service, unless: { transfer.isStopped }, request)
    }

    /// The same for a request that belongs to no transfer.
    func persist<Result>(
        with service: S3Service,
        unless isStopped: () -> Bool = { false },
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        var failures = 0
        var damages = 0
        var unreadable = 0
        var renewals = 0
        var isAmbiguous = false
        while true {
            if run.isStopping || isStopped() { throw .interrupted }
            let connection = try connection(service)
            do throws(S3Error) {
                let result = try request(connection)
                run.patience.noteProgress()
                return .success(result, ambiguous: isAmbiguous)
            } catch {
                failures += 1
                if error.hasNewCredentials, renewals < run.settings.retry.renewals {
                    // What is refused for its signature is not carried out.
                    renewals += 1
                    continue
                }
                switch error.retryClass {
                case .cancelled: throw .interrupted
                case .throttled: run.queue.throttled()
                case .transient:
                    if !error.wasNotSent { isAmbiguous = true }
                    if case .transport = error.cause, !error.isLeftBehind { run.queue.connectionBroke() }
                    // A server that answers 200 with something else will not learn S3 by being asked again, and each
                    // Create may leave an upload behind.
                    if case .unreadable = error.cause {
                        unreadable += 1
                        if unreadable >= run.settings.retry.unreadableTries {
                            return .refused(error, ambiguous: true)
                        }
                    }
                case .damaged:
                    damages += 1
                    if damages >= run.settings.retry.damagedTries { return .refused(error, ambiguous: isAmbiguous) }
                case .credentials where error.renewalFailure?.isTransient == true: break
                case .clock, .credentials, .redirected, .reconcile, .unsupported, .fatal:
                    return .refused(error, ambiguous: isAmbiguous)
                }
                run.progress.retries.add(1, ordering: .relaxed)
                try wait(afterFailure: failures, error)
            }
        }
    }

    private func wait(afterFailure failures: Int, _ error: S3Error) throws(UploadFailure) {
        let remaining = run.patience.remaining
        guard remaining > 0 else { throw run.exhausted(error) }
        let delay = run.settings.retry.delay(
            for: error.retryClass,
            failures: failures,
            retryAfter: error.retryAfter,
            random: Double.random(in: 0..<1, using: &random)
        )
        // When patience ends during the pause, one last try is made at its end.
        let until = Moment.now().adding(seconds: min(delay, remaining))
        run.progress.noteWaiting(error.shortReason, until: until)
        pause(until: until, run.cancellation)
    }

    // MARK: Digests

    func digest(
        _ slice: FileSlice,
        _ transfer: Transfer,
        crc: CRCAlgorithm,
        withSHA256: Bool = false,
        withMD5: Bool = false
    ) throws(UploadFailure) -> SliceDigest {
        do {
            return try digester.digest(slice, crc: crc, withSHA256: withSHA256, withMD5: withMD5) {
                run.patience.noteProgress()
                return run.isStopping || transfer.isStopped
            }
        } catch {
            switch error {
            case .cancelled: throw .interrupted
            case .sourceEnded(let offset):
                throw UploadFailure(.source, "The source of \(transfer.name) ends at byte \(offset); it has changed.")
            default:
                throw UploadFailure(
                    .source,
                    "The source of \(transfer.name) can't be read: \(error.sentence).",
                    isResumable: true
                )
            }
        }
    }
}

extension S3Error {
    /// Whether one connection was given up for a better one.
    var isLeftBehind: Bool {
        if case .transport(.leftBehind) = cause { true } else { false }
    }
}

/// The end of a request that was tried until it had one.
enum Answer<Result> {
    case success(Result, ambiguous: Bool)
    case refused(S3Error, ambiguous: Bool)
}

extension UploadFailure {
    package static let interrupted = UploadFailure(
        .interrupted,
        "Interrupted. Finished parts are kept; run the same command again to go on.",
        isResumable: true
    )
}
