import MuleArchive
import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// `mule archive --dry-run`: what a run of these jobs would do.
struct ArchiveDryRun {
    let session: Session

    private var console: Console { session.console }

    /// - Returns: the exit status of a run, as far as known in advance.
    func run(_ jobs: [(name: String, options: JobOptions)]) throws(CommandFailure) -> ExitStatus {
        let ledger = try ledger()
        var statuses: Set<ExitStatus> = []
        for (name, options) in jobs where !session.cancellation.isCancelled {
            do throws(CommandFailure) {
                statuses.insert(try plan(name, options, ledger: ledger))
            } catch {
                console.error("\(name): \(error.message)")
                statuses.insert(error.status)
            }
        }
        statuses.remove(.done)
        return statuses.count > 1 ? .failed : statuses.first ?? .done
    }

    /// Nil if it does not exist; none is created.
    private func ledger() throws(CommandFailure) -> Ledger? {
        let path = try session.ledgerPath()
        guard (try? FileStatus.of(path: path, followingLinks: false)) != nil else { return nil }
        return try session.openLedger()
    }

    private func plan(_ name: String, _ options: JobOptions, ledger: Ledger?) throws(CommandFailure) -> ExitStatus {
        if let reason = session.reasonNotToBegin(options) {
            console.note("\(name): a run would not start, \(reason)")
        }
        let serving = session.serving(options, cancellation: session.cancellation)
        let job = try serving.job(name, options)
        let number: Int64?
        do {
            number = try ledger?.knownJob(named: name)
        } catch {
            guard let ledger else { throw CommandFailure(status: .ledger, message: error.reason) }
            throw session.ledgerFailure(error, ledger)
        }
        if let number, let ledger, ledger.isRunning(job: number) {
            console.note("\(name): a run of this job is in progress and may change this plan")
        }
        let planner = ArchivePlanner(job, number: number, ledger: ledger, cancellation: session.cancellation) { file in
            print(file, of: name, settle: job.settle)
        }
        let totals: PlanTotals
        do throws(UploadFailure) {
            totals = try planner.plan()
        } catch {
            throw CommandFailure(status: ExitStatus(error.kind), message: error.message)
        }
        let status = ExitStatus(totals.failures)
        let settings = serving.fitted(serving.runSettings)
        PlanSummary(job: name, settle: job.settle, totals: totals, settings: settings, status: status).print(
            to: console
        )
        return status
    }

    private func print(_ file: PlannedFile, of job: String, settle: Double?) {
        if console.isJSON {
            var members: [String: JSONValue] = [
                "bytes": .int(file.bytes),
                "destination": file.destination.map { .string($0.description) } ?? .null,
                "event": "planned",
                "job": .string(job),
                "kind": .string(file.kind.rawValue),
                "parts": .int(Int64(file.parts)),
                "requests": .int(Int64(file.requests)),
                "size": .int(file.size),
                "source": .string(TextSafety.jsonName(file.source)),
            ]
            if let failure = file.failure { members["error"] = EventPrinter.error(failure) }
            console.result(JSONValue.object(members).line)
        } else if console.isVerbose, file.kind != .problem {
            let object = file.destination.map { " -> " + TextSafety.displayName($0.description) } ?? ""
            let requests = file.requests == 0 ? "" : ", \(Wording.count(file.requests, "request"))"
            let size = file.bytes > 0 ? ", \(ByteSize.format(file.bytes))" : ""
            console.result(
                "\(PlanSummary.words(file.kind, settle: settle)): "
                    + "\(TextSafety.displayName(file.source))\(object)\(size)\(requests)"
            )
        }
        if file.kind == .problem, let failure = file.failure { console.error(TextSafety.displayName(failure.message)) }
    }
}

/// The last lines of a job's plan.
private struct PlanSummary {
    let job: String
    let settle: Double?
    let totals: PlanTotals
    let settings: RunSettings
    let status: ExitStatus

    func print(to console: Console) {
        if console.isJSON { return console.result(json) }
        if !console.isQuiet { console.results(lines) }
    }

    private var requestsAtOnce: Int { max(1, min(totals.bodies, settings.concurrency + smallInAddition)) }
    /// Small files that may be in flight in addition to the requests of `concurrency`.
    private var smallInAddition: Int {
        guard settings.adaptsConcurrency else { return 0 }
        return min(max(0, settings.smallFiles - settings.concurrency), totals.smallFiles)
    }
    private var memory: Int64 {
        let larger = min(totals.bodies - totals.smallFiles, settings.concurrency)
        return RequestCapacity.likelyMemory(requests: requestsAtOnce, small: max(0, requestsAtOnce - larger))
    }

    /// Nil if no rate limit applies now.
    private var seconds: Double? {
        guard let timetable = settings.rateLimit else { return nil }
        let (weekday, minute) = localTimeOfWeek()
        let now = RateTimetable.Time(weekday: weekday, minute: minute)
        return timetable.rate(at: now).map { _ in timetable.seconds(for: totals.bytes, from: now) }
    }

    private var json: String {
        JSONValue.object([
            "bytes": .int(totals.bytes),
            "event": "plan",
            "files": .object(
                Dictionary(
                    uniqueKeysWithValues: PlannedFile.Kind.allCases.map { kind in
                        (kind.rawValue, .int(Int64(totals.files[kind] ?? 0)))
                    }
                )
            ),
            "job": .string(job),
            "memory": .int(memory),
            "parts": .int(Int64(totals.parts)),
            "requests": .int(Int64(totals.requests)),
            "requestsAtOnce": .int(Int64(requestsAtOnce)),
            "seconds": seconds.map { .double(($0 * 1000).rounded() / 1000) } ?? .null,
            "status": .int(Int64(status.rawValue)),
        ]).line
    }

    private var lines: [String] {
        let sent = [PlannedFile.Kind.new, .changed, .pending].reduce(0) { $0 + (totals.files[$1] ?? 0) }
        let facts = PlannedFile.Kind.allCases.compactMap { kind in
            totals.files[kind].map { "\($0) \(Self.words(kind, settle: settle))" }
        }
        let files = "\(job): \(Wording.count(sent, "file")) to upload (\(ByteSize.format(totals.bytes)))"
        var cost = [Wording.count(totals.requests, "request")]
        if totals.parts > 0 { cost.append(Wording.count(totals.parts, "part")) }
        cost.append(
            "about \(ByteSize.format(memory)) of memory with \(Wording.count(requestsAtOnce, "request")) at a time"
        )
        if let seconds { cost.append("\(DurationText.format(seconds)) at the rate limit") }
        let end = status == .done ? "" : "; status \(status.rawValue)"
        return [
            ([files] + facts).joined(separator: ", "),
            "\(job): \(cost.joined(separator: ", ")); nothing was sent or changed\(end)",
        ]
    }

    /// - Parameter settle: the job's settle time in seconds.
    static func words(_ kind: PlannedFile.Kind, settle: Double?) -> String {
        switch kind {
        case .new: "new"
        case .changed: "changed"
        case .pending: "pending"
        case .check: "to check at the store"
        case .unfinished: "archived, not yet moved or deleted"
        case .unchanged: "unchanged"
        case .tooYoung: Wording.unsettled(settle)
        case .quarantined: "quarantined"
        case .problem: "cannot be archived"
        }
    }

}
