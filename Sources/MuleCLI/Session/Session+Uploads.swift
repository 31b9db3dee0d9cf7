import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

extension Session {
    /// Runs the uploads to the end, with progress and reports.
    ///
    /// - Parameters:
    ///   - canBeResumed: whether `mule resume` can resume them.
    ///   - onPart: called for each part that is recorded.
    ///   - failuresBeside: failures outside of the run, asked for at its end.
    func upload(
        _ feed: some UploadFeed,
        _ ledger: Ledger,
        printer: EventPrinter,
        canBeResumed: Bool = true,
        onPart: (@Sendable (UploadRecord, _ part: Int) -> Void)? = nil,
        failuresBeside: () -> FailureTally = { FailureTally() }
    ) -> ExitStatus {
        var settings = fittedSettings
        settings.closesLedger = true
        let run = UploadRun(
            ledger: ledger,
            settings: settings,
            cancellation: cancellation,
            onPart: onPart
        ) { event in
            printer.print(event)
        }
        let resumption: UnfinishedUploads.Resumption = canBeResumed ? .resume : .stream
        let startedAt = Moment.now()
        console.startProgress(
            printsEvents: true,
            isAlive: { run.isAlive() },
            stopReport: {
                let hasFoundAll = !run.snapshot().findsMore
                return UnfinishedUploads(of: run.kept, hasFoundAll: hasFoundAll, resumption: resumption).stopped
            }
        ) {
            TransferSnapshot(run.snapshot(), failures: printer.failures)
        }
        let result = run.run(feed)
        console.stopProgress(final: nil)
        if let obstacle = result.obstacle { printer.say(obstacle) }
        var summary = printer.completed
        summary.add(result.failures)
        summary.add(failuresBeside())
        summary.unfinished += result.untouched
        summary.seconds = Moment.now().seconds(since: startedAt)
        console.conclude(summary)
        let unfinished = result.failures.resumable + result.untouched
        if unfinished > 0 || !result.hasFoundAll {
            let report = UnfinishedUploads(
                of: result.kept,
                count: unfinished,
                hasFoundAll: result.hasFoundAll,
                resumption: resumption
            )
            console.error(cancellation.isCancelled ? report.stopped : report.sentence)
        }
        return ExitStatus(result.failures, failuresBeside(), FailureTally(result.obstacle.map { [$0] } ?? []))
    }

    /// The settings, with concurrency limited to what open files and memory allow.
    var fittedSettings: RunSettings { fitted(runSettings) }

    func fitted(_ settings: RunSettings) -> RunSettings {
        var settings = settings
        let wanted = settings.concurrency
        let most = settings.adaptsConcurrency ? max(wanted, settings.smallFiles) : wanted
        let room = RequestCapacity(
            openFiles: ProcessLimits.openFiles(wanted: RequestCapacity.files(for: most)),
            memory: ProcessLimits.memory()
        )
        settings.concurrency = room.most(wanted)
        settings.smallFiles = room.mostSmall(settings.smallFiles)
        guard settings.concurrency < wanted else { return settings }
        let text =
            "concurrency reduced to \(Wording.count(settings.concurrency, "request")): the limits are "
            + "\(room.openFiles) open files (ulimit -n) and \(room.memory.map(ByteSize.format) ?? "all") of memory"
        // Shown if the user chose the number.
        if settings.adaptsConcurrency { console.detail(text) } else { console.note(text) }
        return settings
    }
}

/// The uploads that a run left unfinished, as text.
struct UnfinishedUploads {
    enum Resumption {
        /// `mule resume` can resume them.
        case resume
        /// A stream, which only the same command can read.
        case stream
        /// Work of a job, which its next run resumes.
        case sameCommand
    }

    let kept: KeptParts
    let count: Int
    /// Whether the ledger knows all files of the run.
    let hasFoundAll: Bool
    let resumption: Resumption

    /// - Parameter count: includes uploads that were registered and not started; nil for those of `kept`.
    init(of kept: KeptParts, count: Int? = nil, hasFoundAll: Bool = true, resumption: Resumption) {
        self.kept = kept
        self.count = count ?? kept.uploads
        self.hasFoundAll = hasFoundAll
        self.resumption = resumption
    }

    /// The report of a run that ended by itself.
    var sentence: String {
        var sentences: [String] = []
        if let unfinished { sentences.append("\(unfinished).") }
        if hasFoundAll, resumption == .resume {
            sentences.append(
                "Run the same command or \"mule resume\" to continue; \"mule status\" lists unfinished uploads."
            )
        } else {
            sentences += sameCommand
        }
        return sentences.joined(separator: " ")
    }

    /// The report of a run that a signal stopped.
    var stopped: String {
        var sentences = ["Stopped."]
        if count == 1, kept.uploads == 1 {
            sentences.append("\(kept.sentence).")
        } else if let unfinished {
            sentences.append("\(unfinished).")
        }
        if hasFoundAll, resumption == .resume {
            let id = count == 1 ? kept.id.map { " \($0)" } : nil
            sentences.append("Resume with: mule resume\(id ?? "")")
        } else {
            sentences += sameCommand
        }
        return sentences.joined(separator: " ")
    }

    private var unfinished: String? {
        guard count > 0 else { return nil }
        let what = count == 1 ? "1 upload is unfinished" : "\(count) uploads are unfinished"
        return kept.uploads > 0 ? "\(what): \(kept.sentence)" : what
    }

    private var sameCommand: [String] {
        (hasFoundAll ? [] : ["Not all files were found yet."])
            + [
                resumption == .stream
                    ? "Run the same command to resume; it reads its stream from the start."
                    : "Run the same command to continue."
            ]
    }
}
