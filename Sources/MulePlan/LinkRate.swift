/// The recent rate of a link: acknowledged bytes per second of sending.
///
/// It counts seconds of sending, not of the clock: while all bodies wait for their answers, nothing is learned of the
/// link.
struct LinkRate: Sendable {
    /// Bytes of each past slot, the newest last.
    private var slots: [Double] = []
    private var open = 0.0
    private var openSeconds = 0.0
    /// Highest rate of a slot in this run, in bytes per second. The first bytes may only have filled buffers on the
    /// way.
    private(set) var peak = 0.0
    /// Slots since the start.
    private(set) var slotCount = 0

    static let slotSeconds = 0.1
    /// Slots that are kept: the longest span of a mean.
    private static let most = 200
    /// Growth from one short span to the next that shows a link that has not reached its full rate.
    private static let growth = 1.25
    private static let growthSlots = 3

    /// Seconds pass in which something is being sent.
    mutating func pass(_ seconds: Double) {
        var left = seconds
        // A long silence is as many empty slots; more than are kept make no difference.
        if left > Double(Self.most + 1) * Self.slotSeconds { left = Double(Self.most + 1) * Self.slotSeconds }
        while openSeconds + left >= Self.slotSeconds {
            left -= Self.slotSeconds - openSeconds
            close()
        }
        openSeconds += left
    }

    mutating func delivered(_ bytes: Int64) {
        open += Double(bytes)
    }

    private mutating func close() {
        slots.append(open)
        if slots.count > Self.most { slots.removeFirst() }
        peak = max(peak, open / Self.slotSeconds)
        slotCount += 1
        (open, openSeconds) = (0, 0)
    }

    /// Bytes per second in the last `seconds` of sending, or in all if there were fewer. Nil before the first slot.
    func mean(of seconds: Double) -> Double? {
        let count = min(slots.count, max(1, Int(seconds / Self.slotSeconds)))
        guard count > 0 else { return nil }
        return slots.suffix(count).reduce(0, +) / (Double(count) * Self.slotSeconds)
    }

    /// The same without the fullest fifth of the slots, which may only have filled buffers on the way.
    func steady(of seconds: Double) -> Double? {
        let count = min(slots.count, max(1, Int(seconds / Self.slotSeconds)))
        guard count > 0 else { return nil }
        let left = slots.suffix(count).sorted().prefix(count - count / 5)
        return left.reduce(0, +) / (Double(left.count) * Self.slotSeconds)
    }

    /// Whether the last slot had far less than the fullest: the first bytes only filled buffers on the way.
    var hasFallen: Bool { (slots.last ?? 0) / Self.slotSeconds < peak / 3 }

    /// Whether the last short span had clearly more than the one before it.
    var isGrowing: Bool {
        let count = Self.growthSlots
        guard slots.count >= 2 * count else { return true }
        let before = slots.suffix(2 * count).prefix(count).reduce(0, +)
        return slots.suffix(count).reduce(0, +) > before * Self.growth
    }
}
