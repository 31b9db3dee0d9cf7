import MuleCLI
import MulePlan
import Testing

@Suite("Speed and time left")
struct RateWindowTests {
    @Test
    func `a steady flow has its own rate, whatever the window`() throws {
        var window = RateWindow(length: 15)
        #expect(window.rate == nil)
        for step in 0...200 {
            window.add(Int64(step) * 1000, at: 100 + Double(step) / 5)
            if step >= 3 { #expect(abs(try #require(window.rate) - 5000) < 1e-6) }
        }
    }

    @Test
    func `what lies before the window is forgotten`() throws {
        var window = RateWindow(length: 10)
        window.add(0, at: 0)
        window.add(1_000_000, at: 1)
        window.add(1_000_000, at: 6)
        #expect(try #require(window.rate) > 100_000)
        window.add(1_000_000, at: 20)
        #expect(window.rate == 0)
    }

    @Test
    func `a single old sample still tells the rate of a slow flow`() {
        var window = RateWindow(length: 15)
        window.add(0, at: 0)
        window.add(30_000, at: 30)
        #expect(window.rate == 1000)
        window.add(90_000, at: 60)
        #expect(window.rate == 2000)
    }

    @Test
    func `time that stands still or goes back changes nothing, and a falling count is no negative rate`() {
        var window = RateWindow()
        window.add(0, at: 10)
        window.add(1000, at: 11)
        window.add(9999, at: 11)
        window.add(9999, at: 5)
        #expect(window.rate == 1000)
        window.add(0, at: 12)
        #expect(window.rate == 0)
    }

    @Test
    func `skipped bytes are no speed, and shorten the time left`() {
        var pace = TransferPace()
        var snapshot = TransferSnapshot(totalBytes: 1000)
        pace.add(snapshot, at: 0)
        snapshot.bytesSkipped = 600
        snapshot.bytesDone = 700
        snapshot.bytesSentThisRun = 100
        pace.add(snapshot, at: 1)
        #expect(pace.rate == 100)
        #expect(pace.secondsLeft == 3)
    }

    @Test
    func `bytes that go out twice are speed on the wire but no advance`() {
        var pace = TransferPace()
        var snapshot = TransferSnapshot(totalBytes: 1000)
        pace.add(snapshot, at: 0)
        snapshot.bytesDone = 100
        snapshot.bytesSentThisRun = 200
        pace.add(snapshot, at: 1)
        #expect(pace.rate == 200)
        #expect(pace.secondsLeft == 9)
    }

    @Test
    func `without a total, or while nothing moves, no time is promised`() {
        var pace = TransferPace()
        for second in 0...3 { pace.add(TransferSnapshot(totalBytes: 10), at: Double(second)) }
        #expect(pace.secondsLeft == nil)
        var open = TransferPace()
        for second in 0...3 { open.add(TransferSnapshot(bytesDone: Int64(second)), at: Double(second)) }
        #expect(open.secondsLeft == nil)
    }
}

@Suite("Bars")
struct BarPrinterTests {
    @Test
    func `one file is one bar line, and a line of facts below it`() {
        let lines = BarPrinter(glyphs: .ascii).lines(single(), pace: pace(), width: 100, height: 24)
        #expect(
            lines == [
                "dump.zst   61%  [######################+................]  183.1/300.0 GiB    92.4 MiB/s  ETA 21m36s",
                "  8 parts in flight, 2 retries",
            ]
        )
    }

    @Test
    func `on a wide terminal the facts stand on the same line`() {
        let lines = BarPrinter(glyphs: .unicode).lines(single(), pace: pace(), width: 140, height: 24)
        #expect(lines.count == 1)
        #expect(lines[0].hasPrefix("dump.zst   61%  [\u{2588}"))
        #expect(lines[0].hasSuffix("183.1/300.0 GiB    92.4 MiB/s  ETA 21m36s  8 parts in flight, 2 retries"))
    }

    @Test
    func `a reason for waiting is shown, made safe`() {
        var snapshot = single()
        snapshot.waitingReason = "network down\u{1B}, trying again in 8 s"
        let lines = BarPrinter(glyphs: .ascii).lines(snapshot, pace: pace(), width: 140, height: 24)
        #expect(lines[1].hasPrefix("  waiting: network down\\x1B, trying again in 8 s, 8 parts in flight, 2 retries"))
    }

    @Test
    func `failures are counted while the others run`() {
        var snapshot = several(active: 2)
        snapshot.failures = 3
        let lines = BarPrinter(glyphs: .ascii).lines(snapshot, pace: pace(), width: 80, height: 24)
        #expect(lines.last?.hasPrefix("  4 parts in flight, 3 failed") == true, "\(lines)")
        #expect(PlainPrinter.line(snapshot, pace: pace()).hasSuffix(", 3 failed"))
    }

    @Test
    func `several files show those in progress and one line for all`() {
        let lines = BarPrinter(glyphs: .ascii).lines(several(active: 9), pace: pace(), width: 80, height: 24)
        #expect(lines.count == 7)
        #expect(lines[0].hasPrefix("file-1.dat"))
        #expect(lines[0].hasSuffix("  checking"))
        #expect(lines[5].hasPrefix("3 of 12 files"))
        #expect(lines[6].hasPrefix("  4 parts in flight, 4 more files in progress"))
    }

    @Test
    func `100 % is shown only when the store has confirmed the whole`() {
        var snapshot = single()
        snapshot.files[0].bytesDone = 300 << 30
        snapshot.files[0].bytesInFlight = 0
        snapshot.files[0].state = .completing
        #expect(line(snapshot).contains(" 99%"))
        #expect(line(snapshot).hasSuffix("completing"))
        snapshot.files[0].state = .done
        #expect(line(snapshot).contains("100%"))
        snapshot.files[0].size = 0
        snapshot.files[0].bytesDone = 0
        #expect(line(snapshot).contains("100%"))
    }

    @Test
    func `a size that is not known gives neither bar nor percent nor time left`() {
        var snapshot = single()
        snapshot.totalBytes = nil
        snapshot.files[0].size = nil
        #expect(!line(snapshot).contains("%"))
        #expect(!line(snapshot).contains("ETA"))
        #expect(line(snapshot).contains("183.1 GiB"))
    }

    @Test
    func `while files are still being found no total is shown as one, and nothing is complete`() {
        let snapshot = finding()
        let total = BarPrinter(glyphs: .ascii).lines(snapshot, pace: pace(), width: 90, height: 24).first {
            $0.contains("files")
        }
        #expect(total?.hasPrefix("12 of 12+ files") == true)
        #expect(total?.contains("%") == false && total?.contains("ETA") == false && total?.contains("[") == false)
        // The first of many is not shown as if it were the only one.
        var first = single()
        first.findsMore = true
        #expect(
            BarPrinter(glyphs: .ascii).lines(first, pace: pace(), width: 90, height: 24).contains {
                $0.hasPrefix("0 of 1+ files")
            }
        )
    }

    @Test
    func `a lost part takes back what was on its way, never what is confirmed`() {
        var snapshot = single()
        let before = line(snapshot)
        snapshot.files[0].bytesInFlight = 0
        let after = line(snapshot)
        #expect(before.filter { $0 == "#" }.count == after.filter { $0 == "#" }.count)
        #expect(before.contains("+"))
        #expect(!after.contains("+"))
    }

    @Test
    func `every line fills the width exactly, for every width, height, name and state`() {
        let names = [
            "a", "dump.zst", String(repeating: "very-long-name-", count: 20), "文件文件文件文件文件文件.zst", "🐴🐴🐴🐴🐴🐴🐴🐴🐴🐴🐴",
        ]
        let states: [FileProgress.State] = [.waiting, .checking, .sending, .completing, .done, .failed]
        var number = 0
        for width in 1...200 {
            for glyphs in [BarGlyphs.ascii, .unicode] {
                number += 1
                var one = single()
                one.files[0].name = names[number % names.count]
                one.files[0].state = states[number % states.count]
                if number % 7 == 0 { one.files[0].size = nil }
                if number % 5 == 0 { one.waitingReason = "network down, trying again in 8 s" }
                var many = several(active: number % 9)
                for index in many.files.indices { many.files[index].name = names[(number + index) % names.count] }
                for (snapshot, height) in [(one, 1 + number % 4), (many, 1 + number % 11)] {
                    let lines = BarPrinter(glyphs: glyphs).lines(snapshot, pace: pace(), width: width, height: height)
                    #expect(!lines.isEmpty && lines.count <= max(1, height - 1))
                    for line in lines { #expect(DisplayWidth.of(line) <= width, "\(width): \(line)") }
                    let bars = lines.filter { !$0.hasPrefix(" ") }
                    for line in bars { #expect(DisplayWidth.of(line) == width, "\(width): \(line)") }
                }
            }
        }
    }

    @Test
    func `twenty columns still show the name and how far it is`() {
        #expect(line(single(), width: 20) == "dump.zst         61%")
    }

    @Test
    func `a locale that is not UTF-8 gets ASCII bars`() {
        #expect(BarGlyphs(environment: ["LANG": "de_DE.UTF-8"]) == .unicode)
        #expect(BarGlyphs(environment: ["LC_ALL": "C.utf8", "LANG": "C"]) == .unicode)
        #expect(BarGlyphs(environment: ["LC_ALL": "C", "LANG": "de_DE.UTF-8"]) == .ascii)
        #expect(BarGlyphs(environment: [:]) == .ascii)
    }

    private func line(_ snapshot: TransferSnapshot, width: Int = 90) -> String {
        BarPrinter(glyphs: .ascii).lines(snapshot, pace: pace(), width: width, height: 24)[0]
    }
}

@Suite("Plain progress")
struct PlainPrinterTests {
    @Test
    func `one file is one sentence`() {
        #expect(
            PlainPrinter.line(single(), pace: pace())
                == "mule: dump.zst 61 % (183.1 of 300.0 GiB), 92.4 MiB/s, about 21m36s left, 2 retries"
        )
    }

    @Test
    func `several files are counted`() {
        #expect(
            PlainPrinter.line(several(active: 2), pace: pace()).hasPrefix(
                "mule: 3 of 12 files, 60 % (300 of 500 B), 92.4"
            )
        )
    }

    @Test
    func `while files are still being found no total is shown as one, and nothing is complete`() {
        let line = PlainPrinter.line(finding(), pace: pace())
        #expect(line.hasPrefix("mule: 12 of 12+ files, 300 B, 92.4 MiB/s"))
        #expect(!line.contains("%") && !line.contains("left"))
    }

    @Test
    func `the end says so, without speed and time left`() {
        var snapshot = single()
        snapshot.files[0].bytesDone = 300 << 30
        snapshot.files[0].bytesInFlight = 0
        snapshot.files[0].state = .done
        snapshot.bytesDone = 300 << 30
        snapshot.filesDone = 1
        #expect(
            PlainPrinter.line(snapshot, pace: pace()) == "mule: dump.zst 100 % (300.0 of 300.0 GiB), done, 2 retries"
        )
    }

    @Test
    func `no control character ever gets into a line`() {
        var snapshot = single()
        snapshot.files[0].name = "a\u{1B}[2J\r\n"
        snapshot.waitingReason = "b\rc"
        snapshot.totalBytes = nil
        let line = PlainPrinter.line(snapshot, pace: pace())
        #expect(line.utf8.allSatisfy { $0 >= 0x20 })
        #expect(line.hasSuffix("waiting: b\\rc"))
    }

    @Test
    func `a line is due after a second, and then every thirty seconds`() {
        var printer = PlainPrinter()
        let due = (0...1000).filter { printer.isDue(at: 5 + Double($0) / 5) }
        #expect(due == [5, 155, 305, 455, 605, 755, 905])
    }
}

/// 183.1 of 300 GiB, of which 10 are on their way.
func single() -> TransferSnapshot {
    let file = FileProgress(
        id: 1,
        name: "dump.zst",
        size: 300 << 30,
        bytesDone: 185_864_581_120,
        bytesInFlight: 10 << 30,
        partsDone: 10,
        partsTotal: 20,
        state: .sending
    )
    return TransferSnapshot(files: [file], totalBytes: 300 << 30, partsInFlight: 8, retries: 2)
}

func several(active: Int) -> TransferSnapshot {
    let files = (0..<active).map { index in
        FileProgress(id: index, name: "file-\(index + 1).dat", size: 100, bytesDone: 5, state: .checking)
    }
    return TransferSnapshot(
        files: files,
        totalBytes: 500,
        bytesDone: 300,
        partsInFlight: 4,
        filesDone: 3,
        filesTotal: 12
    )
}

/// All that has been found so far is done, and more may be found.
func finding() -> TransferSnapshot {
    TransferSnapshot(totalBytes: 300, bytesDone: 300, filesDone: 12, filesTotal: 12, findsMore: true)
}

/// 92.4 MiB/s, and what is missing of `single` at that speed.
func pace() -> TransferPace {
    var pace = TransferPace()
    var snapshot = single()
    snapshot.files[0].bytesDone -= 968_884_224
    snapshot.bytesDone -= 968_884_224
    pace.add(snapshot, at: 0)
    snapshot = single()
    snapshot.bytesSentThisRun = 968_884_224
    pace.add(snapshot, at: 10)
    return pace
}
