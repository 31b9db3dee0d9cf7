package import MulePlan
package import MuleSigning
package import MuleTransport

/// The operations of the S3 API that mule uses, by their API names.
package enum S3Operation: String, CaseIterable, Sendable {
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
    // Sent by `mule doctor` only.
    case getBucketLifecycle = "GetBucketLifecycleConfiguration"
    case getObjectLock = "GetObjectLockConfiguration"
    case getBucketVersioning = "GetBucketVersioning"
    case listBuckets = "ListBuckets"
    case deleteObject = "DeleteObject"
    case deleteObjectVersion = "DeleteObjectVersion"

    /// Those that uploads and the commands about them need. mule works without the others, which are about what lies
    /// outside uploads, and never needs permission to delete an object.
    package static let ofUploads = allCases.filter { !$0.isOfDoctor }

    private var isOfDoctor: Bool {
        switch self {
        case .getBucketLifecycle, .getObjectLock, .getBucketVersioning, .listBuckets, .deleteObject,
            .deleteObjectVersion:
            true
        default: false
        }
    }

    /// The permission that a policy must grant.
    package var permission: String {
        switch self {
        case .createMultipartUpload, .uploadPart, .completeMultipartUpload, .putObject: "s3:PutObject"
        case .listParts: "s3:ListMultipartUploadParts"
        case .abortMultipartUpload: "s3:AbortMultipartUpload"
        case .listMultipartUploads: "s3:ListBucketMultipartUploads"
        case .headObject, .getObject: "s3:GetObject"
        case .getObjectAttributes: "s3:GetObjectAttributes"
        case .headBucket, .listObjects: "s3:ListBucket"
        case .getBucketLifecycle: "s3:GetLifecycleConfiguration"
        case .getObjectLock: "s3:GetBucketObjectLockConfiguration"
        case .getBucketVersioning: "s3:GetBucketVersioning"
        case .listBuckets: "s3:ListAllMyBuckets"
        case .deleteObject: "s3:DeleteObject"
        case .deleteObjectVersion: "s3:DeleteObjectVersion"
        }
    }

    /// Whether the permission is one on the bucket, not on its objects.
    package var isOnBucket: Bool {
        switch self {
        case .listMultipartUploads, .headBucket, .listObjects, .getBucketLifecycle, .getObjectLock,
            .getBucketVersioning, .listBuckets:
            true
        default: false
        }
    }
}

/// A failed operation, with the evidence.
package struct S3Error: Error, Sendable {
    package enum Cause: Sendable {
        /// There was no answer.
        case transport(TransportError)
        /// The store refused. `status` is the HTTP status: 200 for an error inside a successful answer.
        case answer(status: Int, code: String, message: String)
        /// Neither success nor refusal: the answer is cut, empty, or not what the operation returns.
        case unreadable(status: Int, reason: String)
        /// There is nothing to sign with, or the signer refused.
        case noCredentials(CredentialsUnavailable)
    }

    package var operation: S3Operation
    package var bucket: String
    package var key: ObjectKey?
    package var part: Int?
    package var cause: Cause
    /// `x-amz-request-id`, for the store's support.
    package var requestID: String?
    /// Seconds that the store asks to wait before a retry.
    package var retryAfter: Double?
    /// The region that the store names, if a wrong region is the problem.
    package var region: String?
    /// The host of a redirect. Only shown, never contacted.
    package var otherHost: String?
    /// Refused credentials have been renewed: the same request may be retried.
    package var hasNewCredentials = false
    /// Refused credentials could not be renewed.
    package var renewalFailure: CredentialsUnavailable?
    /// Whether the answer had an S3 error document, with a code.
    package var hasDocument = false
    /// HOST:PORT of the server; empty if no request was sent.
    package var address = ""
    /// Request headers with non-ASCII values, plain or encoded, if the store refused the signature: stores differ in
    /// how they sign those.
    package var doubtfulHeaders: [String] = []
    /// Whether a service signed the request, or gave the key for it.
    package var isSignedElsewhere = false
    /// Bytes: the minimum or maximum that the store accepts, if its refusal tells.
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
        // A signer that refuses a request does so instead of the store.
        case .noCredentials(let failure): failure.kind == .refused ? 403 : nil
        case .transport: nil
        }
    }

    package var retryClass: RetryClass { RetryClass(of: cause) }

    /// Whether a server has answered.
    package var hasAnswer: Bool {
        switch cause {
        case .transport(let error): error.network?.answered == true
        case .noCredentials: false
        case .answer, .unreadable: true
        }
    }

    /// Whether the request was not sent, so that it can have no effect.
    package var wasNotSent: Bool {
        switch cause {
        case .noCredentials: true
        case .transport(let error): error.connectionFailed
        case .answer, .unreadable: false
        }
    }

    /// Whether the store may have executed the request, although no answer says so.
    package var mayHaveSucceeded: Bool {
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

    /// Whether the server is known to be an S3 store. Answers to HEAD have no document, so they count as one.
    package var isOfS3: Bool {
        hasDocument || requestID != nil || operation == .headObject || operation == .headBucket
    }

    /// Whether the credentials were refused for a reason that new ones may fix.
    var asksForNewCredentials: Bool { retryClass == .credentials && status != nil && code != "SignatureDoesNotMatch" }
}

/// What to do about a failure: by the code in the store's document, else by the status; unknown ones by their class
/// (RFC 9110, section 15).
package enum RetryClass: Hashable, Sendable {
    /// The store asks for fewer requests: wait, and reduce concurrency.
    case throttled
    /// Retry after a delay.
    case transient
    /// The store received other bytes: read and digest again, twice at most.
    case damaged
    /// The clocks of this machine and the store differ too much.
    case clock
    case credentials
    /// The bucket is in another region or at another endpoint.
    case redirected
    /// The upload ID is gone, or a condition failed: only the object shows what happened.
    case reconcile
    /// The store does not support the operation or one of its headers.
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

    /// RFC 9110, section 15: an unknown status counts as the x00 of its class, and one outside all classes as 500.
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
