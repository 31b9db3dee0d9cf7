/// The stores and buckets that have failed in a run, and why. Other work for them is skipped.
///
/// - Parameter Store: identifies a store.
package struct StoreFailures<Store: Hashable & Sendable>: Sendable {
    private struct Place: Hashable, Sendable {
        var store: Store
        /// Nil for the whole store.
        var bucket: String?
    }

    private var failures: [Place: UploadFailure] = [:]
    /// The first failure that affects other uploads.
    var first: UploadFailure?

    package init() {}

    /// - Parameter failure: its scope is a bucket or a store.
    /// - Returns: whether the failure is new.
    @discardableResult
    mutating func add(_ failure: UploadFailure, of store: Store, _ bucket: String) -> Bool {
        if self.failure(of: store, bucket) != nil { return false }
        let bucket = failure.scope == .bucket ? bucket : nil
        failures[Place(store: store, bucket: bucket)] = failure
        first = first ?? failure
        return true
    }

    /// The same for one query of many: no answer counts against the store, and a refusal for one upload affects no
    /// other.
    package mutating func note(_ failure: UploadFailure, of store: Store, _ bucket: String) {
        guard failure.scope != .transfer || failure.kind == .network else { return }
        add(failure, of: store, bucket)
    }

    package func failure(of store: Store, _ bucket: String) -> UploadFailure? {
        if failures.isEmpty { return nil }
        return failures[Place(store: store, bucket: nil)] ?? failures[Place(store: store, bucket: bucket)]
    }
}
