import Testing

@testable import MulePlan

@Suite struct RateTimetableTests {
    private static func rate(_ text: String, _ day: Int, _ hour: Int, _ minute: Int = 0) throws -> Int64? {
        try RateTimetable(text).rate(at: RateTimetable.Time(weekday: day, minute: hour * 60 + minute))
    }

    @Test(arguments: [("20MB/s", 20_000_000), ("512K", 524_288), ("1", 1)])
    func `one rate holds at all times`(text: String, rate: Int64) throws {
        #expect(try Self.rate(text, 0, 0) == rate)
        #expect(try Self.rate(text, 6, 23, 59) == rate)
        #expect(try RateTimetable(text).constant == rate)
    }

    @Test(arguments: ["0", "0MB/s", "0.0K", "Mon=0", "08:00-18:00=0, *=off", "08:00-18:00=1K, *=0B/s"]
    )
    func `a rate of 0 is refused, alone and in a timetable`(text: String) {
        #expect { try RateTimetable(text) } throws: { "\($0)".contains("write off for no limit") }
    }

    @Test(
        arguments: [
            ("*=1K, Mon=2K", [2]), ("Mon=1K, *=2K", []), ("*=off, *=1K, Sun=off", [2, 3]), ("1K", []), ("off", []),
            ("00:00-12:00=1K, 12:00-24:00=2K, 22:00-02:00 Fri=3K, *=off", [3, 4]),
            ("Mon-Fri=1K, Tue 08:00-09:00=2K", [2]),
        ] as [(String, [Int])]
    )
    func `entries that never hold are known`(text: String, numbers: [Int]) throws {
        #expect(try RateTimetable(text).hiddenEntries == numbers)
    }

    @Test(arguments: [("1K", false), ("off", false), ("*=1K", false), ("Mon=1K", true), ("08:00-09:00=1K", true)]
    )
    func `one rate at all times does not depend on the clock`(text: String, depends: Bool) throws {
        #expect(try RateTimetable(text).dependsOnTime == depends)
    }

    @Test(arguments: ["off", "OFF", "*=off"])
    func `off is no limit`(text: String) throws {
        #expect(try Self.rate(text, 0, 12) == nil)
        #expect(try RateTimetable(text).constant == nil)
    }

    @Test
    func `the first entry that fits holds, and none is no limit`() throws {
        let text = "08:00-18:00 Mon-Fri=20MB/s, Sat+Sun=off,*=100MB/s"
        #expect(try Self.rate(text, 0, 7, 59) == 100_000_000)
        #expect(try Self.rate(text, 0, 8) == 20_000_000)
        #expect(try Self.rate(text, 4, 17, 59) == 20_000_000)
        #expect(try Self.rate(text, 4, 18) == 100_000_000)
        #expect(try Self.rate(text, 5, 12) == nil)
        #expect(try Self.rate("Mon 08:00-09:00=1K", 1, 8) == nil)
        #expect(try RateTimetable(text).constant == nil)
    }

    @Test
    func `a stretch over midnight belongs to the day on which it begins`() throws {
        let text = "22:00-06:00 Fri=1K"
        #expect(try Self.rate(text, 4, 22) == 1024)
        #expect(try Self.rate(text, 5, 5, 59) == 1024)
        #expect(try Self.rate(text, 5, 6) == nil)
        #expect(try Self.rate(text, 4, 5) == nil)
        #expect(try Self.rate(text, 5, 22) == nil)
        #expect(try Self.rate("22:00-06:00 Sun=1K", 0, 0) == 1024)
        #expect(try Self.rate("18:00-24:00=1K", 2, 23, 59) == 1024)
        #expect(try Self.rate("18:00-24:00=1K", 2, 0) == nil)
    }

    @Test
    func `days may go over the end of the week, and letters be of either case`() throws {
        let on = try (0..<7).filter { try Self.rate("fri-MON+Wed=1K", $0, 12) != nil }
        #expect(on == [0, 2, 4, 5, 6])
    }

    @Test(arguments: [
        "", "fast", "08:00-18:00", "=1K", "08:00=1K", "08:00-08:00=1K", "24:00-06:00=1K", "8-18=1K",
        "08:60-09:00=1K",
        "25:00-26:00=1K", "Mon-Foo=1K", "Mon-Tue-Wed=1K", "Mon Tue=1K", "*=", "*=fast", "*=1K,", "*=1K=2K",
        "* Mon=1K",
        "08:00-09:00 10:00-11:00=1K", "+1:00-02:00=1K", "Mon+=1K",
    ]
    )
    func `what is no timetable is told`(text: String) throws {
        #expect(throws: RateTimetable.ParseError.self) { try RateTimetable(text) }
    }

    @Test func `bytes take as long as the rates that hold meanwhile let them`() throws {
        let monday = RateTimetable.Time(weekday: 0, minute: 0)
        #expect(RateTimetable(always: 10).seconds(for: 105, from: monday) == 10.5)
        #expect(RateTimetable(always: 10).seconds(for: 0, from: monday) == 0)
        let table = try RateTimetable("00:01-00:02=1, 00:02-00:03=off, *=2")
        // 120 bytes in the first minute, 60 in the second; in the third there is no limit.
        #expect(table.seconds(for: 121, from: monday) == 61)
        #expect(table.seconds(for: 180, from: monday) == 120)
        #expect(table.seconds(for: 1 << 50, from: monday) == 120)
        // Over the end of the week.
        let sunday = RateTimetable.Time(weekday: 6, minute: 1439)
        #expect(try RateTimetable("Sun=1, *=2").seconds(for: 64, from: sunday) == 62)
    }
}
