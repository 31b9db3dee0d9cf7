import MuleLedger
import MuleSystem

/// The archived files of several receipts, one after another, for any number of threads. Only one line per thread is in
/// memory.
final class ReceiptReader: Sendable {
    private struct State {
        /// Files that are not opened yet.
        var paths: ArraySlice<[UInt8]>
        var current: (path: [UInt8], lines: LineReader)?
        var line = 0
        /// Lines that the last run announced and that are still missing; nil if it announced none.
        var missing: Int64?
    }

    private enum Step {
        case line([UInt8], of: [UInt8], number: Int)
        case problem(String)
        case nothing
        case end
    }

    private let state: Monitor<State>
    private let open: @Sendable ([UInt8]) throws(CommandFailure) -> File
    private let shouldStop: @Sendable () -> Bool
    private let onProblem: @Sendable (String) -> Void

    /// - Parameters:
    ///   - open: opens a file for random reads; a failure affects only this file.
    ///   - onProblem: called from any thread for each unreadable line, with file and line number.
    init(
        _ paths: [[UInt8]],
        open: @escaping @Sendable ([UInt8]) throws(CommandFailure) -> File,
        shouldStop: @escaping @Sendable () -> Bool,
        onProblem: @escaping @Sendable (String) -> Void
    ) {
        state = Monitor(State(paths: paths[...]))
        self.open = open
        self.shouldStop = shouldStop
        self.onProblem = onProblem
    }

    /// The next archived file; nil after the last.
    func next() -> ReceiptLine.ArchivedFile? {
        while !shouldStop() {
            switch state.withLock(step) {
            case .end: return nil
            case .nothing: continue
            case .problem(let text): onProblem(text)
            case .line(let bytes, let path, let number):
                // Outside the lock, because this takes the most time.
                do throws(ReceiptLine.Problem) {
                    if case .archived(let file) = try ReceiptLine(bytes) { return file }
                } catch {
                    onProblem("\(LedgerExportImport.shown(path)), line \(number): \(error.reason).")
                }
            }
        }
        return nil
    }

    private func step(_ state: inout State) -> Step {
        guard state.current != nil else {
            guard let path = state.paths.popFirst() else { return .end }
            do throws(CommandFailure) {
                state.current = (path, LineReader(file: try open(path)))
                (state.line, state.missing) = (0, nil)
                return .nothing
            } catch {
                return .problem(error.message)
            }
        }
        let path = state.current?.path ?? []
        do throws(SystemError) {
            if let line = try state.current?.lines.next() {
                state.line += 1
                if !ReceiptLine.isRun(line) {
                    state.missing = state.missing.map { $0 - 1 }
                } else if case .run(let files)? = try? ReceiptLine(line) {
                    defer { state.missing = files }
                    if let problem = missing(state, path) { return .problem(problem) }
                }
                return .line(line, of: path, number: state.line)
            }
            state.current = nil
            if let problem = missing(state, path) { return .problem(problem) }
            // Receipts are written atomically: an empty file is not one, and proves nothing.
            guard state.line == 0 else { return .nothing }
            return .problem("\(LedgerExportImport.shown(path)) is empty: a receipt starts with a record of its run.")
        } catch {
            state.current = nil
            return .problem("Cannot read \(LedgerExportImport.shown(path)): \(error.reason).")
        }
    }

    /// Lines missing at the end show only in the count.
    private func missing(_ state: State, _ path: [UInt8]) -> String? {
        guard let missing = state.missing, missing != 0 else { return nil }
        let difference = missing > 0 ? "\(missing) fewer" : "\(-missing) more"
        return
            "\(LedgerExportImport.shown(path)), up to line \(state.line), has \(difference) files than its run: it "
            + "was cut off or changed."
    }
}
