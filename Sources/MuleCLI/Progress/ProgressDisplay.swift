import Glibc
import MuleSystem

/// Shows progress and messages on one file descriptor, from its own thread: five times a second as bars, every thirty
/// seconds as plain lines.
///
/// Messages may come from any thread and never wait for the terminal while the display runs. `stop` must be called
/// before the process ends, or the last messages are lost.
package final class ProgressDisplay: Sendable {
    private struct State {
        var output: TerminalOutput
        var screen: ProgressScreen
    }

    /// A pipe whose ends this display owns; a byte in it ends the thread's pause.
    private struct Wake {
        let listen: Int32
        let ring: Int32

        func close() {
            Glibc.close(listen)
            Glibc.close(ring)
        }
    }

    /// Messages for the thread; nil while no thread runs.
    private let inbox = Monitor<[String]?>(nil)
    /// Locked by the writer, which is the thread while it runs.
    private let state: Monitor<State>
    private let thread = Monitor<(work: Thread, wake: Wake)?>(nil)

    /// - Parameters:
    ///   - choice: `auto` is a bar on a terminal that can move its cursor, and plain lines elsewhere; a requested bar
    ///     that cannot be drawn becomes plain lines too.
    ///   - descriptor: Usually standard error; stays open.
    ///   - environment: Determines the kind of terminal (`TERM`) and UTF-8 (`LC_ALL`, `LC_CTYPE`, `LANG`).
    package init(_ choice: ProgressChoice, descriptor: Int32 = 2, environment: [String: String]) {
        let output = TerminalOutput(descriptor: descriptor)
        let terminal = environment["TERM"] ?? ""
        let canDraw = output.isTerminal && terminal != "dumb" && !terminal.isEmpty
        let style: ProgressScreen.Style =
            switch choice {
            case .none: .none
            case .plain: .plain
            case .auto, .bar: canDraw ? .bar : .plain
            }
        let screen = ProgressScreen(style: style, glyphs: BarGlyphs(environment: environment))
        state = Monitor(State(output: output, screen: screen))
    }

    package var style: ProgressScreen.Style { state.withLock { $0.screen.style } }

    /// Starts the thread, which takes a snapshot about five times a second. Without a thread, only messages are shown.
    /// Must be called once before each `stop`.
    package func start(snapshot: @escaping @Sendable () -> TransferSnapshot) {
        thread.withLock { thread in
            guard thread == nil else { return }
            guard let (listen, ring) = try? makePipe() else { return }
            for end in [listen, ring] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
            let wake = Wake(listen: listen, ring: ring)
            inbox.withLock { $0 = [] }
            // Other threads handle signals; this one inherits a full mask.
            var all = sigset_t()
            var before = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, &before)
            defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
            do throws(SystemError) {
                thread = (try Thread(name: "progress") { [self] in run(wake, snapshot) }, wake)
            } catch {
                wake.close()
                let waiting = inbox.withLock { $0.take() } ?? []
                waiting.forEach { message($0) }
            }
        }
    }

    /// Shows a message of one or more lines above the progress; control characters in it are escaped.
    package func message(_ text: String) {
        let isQueued = inbox.withLock { inbox in
            inbox?.append(text)
            return inbox != nil
        }
        if isQueued {
            wake()
        } else {
            state.withLock { $0.output.write($0.screen.message(text, size: $0.output.size)) }
        }
    }

    /// Ends the thread after all messages are written. With `final`, a last display of this snapshot stays on the
    /// screen; without, bars disappear.
    package func stop(final snapshot: TransferSnapshot? = nil) {
        guard let running = thread.withLock({ $0.take() }) else { return }
        let rest = inbox.withLock { $0.take() } ?? []
        ProgressDisplay.ring(running.wake)
        running.work.join()
        running.wake.close()
        state.withLock { state in
            let size = state.output.size
            let mayDraw = state.output.isForegroundOrPlain(state.screen.style)
            if !mayDraw { state.screen.forget() }
            var text = rest.map { state.screen.message($0, size: size) }.joined()
            if mayDraw { text += state.screen.finish(snapshot, at: ProgressDisplay.now, size: size) }
            state.output.write(text)
        }
    }

    private func run(_ wake: Wake, _ snapshot: @Sendable () -> TransferSnapshot) {
        while true {
            let messages = inbox.withLock { inbox in
                let messages = inbox
                if inbox != nil { inbox = [] }
                return messages
            }
            guard let messages else { return }
            let counts = snapshot()
            state.withLock { state in
                let size = state.output.size
                let mayDraw = state.output.isForegroundOrPlain(state.screen.style)
                if !mayDraw { state.screen.forget() }
                var text = messages.map { state.screen.message($0, size: size) }.joined()
                if mayDraw { text += state.screen.tick(counts, at: ProgressDisplay.now, size: size) }
                state.output.write(text)
            }
            var waiting = pollfd(fd: wake.listen, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, 200) > 0 {
                var rings = [UInt8](repeating: 0, count: 512)
                _ = read(wake.listen, &rings, rings.count)
            }
        }
    }

    private func wake() { thread.withLock { if let running = $0 { ProgressDisplay.ring(running.wake) } } }

    /// A full pipe wakes the thread too, so a failed write loses nothing.
    private static func ring(_ wake: Wake) {
        var one: UInt8 = 1
        _ = write(wake.ring, &one, 1)
    }

    private static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

extension TerminalOutput {
    fileprivate func isForegroundOrPlain(_ style: ProgressScreen.Style) -> Bool { style != .bar || isForeground }
}
