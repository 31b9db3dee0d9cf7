// What the object has besides its bytes.

extension FlagTable {
    static let object: [Flag] = [
        .value(
            "content-type",
            "TYPE",
            .object,
            filing,
            sets: \.object.contentType,
            reading: OptionValue.text,
            "The object's Content-Type header."
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
            "The storage class by the store's name for it: STANDARD, STANDARD_IA, GLACIER, DEEP_ARCHIVE, ..."
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
        .choice(
            "sse",
            .object,
            filing,
            sets: \.object.encryption,
            readsEnvironment: false,
            "Encryption at rest by the store."
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
