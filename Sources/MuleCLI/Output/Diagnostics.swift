import Glibc
import MuleSystem
import MuleUpload

/// Writes messages to standard error, in the format of its reader, and to the log file. It exists before the command is
/// parsed, and has the message for a process that ends early.
package final class Diagnostics: Sendable {
    /// Whether standard error is the journal, which needs a priority before each line, and adds name and time itself.
    let isJournal: Bool
    private let logFile = Monitor<LogFile?>(nil)
    private let stopReport = Monitor<(@Sendable () -> String)?>(nil)

    package init(environment: [String: String]) {
        isJournal = MuleSystem.isJournal(STDERR_FILENO, environment: environment)
    }

    /// Sets the run whose report becomes `lastWords`.
    ///
    /// - Parameter stopReport: called from any thread; nil when the run has ended.
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

    /// Opens the log file for all further messages.
    func openLog(at path: [UInt8]) throws(SystemError) {
        let file = try LogFile(path: path)
        logFile.withLock { $0 = file }
    }

    /// Writes to the log file, if there is one.
    ///
    /// - Returns: a message if that fails.
    func log(_ level: MessageLevel, _ text: String) -> String? {
        logFile.withLock { $0 }?.write(level, text)
    }

    /// A message of one or more lines, formatted for standard error.
    func line(_ level: MessageLevel, _ text: String) -> String {
        guard isJournal else { return "mule: " + text }
        return text.split(separator: "\n").map { level.priority + $0 }.joined(separator: "\n")
    }

    /// An error from code without a console.
    func error(_ message: String) {
        // It may contain text from the environment and AWS's files.
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

    /// Reopens the log file, if there is one, after SIGHUP: it may have been renamed. Called by the signal thread,
    /// which must not wait for a reader of standard error.
    ///
    /// - Returns: false without a log file.
    package func hangUp() -> Bool {
        guard let log = logFile.withLock({ $0 }) else { return false }
        do {
            try log.reopen()
        } catch {
            say(
                .error,
                "Cannot reopen the log file \(TextSafety.displayName(log.path)): \(error.reason). Messages still go "
                    + "to the old file.",
                waits: false
            )
        }
        return true
    }
}
