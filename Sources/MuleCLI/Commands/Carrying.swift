import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

extension Session {
    /// Carries the uploads to their ends with everything that people see of it.
    ///
    /// - Parameters:
    ///   - canBeResumed: whether `mule resume` can go on with them.
    ///   - failuresBeside: those that the run knows nothing of, asked for at its end.
    func carry(
        _ feed: some UploadFeed,
        _ ledger: Ledger,
        _ printer: EventPrinter,
        canBeResumed: Bool = true,
        failuresBeside: () -> FailureTally = { FailureTally() }
    ) -> ExitStatus {
        let run = UploadRun(ledger: ledger, settings: fittedSettings, cancellation: cancellation) { event in
            printer.print(event)
        }
        console.startProgress(isAlive: { run.isAlive() }, kept: { run.kept }) { TransferSnapshot(run.snapshot()) }
        let result = run.run(feed)
        console.stopProgress(final: nil)
        if let obstacle = result.obstacle { printer.say(obstacle) }
        let unfinished = result.failures.resumable + result.untouched
        if unfinished > 0 || !result.hasFoundAll {
            console.error(
                canBeResumed
                    ? Self.unfinished(unfinished, result.kept, knowsAll: result.hasFoundAll)
                    : "The upload is unfinished: \(result.kept.sentence). Run the same command to resume it; its stream is then "
                        + "read from its start. \"mule status\" lists what is pending."
            )
        }
        return ExitStatus(result.failures, failuresBeside(), FailureTally(result.obstacle.map { [$0] } ?? []))
    }

    /// No more requests at a time than there are files and memory for.
    var fittedSettings: RunSettings { fitted(runSettings) }

    func fitted(_ settings: RunSettings) -> RunSettings {
        var settings = settings
        let wanted = settings.concurrency
        let room = RequestRoom(
            openFiles: ProcessLimits.openFiles(wanted: RequestRoom.files(for: wanted)),
            memory: ProcessLimits.memory()
        )
        settings.concurrency = room.most(wanted)
        guard settings.concurrency < wanted else { return settings }
        let text =
            "no more than \(settings.concurrency) requests at a time: the limits are \(room.openFiles) open files "
            + "(ulimit -n) and \(room.memory.map(ByteSize.format) ?? "all") of memory"
        // Who has named a number is to know that it does not hold.
        if settings.adaptsConcurrency { console.detail(text) } else { console.note(text) }
        return settings
    }

    /// - Parameter knowsAll: whether the ledger knows all that was to be sent.
    private static func unfinished(_ count: Int, _ kept: KeptParts, knowsAll: Bool) -> String {
        var what = count == 1 ? "1 upload is unfinished" : "\(count) uploads are unfinished"
        if kept.uploads > 0 { what += ": \(kept.sentence)" }
        guard knowsAll else {
            let rest = count == 0 ? "Not all files were looked at" : "\(what). Not all files were looked at"
            return "\(rest). Run the same command to continue."
        }
        return "\(what). Run the same command, or \"mule resume\"; \"mule status\" lists what is pending."
    }
}
