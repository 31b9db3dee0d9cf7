import MuleLedger
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// What a service manager's watchdog sees: a run that makes progress, and one whose workers hang.
@Suite struct WatchdogTests {
    /// A worker that never returns from a callback of its upload.
    private final class Hang: Sendable {
        let isOver = Monitor(false)

        func hold() { _ = isOver.wait(until: .now().adding(seconds: 60)) { $0 ? true : nil } }
        func end() { isOver.update { $0 = true } }
    }

    @Test func `a run whose workers hang is not alive when its patience is over`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let cancellation = Cancellation()
        guard case .job(let row, _) = try harness.register(path) else { return #expect(Bool(false)) }
        let hang = Hang()
        let run = UploadRun(
            ledger: harness.ledger,
            settings: EngineHarness.settings(stallLimit: 1),
            cancellation: cancellation
        ) { event in
            if case .started = event { hang.hold() }
        }
        let job = UploadJob(
            source: .file(Array(path.utf8)),
            destination: try harness.newUpload(path).destination,
            row: row,
            service: try harness.service(cancellation)
        )
        #expect(run.isAlive(slack: 0), "nothing is in hand")
        let hasEnded = Monitor(false)
        let thread = startedThread("run") {
            _ = run.run(JobFeed([job]))
            hasEnded.update { $0 = true }
        }
        func becomesAlive(_ isAlive: Bool) -> Bool {
            let end = Moment.now().adding(seconds: 30)
            while run.isAlive(slack: 0.2) != isAlive, Moment.now() < end {
                sleep(until: .now().adding(seconds: 0.02), cancellation)
            }
            return run.isAlive(slack: 0.2) == isAlive
        }
        #expect(becomesAlive(false))
        #expect(run.isAlive(slack: 60), "the workers have a while to give up by themselves")
        run.noteSign()
        #expect(run.isAlive(slack: 30), "somebody works for the run")
        hang.end()
        thread.join()
        #expect(hasEnded.withLock { $0 })
        #expect(run.isAlive(slack: 0))
    }
}
