import Glibc
import MuleJSON
import MuleSystem
import Synchronization

/// Where a command's words go: results to standard output, messages and progress to standard error.
final class Console: Sendable {
    let isJSON: Bool
    let isQuiet: Bool
    let isVerbose: Bool
    private let display: ProgressDisplay
    private let output = Monitor<Bool>(true)
    private let sharesTerminal: Bool
    private let isDrawing = Atomic<Bool>(false)

    init(_ typed: Typed, progress: ProgressChoice, environment: [String: String]) {
        isJSON = typed.json
        isQuiet = typed.quiet
        isVerbose = typed.verbose
        display = ProgressDisplay(typed.quiet ? .none : progress, environment: environment)
        sharesTerminal = display.style == .bar && isatty(STDOUT_FILENO) == 1
    }

    /// A line of results. A reader that has gone away is no reason to stop what is being done.
    func result(_ line: String) {
        results([line])
    }

    /// Lines that are all known at once, in as few writes as can be.
    func results(_ lines: [String]) {
        // While bars share the terminal with results, one hand must write both, or they paint over each other.
        if sharesTerminal, isDrawing.load(ordering: .relaxed) { return lines.forEach { display.message($0) } }
        output.withLock { isOpen in
            guard isOpen else { return }
            var rest = Array(lines.map { $0 + "\n" }.joined().utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else {
                    isOpen = false
                    return
                }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Something worth knowing that is no error; not with `--quiet`.
    func note(_ text: String) {
        if !isQuiet { display.message("mule: " + text) }
    }

    func detail(_ text: String) {
        if isVerbose { display.message("mule: " + text) }
    }

    func error(_ text: String) {
        display.message("mule: " + text)
    }

    /// Something that went wrong and changes nothing of what was sent; for programs an event, too.
    func warn(_ text: String) {
        if isJSON { result(JSONValue.object(["event": "warning", "message": .string(text)]).line) }
        error(TextSafety.displayName(text))
    }

    func startProgress(_ snapshot: @escaping @Sendable () -> TransferSnapshot) {
        display.start(snapshot: snapshot)
        isDrawing.store(true, ordering: .relaxed)
    }

    func stopProgress(final: TransferSnapshot?) {
        isDrawing.store(false, ordering: .relaxed)
        display.stop(final: final)
    }
}
