import Glibc
import MulePlan
import MuleSystem

/// The severity of a message.
enum MessageLevel: String {
    case info, warning, error

    /// The prefix of a line for the journal, sd-daemon(3).
    var priority: String {
        switch self {
        case .info: "<6>"
        case .warning: "<4>"
        case .error: "<3>"
        }
    }
}

/// A file to which lines are appended, each with its time and in its own write: several processes may share it, and it
/// may be renamed and reopened while they run.
final class LogFile: Sendable {
    private struct State {
        var file: File
        /// Whether a failed write has been reported.
        var hasComplained = false
        /// Whether the last line was written only in part.
        var isTorn = false
    }

    let path: [UInt8]
    private let state: Monitor<State>

    init(path: [UInt8]) throws(SystemError) {
        self.path = path
        state = Monitor(State(file: try Self.open(path)))
    }

    /// Never waits for the reader of a FIFO.
    private static func open(_ path: [UInt8]) throws(SystemError) -> File {
        try File.open(path: path, flags: O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, mode: 0o640)
    }

    /// Whether the file can be opened or created; does not create it.
    static func check(_ path: [UInt8]) throws(SystemError) {
        do throws(SystemError) {
            _ = try File.open(path: path, flags: O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK)
        } catch {
            guard error.code == ENOENT else { throw error }
            let slash = path.lastIndex(of: UInt8(ascii: "/"))
            let directory = slash.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(path[..<$0]) } ?? [UInt8(ascii: ".")]
            try checkWritable(directory: directory)
        }
    }

    /// Opens the file that is now at the path. If that fails, lines still go to the old file.
    func reopen() throws(SystemError) {
        let file = try Self.open(path)
        state.withLock { state in
            state.file = file
            state.hasComplained = false
            state.isTorn = false
        }
    }

    /// Adds a line for each line of the text.
    ///
    /// - Returns: the message for the first failed write.
    func write(_ level: MessageLevel, _ text: String) -> String? {
        let time = UTCTime(millisecondsSince1970: wallClockMilliseconds()).iso8601
        var lines: [[UInt8]] = []
        for line in TextSafety.displayText(text).split(separator: "\n") {
            lines.append(Array("\(time) \(level.rawValue) \(line)\n".utf8))
        }
        return state.withLock { state in
            for line in lines {
                guard let reason = Self.write(line, &state), !state.hasComplained else { continue }
                state.hasComplained = true
                return
                    "The log \(TextSafety.displayName(path)) cannot be written: \(reason). The run continues without "
                    + "it."
            }
            return nil
        }
    }

    /// - Returns: why it was not written.
    private static func write(_ line: [UInt8], _ state: inout State) -> String? {
        let bytes = state.isTorn ? [UInt8(ascii: "\n")] + line : line
        while true {
            let count = Glibc.write(state.file.descriptor, bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return SystemError(code: errno, call: "write").reason }
            state.isTorn = count < bytes.count
            // The rest is not written later, after other processes' lines.
            return state.isTorn ? SystemError(code: ENOSPC, call: "write").reason : nil
        }
    }
}
