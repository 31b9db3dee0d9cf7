import Glibc
import MuleJSON
import MuleSystem
import MuleUpload
import Synchronization

/// A command's output: results to standard output, messages and progress to standard error, and messages to the log
/// too.
final class Console: Sendable {
    let isJSON: Bool
    let isQuiet: Bool
    let isVerbose: Bool
    private let diagnostics: Diagnostics
    private let service: SystemdNotifier?
    private let display: ProgressDisplay
    private let output: StandardOutput
    private let sharesTerminal: Bool
    /// Columns of standard output if it is a terminal.
    private let width: Int?
    private let hasColors: Bool
    private let isDrawing = Atomic<Bool>(false)

    init(
        _ arguments: Arguments,
        progress: ProgressChoice,
        environment: [String: String],
        diagnostics: Diagnostics,
        output: StandardOutput,
        service: SystemdNotifier? = nil
    ) {
        isJSON = arguments.json
        isQuiet = arguments.quiet
        isVerbose = arguments.verbose
        self.diagnostics = diagnostics
        self.output = output
        self.service = service
        var display = ProgressDisplay(
            arguments.quiet || diagnostics.isJournal ? .none : progress,
            environment: environment
        )
        // With a log file, plain progress lines are not needed.
        if diagnostics.hasLog, progress == .auto, display.style == .plain {
            display = ProgressDisplay(.none, environment: environment)
        }
        self.display = display
        let isTerminal = isatty(STDOUT_FILENO) == 1
        sharesTerminal = display.style == .bar && isTerminal
        width = isTerminal ? TerminalOutput(descriptor: STDOUT_FILENO).size.columns : nil
        // https://no-color.org
        hasColors = isTerminal && environment["TERM"] != "dumb" && (environment["NO_COLOR"] ?? "").isEmpty
    }

    /// A line of results. A closed pipe does not stop the command.
    func result(_ line: String) {
        results([line])
    }

    /// Several lines, in as few writes as possible.
    func results(_ lines: [String]) {
        // While bars share the terminal with results, one thread must write both, or they overwrite each other.
        if sharesTerminal, isDrawing.load(ordering: .relaxed) { return lines.forEach { display.message($0) } }
        if let failure = output.write(Array(lines.map { $0 + "\n" }.joined().utf8)) { error(Self.lost(failure)) }
    }

    /// The finding of a check; with `--quiet` only if there is a problem.
    func report(_ finding: Finding) {
        if isJSON {
            result(finding.json.line)
        } else if finding.state != .ok || !isQuiet {
            result(finding.text(width: width, hasColors: hasColors))
        }
    }

    /// The summary of a run with more than one file.
    func conclude(_ summary: RunSummary) {
        guard summary.files > 1 else { return }
        record(.info, summary.text)
        if isJSON { result(summary.json.line) } else if !isQuiet { result(summary.text) }
    }

    /// The message for results that cannot be written.
    static func lost(_ failure: SystemError) -> String {
        "Cannot write to standard output: \(failure.reason). Some results are missing. Redirect the output elsewhere "
            + "and run the same command again."
    }

    /// Useful information that is not an error; not shown with `--quiet`, nor if it goes to the log.
    func note(_ text: String) {
        say(.info, text, isShown: !isQuiet && !diagnostics.hasLog)
    }

    /// A note of higher importance.
    func notice(_ text: String) {
        say(.warning, text, isShown: !isQuiet && !diagnostics.hasLog)
    }

    func detail(_ text: String) {
        if isVerbose { say(.info, text, isShown: !diagnostics.hasLog) }
    }

    func error(_ text: String) {
        say(.error, text, isShown: true)
    }

    /// A problem that does not affect what was sent; with `--json` also an event.
    ///
    /// - Parameter isShown: whether to write it to standard error too; the log has it in any case.
    func warn(_ text: String, isShown: Bool = true) {
        if isJSON { result(JSONValue.object(["event": "warning", "message": .string(text)]).line) }
        say(.warning, TextSafety.displayName(text), isShown: isShown)
    }

    /// Sets the message and exit status for a failed mapped file, which ends the process.
    func sayOnBusError(_ text: String, status: ExitStatus) {
        MuleSystem.onBusError(diagnostics.line(.error, text) + "\n", status: status.rawValue)
    }

    /// Whether there is a log, so that a line for it is worth making.
    var hasLog: Bool { diagnostics.hasLog }

    /// A line for the log only.
    func record(_ level: MessageLevel, _ text: String) {
        say(level, text, isShown: false)
    }

    private func say(_ level: MessageLevel, _ text: String, isShown: Bool) {
        if isShown { display.message(diagnostics.line(level, text)) }
        if let complaint = diagnostics.log(level, text) { display.message(diagnostics.line(.error, complaint)) }
    }

    /// - Parameters:
    ///   - job: the job's name, if several may run.
    ///   - printsEvents: whether to print progress events among the results, with `--json`.
    ///   - isAlive: whether the run makes progress, by its own judgement.
    ///   - stopReport: what to print if the process ends before the run; called from any thread.
    func startProgress(
        job: String? = nil,
        printsEvents: Bool = false,
        isAlive: @escaping @Sendable () -> Bool = { true },
        stopReport: (@Sendable () -> String)? = nil,
        _ snapshot: @escaping @Sendable () -> TransferSnapshot
    ) {
        diagnostics.follow(stopReport)
        service?.watch(job: job, isAlive: isAlive, snapshot)
        if isJSON, printsEvents {
            let events = ProgressEvents(job: job)
            display.start { [self] in
                let counts = snapshot()
                if let event = events.next(counts) { result(event.line) }
                return counts
            }
        } else {
            display.start(snapshot: snapshot)
        }
        isDrawing.store(true, ordering: .relaxed)
    }

    func stopProgress(final: TransferSnapshot?) {
        isDrawing.store(false, ordering: .relaxed)
        display.stop(final: final)
        diagnostics.follow(nil)
        service?.unwatch()
    }
}
