import MulePlan

extension Session {
    /// The attributes of the object, from the command line and the configuration.
    ///
    /// - Parameter warns: whether to warn of what is probably not meant.
    func attributes(warns: Bool = true) throws(CommandFailure) -> ObjectAttributes {
        let options = arguments.object.over(configuration.object)
        if let problem = options.problem { throw CommandFailure(status: .usage, message: problem) }
        // A store may have names of its own: a job that uses them is silent with --quiet.
        if warns {
            for doubt in options.doubts { console.warn("\(doubt.flag): \(doubt.text)", isShown: !console.isQuiet) }
        }
        let attributes: ObjectAttributes
        do {
            attributes = try ObjectAttributes(options)
        } catch {
            let message =
                switch error {
                case .badName(let name): "\"\(TextSafety.displayText(name))\" is not a valid metadata name."
                case .badValue(let name):
                    "The value of \(name) contains a control character, which no header may contain."
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

extension ObjectOptions {
    /// Tags that an object may have (AWS: "Categorizing your objects using tags").
    private static let mostTags = 10

    /// Why no store would accept them, as a sentence; nil if no mistake is known.
    var problem: String? {
        if kmsKeyID != nil, encryption != .kms { return "--sse-kms-key-id requires --sse aws:kms." }
        if tags.count > Self.mostTags {
            return "An object may have \(Self.mostTags) tags, but \(tags.count) are given: remove some."
        }
        for (flag, value) in headers {
            guard let value, !value.utf8.allSatisfy({ $0 < 0x80 }) else { continue }
            let hint = flag == "--content-disposition" ? " (for a file name, write filename*=UTF-8''NAME with %XX)" : ""
            return "\(flag) contains non-ASCII characters, which not every store accepts in a header: write it in "
                + "ASCII\(hint)."
        }
        return nil
    }

    private var headers: [(flag: String, value: String?)] {
        [
            ("--content-type", contentType), ("--cache-control", cacheControl),
            ("--content-disposition", contentDisposition), ("--content-encoding", contentEncoding),
            ("--content-language", contentLanguage), ("--storage-class", storageClass), ("--acl", acl),
            ("--sse-kms-key-id", kmsKeyID),
        ]
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
