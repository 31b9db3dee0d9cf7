/// The stores and buckets that have failed in a run, and why: what else goes there is not tried.
///
/// - Parameter Store: what tells one store from another.
package struct StoreFailures<Store: Hashable & Sendable>: Sendable {
    private struct Place: Hashable, Sendable {
        var store: Store
        /// Nil for the whole store.
        var bucket: String?
    }

    private var failures: [Place: UploadFailure] = [:]
    /// The first failure that others share.
    var first: UploadFailure?

    package init() {}

    /// - Parameter failure: its scope is a bucket or a store.
    /// - Returns: whether it was not known.
    @discardableResult
    mutating func add(_ failure: UploadFailure, of store: Store, _ bucket: String) -> Bool {
        if self.failure(of: store, bucket) != nil { return false }
        let bucket = failure.scope == .bucket ? bucket : nil
        failures[Place(store: store, bucket: bucket)] = failure
        first = first ?? failure
        return true
    }

    /// The same for the failure of one question out of many: silence is the store's, and a refusal of one upload concerns no other.
    package mutating func note(_ failure: UploadFailure, of store: Store, _ bucket: String) {
        guard failure.scope != .transfer || failure.kind == .network else { return }
        add(failure, of: store, bucket)
    }

    package func failure(of store: Store, _ bucket: String) -> UploadFailure? {
        if failures.isEmpty { return nil }
        return failures[Place(store: store, bucket: nil)] ?? failures[Place(store: store, bucket: bucket)]
    }
}
