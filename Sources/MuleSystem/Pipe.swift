internal import CLinux
import Glibc

/// A new pipe, closed on exec from the start: another thread may start a program at any moment.
package func makePipe() throws(SystemError) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    try retryingInterrupts("pipe2") { mule_pipe(&ends) }
    return (ends[0], ends[1])
}

/// A pipe that closes itself; its reading end never blocks.
final class Pipe {
    let reading: Int32
    let writing: Int32
    private(set) var hasEnded = false
    private var isWritingOpen = true

    init() throws(SystemError) {
        (reading, writing) = try makePipe()
        _ = fcntl(reading, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(reading)
        closeWriting()
    }

    func closeWriting() {
        if isWritingOpen { close(writing) }
        isWritingOpen = false
    }

    /// Empty if nothing is available now, or at the end.
    func read() -> [UInt8] {
        let room = 16 << 10
        return [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            let result = Glibc.read(reading, buffer.baseAddress, room)
            if result == 0 { hasEnded = true }
            count = max(0, result)
        }
    }
}
