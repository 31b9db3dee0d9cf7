import MuleSystem
import Synchronization

/// The right to work on an upload, held until it is released or the process ends in any way.
package final class Lease: Sendable {
    private let book: LockFile
    private let number: Int64
    private let isHeld = Atomic<Bool>(true)

    /// Nil if the lease is held by another process, by another ledger of this process, or by this ledger.
    init?(_ book: LockFile, number: Int64) throws(SystemError) {
        guard try book.take(number..<number + 1) else { return nil }
        self.book = book
        self.number = number
    }

    /// Takes back a lease that was handed in.
    ///
    /// - Returns: nil if it was not handed in.
    init?(handedInTo book: LockFile, number: Int64) {
        guard book.holds(number) else { return nil }
        self.book = book
        self.number = number
    }

    /// Leaves the lease with the ledger, which keeps it without an object: see `Ledger.takeUp`. Call once, at the end.
    package func handIn() {
        isHeld.store(false, ordering: .relaxed)
    }

    deinit {
        if isHeld.load(ordering: .relaxed) { book.giveBack(number) }
    }
}

/// The leases of a ledger: locks against other processes, and a list for this process, because the kernel grants a lock
/// to its holder again.
final class LockFile: Sendable {
    private let locks: RangeLock
    /// Consecutive rows form one range, here and in the kernel.
    private let held = Monitor(NumberRanges())

    init(path: [UInt8]) throws(SystemError) {
        locks = try RangeLock(path: path, mode: 0o600)
    }

    /// Takes all of them or none.
    func take(_ numbers: Range<Int64>) throws(SystemError) -> Bool {
        try held.withLock { held throws(SystemError) in
            guard !held.overlaps(numbers), try locks.tryLock(numbers.lowerBound, count: numbers.count) else {
                return false
            }
            held.insert(numbers)
            return true
        }
    }

    func giveBack(_ number: Int64) {
        held.withLock { held in
            held.remove(number)
            locks.unlock(number)
        }
    }

    func holds(_ number: Int64) -> Bool { held.withLock { $0.contains(number) } }

    /// Whether the file of the leases was removed or replaced.
    func isRemoved() -> Bool { locks.isRemoved() }

    /// Records which ledger the leases belong to; see `LedgerName`.
    func write(_ content: [UInt8]) throws(SystemError) { try locks.write(content) }

    /// Tries an unused lock to see whether locks work. If another process holds it at the same moment, they do.
    func tryOut() throws(SystemError) {
        if try locks.tryLock(0) { locks.unlock(0) }
    }

    func isHeldElsewhere(_ number: Int64) throws(SystemError) -> Bool {
        try locks.isHeldElsewhere(number)
    }

    /// The processes that hold leases, if they can be determined.
    func holders() -> LockHolders { locks.holders() }
}
