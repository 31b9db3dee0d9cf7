import MuleSystem

/// Work that has failed a few times and waits for its next attempt, while other work runs.
///
/// If everything of an upload fails, only one piece at a time is tried, in turn; its other parts wait here until an
/// attempt succeeds.
struct PostponedWork {
    private struct Entry {
        var work: Work
        var notBefore: Moment
        /// Whether it waits for capacity at the store rather than for a time.
        var waitsForRoom: Bool
    }

    /// Sorted by time, earliest first.
    private var entries: [Entry] = []
    private var held: [ObjectIdentifier: [Work]] = [:]

    /// Pieces of work from which on no more uploads start, because each may hold an open file.
    private static let most = 256
    /// Consecutive failures of an upload from which on its other parts are held.
    private static let failuresOfAll = 8

    var count: Int { entries.count + held.values.reduce(0) { $0 + $1.count } }

    var isFull: Bool { entries.count >= Self.most }

    var earliest: Moment? { entries.first?.notBefore }

    func hasDue(at now: @autoclosure () -> Moment) -> Bool {
        guard let earliest else { return false }
        return earliest <= now()
    }

    mutating func takeDue(at now: @autoclosure () -> Moment) -> Work? {
        guard !entries.isEmpty, hasDue(at: now()) else { return nil }
        return entries.removeFirst().work
    }

    /// - Parameters:
    ///   - waiting: parts that wait to be sent. If the upload only fails, its parts are removed from here and held.
    mutating func add(_ work: Work, _ postponement: Postponement, takingFrom waiting: inout [Work]) {
        let transfer = work.transfer
        let id = ObjectIdentifier(transfer)
        var work = work
        if held[id] == nil, !postponement.isThrottled, transfer.streak.failures >= Self.failuresOfAll {
            // Stored in order of their turn, while `waiting` has the next part last.
            held[id] = waiting.filter { $0.transfer === transfer }.reversed()
            waiting.removeAll { $0.transfer === transfer }
        }
        if var others = held[id] {
            others.append(work)
            if entries.contains(where: { $0.work.transfer === transfer }) {
                held[id] = others
                return
            }
            work = others.removeFirst()
            held[id] = others
        }
        insert(
            Entry(
                work: work,
                notBefore: postponement.until,
                waitsForRoom: postponement.isThrottled && !postponement.isFixed
            )
        )
    }

    private mutating func insert(_ entry: Entry) {
        let index = entries.firstIndex { $0.notBefore > entry.notBefore } ?? entries.endIndex
        entries.insert(entry, at: index)
    }

    /// Holds parts of an upload that only fails.
    ///
    /// - Returns: whether they are held; if not, they can be sent.
    mutating func hold(_ parts: [Work], of transfer: Transfer) -> Bool {
        held[ObjectIdentifier(transfer)]?.append(contentsOf: parts) != nil
    }

    /// A piece of work of the upload has succeeded.
    ///
    /// - Returns: the held parts, in order.
    mutating func release(_ transfer: Transfer) -> [Work] {
        held.isEmpty ? [] : held.removeValue(forKey: ObjectIdentifier(transfer)) ?? []
    }

    /// The store has accepted a body: work that was asked to wait may run.
    mutating func noteRoom(at now: @autoclosure () -> Moment) {
        guard !entries.isEmpty, let index = entries.firstIndex(where: \.waitsForRoom) else { return }
        var entry = entries.remove(at: index)
        entry.notBefore = min(entry.notBefore, now())
        insert(entry)
    }

    mutating func drop(_ transfer: Transfer) {
        entries.removeAll { $0.work.transfer === transfer }
        held[ObjectIdentifier(transfer)] = nil
    }
}
