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
    private struct Numbered {
        var number: Int
        var transfer: Transfer
    }

    /// Files sent in one request: those that fit into a worker's buffer, and larger ones.
    private var buffered = Queue<Numbered>()
    private var unbuffered = Queue<Numbered>()
    private var large = Queue<Numbered>()
    private var added = 0
    /// Announced uploads and parts that have not started.
    private(set) var waiting = Counts()

    /// Enough while the next ones are fetched, at one millisecond or more each.
    private static let few = 128
    /// Larger files that are held at most while more of those that fit a buffer are searched behind them.
    private static let mostUnbuffered = 8 * few

    var isEmpty: Bool { buffered.isEmpty && unbuffered.isEmpty && large.isEmpty }

    /// Whether more should be fetched. Files that fit a buffer are sent in addition to the limit, so larger ones that
    /// wait do not replace them.
    func isShort(of share: Share) -> Bool {
        guard share == .small else { return large.count < Self.few }
        return buffered.count < Self.few && unbuffered.count < Self.mostUnbuffered
    }

    func holds(_ share: Share) -> Bool { share == .small ? !(buffered.isEmpty && unbuffered.isEmpty) : !large.isEmpty }

    /// The size of the next file that is sent from a worker's buffer.
    var nextBufferedSize: Int64? { buffered.first?.transfer.smallSize }

    mutating func announce(_ counts: Counts) {
        waiting.small += counts.small
        waiting.parts += counts.parts
    }

    mutating func add(_ transfer: Transfer) {
        let numbered = Numbered(number: added, transfer: transfer)
        added += 1
        if transfer.job.share != .small {
            large.append(numbered)
        } else if transfer.smallSize != nil {
            buffered.append(numbered)
        } else {
            unbuffered.append(numbered)
        }
    }

    mutating func next(_ share: Share) -> Transfer? {
        guard share == .small else { return started(large.popFirst()) }
        guard let other = unbuffered.first, other.number < buffered.first?.number ?? .max else { return nextBuffered() }
        return started(unbuffered.popFirst())
    }

    /// The next file that is sent from a worker's buffer, even if a larger one was added before it.
    mutating func nextBuffered() -> Transfer? { started(buffered.popFirst()) }

    private mutating func started(_ numbered: Numbered?) -> Transfer? {
        guard let transfer = numbered?.transfer else { return nil }
        waiting[transfer.job.share == .small ? .small : .part] -= transfer.job.weight
        return transfer
    }
}
