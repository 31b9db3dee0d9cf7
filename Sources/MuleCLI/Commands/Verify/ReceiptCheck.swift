import MuleJSON
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// `mule verify --receipt`
struct ReceiptCheck {
    let session: Session

    private struct Counts {
        var proven = 0
        var failures = FailureTally()
        /// Lines, or whole files, that are not part of a receipt.
        var problems = 0
        /// Why no store could be determined.
        var obstacle: CommandFailure?
    }

    /// Default number of concurrent requests.
    private static let concurrency = 16

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        var settings = session.runSettings
        if settings.adaptsConcurrency { settings.concurrency = Self.concurrency }
        let session = session
        let counts = Monitor(Counts())
        let stores = ReceiptStores(session, ledger)
        let reader = ReceiptReader(
            session.arguments.receipts,
            open: { path throws(CommandFailure) in try LedgerExportImport(session: session).input(path) },
            shouldStop: { session.cancellation.isCancelled || counts.withLock { $0.obstacle != nil } },
            onProblem: { text in
                counts.withLock { $0.problems += 1 }
                session.console.warn(text)
            }
        )
        let stop = ReceiptVerification(ledger: ledger, settings: settings, cancellation: session.cancellation).run(
            next: {
                guard let file = reader.next() else { return nil }
                do throws(CommandFailure) {
                    return (file.object, try stores.service(of: file))
                } catch {
                    counts.withLock { $0.obstacle = $0.obstacle ?? error }
                    return nil
                }
            },
            report: { object, result in
                counts.withLock { counts in
                    switch result {
                    case .success: counts.proven += 1
                    case .failure(let failure): counts.failures.add(failure.failure)
                    }
                }
                report(object, result)
            }
        )
        let total = counts.withLock { $0 }
        let wasStopped = stop != nil || total.obstacle != nil
        reportEnd(total, wasStopped: wasStopped)
        if let obstacle = total.obstacle { throw obstacle }
        if let stop {
            if stop.kind == .interrupted { return .interrupted }
            session.console.error(TextSafety.displayName(stop.message))
            return ExitStatus(stop.kind)
        }
        return total.problems > 0 ? .usage : ExitStatus(total.failures)
    }

    // MARK: Words

    private func report(_ object: ReceiptEntry, _ result: Result<Verification, VerifyFailure>) {
        let console = session.console
        switch result {
        case .success(let verification):
            if console.isJSON {
                console.result(VerifyEvent.verified(verification))
            } else if console.isVerbose, !console.isQuiet {
                let place = TextSafety.displayName(object.address.description)
                let size = ByteSize.format(verification.size)
                console.result("verified: \(place), \(size), by \(VerifyEvent.words(verification.proof))")
            }
        case .failure(let failure):
            if console.isJSON {
                return console.result(
                    VerifyEvent.failed(failure, object.source, address: object.address, id: object.id)
                )
            }
            let word =
                switch failure.verdict {
                case .differs: "differs"
                case .missing: "missing"
                case .unproven: "not verified"
                case nil: "not checked"
                }
            console.result("\(word): \(TextSafety.displayName(failure.failure.message))")
        }
    }

    private func reportEnd(_ counts: Counts, wasStopped: Bool) {
        guard !session.console.isJSON else {
            return session.console.result(
                JSONValue.object([
                    "event": "summary", "notProven": .int(Int64(counts.failures.count)),
                    "problems": .int(Int64(counts.problems)), "proven": .int(Int64(counts.proven)),
                    "stopped": .bool(wasStopped),
                ]).line
            )
        }
        guard !session.console.isQuiet else { return }
        var text = "\(counts.proven) verified, \(counts.failures.count) not verified"
        if wasStopped { text += "; the rest was not checked" }
        session.console.result(text)
    }
}

/// The stores of receipts, each created once to share its connections.
private final class ReceiptStores: Sendable {
    private struct Name: Hashable {
        var bucket: String
        var endpoint: String?
        var region: String?
    }

    private struct State {
        var named: [Name: S3Service] = [:]
        var services: [StoreAddress: S3Service] = [:]
    }

    private let session: Session
    private let ledger: Ledger
    private let state = Monitor(State())

    init(_ session: Session, _ ledger: Ledger) {
        self.session = session
        self.ledger = ledger
    }

    /// Options of the command line take precedence, as for uploads named by ID.
    func service(of file: ReceiptLine.ArchivedFile) throws(CommandFailure) -> S3Service {
        let name = Name(bucket: file.object.address.bucket, endpoint: file.endpoint, region: file.region)
        let result = state.withLock { state -> Result<S3Service, CommandFailure> in
            if let known = state.named[name] { return .success(known) }
            return Result { () throws(CommandFailure) in
                var recorded = StoreOptions()
                recorded.endpointURL = name.endpoint
                recorded.region = name.region
                let store = try session.store(forBucket: name.bucket, recorded: recorded)
                try check(store.address.endpoint, name)
                let service = state.services[store.address] ?? store.service
                state.services[store.address] = service
                state.named[name] = service
                return service
            }
        }
        return try result.get()
    }

    /// A receipt may come from an untrusted source, and a signed request may contain a session token. It is sent only
    /// to the store of the user's options, or to one that this ledger has used.
    private func check(_ endpoint: String, _ name: Name) throws(CommandFailure) {
        var here = StoreOptions()
        here.region = name.region
        if try session.store(forBucket: name.bucket, recorded: here).address.endpoint == endpoint { return }
        do {
            if try ledger.knows(endpoint: endpoint) { return }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        throw CommandFailure(
            status: .usage,
            message:
                "The receipt names \(TextSafety.displayName(endpoint)), to which this ledger has never uploaded. If "
                + "that is the right store, name it with --endpoint-url."
        )
    }
}
