import Glibc
import MuleSystem
import MuleUpload

/// Where the words of this process go that are no results: to standard error, in the form that its reader wants, and to the log
/// file. It is there before any command is known, and speaks its last words.
package final class Diagnostics: Sendable {
    /// Whether standard error is the journal, which wants a priority before each line, and writes the name and the time itself.
    let isJournal: Bool
    private let logFile = Monitor<LogFile?>(nil)
    private let stopReport = Monitor<(@Sendable () -> String)?>(nil)

    package init(environment: [String: String]) {
        isJournal = MuleSystem.isJournal(STDERR_FILENO, environment: environment)
    }

    /// From here on the last words are the report of a run.
    ///
    /// - Parameter stopReport: asked from any thread; nil when the run is over.
    func follow(_ stopReport: (@Sendable () -> String)?) {
        self.stopReport.withLock { $0 = stopReport }
    }

    /// The message if the process ends before its run does.
    var lastWords: String {
        stopReport.withLock { $0 }?()
            ?? "Stopped. Everything that the store has confirmed is kept. Run the same command to continue."
    }

    /// Whether there is a log file, so that notes need not go to standard error.
    var hasLog: Bool { logFile.withLock { $0 != nil } }

    /// From here on all is written down in this file too.
    func openLog(at path: [UInt8]) throws(SystemError) {
        let file = try LogFile(path: path)
        logFile.withLock { $0 = file }
    }

    /// Writes to the log file, where there is one.
    ///
    /// - Returns: what to tell people when that fails.
    func log(_ level: MessageLevel, _ text: String) -> String? {
        logFile.withLock { $0 }?.write(level, text)
    }

    /// A message of one or more lines as standard error is to have it.
    func line(_ level: MessageLevel, _ text: String) -> String {
        guard isJournal else { return "mule: " + text }
        return text.split(separator: "\n").map { level.priority + $0 }.joined(separator: "\n")
    }

    /// An error from code without a console.
    func error(_ message: String) {
        // Texts of the environment and of AWS's files are in it.
        let text = TextSafety.displayName(message)
        say(.error, text)
        if let complaint = log(.error, text) { say(.error, complaint) }
    }

    private func say(_ level: MessageLevel, _ text: String, waits: Bool = true) {
        let bytes = Array((line(level, text) + "\n").utf8)
        if waits {
            try? writeAll(bytes, to: STDERR_FILENO)
        } else {
            writeWithoutWaiting(bytes, to: STDERR_FILENO)
        }
    }

    /// Reopens the log file, if there is one, after SIGHUP: it may have been renamed. Called by the thread
    /// that answers signals, which must not wait for a reader of standard error.
    ///
    /// - Returns: false where there is none.
    package func hangUp() -> Bool {
        guard let log = logFile.withLock({ $0 }) else { return false }
        do {
            try log.reopen()
        } catch {
            say(
                .error,
                "Cannot reopen the log file \(TextSafety.displayName(log.path)): \(error.reason). Messages still go to the old file.",
                waits: false
            )
        }
        return true
    }
}
