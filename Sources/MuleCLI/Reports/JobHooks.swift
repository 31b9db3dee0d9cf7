import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem
import MuleTransport

/// Notifies a job's programs and web addresses of the result of a run. They cannot change what was archived.
struct JobHooks {
    let session: Session
    let options: JobOptions
    let ledger: Ledger

    private static let mostFailures = 100
    /// Seconds.
    private static let patience = 60.0
    private static let postTimeout = 30.0
    private static let firstDistance: Int64 = 300
    private static let longestDistance: Int64 = 12 * 3600
    /// Milliseconds: the same failure is reported again after a day; what cannot be delivered for a week is dropped.
    private static let reminder: Int64 = 86_400_000
    private static let lifetime: Int64 = 7 * 86_400_000
    private static let mostNotices = 100

    private enum Occasion: String {
        case onSuccess, onFailure
    }

    private func hook(_ occasion: Occasion) -> Hook? {
        switch occasion {
        case .onSuccess: options.onSuccess
        case .onFailure: options.onFailure
        }
    }

    /// - Parameter status: the exit status of the process.
    func tell(_ view: RunView, status: ExitStatus) throws(LedgerError) {
        if let occasion = try occasion(view, status), let hook = hook(occasion) {
            let body = try body(view)
            switch hook {
            case .program(let words): run(words, body, job: view.record.jobName)
            case .post:
                let run = JobRun(job: view.record.job, run: view.record.number)
                try ledger.add(notice: body, for: occasion.rawValue, of: run)
            }
        }
        try deliver(for: view.record.job, view.record.jobName)
    }

    /// Which hook to call; nil for none: a run without new files and failures, or the same failure as last time within
    /// a day.
    private func occasion(_ view: RunView, _ status: ExitStatus) throws(LedgerError) -> Occasion? {
        let job = view.record.job
        switch status {
        case .done, .limitReached:
            if try ledger.told(of: job) != nil { try ledger.setTold(nil, of: job) }
            return view.counts.archived > 0 || view.counts.acted > 0 ? .onSuccess : nil
        case .locked, .hangup, .interrupted, .terminated: return nil
        default:
            let counts = view.counts
            let what = "\(status.rawValue) \(counts.failed) \(counts.quarantined) \(counts.actionsFailed)"
            if let told = try ledger.told(of: job), told.what == what, ledger.now() - told.at < Self.reminder {
                return nil
            }
            try ledger.setTold(what, of: job)
            return .onFailure
        }
    }

    /// The run as in its receipt, with the first failed files.
    private func body(_ view: RunView) throws(LedgerError) -> String {
        let failures = try ledger.failures(of: view.record.number, limit: Self.mostFailures).map { receipt in
            JSONValue.object([
                "action": JSONValue(receipt.action?.name),
                "destination": JSONValue(receipt.destination?.description),
                "error": JSONValue(receipt.failure?.message ?? receipt.actionError),
                "kind": JSONValue(receipt.failure?.kind),
                "source": .string(TextSafety.jsonName(receipt.source)),
            ])
        }
        return JSONValue.object(ReceiptFile.header(view).merging(["failures": .array(failures)]) { own, _ in own }).line
    }

    // MARK: Programs

    private func run(_ words: [String], _ body: String, job: String) {
        var child = ChildProcess(
            words: words,
            environment: session.environment.filter { !Self.isSecret($0.key) },
            timeout: Self.patience
        )
        child.input = Array((body + "\n").utf8)
        let name = "\(job): the hook \(words[0])"
        do {
            let outcome = try child.run(session.cancellation)
            for text in [outcome.output, outcome.lastError] {
                for line in text.split(separator: 0x0A) {
                    session.console.note("\(job): \(TextSafety.displayName(Array(line)))")
                }
            }
            switch outcome.end {
            case .exit(0): break
            case .exit(let status): warn("\(name) exited with \(status)")
            case .signal(let signal): warn("\(name) was killed by signal \(signal)")
            case .timeout: warn("\(name) did not finish within \(Int(Self.patience)) seconds and was killed")
            case .tooMuchOutput: warn("\(name) printed too much and was killed")
            case .unknown: warn("\(name) ended with an unknown status")
            case .cancelled: break
            }
        } catch {
            warn("\(name) cannot be started: \(error.reason)")
        }
    }

    /// Hooks do not get the store's keys and tokens.
    static func isSecret(_ variable: String) -> Bool {
        variable.hasPrefix("AWS_") && ["KEY", "TOKEN", "SECRET", "AUTHORIZATION"].contains { variable.contains($0) }
    }

    // MARK: Web addresses

    /// Posts due notices until the first failure: the next ones would probably fail too.
    private func deliver(for job: Int64, _ name: String) throws(LedgerError) {
        for notice in try ledger.dueNotices(of: job, limit: Self.mostNotices) where !session.cancellation.isCancelled {
            // Its address is no longer configured.
            guard let occasion = Occasion(rawValue: notice.hook), case .post(let url)? = hook(occasion) else {
                try ledger.remove(notice)
                continue
            }
            guard let problem = post(notice.body, to: url) else {
                try ledger.remove(notice)
                continue
            }
            if session.cancellation.isCancelled { return }
            if ledger.now() - notice.createdAt >= Self.lifetime {
                warn(
                    "\(name): \(occasion.rawValue) of run \(notice.run) could not be posted for a week and is "
                        + "dropped: \(problem)"
                )
                try ledger.remove(notice)
                continue
            }
            let distance = min(Self.firstDistance << Int64(min(notice.attempts, 20)), Self.longestDistance)
            warn(
                "\(name): \(occasion.rawValue) of run \(notice.run) could not be posted: \(problem). The next run "
                    + "after \(Wording.duration(Double(distance))) retries."
            )
            return try ledger.putOff(notice, by: distance, problem)
        }
    }

    /// Nil if the server has accepted it, else the reason, without the address.
    private func post(_ body: String, to url: String) -> String? {
        var settings = TransportSettings(userAgent: "mule/\(Version.number)")
        settings.connectTimeout = Self.postTimeout
        do {
            let client = try HTTPClient(settings: settings, cancellation: session.cancellation)
            var request = HTTPRequest(method: "POST", url: url)
            request.headers = [("Content-Type", "application/json")]
            request.body = .bytes(Array(body.utf8))
            request.stallTimeout = Self.postTimeout
            request.answerTimeout = Self.postTimeout
            request.answerDuration = Self.postTimeout
            let status = try client.perform(request).status
            return (200..<300).contains(status) ? nil : "HTTP status \(status)"
        } catch {
            if case .unusable = error { return "the address is not usable" }
            return error.sentence
        }
    }

    private func warn(_ text: String) {
        session.console.warn(text)
    }
}
