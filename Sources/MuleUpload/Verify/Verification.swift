package import MulePlan

/// An object that was proven to equal a file, or what is on record of it.
package struct Verification: Sendable {
    /// By what it was proven.
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
            /// The checksum of what this ledger's upload sent, which the object still is by its token and ETag.
            case recordedChecksum
            /// The ETag that the object had when it was archived. Nothing is known of how the store makes it.
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

    /// Canonical path; of what is on record, as it stands there.
    package var source: [UInt8]
    package var destination: ObjectAddress
    package var size: Int64
    package var eTag: String?
    package var versionID: String?
    package var proof: Proof
}

/// Why an object was not proven to equal a file, or what is on record of it.
package struct VerifyFailure: Error, Sendable {
    package enum Verdict: String, Sendable {
        /// The object is another one.
        case differs
        /// There is no object.
        case missing
        /// The store shows nothing that would tell.
        case unproven
    }

    package var failure: UploadFailure
    /// Nil where the question could not be put.
    package var verdict: Verdict?

    package init(_ failure: UploadFailure, verdict: Verdict? = nil) {
        self.failure = failure
        self.verdict = verdict
    }

    init(_ verdict: Verdict, _ message: String) {
        self.init(UploadFailure(.verification, message), verdict: verdict)
    }
}
