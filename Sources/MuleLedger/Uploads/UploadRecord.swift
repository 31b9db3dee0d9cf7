package import MulePlan

/// Where an upload stands, as the ledger keeps it. ("Active" is no state of its own: it is a pending upload whose lease
/// a living process holds.)
package enum UploadState: String, Sendable, CaseIterable {
    case pending, done, failed, aborted, unknown

    /// - Parameter mayHoldParts: whether parts may lie at the store.
    func isOpen(mayHoldParts: Bool) -> Bool {
        switch self {
        case .pending, .unknown: true
        case .failed: mayHoldParts
        case .done, .aborted: false
        }
    }
}

/// The service that signs the requests of an upload. Its token is on no record.
package struct SignerPlace: Hashable, Sendable {
    package var url: String
    /// `server`, `mule-uploader`.
    package var protocolName: String

    package init(url: String, protocolName: String) {
        self.url = url
        self.protocolName = protocolName
    }
}

/// The store an upload goes to, enough to find it again without the flags of the first run.
package struct StoreAddress: Hashable, Sendable {
    package var endpoint: String
    package var region: String
    package var addressing: String
    /// The profile that was named for its credentials; nil for the default way.
    package var profile: String?
    package var caBundle: String?
    /// Nil where requests are signed with credentials of this host.
    package var signer: SignerPlace?

    package init(
        endpoint: String,
        region: String,
        addressing: String,
        profile: String?,
        caBundle: String?,
        signer: SignerPlace? = nil
    ) {
        self.endpoint = endpoint
        self.region = region
        self.addressing = addressing
        self.profile = profile
        self.caBundle = caBundle
        self.signer = signer
    }
}

/// How an upload is to be protected, in the words of the options.
package struct IntegrityOptions: Hashable, Sendable {
    /// `auto`, `crc64nvme`, …
    package var checksum: String
    /// `auto`, `always`, `never`.
    package var payloadSigning: String

    package init(checksum: String, payloadSigning: String) {
        self.checksum = checksum
        self.payloadSigning = payloadSigning
    }
}

/// An upload that is about to begin.
package struct NewUpload: Hashable, Sendable {
    /// Nil for a stream.
    package var source: SourceIdentity?
    /// Nil for a file, and for what another upload has left behind.
    package var stream: StreamSource?
    package var store: StoreAddress
    package var destination: ObjectAddress
    package var attributes: ObjectAttributes
    package var onlyIfAbsent: Bool
    package var integrity: IntegrityOptions
    /// Nil for an object that goes in one request, and for a stream whose parts grow from the start. Of another stream, the
    /// size of those parts that are equal (`StreamPlan`).
    package var partSize: Int64?
    /// What is borne of the source.
    package var changing: ChangingSource

    package init(
        source: SourceIdentity?,
        store: StoreAddress,
        destination: ObjectAddress,
        attributes: ObjectAttributes,
        onlyIfAbsent: Bool,
        integrity: IntegrityOptions,
        partSize: Int64?,
        changing: ChangingSource = .refuse,
        stream: StreamSource? = nil
    ) {
        self.source = source
        self.stream = stream
        self.store = store
        self.destination = destination
        self.attributes = attributes
        self.onlyIfAbsent = onlyIfAbsent
        self.integrity = integrity
        self.partSize = partSize
        self.changing = changing
    }

    /// What the source is called in messages and events: a canonical path, or what stands for one; nil for standard input.
    package var sourceName: [UInt8]? { source?.path ?? stream?.name }
}

/// The proof of a finished object.
package struct ObjectProof: Hashable, Sendable {
    package var eTag: String?
    package var versionID: String?
    package var checksumAlgorithm: String?
    package var checksumType: String?
    package var checksumValue: String?

    package init(
        eTag: String? = nil,
        versionID: String? = nil,
        checksumAlgorithm: String? = nil,
        checksumType: String? = nil,
        checksumValue: String? = nil
    ) {
        self.eTag = eTag
        self.versionID = versionID
        self.checksumAlgorithm = checksumAlgorithm
        self.checksumType = checksumType
        self.checksumValue = checksumValue
    }
}

/// A row of the ledger.
package struct UploadRecord: Hashable, Sendable {
    /// Number of the row and of its lease; never used twice.
    package var number: Int64
    /// What people call it by.
    package var id: String
    package var state: UploadState
    package var upload: NewUpload
    /// Known for files; for streams when they have ended.
    package var size: Int64?
    package var partCount: Int?
    /// Random, 128 bits in hex; put into the object's metadata, so that the object can be told from any other.
    /// Empty for an upload that was begun elsewhere: what its object bears, nobody knows here.
    package var token: String
    /// When CreateMultipartUpload was first tried with this token, in milliseconds since 1970; nil when every try has been
    /// answered. Set before the request goes, so that an answer lost with the process is known to be missing.
    package var createAttemptedAt: Int64?
    package var uploadID: String?
    /// What the store is known to check, in the engine's words.
    package var negotiated: String?
    package var abortDate: String?
    /// Somebody asked for the upload to be given up and the store has not confirmed it yet.
    package var abortRequested: Bool
    package var partsDone: Int
    package var bytesDone: Int64
    /// Payload bytes that went out in all runs, retries included, as far as they were recorded.
    package var bytesSent: Int64
    package var proof: ObjectProof
    package var lastError: String?
    /// Milliseconds since 1970.
    package var createdAt: Int64
    package var updatedAt: Int64

    /// Whether somebody should deal with it: all that is not over, but for failures that left nothing at the store.
    package var isOpen: Bool { state.isOpen(mayHoldParts: mayHoldParts) }

    /// Whether the upload was begun elsewhere and taken over.
    package var isAdopted: Bool { token.isEmpty }

    /// Whether an object with this token was made by this upload before it began anew.
    package func began(token other: String) -> Bool {
        token != other && token.split(separator: "-").first == other.split(separator: "-").first
    }

    /// Whether parts may lie at the store, which its owner pays for.
    package var mayHoldParts: Bool { uploadID != nil || createAttemptedAt != nil }
}

extension UploadRecord {
    /// The row of an upload that begins now.
    init(beginning upload: NewUpload, number: Int64, id: String, token: String, at moment: Int64) {
        self.init(
            number: number,
            id: id,
            state: .pending,
            upload: upload,
            size: upload.source?.size,
            partCount: Ledger.partCount(upload).map { Int($0) },
            token: token,
            abortRequested: false,
            partsDone: 0,
            bytesDone: 0,
            bytesSent: 0,
            proof: ObjectProof(),
            createdAt: moment,
            updatedAt: moment
        )
    }
}

/// A finished part.
package struct PartRecord: Hashable, Sendable {
    package var number: Int
    package var size: Int64
    /// As the store gave it, without quotes.
    package var eTag: String
    /// CRC of the part's bytes in the upload's whole-object algorithm, big-endian.
    package var crc: [UInt8]
    /// SHA-256 or MD5 of the part's bytes where that is what the store checked.
    package var digest: [UInt8]?

    package init(number: Int, size: Int64, eTag: String, crc: [UInt8], digest: [UInt8]?) {
        self.number = number
        self.size = size
        self.eTag = eTag
        self.crc = crc
        self.digest = digest
    }
}
