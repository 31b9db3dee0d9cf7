package import MulePlan

/// How many of each kind.
package struct Counts: Equatable, Sendable {
    /// Files that go in one request.
    package var small = 0
    /// Parts of those that go in many.
    package var parts = 0

    package init() {}

    package subscript(share: Share) -> Int {
        get { share == .small ? small : parts }
        set { if share == .small { small = newValue } else { parts = newValue } }
    }
}

/// Uploads that wait for their beginning, each kind in its order. More may be known than are here: a few are enough as long as
/// the next ones come in time.
struct PendingUploads {
    private var small = Queue<Transfer>()
    private var large = Queue<Transfer>()
    /// Of all that are known and have not begun.
    private(set) var waiting = Counts()

    /// As many are enough while the next ones are fetched, at a millisecond each at least.
    private static let few = 128

    var isEmpty: Bool { small.isEmpty && large.isEmpty }

    func isShort(of share: Share) -> Bool { self[share].count < Self.few }

    func holds(_ share: Share) -> Bool { !self[share].isEmpty }

    private subscript(share: Share) -> Queue<Transfer> { share == .small ? small : large }

    mutating func announce(_ counts: Counts) {
        waiting.small += counts.small
        waiting.parts += counts.parts
    }

    mutating func add(_ transfer: Transfer) {
        if transfer.job.share == .small { small.append(transfer) } else { large.append(transfer) }
    }

    mutating func next(_ share: Share) -> Transfer? {
        guard let transfer = share == .small ? small.popFirst() : large.popFirst() else { return nil }
        waiting[share] -= transfer.job.weight
        return transfer
    }
}
