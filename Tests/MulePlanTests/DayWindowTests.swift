import MulePlan
import Testing

@Suite struct DayWindowTests {
    @Test func `a window holds its first minute and not its last`() throws {
        let window = try #require(DayWindow(start: 60, end: 120))
        #expect([59, 60, 119, 120].map(window.contains) == [false, true, true, false])
        #expect(window.description == "01:00-02:00")
    }

    @Test func `a window may lie across midnight`() throws {
        let window = try #require(DayWindow(start: 22 * 60, end: 6 * 60))
        #expect([0, 359, 360, 1319, 1320, 1439].map(window.contains) == [true, true, false, false, true, true])
        #expect(window.description == "22:00-06:00")
    }

    @Test func `a window has a length`() { #expect(DayWindow(start: 60, end: 60) == nil) }
}
