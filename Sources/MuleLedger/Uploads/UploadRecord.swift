package import MulePlan

/// The state of an upload in the ledger. ("Active" is no separate state: it is a pending upload whose lease a running
/// process holds.)
package enum UploadState: String, Sendable, CaseIterable {
    case pending, done, failed, aborted, unknown

    /// - Parameter mayHoldParts: whether the store may hold parts.
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

/// The store of an upload, with what is needed to find it without the flags of the first run.
package struct StoreAddress: Hashable, Sendable {
    package var endpoint: String
    package var region: String
    package var addressing: String
    /// The profile for the credentials; nil for the default chain.
    package var profile: String?
    package var caBundle: String?
    /// Two PEM files, which may be one.
    package var clientCertificate: String?
    package var clientKey: String?
    /// Nil where requests are signed with credentials of this host.
    package var signer: SignerPlace?
    /// The headers of every request to it.
    package var requestHeaders: ObjectAttributes
    /// The fingerprint of the customer key (SSE-C); nil for none. The ledger never has the key.
    package var customerKey: String?

    package init(
        endpoint: String,
        region: String,
        addressing: String,
        profile: String?,
        caBundle: String?,
        clientCertificate: String? = nil,
        clientKey: String? = nil,
        signer: SignerPlace? = nil,
        requestHeaders: ObjectAttributes = ObjectAttributes(),
        customerKey: String? = nil
    ) {
        self.requestHeaders = requestHeaders
        self.customerKey = customerKey
        self.endpoint = endpoint
        self.region = region
        self.addressing = addressing
        self.profile = profile
        self.caBundle = caBundle
        self.clientCertificate = clientCertificate
        self.clientKey = clientKey
        self.signer = signer
    }
}

/// How to protect an upload's integrity, as option values.
package struct IntegrityOptions: Hashable, Sendable {
    /// `auto`, `crc64nvme`, …; or `automaticFromMD5`.
    package var checksum: String
    /// `auto`, `always`, `never`.
    package var payloadSigning: String

    /// `auto` where AWS's settings want only checksums that are required: the first that is tried is Content-MD5.
    package static let automaticFromMD5 = "auto-md5"

    /// Whether what the store refuses is replaced by something less.
    package var isAutomatic: Bool { checksum == "auto" || checksum == Self.automaticFromMD5 }

    /// In the words of `--checksum`.
    package var checksumOption: String { isAutomatic ? "auto" : checksum }

    package init(checksum: String, payloadSigning: String) {
        self.checksum = checksum
        self.payloadSigning = payloadSigning
    }
}

/// An upload to register.
package struct NewUpload: Hashable, Sendable {
    /// Nil for a stream.
    package var source: SourceIdentity?
    /// Nil for a file, and for the remains of another upload.
    package var stream: StreamSource?
    package var store: StoreAddress
    package var destination: ObjectAddress
    package var attributes: ObjectAttributes
    package var onlyIfAbsent: Bool
    /// The ETag that the object must have to be replaced, without quotes; nil for any.
    package var ifMatch: String?
    package var integrity: IntegrityOptions
    /// Nil for an object sent in one request, and for a stream whose parts grow from the start. For other streams, the
    /// size of the equal parts (`StreamPlan`).
    package var partSize: Int64?
    /// Which changes of the source are allowed.
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
        stream: StreamSource? = nil,
        ifMatch: String? = nil
    ) {
        self.ifMatch = ifMatch
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

    /// As one text, for the ledger.
    var headerText: String { attributes.with(store.requestHeaders).text }

    /// The source's name in messages and events: a canonical path, or a stream's name; nil for standard input.
    package var sourceName: [UInt8]? { source?.path ?? stream?.name }
}

/// The proof of a completed object.
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
    /// The number of the row and its lease; never used twice.
    package var number: Int64
    /// The ID that users see.
    package var id: String
    package var state: UploadState
    package var upload: NewUpload
    /// Known for files; for streams once they have ended.
    package var size: Int64?
    package var partCount: Int?
    /// Random, 128 bits in hex; stored in the object's metadata to tell the object from any other. Empty for an adopted
    /// upload, whose object's token is unknown.
    package var token: String
    /// When CreateMultipartUpload was first attempted with this token, in milliseconds since 1970; nil if every attempt
    /// was answered. Set before the request, so that an answer lost with the process is known to be missing.
    package var createAttemptedAt: Int64?
    package var uploadID: String?
    /// When CompleteMultipartUpload was last sent, in milliseconds since 1970; nil if it was not, or was answered.
    package var completeAttemptedAt: Int64?
    /// What the store is known to check, in the form of `NegotiatedIntegrity`.
    package var negotiated: String?
    package var abortDate: String?
    /// Whether an abort was requested that the store has not confirmed yet.
    package var abortRequested: Bool
    package var partsDone: Int
    package var bytesDone: Int64
    /// Payload bytes sent in all runs, including retries, as far as recorded.
    package var bytesSent: Int64
    package var proof: ObjectProof
    package var lastError: String?
    /// Milliseconds since 1970.
    package var createdAt: Int64
    package var updatedAt: Int64

    /// Whether it needs attention: it is neither done nor aborted, and not a failure that left nothing at the store.
    package var isOpen: Bool { state.isOpen(mayHoldParts: mayHoldParts) }

    /// Whether the upload was started elsewhere and adopted.
    package var isAdopted: Bool { token.isEmpty }

    /// Whether this upload made an object with this token before it restarted.
    package func began(token other: String) -> Bool {
        token != other && token.split(separator: "-").first == other.split(separator: "-").first
    }

    /// Whether the store may hold parts, which it bills for.
    package var mayHoldParts: Bool { uploadID != nil || createAttemptedAt != nil }
}

extension UploadRecord {
    /// The row of a new upload.
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
    /// As the store returned it, without quotes.
    package var eTag: String
    /// CRC of the part's bytes in the upload's whole-object algorithm, big-endian.
    package var crc: [UInt8]
    /// SHA-256 or MD5 of the part's bytes, if the store checked that.
    package var digest: [UInt8]?

    package init(number: Int, size: Int64, eTag: String, crc: [UInt8], digest: [UInt8]?) {
        self.number = number
        self.size = size
        self.eTag = eTag
        self.crc = crc
        self.digest = digest
    }
}
