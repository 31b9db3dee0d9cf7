package import MuleLedger
package import MulePlan

/// The result of a successful upload.
package struct UploadSummary: Sendable {
    /// Nil if nothing was recorded.
    package var id: String?
    package var number: Int64?
    /// The file when the upload was registered or its content was last compared; nil for standard input.
    package var identity: SourceIdentity?
    /// Canonical path; nil for standard input.
    package var source: [UInt8]?
    /// The source as the user named it.
    package var name: [UInt8]?
    package var destination: ObjectAddress
    package var size: Int64
    /// Nil for an object sent in one request.
    package var parts: Int?
    package var proof: ObjectProof
    package var partSize: Int64?
    /// Payload bytes sent in this run, including retries.
    package var bytesSent: Int64
    /// Bytes that an earlier run uploaded.
    package var bytesSkipped: Int64
    package var seconds: Double
    /// Whether the object already existed and nothing was sent.
    package var wasThere = false
    /// What proved in this run that it equals the file; nil if an earlier upload of this ledger made it.
    package var evidence: Verification.Proof?
    /// What the store's clock showed.
    package var storeClock: StoreClock
    /// When the object was last modified, by the store's clock, if it already existed.
    package var lastModified: UTCTime?

    /// To compare the file with; nil if no checksum is recorded.
    package var content: RecordedContent? { RecordedContent(proof, size: size, partSize: partSize) }
}

/// The result of a failed upload.
package struct FailedUpload: Sendable {
    /// Nil if nothing was recorded.
    package var id: String?
    package var number: Int64?
    /// Canonical path if known; nil for a stream.
    package var source: [UInt8]?
    /// The source as the user named it.
    package var name: [UInt8]?
    package var destination: ObjectAddress
    package var failure: UploadFailure

    /// - Parameter source: the source as the user named it.
    package init(_ source: [UInt8]?, _ destination: ObjectAddress, _ failure: UploadFailure) {
        self.source = source
        name = source
        self.destination = destination
        self.failure = failure
    }

    package init(_ record: UploadRecord, _ failure: UploadFailure) {
        self.init(record.upload.sourceName, record.upload.destination, failure)
        id = record.id
        number = record.number
    }
}

/// Something to report to the user during a run.
package enum UploadEvent: Sendable {
    /// The upload starts, with what earlier runs uploaded.
    case started(UploadRecord)
    case resumed(UploadRecord, parts: Int, bytes: Int64)
    /// A sentence about a decision or a limitation.
    case notice(id: String?, String)
    case completed(UploadSummary)
    case failed(FailedUpload)
}
