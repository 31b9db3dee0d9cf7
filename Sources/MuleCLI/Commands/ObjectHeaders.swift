import MulePlan

extension Session {
    /// What the object is to carry, from the command line and the configuration.
    func attributes() throws(CommandFailure) -> ObjectAttributes {
        let attributes: ObjectAttributes
        do {
            attributes = try ObjectAttributes(typed.object.over(configuration.object))
        } catch {
            let message =
                switch error {
                case .badName(let name): "\"\(TextSafety.displayText(name))\" can't be the name of metadata."
                case .badValue(let name): "The value for \(name) holds a control character, which no header can carry."
                }
            throw CommandFailure(status: .usage, message: message)
        }
        let limit = StoreLimits.amazon.maximumMetadataSize
        guard attributes.metadataSize <= limit else {
            throw CommandFailure(
                status: .usage,
                message: "The metadata is \(attributes.metadataSize) bytes long; S3 allows \(limit)."
            )
        }
        return attributes
    }
}

extension ObjectAttributes {
    /// The headers that the object's options come to.
    init(_ options: ObjectOptions) throws(AttributeError) {
        self.init()
        let plain = [
            ("content-type", options.contentType), ("cache-control", options.cacheControl),
            ("content-disposition", options.contentDisposition), ("content-encoding", options.contentEncoding),
            ("content-language", options.contentLanguage), ("x-amz-storage-class", options.storageClass),
            ("x-amz-acl", options.acl), ("x-amz-server-side-encryption", options.encryption?.rawValue),
            ("x-amz-server-side-encryption-aws-kms-key-id", options.kmsKeyID),
        ]
        for (name, value) in plain {
            if let value { try set(name, value) }
        }
        for pair in options.metadata { try set("x-amz-meta-" + pair.name, pair.text) }
        if !options.tags.isEmpty { try set("x-amz-tagging", TagHeader.text(options.tags)) }
    }
}
