import Glibc
import MuleSystem
import MuleUpload

/// Where the words of this process go that are no results: to standard error, in the form that its reader wants, and to the log
/// file. It is there before any command is known, and speaks its last words.
package final class Voice: Sendable {
    /// Whether standard error is the journal, which wants a priority before each line, and writes the name and the time itself.
    let isJournal: Bool
    private let log = Monitor<LogFile?>(nil)
    private let kept = Monitor<(@Sendable () -> KeptParts)?>(nil)

    package init(environment: [String: String]) {
        isJournal = MuleSystem.isJournal(STDERR_FILENO, environment: environment)
    }

    /// From here on the last words say what is kept of a run.
    ///
    /// - Parameter kept: asked from any thread; nil when the run is over.
    func follow(_ kept: (@Sendable () -> KeptParts)?) {
        self.kept.withLock { $0 = kept }
    }

    /// What is said where the process ends before a run has come to its end.
    var lastWords: String {
        guard let kept = kept.withLock({ $0 })?(), kept.uploads > 0 else {
            return "Stopped. What the store has confirmed is kept; run the same command again."
        }
        let what = kept.uploads == 1 ? "1 upload is unfinished" : "\(kept.uploads) uploads are unfinished"
        return "Stopped; \(what): \(kept.sentence). Run the same command again."
    }

    /// Whether there is a log file, so that notes need not go to standard error.
    var hasLog: Bool { log.withLock { $0 != nil } }

    /// From here on all is written down in this file too.
    func writeDown(in path: [UInt8]) throws(SystemError) {
        let file = try LogFile(path: path)
        log.withLock { $0 = file }
    }

    /// Writes to the log file, where there is one.
    ///
    /// - Returns: what to tell people when that fails.
    func writeDown(_ level: MessageLevel, _ text: String) -> String? {
        log.withLock { $0 }?.write(level, text)
    }

    /// A message of one or more lines as standard error is to have it.
    func line(_ level: MessageLevel, _ text: String) -> String {
        guard isJournal else { return "mule: " + text }
        return text.split(separator: "\n").map { level.priority + $0 }.joined(separator: "\n")
    }

    /// An error, from wherever there is no console.
    func complain(_ message: String) {
        // Texts of the environment and of AWS's files are in it.
        let text = TextSafety.displayName(message)
        say(.error, text)
        if let complaint = writeDown(.error, text) { say(.error, complaint) }
    }

    private func say(_ level: MessageLevel, _ text: String, waits: Bool = true) {
        let bytes = Array((line(level, text) + "\n").utf8)
        if waits {
            try? writeAll(bytes, to: STDERR_FILENO)
        } else {
            writeWithoutWaiting(bytes, to: STDERR_FILENO)
        }
    }

    /// What SIGHUP means where there is a log file: it has been renamed, and a new one is to be made. Called by the thread
    /// that answers signals, which must not wait for a reader of standard error.
    ///
    /// - Returns: false where there is none.
    package func hangUp() -> Bool {
        guard let log = log.withLock({ $0 }) else { return false }
        do {
            try log.reopen()
        } catch {
            say(
                .error,
                "The log \(TextSafety.displayName(log.path)) can't be opened again: \(error.reason). Lines go to the old one.",
                waits: false
            )
        }
        return true
    }
}
