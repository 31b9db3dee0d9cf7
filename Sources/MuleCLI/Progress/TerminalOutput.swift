import Glibc
import MuleSystem

/// A file descriptor for messages, perhaps a terminal. Once its reader is gone, writes go nowhere, silently.
struct TerminalOutput {
    let descriptor: Int32
    private var isGone = false

    init(descriptor: Int32) { self.descriptor = descriptor }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Eighty by twenty-four where the system does not say.
    var size: WindowSize {
        var window = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0 else {
            return WindowSize(columns: 80, rows: 24)
        }
        return WindowSize(columns: Int(window.ws_col), rows: window.ws_row > 0 ? Int(window.ws_row) : 24)
    }

    /// False while a shell has put the program into the background, where a bar would scribble over the prompt.
    var isForeground: Bool {
        let owner = tcgetpgrp(descriptor)
        return owner < 0 || owner == getpgrp()
    }

    /// Writes all of it, however long a paused terminal or a slow reader takes; on a closed pipe or a vanished terminal
    /// it stops writing. Raises no SIGPIPE.
    mutating func write(_ text: String) {
        guard !isGone, !text.isEmpty else { return }
        let wasBlocked = TerminalOutput.blockBrokenPipe()
        defer { if !wasBlocked { TerminalOutput.unblockBrokenPipe() } }
        do { try writeAll(Array(text.utf8), to: descriptor) } catch { isGone = true }
    }

    /// Blocks SIGPIPE for this thread; true when it was blocked before. A write to a closed pipe then fails with EPIPE,
    /// and the signal, which is sent to the writing thread, waits until it is taken back.
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
