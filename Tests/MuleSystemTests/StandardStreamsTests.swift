import Glibc
import MuleSystem
import TestSupport
import Testing

@Suite("Standard output")
struct StandardStreamsTests {
    private let ends: (reading: Int32, writing: Int32)

    init() throws {
        ends = try makePipe()
        // The process of the tests must not die of a reader that leaves.
        signal(SIGPIPE, SIG_IGN)
    }

    @Test
    func `waits for a slow reader of a non-blocking pipe, and loses nothing`() throws {
        _ = fcntl(ends.writing, F_SETFL, O_NONBLOCK)
        let line = [UInt8](repeating: 7, count: 999)
        let writer = startedThread("writer") { [ends] in
            let output = StandardOutput(descriptor: ends.writing, isNeeded: true)
            for _ in 0..<300 { _ = output.write(line) }
            #expect(output.failure == nil)
            close(ends.writing)
        }
        let pipe = File(descriptor: ends.reading)
        // Full, whenever that is: a writer that does not wait loses lines now.
        var held: Int32 = 0
        while ioctl(pipe.descriptor, UInt(FIONREAD), &held) == 0, held < 60_000 { usleep(1000) }
        var buffer = [UInt8](repeating: 0, count: 1000)
        var total = 0
        while true {
            let count = read(pipe.descriptor, &buffer, buffer.count)
            if count <= 0 { break }
            total += count
        }
        writer.join()
        #expect(total == 300 * 999)
    }

    @Test
    func `is silent when its reader has gone, and writes nothing more`() throws {
        close(ends.reading)
        let output = StandardOutput(descriptor: ends.writing, isNeeded: true)
        #expect(output.write([1]) == nil && output.write([2]) == nil && output.failure == nil)
        close(ends.writing)
    }

    @Test
    func `tells once why it cannot be written`() throws {
        let full = try File.open(path: Array("/dev/full".utf8), flags: O_WRONLY)
        let output = StandardOutput(descriptor: full.descriptor, isNeeded: false)
        #expect(output.write([1])?.code == ENOSPC)
        #expect(output.write([2]) == nil)
        #expect(output.failure?.code == ENOSPC)
    }

    @Test(arguments: [true, false])
    func `may be closed where no one needs it`(isNeeded: Bool) throws {
        let null = try File.open(path: Array("/dev/null".utf8), flags: O_RDONLY)
        let output = StandardOutput(descriptor: null.descriptor, isNeeded: isNeeded)
        #expect(output.write([1])?.code == (isNeeded ? EBADF : nil))
        #expect((output.failure == nil) == !isNeeded)
    }

    @Test
    func `a thread that must not wait writes to no full pipe`() throws {
        let piece = [UInt8](repeating: 7, count: 100)
        var held: Int32 = 0
        for _ in 0..<2000 { writeWithoutWaiting(piece, to: ends.writing) }
        #expect(ioctl(ends.reading, UInt(FIONREAD), &held) == 0 && held > 4096)
        close(ends.reading)
        close(ends.writing)
    }

    @Test
    func `a thread that cannot be had is an error`() {
        #expect(throws: SystemError.self) { try Thread(name: "too large", stackSize: 1 << 60) {} }
    }
}
