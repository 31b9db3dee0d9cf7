package import MulePlan

/// An object proven to equal a file or its record.
package struct Verification: Sendable {
    /// What proved it.
    package struct Proof: Hashable, Sendable {
        package enum Kind: String, Sendable {
            /// The store's checksum of all bytes.
            case fullObjectChecksum
            /// The store's checksum of the parts' checksums.
            case compositeChecksum
            /// The MD5 that is the ETag of an object put in one request.
            case eTagMD5
            /// The MD5 of the parts' MD5s that is the ETag of a multipart object.
            case multipartETagMD5
            /// The checksum of what this ledger's upload sent; token and ETag show that the object is unchanged.
            case recordedChecksum
            /// The ETag that the object had when it was archived; how the store computes it is unknown.
            case recordedETag
            /// All bytes, read and compared.
            case download
        }

        package var kind: Kind
        /// Nil for `download` and `recordedETag`.
        package var algorithm: String?
        /// As the store or the ledger has it.
        package var value: String?
    }

    /// The canonical path; for a record, the recorded path.
    package var source: [UInt8]
    package var destination: ObjectAddress
    package var size: Int64
    package var eTag: String?
    package var versionID: String?
    package var proof: Proof
}

/// Why an object was not proven to equal a file or its record.
package struct VerifyFailure: Error, Sendable {
    package enum Verdict: String, Sendable {
        /// The object differs.
        case differs
        /// The object does not exist.
        case missing
        /// The store shows nothing to compare with.
        case unproven
    }

    package var failure: UploadFailure
    /// Nil if the check could not be made.
    package var verdict: Verdict?

    package init(_ failure: UploadFailure, verdict: Verdict? = nil) {
        self.failure = failure
        self.verdict = verdict
    }

    init(_ verdict: Verdict, _ message: String) {
        self.init(UploadFailure(.verification, message), verdict: verdict)
    }
}
