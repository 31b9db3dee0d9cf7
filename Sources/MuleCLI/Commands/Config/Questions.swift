import Glibc
import MuleSystem

/// Reads lines of standard input one at a time, never beyond the line. Stops when the program is stopped.
struct InputLines {
    enum Line {
        case text([UInt8])
        case end
        case stopped
    }

    let cancellation: Cancellation

    /// Longer lines are cut, so that input without line feeds does not fill the memory.
    private static let longest = 16_384

    func next() -> Line {
        var line: [UInt8] = []
        while !cancellation.isCancelled {
            var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            guard poll(&input, 1, 200) > 0 else { continue }
            var byte: UInt8 = 0
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count == 1 else { return line.isEmpty ? .end : .text(line) }
            if byte == UInt8(ascii: "\n") || line.count == Self.longest { return .text(line) }
            line.append(byte)
        }
        return .stopped
    }
}

/// Why an answer is refused, without the full stop.
struct BadAnswer: Error {
    let why: String

    init(_ why: String) { self.why = why }
}

/// Asks on standard error and reads answers from standard input, one line each; after the end of input, the defaults.
struct Questions {
    /// The value of an empty answer.
    struct Default<Value> {
        let shown: String
        let value: Value
    }

    let console: Console
    let cancellation: Cancellation
    /// The message if the program is stopped at a question.
    let stopped: String

    /// How often a question is asked. Answers from a program do not change.
    private static let attempts = 3

    private var isTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// - Parameters:
    ///   - question: messages use it without the part in parentheses.
    ///   - standard: nil if an answer is required.
    ///   - read: checks an answer that is not empty.
    func ask<Value>(
        _ question: String,
        default standard: Default<Value>?,
        _ read: (String) throws(BadAnswer) -> Value
    ) throws(CommandFailure) -> Value {
        let prompt = question + (standard.map { " [\(TextSafety.displayName($0.shown))]" } ?? "") + ": "
        let label = question.split(separator: " (").first.map(String.init) ?? question
        var attempt = 1
        while true {
            write(prompt)
            let line = InputLines(cancellation: cancellation).next()
            // A terminal echoes the user's line feed.
            if case .text = line, isTerminal {} else { write("\n") }
            switch line {
            case .stopped: throw CommandFailure(status: .interruption, message: stopped)
            case .end:
                if let standard { return standard.value }
                throw CommandFailure(
                    status: .usage,
                    message: "Standard input ended before the answer to \"\(label)\". Nothing was written."
                )
            case .text(let bytes):
                let why: String
                do throws(BadAnswer) {
                    return try value(of: bytes, standard, read)
                } catch {
                    why = error.why + ([".", "?", ".)"].contains(where: error.why.hasSuffix) ? "" : ".")
                }
                guard isTerminal, attempt < Self.attempts else {
                    throw CommandFailure(status: .usage, message: "\(label): \(why) Nothing was written.")
                }
                console.error(why)
                attempt += 1
            }
        }
    }

    private func value<Value>(
        of bytes: [UInt8],
        _ standard: Default<Value>?,
        _ read: (String) throws(BadAnswer) -> Value
    ) throws(BadAnswer) -> Value {
        let text = try Self.text(bytes)
        if let standard, text.isEmpty || text == standard.shown { return standard.value }
        guard !text.isEmpty else { throw BadAnswer("this question needs an answer") }
        return try read(text)
    }

    func write(_ text: String) { try? writeAll(Array(text.utf8), to: STDERR_FILENO) }

    private static func text(_ bytes: [UInt8]) throws(BadAnswer) -> String {
        let blanks: [UInt8] = [0x20, 0x09, 0x0D]
        let start = bytes.drop { blanks.contains($0) }
        let end = start.lastIndex { !blanks.contains($0) }
        guard let text = String(validating: end.map { start[...$0] } ?? [], as: UTF8.self) else {
            throw BadAnswer("the answer is not UTF-8")
        }
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw BadAnswer("the answer contains control characters, such as those of the arrow keys")
        }
        return text
    }
}
