package import MulePlan
package import MuleSigning
package import MuleTransport

/// The operations of the S3 API that mule uses, by their names there.
package enum S3Operation: String, Sendable {
    case createMultipartUpload = "CreateMultipartUpload"
    case uploadPart = "UploadPart"
    case listParts = "ListParts"
    case completeMultipartUpload = "CompleteMultipartUpload"
    case abortMultipartUpload = "AbortMultipartUpload"
    case listMultipartUploads = "ListMultipartUploads"
    case putObject = "PutObject"
    case headObject = "HeadObject"
    case getObject = "GetObject"
    case getObjectAttributes = "GetObjectAttributes"
    case headBucket = "HeadBucket"
    case listObjects = "ListObjectsV2"

    /// What a policy must allow for it.
    package var permission: String {
        switch self {
        case .createMultipartUpload, .uploadPart, .completeMultipartUpload, .putObject: "s3:PutObject"
        case .listParts: "s3:ListMultipartUploadParts"
        case .abortMultipartUpload: "s3:AbortMultipartUpload"
        case .listMultipartUploads: "s3:ListBucketMultipartUploads"
        case .headObject, .getObject: "s3:GetObject"
        case .getObjectAttributes: "s3:GetObjectAttributes"
        case .headBucket, .listObjects: "s3:ListBucket"
        }
    }
}

/// An operation that failed, with the evidence.
package struct S3Error: Error, Sendable {
    package enum Cause: Sendable {
        /// No answer came.
        case transport(TransportError)
        /// The store said no. `status` is the HTTP status: 200 for an error inside a successful answer.
        case answer(status: Int, code: String, message: String)
        /// An answer that says neither yes nor no: cut, empty, not what the operation returns.
        case unreadable(status: Int, reason: String)
        /// There is nothing to sign with, or the signer refused.
        case noCredentials(CredentialsUnavailable)
    }

    package var operation: S3Operation
    package var bucket: String
    package var key: ObjectKey?
    package var part: Int?
    package var cause: Cause
    /// `x-amz-request-id`, to be quoted to the store's support.
    package var requestID: String?
    /// Seconds the store asks to wait before another try.
    package var retryAfter: Double?
    /// The region the store names, where that is what is wrong.
    package var region: String?
    /// The host that the store points to, where it redirects. It is shown, and never asked.
    package var otherHost: String?
    /// Credentials that were refused have been renewed: the same request may be sent again.
    package var hasNewCredentials = false
    /// Credentials that were refused could not be renewed.
    package var renewalFailure: CredentialsUnavailable?
    /// Whether the answer held an S3 error document, with a code.
    package var hasDocument = false
    /// HOST:PORT that was asked; empty where nothing was.
    package var address = ""
    /// Headers of the request whose values hold, or stand for, characters beyond ASCII, where its signature was refused: stores
    /// differ in how they sign those.
    package var doubtfulHeaders: [String] = []
    /// Whether a service signed the request, or gave the key for it.
    package var isSignedElsewhere = false
    /// Bytes: the least or the most that the store takes, where it says so with its refusal.
    package var sizeAllowed: Int64?

    package init(operation: S3Operation, bucket: String, key: ObjectKey?, part: Int? = nil, cause: Cause) {
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.part = part
        self.cause = cause
    }

    package var code: String? {
        if case .answer(_, let code, _) = cause { code } else { nil }
    }

    package var status: Int? {
        switch cause {
        case .answer(let status, _, _), .unreadable(let status, _): status
        // A signer that refuses a request does so in place of the store.
        case .noCredentials(let failure): failure.kind == .refused ? 403 : nil
        case .transport: nil
        }
    }

    package var retryClass: RetryClass { RetryClass(of: cause) }

    /// Whether anything has answered.
    package var hasAnswer: Bool {
        switch cause {
        case .transport(let error): error.network?.answered == true
        case .noCredentials: false
        case .answer, .unreadable: true
        }
    }

    /// Whether the request never left, so that nothing can have come of it.
    package var wasNotSent: Bool {
        switch cause {
        case .noCredentials: true
        case .transport(let error): error.connectionFailed
        case .answer, .unreadable: false
        }
    }

    /// Whether the request may have been carried out, although no answer says so.
    package var mayHaveBeenCarriedOut: Bool {
        switch retryClass {
        case .transient, .cancelled: !wasNotSent
        default: false
        }
    }

    /// Whether the whole request was sent and no answer came.
    package var isUnanswered: Bool {
        guard case .transport(.network(let failure)) = cause, failure.stage == .answer, !failure.answered else {
            return false
        }
        return true
    }

    /// Whether what answered is known to speak S3. An answer to HEAD has no document, so that none can be missed there.
    package var isOfS3: Bool {
        hasDocument || requestID != nil || operation == .headObject || operation == .headBucket
    }

    /// Whether the credentials were refused for a reason that others may mend.
    var asksForNewCredentials: Bool { retryClass == .credentials && status != nil && code != "SignatureDoesNotMatch" }
}

/// What to do about a failure: by the code in the store's document, or else by the status, as RFC 9110, section 15, classes
/// those that are not known.
package enum RetryClass: Hashable, Sendable {
    /// The store asks for less: wait, and send fewer at a time.
    case throttled
    /// Wait a moment and send again.
    case transient
    /// What arrived was not what was sent: read and digest again, twice at most.
    case damaged
    /// The machine's clock and the store's differ too much.
    case clock
    case credentials
    /// Another region or endpoint is the right one.
    case redirected
    /// The upload ID is gone, or a condition failed: only a look at the object tells what happened.
    case reconcile
    /// The store does not know the operation or one of its headers.
    case unsupported
    case fatal
    case cancelled

    init(of cause: S3Error.Cause) {
        switch cause {
        case .transport(.cancelled): self = .cancelled
        case .transport(let error): self = error.isTransient ? .transient : .fatal
        case .answer(let status, let code, _): self = Self.byCode[code] ?? Self.of(status: status)
        case .unreadable(let status, _):
            self = (200..<300).contains(status) ? .transient : Self.of(status: status)
        case .noCredentials(let failure) where failure.kind == .refused: self = .fatal
        case .noCredentials(let failure): self = failure.isTransient ? .transient : .credentials
        }
    }

    /// RFC 9110, section 15: an unknown status is treated as the x00 of its class, and one outside of all classes as 500.
    private static func of(status: Int) -> RetryClass {
        byStatus[status] ?? ((100..<500).contains(status) ? .fatal : .transient)
    }

    private static let byCode: [String: RetryClass] = {
        var table: [String: RetryClass] = [:]
        func put(_ value: RetryClass, _ codes: String) {
            for code in codes.split(separator: " ") { table[String(code)] = value }
        }
        put(
            .throttled,
            """
            SlowDown ServiceUnavailable TooManyRequests Throttling ThrottlingException ThrottledException \
            RequestThrottled RequestThrottledException RequestLimitExceeded BandwidthLimitExceeded \
            LimitExceededException ProvisionedThroughputExceededException TooManyRequestsException \
            KMS.ThrottlingException
            """
        )
        put(
            .transient,
            """
            InternalError InternalErrors InternalFailure InternalServerError PriorRequestNotComplete OperationAborted \
            RequestTimeout RequestTimeoutException IncompleteBody MissingContentLength
            """
        )
        put(.damaged, "BadDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch")
        put(.clock, "RequestTimeTooSkewed")
        put(
            .credentials,
            """
            ExpiredToken ExpiredTokenException RequestExpired InvalidToken TokenRefreshRequired InvalidAccessKeyId \
            SignatureDoesNotMatch InvalidSecurity InvalidTokenId InvalidClientTokenId
            """
        )
        put(
            .redirected,
            "PermanentRedirect TemporaryRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException"
        )
        put(.reconcile, "NoSuchUpload PreconditionFailed ConditionalRequestConflict")
        put(.unsupported, "NotImplemented")
        return table
    }()

    private static let byStatus: [Int: RetryClass] = [
        301: .redirected, 302: .redirected, 303: .redirected, 307: .redirected, 308: .redirected,
        401: .credentials, 408: .transient, 411: .transient, 412: .reconcile, 423: .transient, 425: .transient,
        429: .throttled, 501: .unsupported, 503: .throttled, 505: .fatal, 507: .fatal, 509: .throttled,
        529: .throttled,
    ]
}
