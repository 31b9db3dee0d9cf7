/// Every key of the configuration file; a new key is a new row here and in `config.example.json`.

extension ConfigurationKey<Configuration> {
    static let root: [Self] =
        ConfigurationKey<StoreOptions>.rows.map { row in
            Self(name: row.name) { configuration, value, path throws(ConfigurationError) in
                try row.read(&configuration.store, value, path)
            }
        } + [
            .quantity("multipartThreshold", \.transfer.multipartThreshold, OptionValue.size),
            .quantity("concurrency", \.transfer.concurrency, OptionValue.concurrency),
            .quantity("limitRate", \.transfer.limitRate, OptionValue.rate),
            .quantity("stallLimit", \.transfer.stallLimit, OptionValue.duration),
            .text("pageCache", \.transfer.pageCache, OptionValue.choice),
            .quantity("settle", \.source.settle, OptionValue.duration),
            .text("changing", \.source.changing, OptionValue.choice),
            .text("progress", \.progress, OptionValue.choice),
            .path("ledger", \.ledger),
            Self(name: "object") { configuration, value, path throws(ConfigurationError) in
                try ConfigurationKey<ObjectOptions>.read(
                    value,
                    ConfigurationKey<ObjectOptions>.rows,
                    into: &configuration.object,
                    path: path
                )
            },
            Self(name: "buckets") { configuration, value, path throws(ConfigurationError) in
                for (bucket, value) in try members(of: value, path) {
                    var options = StoreOptions()
                    try ConfigurationKey<StoreOptions>.read(
                        value,
                        ConfigurationKey<StoreOptions>.rows,
                        into: &options,
                        path: join(path, bucket)
                    )
                    configuration.buckets[bucket] = options
                }
            },
        ]
}

extension ConfigurationKey<StoreOptions> {
    static let rows: [Self] = [
        .text("endpointURL", \.endpointURL, OptionValue.endpointURL),
        .text("region", \.region, OptionValue.text),
        .text("profile", \.profile, OptionValue.text),
        .path("caBundle", \.caBundle),
        .text("addressing", \.addressing, OptionValue.choice),
        .quantity("partSize", \.partSize, OptionValue.size),
        .text("checksum", \.checksum, OptionValue.choice),
        .text("payloadSigning", \.payloadSigning, OptionValue.choice),
    ]
}

extension ConfigurationKey<ObjectOptions> {
    static let rows: [Self] = [
        .text("contentType", \.contentType, OptionValue.text),
        .text("cacheControl", \.cacheControl, OptionValue.text),
        .text("contentDisposition", \.contentDisposition, OptionValue.text),
        .text("contentEncoding", \.contentEncoding, OptionValue.text),
        .text("contentLanguage", \.contentLanguage, OptionValue.text),
        .pairs("metadata", \.metadata, OptionValue.metadata(name:text:)),
        .pairs("tags", \.tags, OptionValue.tag(name:text:)),
        .text("storageClass", \.storageClass, OptionValue.text),
        .text("acl", \.acl, OptionValue.text),
        .text("sse", \.encryption, OptionValue.choice),
        .text("sseKMSKeyID", \.kmsKeyID, OptionValue.text),
    ]
}
