import Glibc
import MuleSystem

/// A file descriptor for messages, possibly a terminal. Once its reader is gone, writes are silently discarded.
struct TerminalOutput {
    let descriptor: Int32
    private var isGone = false

    init(descriptor: Int32) { self.descriptor = descriptor }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// 80 by 24 if the system does not tell.
    var size: WindowSize {
        var window = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0 else {
            return WindowSize(columns: 80, rows: 24)
        }
        return WindowSize(columns: Int(window.ws_col), rows: window.ws_row > 0 ? Int(window.ws_row) : 24)
    }

    /// False while the shell runs the program in the background, where a bar would overwrite the prompt.
    var isForeground: Bool {
        let owner = tcgetpgrp(descriptor)
        return owner < 0 || owner == getpgrp()
    }

    /// Writes all of it, and waits for a paused terminal or a slow reader; stops at a closed pipe or terminal. Raises
    /// no SIGPIPE.
    mutating func write(_ text: String) {
        guard !isGone, !text.isEmpty else { return }
        let wasBlocked = TerminalOutput.blockBrokenPipe()
        defer { if !wasBlocked { TerminalOutput.unblockBrokenPipe() } }
        do { try writeAll(Array(text.utf8), to: descriptor) } catch { isGone = true }
    }

    /// Blocks SIGPIPE for this thread; true if it was already blocked. A write to a closed pipe then fails with EPIPE,
    /// and the signal, which is sent to the writing thread, stays pending until it is removed.
    private static func blockBrokenPipe() -> Bool {
        var pipe = brokenPipe
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, &pipe, &before)
        return sigismember(&before, SIGPIPE) == 1
    }

    private static func unblockBrokenPipe() {
        var pipe = brokenPipe
        var now = timespec()
        while sigtimedwait(&pipe, nil, &now) == SIGPIPE {}
        pthread_sigmask(SIG_UNBLOCK, &pipe, nil)
    }

    private static var brokenPipe: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGPIPE)
        return set
    }
}
