/// What an option says of the object besides its bytes: a header of CreateMultipartUpload or PutObject. A new one is a
/// case and its row here, and a key in `config.example.json`.
///
/// Flags, the configuration, requests, the import of ledgers, the fuzz targets and the tests read this table.
@dynamicMemberLookup
package enum ObjectHeader: String, CaseIterable, Sendable {
    // In the order of help. The raw value is the key of the configuration.
    case contentType, cacheControl, contentDisposition, contentEncoding, contentLanguage, expires
    case metadata, tags
    case storageClass, acl, sse, sseKMSKeyID

    private var row: Row {
        switch self {
        case .contentType: Row("content-type", .text("TYPE"), "The object's Content-Type header.")
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
                .choice(["AES256", "aws:kms"]),
                "Encryption at rest by the store."
            )
        case .sseKMSKeyID:
            Row(
                "x-amz-server-side-encryption-aws-kms-key-id",
                flag: "sse-kms-key-id",
                .text("ID"),
                "The KMS key for --sse aws:kms.",
                requires: (.sse, "aws:kms")
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
        /// Names with a text each: one header for each name.
        case metadata
        /// Names with a text each, all in one header.
        case tags

        package var holdsPairs: Bool { self == .metadata || self == .tags }

        package var placeholder: String {
            switch self {
            case .text(let placeholder): placeholder
            case .choice(let words): words.joined(separator: "|")
            case .date: "DATE"
            case .metadata, .tags: "K=V"
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
        /// What another header has to be where this one is set.
        package let requires: (header: ObjectHeader, value: String)?

        fileprivate init(
            _ name: String,
            flag: String? = nil,
            _ kind: Kind,
            _ help: String,
            keyHelp: String? = nil,
            requires: (header: ObjectHeader, value: String)? = nil
        ) {
            (self.name, self.flag, self.kind, self.help) = (name, flag ?? name, kind, help)
            (self.keyHelp, self.requires) = (keyHelp, requires)
        }
    }

    package subscript<Value>(dynamicMember column: KeyPath<Row, Value>) -> Value { row[keyPath: column] }

    /// The key of the configuration, in `object`.
    package var key: String { rawValue }

    /// Whether the options of an object can give a request this header. Others could say who asks, or whom.
    package static func allows(_ name: String) -> Bool {
        allCases.contains { header in
            header.kind == .metadata ? name.hasPrefix(header.name) && name == name.lowercased() : name == header.name
        }
    }
}
