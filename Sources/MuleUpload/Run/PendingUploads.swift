package import MulePlan

/// Counts per kind of work.
package struct Counts: Equatable, Sendable {
    /// Files sent in one request.
    package var small = 0
    /// Parts of multipart uploads.
    package var parts = 0

    package init() {}

    package subscript(share: Share) -> Int {
        get { share == .small ? small : parts }
        set { if share == .small { small = newValue } else { parts = newValue } }
    }
}

/// Uploads that wait to start, in order per kind. More may be announced than are held here; a few suffice if the next
/// ones arrive in time.
struct PendingUploads {
    private var small = Queue<Transfer>()
    private var large = Queue<Transfer>()
    /// Announced uploads and parts that have not started.
    private(set) var waiting = Counts()

    /// Enough while the next ones are fetched, at one millisecond or more each.
    private static let few = 128

    var isEmpty: Bool { small.isEmpty && large.isEmpty }

    func isShort(of share: Share) -> Bool { self[share].count < Self.few }

    func holds(_ share: Share) -> Bool { !self[share].isEmpty }

    /// The size of the next small file, if it is sent from a worker's buffer.
    var nextSmallSize: Int64? { small.first?.smallSize }

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
