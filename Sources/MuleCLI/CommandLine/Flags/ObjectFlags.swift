// What the object is to have beside its bytes.

extension FlagTable {
    static let object: [Flag] = [
        .value(
            "content-type",
            "TYPE",
            .object,
            filing,
            sets: \.object.contentType,
            reading: OptionValue.text,
            "The Content-Type that readers of the object are given."
        ),
        .value(
            "cache-control",
            "TEXT",
            .object,
            filing,
            sets: \.object.cacheControl,
            reading: OptionValue.text,
            "The object's Cache-Control header."
        ),
        .value(
            "content-disposition",
            "TEXT",
            .object,
            filing,
            sets: \.object.contentDisposition,
            reading: OptionValue.text,
            "The object's Content-Disposition header."
        ),
        .value(
            "content-encoding",
            "TEXT",
            .object,
            filing,
            sets: \.object.contentEncoding,
            reading: OptionValue.text,
            "The object's Content-Encoding header. The bytes are sent as they are."
        ),
        .value(
            "content-language",
            "TEXT",
            .object,
            filing,
            sets: \.object.contentLanguage,
            reading: OptionValue.text,
            "The object's Content-Language header."
        ),
        .pair(
            "metadata",
            "K=V",
            .object,
            filing,
            adds: \.object.metadata,
            reading: OptionValue.metadata,
            "User metadata (x-amz-meta-K)."
        ),
        .pair(
            "tag",
            "K=V",
            .object,
            filing,
            adds: \.object.tags,
            reading: OptionValue.tag,
            "An object tag."
        ),
        .value(
            "storage-class",
            "NAME",
            .object,
            filing,
            sets: \.object.storageClass,
            reading: OptionValue.text,
            "STANDARD, STANDARD_IA, GLACIER, DEEP_ARCHIVE, ... as the store calls it."
        ),
        .value(
            "acl",
            "NAME",
            .object,
            filing,
            sets: \.object.acl,
            reading: OptionValue.text,
            "A canned ACL, such as private or bucket-owner-full-control."
        ),
        .value(
            "sse",
            "NAME",
            .object,
            filing,
            sets: \.object.encryption,
            reading: OptionValue.choice,
            "Encryption at rest by the store: AES256 or aws:kms."
        ),
        .value(
            "sse-kms-key-id",
            "ID",
            .object,
            filing,
            sets: \.object.kmsKeyID,
            reading: OptionValue.text,
            "The KMS key for --sse aws:kms."
        ),
    ]
}
