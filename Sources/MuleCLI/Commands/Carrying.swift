import MuleLedger
import MuleUpload

extension Session {
    /// Carries the uploads to their ends with everything that people see of it.
    func carry(_ jobs: [UploadJob], _ ledger: Ledger, failuresBefore: [UploadFailure]) -> ExitStatus {
        guard !jobs.isEmpty else { return ExitStatus(failuresBefore) }
        let printer = EventPrinter(console: console)
        let run = UploadRun(jobs, ledger: ledger, settings: runSettings, cancellation: cancellation) { event in
            printer.print(event)
        }
        console.startProgress { TransferSnapshot(run.snapshot()) }
        let result = run.run()
        console.stopProgress(final: nil)
        let failures = failuresBefore + result.failures
        let resumable = result.failures.filter { $0.isResumable && $0.kind != .held }
        if !resumable.isEmpty { console.error(Self.goOn(resumable.count)) }
        return ExitStatus(failures)
    }

    private static func goOn(_ count: Int) -> String {
        let what = count == 1 ? "1 upload is unfinished" : "\(count) uploads are unfinished"
        return "\(what). What the store has confirmed is kept: go on with the same command, or with \"mule resume\"; "
            + "\"mule status\" lists what is pending."
    }
}
