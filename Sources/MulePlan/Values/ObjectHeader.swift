/// What an option says of the object besides its bytes: a header of CreateMultipartUpload or PutObject. A new one is a
/// case and its row here, and a key in `config.example.json`.
///
/// Flags, the configuration, requests, the import of ledgers, the fuzz targets and the tests read this table.
@dynamicMemberLookup
package enum ObjectHeader: String, CaseIterable, Sendable {
    // In the order of help. The raw value is the key of the configuration.
    case contentType, cacheControl, contentDisposition, contentEncoding, contentLanguage, expires
    case metadata, tags
    case websiteRedirect
    case storageClass, acl, sse, sseKMSKeyID, sseKMSContext, sseBucketKey
    case objectLockMode, objectLockRetainUntil, objectLockLegalHold
    case requestPayer, expectedBucketOwner

    private var row: Row {
        // `rows` is made of all cases.
        guard let row = Self.rows[self] else { fatalError("each case has a row") }
        return row
    }

    // Made once: several headers are looked up for each file.
    private static let rows = Dictionary(uniqueKeysWithValues: allCases.map { ($0, $0.made) })

    private var made: Row {
        switch self {
        case .contentType:
            Row(
                "content-type",
                .text("TYPE"),
                "The object's Content-Type header. Default: the type for the file's extension in /etc/mime.types, or in a "
                    + "list of common ones; a stream has no default. With none, no type is sent."
            )
        case .cacheControl: Row("cache-control", .text("TEXT"), "The object's Cache-Control header.")
        case .contentDisposition: Row("content-disposition", .text("TEXT"), "The object's Content-Disposition header.")
        case .contentEncoding:
            Row(
                "content-encoding",
                .text("TEXT"),
                "The object's Content-Encoding header. The bytes are sent as they are."
            )
        case .contentLanguage: Row("content-language", .text("TEXT"), "The object's Content-Language header.")
        case .expires:
            Row(
                "expires",
                .date,
                "The object's Expires header, as a date: 2027-01-31 (the start of the day in UTC), "
                    + "2027-01-31T18:00:00Z, or as HTTP writes it."
            )
        case .metadata:
            Row(
                "x-amz-meta-",
                flag: "metadata",
                .metadata,
                "User metadata (x-amz-meta-K).",
                keyHelp: "User metadata: name and value. It is added to that of --metadata."
            )
        case .tags:
            Row(
                "x-amz-tagging",
                flag: "tag",
                .tags,
                "An object tag.",
                keyHelp: "Object tags: name and value. They are added to those of --tag."
            )
        case .websiteRedirect:
            Row(
                "x-amz-website-redirect-location",
                flag: "website-redirect",
                .location,
                "Where a bucket that is a website redirects requests for the object: /KEY, or an http or https URL."
            )
        case .storageClass:
            Row(
                "x-amz-storage-class",
                flag: "storage-class",
                .text("NAME"),
                "The storage class by the store's name for it: STANDARD, STANDARD_IA, GLACIER, DEEP_ARCHIVE, ..."
            )
        case .acl:
            Row("x-amz-acl", flag: "acl", .text("NAME"), "A canned ACL, such as private or bucket-owner-full-control.")
        case .sse:
            Row(
                "x-amz-server-side-encryption",
                flag: "sse",
                .choice(["AES256", "aws:kms", "aws:kms:dsse"]),
                "Encryption at rest by the store."
            )
        case .sseKMSKeyID:
            Row(
                "x-amz-server-side-encryption-aws-kms-key-id",
                flag: "sse-kms-key-id",
                .text("ID"),
                "The KMS key for --sse aws:kms or aws:kms:dsse. Default: the key of the bucket, or of Amazon.",
                requires: [Requirement(.sse, "aws:kms", "aws:kms:dsse")]
            )
        case .sseKMSContext:
            Row(
                "x-amz-server-side-encryption-context",
                flag: "sse-kms-context",
                .encryptionContext,
                "A pair of the KMS encryption context, which KMS logs and policies can name.",
                keyHelp: "The KMS encryption context: name and value. It is added to that of --sse-kms-context.",
                requires: [Requirement(.sse, "aws:kms", "aws:kms:dsse")]
            )
        case .sseBucketKey:
            Row(
                "x-amz-server-side-encryption-bucket-key-enabled",
                flag: "sse-bucket-key",
                .choice(["true", "false"]),
                "Whether the store derives the object's key from a key of the bucket, which saves requests to KMS.",
                requires: [Requirement(.sse, "aws:kms")]
            )
        case .objectLockMode:
            Row(
                "x-amz-object-lock-mode",
                flag: "object-lock-mode",
                .choice(["GOVERNANCE", "COMPLIANCE"]),
                "Lock the object against being deleted or replaced. COMPLIANCE cannot be lifted, even by the owner. The bucket "
                    + "must have Object Lock.",
                requires: [Requirement(.objectLockRetainUntil)]
            )
        case .objectLockRetainUntil:
            Row(
                "x-amz-object-lock-retain-until-date",
                flag: "object-lock-retain-until",
                .retention,
                "When the lock ends: a date such as 2027-01-31 or 2027-01-31T18:00:00Z, or a duration such as 30d from "
                    + "when the store is asked to create the object or its multipart upload.",
                requires: [Requirement(.objectLockMode)]
            )
        case .objectLockLegalHold:
            Row(
                "x-amz-object-lock-legal-hold",
                flag: "object-lock-legal-hold",
                .choice(["ON", "OFF"]),
                "Whether the object is locked until the hold is removed."
            )
        case .requestPayer:
            Row(
                "x-amz-request-payer",
                flag: "request-payer",
                .choice(["requester"]),
                "Agree to pay for requests to a bucket whose owner does not. On every request.",
                isOnEveryRequest: true
            )
        case .expectedBucketOwner:
            Row(
                "x-amz-expected-bucket-owner",
                flag: "expected-bucket-owner",
                .accountID,
                "The account that must own the bucket, 12 digits; the store refuses requests to a bucket of another one. "
                    + "On every request.",
                isOnEveryRequest: true
            )
        }
    }

    /// How the value is written.
    package enum Kind: Hashable, Sendable {
        /// A text without control characters; here is its placeholder in help.
        case text(String)
        /// One of these words.
        case choice([String])
        /// Sent in the form of HTTP's headers, so that the same date is the same upload however it was written.
        case date
        /// A path in the same website, or a URL.
        case location
        /// A date, or a duration from the creation of the object: see `RetainUntil`.
        case retention
        /// The 12 digits of an AWS account.
        case accountID
        /// Names with a text each: one header for each name.
        case metadata
        /// Names with a text each, all in one header.
        case tags
        /// Names with a text each: one header, as JSON in Base64.
        case encryptionContext

        package var holdsPairs: Bool { [.metadata, .tags, .encryptionContext].contains(self) }

        package var placeholder: String {
            switch self {
            case .text(let placeholder): placeholder
            case .choice(let words): words.joined(separator: "|")
            case .date: "DATE"
            case .location: "PATH|URL"
            case .retention: "DATE|DURATION"
            case .accountID: "ACCOUNT"
            case .metadata, .tags, .encryptionContext: "K=V"
            }
        }
    }

    package struct Row: Sendable {
        /// The header, in lower case; for metadata, what its headers start with.
        package let name: String
        /// Without dashes; where it is not given, it is the header's name.
        package let flag: String
        package let kind: Kind
        package let help: String
        /// What the configuration's reference says instead of the help; nil for the same.
        package let keyHelp: String?
        /// What other headers have to be where this one is set.
        package let requires: [Requirement]
        /// Whether each request has it, and not only the one that creates the object. Then it is no property of the
        /// object, and may change while an upload is unfinished.
        package let isOnEveryRequest: Bool

        fileprivate init(
            _ name: String,
            flag: String? = nil,
            _ kind: Kind,
            _ help: String,
            keyHelp: String? = nil,
            requires: [Requirement] = [],
            isOnEveryRequest: Bool = false
        ) {
            (self.name, self.flag, self.kind, self.help) = (name, flag ?? name, kind, help)
            (self.keyHelp, self.requires, self.isOnEveryRequest) = (keyHelp, requires, isOnEveryRequest)
        }
    }

    /// Another header that a header has no meaning without.
    package struct Requirement: Sendable {
        package let header: ObjectHeader
        /// One of these; empty for any value.
        package let values: [String]

        fileprivate init(_ header: ObjectHeader, _ values: String...) {
            (self.header, self.values) = (header, values)
        }
    }

    package subscript<Value>(dynamicMember column: KeyPath<Row, Value>) -> Value { row[keyPath: column] }

    /// The key of the configuration, in `object`.
    package var key: String { rawValue }

    /// The headers that lock an object. S3 demands a digest of each body with them: in Content-MD5 or a checksum header.
    /// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
    package static let locks: [ObjectHeader] = [.objectLockMode, .objectLockRetainUntil, .objectLockLegalHold]

    /// Whether the options of an object can give a request this header. Others could say who asks, or whom.
    package static func allows(_ name: String) -> Bool {
        allCases.contains { header in
            header.kind == .metadata ? name.hasPrefix(header.name) && name == name.lowercased() : name == header.name
        }
    }
}
