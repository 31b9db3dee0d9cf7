package import MuleDigest

/// How a store behaves: the differences between AWS and its imitators, as data.
package struct FakeProfile: Sendable {
    package enum Checksums: Sendable {
        /// As AWS: verified, echoed, kept.
        case enforced
        /// Taken without a word, never verified, echoed or kept (OpenStack Swift).
        case ignored
        /// A request with an `x-amz-checksum-…` of one of these algorithms (nil: of any) gets this error.
        case refused(status: Int, code: String, algorithms: Set<ChecksumAlgorithm>? = nil)
    }

    package enum ETagStyle: Sendable {
        /// Hex MD5, and MD5 of the parts' MD5s with `-N` for multipart.
        case md5
        /// 32 random hex digits, also for multipart (Cloudflare R2).
        case random
        /// Looks like an MD5 with `-N`, but is none (SSE-KMS).
        case kms
        /// A counter: costs nothing, equals nothing.
        case opaque
    }

    package enum ETagQuoting: Sendable {
        /// `&quot;` in XML and `"` in headers, as AWS.
        case entity
        /// `"` in both.
        case plain
        /// No quotes at all.
        case none
    }

    package enum Signatures: Sendable {
        /// Every request must be signed.
        case required
        /// An unsigned request passes; a signed one is verified.
        case optional
        /// Nothing is looked at.
        case unchecked
    }

    package enum Bodies: Sendable {
        /// Kept in memory and returned by GetObject.
        case keep
        /// Counted and digested, then forgotten.
        case discard
    }

    package var bodies = Bodies.keep
    package var checksums = Checksums.enforced
    /// Google Cloud Storage's rules for requests in Amazon's form: see GoogleRules.swift.
    package var isGoogle = false
    /// Off: values that the client states are believed and no digest is computed.
    package var verifiesChecksums = true
    package var verifiesContentMD5 = true
    /// As buckets with Object Lock: payload without Content-MD5 or a checksum is refused.
    package var demandsBodyDigest = false
    /// Whether a signed payload hash (`x-amz-content-sha256`) is compared with the body.
    package var verifiesPayloadHash = true
    package var eTagStyle = ETagStyle.md5
    package var eTagQuoting = ETagQuoting.entity
    package var signatures = Signatures.required
    /// Off: the headers of encryption by the store (`--sse`) mean nothing.
    package var encrypts = true
    /// Off: Object Lock headers mean nothing.
    package var keepsLocks = true
    /// Off: SSE-C headers mean nothing, as for Swift and rclone.
    package var knowsCustomerKeys = true
    /// Whether each object gets a version ID.
    package var hasVersions = false

    /// Whether CreateMultipartUpload answers `x-amz-checksum-algorithm` and `-type`.
    package var createEchoesChecksum = true
    /// Sent by CreateMultipartUpload and ListParts as `x-amz-abort-date`: an HTTP date.
    package var abortDate: String?
    package var abortRuleID = "expire-parts"

    /// The elements of the bucket's lifecycle and lock configuration; nil for none.
    package var lifecycle: [FakeXML]?
    package var objectLock: [FakeXML]?
    /// Whether a request for these is understood; else it means nothing, and a list of objects is the answer.
    package var knowsSettings = true

    /// Operations answered with 403 AccessDenied.
    package var denied: Set<FakeOperation> = []
    /// `NoSuchKey` where AWS says `NoSuchUpload` (DigitalOcean and others).
    package var saysNoSuchKeyForUploads = false
    /// Parts other than the last must have one size; found out only at Complete (R2).
    package var partsMustBeEqual = false
    /// Whether a Complete of an unknown upload with `If-None-Match` looks at the object first: 412, else 404.
    package var completeChecksPreconditionFirst = false
    package var listPartsOmitsChecksums = false
    /// Whether ListParts also shows versions of a part that a later one replaced.
    package var listPartsShowsSuperseded = false
    package var headOmitsChecksum = false
    /// Whether GetObjectAttributes shows the checksum that HEAD omits.
    package var attributesShowOmitted = false
    /// Whether HEAD with `partNumber` shows that part; else the parameter means nothing.
    package var knowsPartNumbers = true
    /// Whether GetObjectAttributes is known; else the parameter means nothing, and the object itself is the answer.
    package var knowsAttributes = true

    package var minimumPartSize: Int64 = 5 << 20
    package var maximumPartSize: Int64 = 5 << 30
    /// Highest part number.
    package var maxParts = 10_000
    package var listPartsPageSize = 1_000
    package var listUploadsPageSize = 1_000

    /// Speed at which a connection takes in a body, in bytes a second; nil: as fast as it comes.
    package var connectionBytesPerSecond: Int64?
    /// Wait before every answer.
    package var latencySeconds = 0.0
    /// Closes a connection without notice after so many answers, as an idle timeout would.
    package var answersPerConnection: Int?
    /// Added to this machine's clock for dates and the check of skew.
    package var clockOffsetSeconds = 0

    package init() {}

    /// Whether values of this algorithm are verified, echoed and kept.
    func handles(_ algorithm: ChecksumAlgorithm) -> Bool {
        switch checksums {
        case .enforced: true
        case .ignored: false
        case .refused(_, _, let algorithms): algorithms.map { !$0.contains(algorithm) } ?? false
        }
    }

    /// Whether any algorithm is handled.
    var handlesChecksums: Bool { ChecksumAlgorithm.allCases.contains(where: handles) }

    /// What AWS computes by itself when nothing is declared.
    var ownAlgorithm: ChecksumAlgorithm? { isGoogle ? .crc32c : handles(.crc64nvme) ? .crc64nvme : nil }

    /// AWS's rules, with parts as small as a test likes.
    package static func aws(minimumPartSize: Int64 = 5 << 20) -> FakeProfile {
        var profile = FakeProfile()
        profile.minimumPartSize = minimumPartSize
        return profile
    }

    /// Google's rules, with parts as small as a test likes.
    package static func google(minimumPartSize: Int64 = 5 << 20) -> FakeProfile {
        var profile = aws(minimumPartSize: minimumPartSize)
        profile.isGoogle = true
        profile.checksums = .ignored
        profile.knowsAttributes = false
        profile.knowsPartNumbers = false
        return profile
    }

    /// For speed: nothing kept, nothing digested; signatures are still verified.
    package static var sink: FakeProfile {
        var profile = FakeProfile()
        profile.bodies = .discard
        profile.eTagStyle = .opaque
        profile.verifiesChecksums = false
        profile.verifiesContentMD5 = false
        profile.verifiesPayloadHash = false
        return profile
    }
}
