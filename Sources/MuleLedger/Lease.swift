import MuleSystem
import Synchronization

/// The right to carry an upload, held until it is released or the process ends in any way.
package final class Lease: Sendable {
    private let book: LockFile
    private let number: Int64
    private let isHeld = Atomic<Bool>(true)

    /// Nil when somebody has it: another process, another ledger of this one, or this very ledger.
    init?(_ book: LockFile, number: Int64) throws(SystemError) {
        guard try book.take(number) else { return nil }
        self.book = book
        self.number = number
    }

    /// Takes up one that was handed in.
    ///
    /// - Returns: nil when it was not.
    init?(handedInTo book: LockFile, number: Int64) {
        guard book.holds(number) else { return nil }
        self.book = book
        self.number = number
    }

    /// Leaves the right with the ledger, which keeps it without an object for each: see `Ledger.takeUp`. To be called once,
    /// at the end of the lease's use.
    package func handIn() {
        isHeld.store(false, ordering: .relaxed)
    }

    deinit {
        if isHeld.load(ordering: .relaxed) { book.giveBack(number) }
    }
}

/// The leases of a ledger: a lock for the others, and a list for itself, since the kernel lets whoever holds a lock take
/// it again.
final class LockFile: Sendable {
    private let locks: RangeLock
    /// Rows that are made one after another are one range, here and in the kernel.
    private let held = Monitor(RangeSet<Int64>())

    init(path: [UInt8]) throws(SystemError) {
        locks = try RangeLock(path: path, mode: 0o600)
    }

    func take(_ number: Int64) throws(SystemError) -> Bool {
        try held.withLock { held throws(SystemError) in
            guard !held.contains(number), try locks.tryLock(number) else { return false }
            held.insert(contentsOf: number..<number + 1)
            return true
        }
    }

    func giveBack(_ number: Int64) {
        held.withLock { held in
            held.remove(contentsOf: number..<number + 1)
            locks.unlock(number)
        }
    }

    func holds(_ number: Int64) -> Bool { held.withLock { $0.contains(number) } }

    /// Whether the file of the leases is no longer where others look for it.
    func isRemoved() -> Bool { locks.isRemoved() }

    /// Writes down whose leases they are; see `LedgerName`.
    func write(_ content: [UInt8]) throws(SystemError) { try locks.write(content) }

    /// Takes a lock that nobody needs and gives it back. False from another process that tries at the same moment: its
    /// locks work as well.
    func tryOut() throws(SystemError) {
        if try locks.tryLock(0) { locks.unlock(0) }
    }

    func isHeldElsewhere(_ number: Int64) throws(SystemError) -> Bool {
        try locks.isHeldElsewhere(number)
    }

    /// The processes that hold leases, as far as they can be found.
    func holders() -> LockHolders { locks.holders() }
}
