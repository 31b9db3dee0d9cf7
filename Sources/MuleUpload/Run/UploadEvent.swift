package import MuleLedger
package import MulePlan

/// How an upload ended well.
package struct UploadSummary: Sendable {
    /// Nil where nothing was recorded.
    package var id: String?
    package var number: Int64?
    /// The file as it was when the upload was registered, or its content was compared last; nil for standard input.
    package var identity: SourceIdentity?
    /// Canonical path; nil for standard input.
    package var source: [UInt8]?
    /// The source as it was named.
    package var name: [UInt8]?
    package var destination: ObjectAddress
    package var size: Int64
    /// Nil for an object that went in one request.
    package var parts: Int?
    package var proof: ObjectProof
    /// To compare the file with; nil for a stream, and where no checksum is on record.
    package var content: RecordedContent?
    /// Payload bytes that went out in this run, retries included.
    package var bytesSent: Int64
    /// Bytes that an earlier run had delivered.
    package var bytesSkipped: Int64
    package var seconds: Double
    /// The very object was there already, nothing was sent.
    package var wasThere = false
    /// What proved it equal to the file in this run; nil where an earlier upload of this ledger is known to have made it.
    package var evidence: Verification.Proof?
    /// What the store's clock showed.
    package var storeClock: StoreClock
    /// When the object was made, by the store's clock, where the object was there already.
    package var lastModified: UTCTime?
}

/// How an upload ended without being done.
package struct FailedUpload: Sendable {
    /// Nil where nothing was recorded.
    package var id: String?
    package var number: Int64?
    /// Canonical path where that is known; nil for a stream.
    package var source: [UInt8]?
    /// The source as it was named.
    package var name: [UInt8]?
    package var destination: ObjectAddress
    package var failure: UploadFailure

    /// - Parameter source: as it was named.
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

/// Something a user may want to hear while a run goes on.
package enum UploadEvent: Sendable {
    /// The upload is carried; how much of it an earlier run had delivered.
    case started(UploadRecord)
    case resumed(UploadRecord, parts: Int, bytes: Int64)
    /// A sentence about a decision or a limitation.
    case notice(id: String?, String)
    case completed(UploadSummary)
    case failed(FailedUpload)
}
