import MuleS3

/// The stores and buckets that have failed in a run, and why: what else goes there is not tried.
struct StoreFailures {
    private struct Place: Hashable {
        var service: ObjectIdentifier
        /// Nil for the whole store.
        var bucket: String?
    }

    private var failures: [Place: UploadFailure] = [:]
    /// The first failure that others share.
    var first: UploadFailure?

    /// - Parameter failure: its scope is a bucket or a store.
    /// - Returns: whether it was not known.
    @discardableResult
    mutating func add(_ failure: UploadFailure, of service: S3Service, _ bucket: String) -> Bool {
        if self.failure(of: service, bucket) != nil { return false }
        let bucket = failure.scope == .bucket ? bucket : nil
        failures[Place(service: ObjectIdentifier(service), bucket: bucket)] = failure
        first = first ?? failure
        return true
    }

    func failure(of service: S3Service, _ bucket: String) -> UploadFailure? {
        if failures.isEmpty { return nil }
        let service = ObjectIdentifier(service)
        return failures[Place(service: service, bucket: nil)] ?? failures[Place(service: service, bucket: bucket)]
    }
}
