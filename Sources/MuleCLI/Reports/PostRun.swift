import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// Writes the receipt and metrics of a recorded run and calls its hooks. Their failures do not affect what was
/// archived.
struct PostRun {
    let session: Session
    let options: JobOptions
    let ledger: Ledger

    /// Milliseconds during which missing receipts are written later: those of killed runs, or after a full disk.
    private static let lifetime: Int64 = 7 * 86_400_000

    /// Must be called while the job's lease is held.
    ///
    /// - Returns: the exit status of the process: the run's own, or, if that is 0, that of a failed receipt.
    func run(_ number: Int64, status: ExitStatus) -> ExitStatus {
        var status = status
        do throws(LedgerError) {
            guard let record = try ledger.run(number: number) else { return status }
            let problem = try writeReceipts(of: record)
            if status == .done, let problem { status = problem }
            try writeMetrics(record)
            if !session.cancellation.isCancelled {
                try JobHooks(session: session, options: options, ledger: ledger)
                    .tell(try RunView(record, ledger, isHeldHere: true), status: status)
            }
        } catch {
            session.console.warn(session.ledgerFailure(error, ledger).message)
        }
        return status
    }

    // MARK: Receipts

    /// Nil without receipts.
    private func receiptDirectory() -> [UInt8]? {
        if let named = options.receipts { return FileLocation.expand(named, environment: session.environment) }
        guard options.receiptObject != nil, let slash = ledger.path.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return ledger.path[...slash] + Array("receipts".utf8)
    }

    private func writeReceipts(of last: RunRecord) throws(LedgerError) -> ExitStatus? {
        guard let directory = receiptDirectory() else { return nil }
        let goal: Ledger.ReceiptStage = options.receiptObject == nil ? .written : .sent
        var toSend: [RunRecord] = []
        for (run, stage) in try ledger.runs(of: last.job, since: ledger.now() - Self.lifetime, receiptBefore: goal) {
            let path = directory + [UInt8(ascii: "/")] + Array(ReceiptFile.name(of: run).utf8)
            if stage == .none || (try? FileStatus.of(path: path)) == nil {
                do {
                    try ReceiptFile.write(try RunView(run, ledger, isHeldHere: true), ledger, to: directory)
                } catch let error as LedgerError {
                    throw error
                } catch {
                    let reason = (error as? SystemError)?.reason ?? "\(error)"
                    session.console.warn(
                        "\(run.jobName): cannot write the receipt of run \(run.number) to "
                            + "\(TextSafety.displayName(directory)): \(reason). The next run retries."
                    )
                    return .source
                }
                try ledger.setReceipt(.written, of: run.number)
            }
            toSend.append(run)
        }
        guard let prefix = options.receiptObject, !toSend.isEmpty, !session.cancellation.isCancelled else { return nil }
        return try send(toSend, from: directory, to: prefix)
    }

    /// Uploads receipts like other files, but without events.
    private func send(
        _ runs: [RunRecord],
        from directory: [UInt8],
        to prefix: ObjectAddress
    ) throws(LedgerError) -> ExitStatus? {
        let cancellation = Cancellation()
        let ticket = session.cancellation.onCancel { cancellation.cancel() }
        defer { session.cancellation.removeWaker(ticket) }
        let serving = session.serving(options, cancellation: cancellation)
        let store: Session.Store
        do throws(CommandFailure) {
            store = try serving.store(forBucket: prefix.bucket)
        } catch {
            session.console.warn("receipts not uploaded: \(error.message)")
            return error.status
        }
        var sizing = PartSizing()
        // Receipts are never replaced, and Google can guarantee that for one request only.
        if store.service.profile?.condition == .generation {
            sizing.multipartThreshold = store.service.limits.maximumPutSize
        }
        var intents: [UploadIntent]? = runs.map { run in
            let name = Array(ReceiptFile.name(of: run).utf8)
            var intent = UploadIntent(
                path: directory + [UInt8(ascii: "/")] + name,
                destination: ObjectAddress(bucket: prefix.bucket, key: ObjectKey(prefix.key.utf8 + name)),
                store: store.address,
                sizing: sizing,
                attributes: ObjectAttributes(text: "content-type: application/x-ndjson"),
                onlyIfAbsent: true,
                integrity: IntegrityOptions(store.options)
            )
            intent.limits = store.service.limits
            intent.restartsChanged = true
            return intent
        }
        var settings = serving.runSettings
        settings.concurrency = 4
        settings.adaptsConcurrency = false
        settings.stallLimit = min(settings.stallLimit, 60)
        let failures = Monitor<[UploadFailure]>([])
        let sent = Monitor<Set<ObjectKey>>([])
        let run = UploadRun(ledger: ledger, settings: settings, cancellation: cancellation) { event in
            switch event {
            case .completed(let summary): sent.withLock { _ = $0.insert(summary.destination.key) }
            case .failed(let end): failures.withLock { $0.append(end.failure) }
            case .started, .resumed, .notice: break
            }
        }
        let result = run.run(
            RegistrationFeed(
                ledger,
                service: store.service,
                onRefused: { _, failure in failures.withLock { $0.append(failure) } },
                more: { () throws(UploadFailure) in
                    defer { intents = nil }
                    return intents
                }
            )
        )
        let there = sent.withLock { $0 }
        for run in runs where there.contains(ObjectKey(prefix.key.utf8 + Array(ReceiptFile.name(of: run).utf8))) {
            try ledger.setReceipt(.sent, of: run.number)
        }
        let all = failures.withLock { $0 } + (result.obstacle.map { [$0] } ?? [])
        guard let first = all.first else { return nil }
        session.console.warn("a receipt was not uploaded: \(first.message) The next run retries.")
        return ExitStatus(first.kind)
    }

    // MARK: Metrics

    private func writeMetrics(_ last: RunRecord) throws(LedgerError) {
        guard let named = options.metrics,
            let path = FileLocation.expand(named, environment: session.environment),
            let job = try ledger.jobs().first(where: { $0.number == last.job })
        else { return }
        let text = Metrics.text(of: job, try ledger.totals(of: job), last: last, now: ledger.now())
        do {
            try replaceFile(path: path, with: Array(text.utf8), mode: 0o644)
        } catch {
            session.console.warn(
                "\(last.jobName): cannot write the metrics to \(TextSafety.displayName(path)): \(error.reason)."
            )
        }
    }
}
