import MuleLedger
import MulePlan
import MuleS3

extension UploadFailure {
    /// Why an upload cannot continue with the given key, or without one; nil if it can. The parts of an object must all
    /// have one key (SSE-C).
    ///
    /// - Parameter given: the fingerprint of the key for the upload's bucket.
    static func otherCustomerKey(_ record: UploadRecord, given: String?) -> UploadFailure? {
        guard record.upload.store.customerKey != given else { return nil }
        let upload = "The upload \(record.id) to \(record.upload.destination)"
        switch (record.upload.store.customerKey, given) {
        case (_?, nil):
            return UploadFailure(
                .credentials,
                "\(upload) is encrypted with a customer key (SSE-C), which was not given. Name its file with "
                    + "--sse-c-key-file, or set MULE_SSE_C_KEY.",
                isResumable: true
            )
        case (nil, _?):
            return UploadFailure(
                .usage,
                "\(upload) was started without a customer key (SSE-C), which cannot be changed now. Omit the key, or "
                    + "run \"mule upload\" with it and --restart.",
                isResumable: true
            )
        default:
            return UploadFailure(
                .store,
                "\(upload) was started with another customer key (SSE-C); nothing was sent with this one. Give the key "
                    + "that it was started with, or run \"mule upload\" with --restart.",
                isResumable: true
            )
        }
    }
    /// The store took the bytes of a request with a customer key and does not say that it used the key. S3, MinIO and
    /// Ceph say so for each part and object.
    ///
    /// - Parameter isComplete: whether there is an object, and not only parts.
    static func customerKeyIgnored(_ transfer: Transfer, isComplete: Bool) -> UploadFailure {
        let cure =
            isComplete
            ? "Delete the object"
            : "Remove its parts with \"mule abort \(transfer.record?.id ?? "ID")\""
        return UploadFailure(
            .store,
            "The store ignores the customer key (SSE-C) and stores \(transfer.name) without it. \(cure), and use a store "
                + "that supports SSE-C."
        )
    }
}
