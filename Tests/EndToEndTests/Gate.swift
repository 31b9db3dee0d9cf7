import Glibc
import MuleSystem
import TestSupport

/// Holds requests at a point of a scenario until the test opens it.
final class Gate: Sendable {
    private let isOpen = Monitor(false)

    func open() { isOpen.update { $0 = true } }

    /// Blocks the calling connection, for a minute at most, so that a failed test ends.
    func wait() { _ = isOpen.wait(until: .now().adding(seconds: 60)) { $0 ? true : nil } }
}

/// Kills a program from within a scripted fault, at exactly that point of the protocol.
final class KillSwitch: Sendable {
    private let program = Monitor<RunningCommand?>(nil)

    func arm(_ running: RunningCommand) { program.update { $0 = running } }

    /// Returns when the program is dead.
    func strike() {
        guard let program = program.wait(until: .now().adding(seconds: 60), for: { $0 }) else { return }
        program.signal(SIGKILL)
        _ = program.wait(timeoutSeconds: 30)
    }
}
