import Glibc
import MuleSystem

/// A started program. Its streams are read by threads, so it never blocks on a full pipe.
///
/// When the last reference goes and the program still runs, it is killed.
package final class RunningCommand: Sendable {
    package let pid: Int32
    private let started: Moment
    private let arguments: [[UInt8]]
    private let input: Int32?
    private let progress: Monitor<Progress>

    private struct Progress: Sendable {
        var output: [UInt8] = []
        var error: [UInt8] = []
        var openReaders = 0
        var inputIsOpen: Bool
        /// Our end of the terminal, as long as its reader has not closed it.
        var terminal: Int32?
        /// The pid is valid for `kill` as long as this is nil: the program is reaped in the same step that sets it.
        var ended: (status: Int32, usage: rusage, at: Moment)?
        var killedByTimeout = false
    }

    init(_ command: TestCommand) throws(CommandFailure) {
        let streams = try ChildStreams(command)
        arguments = command.arguments
        started = .now()
        pid = try streams.spawn(command)
        streams.closeChildEnds()
        var inputEnd = streams.inputEnd
        if let end = inputEnd, case .bytes(let bytes) = command.input {
            DetachedThread.start {
                Self.write(bytes, to: end)
                close(end)
            }
            inputEnd = nil
        }
        input = inputEnd
        progress = Monitor(Progress(inputIsOpen: inputEnd != nil, terminal: streams.terminal))
        let progress = progress
        let pid = pid
        if let output = streams.outputEnd {
            Self.read(output, progress) { $0.output += $1 }
        }
        if let error = streams.errorEnd {
            Self.read(error, progress) { $0.error += $1 }
        }
        DetachedThread.start {
            var facts = siginfo_t()
            while waitid(P_PID, id_t(pid), &facts, WEXITED | WNOWAIT) < 0 && errno == EINTR {}
            progress.update { progress in
                var status: Int32 = 0
                var usage = rusage()
                _ = wait4(pid, &status, 0, &usage)
                progress.ended = (status, usage, .now())
            }
        }
    }

    deinit {
        killGroup()
        progress.wait(seconds: 5) { $0.ended != nil }
        closeInput()
    }

    /// Sends a signal; false when the program has ended already.
    @discardableResult
    package func signal(_ number: Int32) -> Bool {
        progress.withLock { $0.ended == nil && kill(pid, number) == 0 }
    }

    /// Takes the program's own children along.
    private func killGroup() {
        progress.withLock { progress in
            if progress.ended == nil { kill(-pid, SIGKILL) }
        }
    }

    package var isRunning: Bool { progress.withLock { $0.ended == nil } }
    package var outputSoFar: String { progress.withLock { String(decoding: $0.output, as: UTF8.self) } }
    package var errorSoFar: String { progress.withLock { String(decoding: $0.error, as: UTF8.self) } }

    /// Blocks until standard output and error together hold `text`, or the program has ended.
    @discardableResult
    package func waitForText(_ text: String, timeoutSeconds: Double = 60) -> Bool {
        let wanted = Array(text.utf8)
        func isThere(_ progress: Progress) -> Bool {
            Bytes.contains(wanted, in: progress.output) || Bytes.contains(wanted, in: progress.error)
        }
        progress.wait(seconds: timeoutSeconds) { isThere($0) || ($0.ended != nil && $0.openReaders == 0) }
        return progress.withLock { isThere($0) }
    }

    /// Writes to standard input; false when the program has closed it.
    @discardableResult
    package func writeInput(_ bytes: [UInt8]) -> Bool {
        guard let input, progress.withLock(\.inputIsOpen) else { return false }
        return Self.write(bytes, to: input)
    }

    package func closeInput() {
        let mustClose = progress.withLock { progress in
            defer { progress.inputIsOpen = false }
            return progress.inputIsOpen
        }
        if mustClose, let input { close(input) }
    }

    /// Changes the size of the terminal, and sends SIGWINCH, which the kernel sends only to a terminal's own session.
    package func resizeTerminal(_ size: TestCommand.TerminalSize) {
        let isThere = progress.withLock { progress in
            guard let terminal = progress.terminal else { return false }
            ChildStreams.setSize(size, of: terminal)
            return true
        }
        if isThere { signal(SIGWINCH) }
    }

    /// Waits for the end; after `timeoutSeconds` the program is killed.
    package func wait(timeoutSeconds: Double = 60) -> CommandOutcome {
        if !progress.wait(seconds: timeoutSeconds, until: { $0.ended != nil }) {
            progress.withLock { $0.killedByTimeout = true }
            killGroup()
            progress.wait(seconds: nil) { $0.ended != nil }
        }
        // A grandchild may hold the streams open; it is not waited for.
        progress.wait(seconds: 2) { $0.openReaders == 0 }
        return progress.withLock { progress in
            let status = progress.ended?.status ?? 0
            let usage = progress.ended?.usage ?? rusage()
            let signal = status & 0x7F
            let cpu = [usage.ru_utime, usage.ru_stime].reduce(0.0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
            return CommandOutcome(
                end: signal == 0 ? .exit((status >> 8) & 0xFF) : .signal(signal),
                arguments: arguments,
                standardOutput: progress.output,
                standardError: progress.error,
                seconds: (progress.ended?.at ?? .now()).seconds(since: started),
                peakMemory: Int64(usage.ru_maxrss) * 1_024,
                cpuSeconds: cpu,
                timedOut: progress.killedByTimeout
            )
        }
    }

    private static func read(
        _ descriptor: Int32,
        _ progress: Monitor<Progress>,
        _ add: @escaping @Sendable (inout Progress, [UInt8]) -> Void
    ) {
        progress.withLock { $0.openReaders += 1 }
        DetachedThread.start {
            while true {
                let piece = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
                    // A terminal answers EIO when its last user has closed it.
                    count = max(0, Glibc.read(descriptor, buffer.baseAddress, 64 << 10))
                }
                if piece.isEmpty { break }
                progress.update { add(&$0, piece) }
            }
            progress.update { progress in
                if progress.terminal == descriptor { progress.terminal = nil }
                close(descriptor)
                progress.openReaders -= 1
            }
        }
    }

    @discardableResult
    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        // A broken pipe must come back as EPIPE. The signal goes to the writing thread, where it is kept blocked and
        // then taken off.
        var pipeSignal = sigset_t()
        sigemptyset(&pipeSignal)
        sigaddset(&pipeSignal, SIGPIPE)
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, &pipeSignal, &before)
        defer {
            var now = timespec()
            sigtimedwait(&pipeSignal, nil, &now)
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        return bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let written = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else { return false }
                offset += written
            }
            return true
        }
    }
}
