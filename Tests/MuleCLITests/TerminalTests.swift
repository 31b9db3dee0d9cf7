import Glibc
import MuleCLI
import Synchronization
import Testing

@Suite("Drawing on a terminal")
struct TerminalPainterTests {
    @Test
    func `lines are drawn again in the same place, more and fewer of them`() {
        var terminal = VirtualTerminal(columns: 20, rows: 6)
        var painter = TerminalPainter()
        terminal.feed("$ mule\r\n")
        for count in [1, 3, 2, 5, 1, 4] {
            let lines = (1...count).map { DisplayWidth.fit("line \($0) of \(count)", to: 20) }
            terminal.feed(painter.paint(lines, width: 20))
            #expect(terminal.text == ["$ mule"] + (1...count).map { "line \($0) of \(count)" })
            #expect(terminal.column == 0)
        }
        terminal.feed(painter.clear(width: 20))
        #expect(terminal.text == ["$ mule"])
    }

    @Test
    func `messages stand above the bars, whole and in order, while the screen scrolls`() {
        var terminal = VirtualTerminal(columns: 40, rows: 5)
        var screen = ProgressScreen(style: .bar)
        let size = WindowSize(columns: 40, rows: 5)
        for number in 1...20 {
            terminal.feed(screen.tick(several(active: 3), at: Double(number), size: size))
            let message = screen.message("message \(number)\nits second \u{1B}[A line", size: size)
            terminal.feed(message.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n"))
        }
        terminal.feed(screen.tick(several(active: 3), at: 21, size: size))
        let expected = (1...20).flatMap { ["message \($0)", "its second \\x1B[A line"] }
        #expect(Array(terminal.text.prefix(40)) == expected)
        #expect(terminal.text.count == 44)
    }

    @Test(arguments: 20...60)
    func `a terminal that is made narrower or wider keeps no debris`(columns: Int) {
        var terminal = VirtualTerminal(columns: 50, rows: 40)
        var screen = ProgressScreen(style: .bar)
        terminal.feed("$ mule\r\n")
        terminal.feed(screen.tick(several(active: 3), at: 0, size: WindowSize(columns: 50, rows: 40)))
        terminal.resize(columns: columns)
        terminal.feed(screen.tick(several(active: 3), at: 1, size: WindowSize(columns: columns, rows: 40)))
        #expect(terminal.text.count == 6)
        #expect(terminal.text.first == "$ mule")
        #expect(terminal.text.last?.hasPrefix("  4 parts in flight") == true)
    }

    @Test
    func `a last picture stays, or the bars disappear`() {
        let size = WindowSize(columns: 40, rows: 10)
        for isFinal in [true, false] {
            var terminal = VirtualTerminal(columns: 40, rows: 10)
            var screen = ProgressScreen(style: .bar)
            terminal.feed(screen.tick(several(active: 2), at: 0, size: size))
            terminal.feed(screen.finish(isFinal ? several(active: 0) : nil, at: 1, size: size))
            terminal.feed(screen.message("done", size: size))
            #expect(terminal.text.count == (isFinal ? 3 : 1))
            #expect(terminal.text.last == "done")
        }
    }

    @Test
    func `plain and silent styles write no escape, no carriage return, and nothing too often`() {
        let size = WindowSize(columns: 80, rows: 24)
        var plain = ProgressScreen(style: .plain)
        var silent = ProgressScreen(style: .none)
        var written = ""
        for step in 0...350 {
            written += plain.tick(several(active: 2), at: Double(step) / 5, size: size)
            #expect(silent.tick(several(active: 2), at: Double(step) / 5, size: size).isEmpty)
        }
        written += plain.message("a\rb", size: size) + plain.finish(several(active: 2), at: 71, size: size)
        #expect(written.split(separator: "\n").count == 5)
        #expect(written.utf8.allSatisfy { $0 == 0x0A || $0 >= 0x20 })
        #expect(silent.message("a", size: size) == "a\n")
    }
}

@Suite("The display on a real descriptor", .serialized)
struct ProgressDisplayTests {
    @Test
    func `on a pseudo-terminal bars are drawn in its width, messages above, and nothing is left but the last picture`()
        throws
    {
        let terminal = try PseudoTerminal(columns: 60, rows: 20)
        let display = ProgressDisplay(.auto, descriptor: terminal.inner, environment: ["TERM": "xterm"])
        #expect(display.style == .bar)
        let asked = Signal()
        display.start {
            asked.set()
            return several(active: 2)
        }
        asked.wait()
        display.message("first\nsecond")
        display.message("third")
        display.stop(final: several(active: 0))
        display.message("fourth")
        var screen = VirtualTerminal(columns: 60, rows: 20)
        screen.feed(terminal.written())
        #expect(Array(screen.text.prefix(3)) == ["first", "second", "third"])
        #expect(screen.text[3].hasPrefix("3 of 12 files   60%  ["))
        #expect(screen.text.last == "fourth")
        #expect(screen.text.count == 6)
    }

    @Test(
        arguments: [["TERM": "dumb"], ["TERM": ""], [:]] as [[String: String]]
    )
    func `auto is plain where no cursor can be moved`(environment: [String: String]) throws {
        let terminal = try PseudoTerminal(columns: 60, rows: 20)
        #expect(ProgressDisplay(.auto, descriptor: terminal.inner, environment: environment).style == .plain)
        #expect(ProgressDisplay(.bar, descriptor: terminal.inner, environment: environment).style == .plain)
        #expect(ProgressDisplay(.none, descriptor: terminal.inner, environment: ["TERM": "xterm"]).style == .none)
    }

    @Test
    func `on a pipe there are plain lines and every message, none twice, in order`() throws {
        let pipe = try Pipe()
        let display = ProgressDisplay(.auto, descriptor: pipe.inner, environment: ["TERM": "xterm"])
        #expect(display.style == .plain)
        display.message("before")
        display.start { several(active: 2) }
        for number in 1...200 { display.message("message \(number)") }
        display.stop(final: several(active: 2))
        display.stop()
        display.message("after")
        let lines = pipe.written().split(separator: "\n").map(String.init)
        #expect(lines.count == 203)
        #expect(lines.first == "before")
        #expect(Array(lines[1...200]) == (1...200).map { "message \($0)" })
        #expect(lines[201].hasPrefix("mule: 3 of 12 files, 60 %"))
        #expect(lines.last == "after")
    }

    @Test
    func `a reader that went away ends neither the process nor the run`() throws {
        let pipe = try Pipe()
        pipe.closeReader()
        let display = ProgressDisplay(.plain, descriptor: pipe.inner, environment: [:])
        display.message("one")
        let asked = Signal()
        display.start {
            asked.set()
            return several(active: 1)
        }
        asked.wait()
        display.message("two")
        display.stop(final: several(active: 1))
        display.message("three")
    }

    @Test
    func `it can be started again after a stop`() throws {
        let pipe = try Pipe()
        let display = ProgressDisplay(.plain, descriptor: pipe.inner, environment: [:])
        for round in 1...3 {
            display.start { several(active: 1) }
            display.message("round \(round)")
            display.stop()
        }
        #expect(pipe.written() == "round 1\nround 2\nround 3\n")
    }
}

/// Lets a test wait, without polling, until another thread was here.
private final class Signal: Sendable {
    private let pipe: [Int32]

    init() {
        var ends: [Int32] = [-1, -1]
        _ = Glibc.pipe(&ends)
        pipe = ends
    }

    deinit { pipe.forEach { close($0) } }

    func set() {
        var byte: UInt8 = 1
        _ = write(pipe[1], &byte, 1)
    }

    func wait() {
        var byte: UInt8 = 0
        _ = read(pipe[0], &byte, 1)
    }
}

private struct Unavailable: Error {}

/// A pipe whose inner end a display writes to.
private final class Pipe {
    private var reader: Int32
    let inner: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Unavailable() }
        (reader, inner) = (ends[0], ends[1])
    }

    deinit {
        closeReader()
        close(inner)
    }

    func closeReader() {
        if reader >= 0 { close(reader) }
        reader = -1
    }

    func written() -> String { drain(reader) }
}

/// A terminal whose inner end a display draws on.
private final class PseudoTerminal {
    private let outer: Int32
    let inner: Int32

    init(columns: UInt16, rows: UInt16) throws {
        // Glibc's module has no posix_openpt: these are TIOCSPTLCK and TIOCGPTN, which it is made of (ioctl_tty(2)).
        outer = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var locked: Int32 = 0
        var number: Int32 = 0
        guard ioctl(outer, 0x4004_5431, &locked) == 0, ioctl(outer, 0x8004_5430, &number) == 0 else {
            throw Unavailable()
        }
        inner = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        guard inner >= 0, ioctl(inner, UInt(TIOCSWINSZ), &size) == 0 else { throw Unavailable() }
    }

    deinit {
        close(outer)
        close(inner)
    }

    func written() -> String { drain(outer) }
}

/// What a descriptor has to give at once.
private func drain(_ descriptor: Int32) -> String {
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return String(decoding: text, as: UTF8.self) }
        text += buffer[..<count]
    }
}
