package import MulePlan
package import MuleRemoteSigning
package import MuleS3
package import MuleSources
package import MuleUpload

/// The options that can come from more than one place. Each struct can be laid over another of its kind: a value that
/// is set hides the one below it, and one that is nil lets it through.

/// How the store is found and spoken to; can be set for a single bucket.
package struct StoreOptions: Sendable, Hashable {
    /// Whose rules the store follows.
    package var provider: Provider?
    package var endpointURL: String?
    package var region: String?
    package var profile: String?
    /// A file path, as raw bytes.
    package var caBundle: [UInt8]?
    /// Two file paths, as raw bytes.
    package var clientCertificate: [UInt8]?
    package var clientKey: [UInt8]?
    package var addressing: AddressingChoice?
    package var fips: Bool?
    package var dualStack: Bool?
    package var accelerate: Bool?
    package var aws = AWSOptions()
    /// Bytes in every part but the last, more than 0.
    package var partSize: Int64?
    package var checksum: ChecksumChoice?
    package var payloadSigning: PayloadSigningChoice?
    package var signer = SignerOptions()

    package init() {}

    package func over(_ lower: StoreOptions) -> StoreOptions {
        var result = lower
        // What is said of one endpoint's store does not count for another endpoint.
        let isOfItsOwn = lower.provider?.profile.endpoints.isEmpty == false
        let isElsewhere = endpointURL != nil && (lower.endpointURL.map { $0 != endpointURL } ?? isOfItsOwn)
        result.provider = isElsewhere ? provider : provider ?? lower.provider
        result.endpointURL = endpointURL ?? lower.endpointURL
        result.region = region ?? lower.region
        result.profile = profile ?? lower.profile
        result.caBundle = caBundle ?? lower.caBundle
        result.clientCertificate = clientCertificate ?? lower.clientCertificate
        // The key of one certificate says nothing of another.
        result.clientKey = clientCertificate == nil ? clientKey ?? lower.clientKey : clientKey
        result.addressing = addressing ?? lower.addressing
        result.fips = fips ?? lower.fips
        result.dualStack = dualStack ?? lower.dualStack
        result.accelerate = accelerate ?? lower.accelerate
        result.aws = aws.over(lower.aws)
        result.partSize = partSize ?? lower.partSize
        result.checksum = checksum ?? lower.checksum
        result.payloadSigning = payloadSigning ?? lower.payloadSigning
        result.signer = signer.over(lower.signer)
        return result
    }
}

/// The service that signs, instead of credentials of this host.
package struct SignerOptions: Sendable, Hashable {
    package var address: SignerAddress?
    package var signerProtocol: SignerProtocol?
    /// A file path, as raw bytes.
    package var tokenFile: [UInt8]?
    /// Whether the token is sent as `x-api-key` too.
    package var sendsAPIKey: Bool?

    package init() {}

    /// What is said of another address does not count: a token is for one signer.
    package func over(_ lower: SignerOptions) -> SignerOptions {
        if let address, let other = lower.address, address != other { return self }
        var result = lower
        result.address = address ?? lower.address
        result.signerProtocol = signerProtocol ?? lower.signerProtocol
        result.tokenFile = tokenFile ?? lower.tokenFile
        result.sendsAPIKey = sendsAPIKey ?? lower.sendsAPIKey
        return result
    }
}

/// What only AWS's own variables and profiles say of a store.
package struct AWSOptions: Sendable, Hashable {
    /// Whether an access point may be in another region than the one that is set.
    package var followsAccessPoints: Bool?
    package var onlyRequiredChecksums: Bool?

    package init() {}

    package func over(_ lower: AWSOptions) -> AWSOptions {
        var result = lower
        result.followsAccessPoints = followsAccessPoints ?? lower.followsAccessPoints
        result.onlyRequiredChecksums = onlyRequiredChecksums ?? lower.onlyRequiredChecksums
        return result
    }
}

/// How fast, how much at once, and when to stop.
package struct TransferOptions: Sendable, Equatable {
    /// Bytes from which a file is sent in parts.
    package var multipartThreshold: Int64?
    package var concurrency: ConcurrencyChoice?
    /// Over all requests; one without a limit lifts what was set below.
    package var limitRate: RateTimetable?
    /// Seconds without progress after which the run stops, resumable; more than 0.
    package var stallLimit: Double?
    package var pageCache: PageCacheUse?

    package init() {}

    package func over(_ lower: TransferOptions) -> TransferOptions {
        var result = lower
        result.multipartThreshold = multipartThreshold ?? lower.multipartThreshold
        result.concurrency = concurrency ?? lower.concurrency
        result.limitRate = limitRate ?? lower.limitRate
        result.stallLimit = stallLimit ?? lower.stallLimit
        result.pageCache = pageCache ?? lower.pageCache
        return result
    }
}

/// How a file that is still being written is met.
package struct SourceOptions: Sendable, Equatable {
    /// Seconds for which a file must be unchanged; more than 0.
    package var settle: Double?
    package var changing: ChangingSource?

    package init() {}

    package func over(_ lower: SourceOptions) -> SourceOptions {
        var result = lower
        result.settle = settle ?? lower.settle
        result.changing = changing ?? lower.changing
        return result
    }
}

/// Which of the files below a directory are meant, and in which order they are sent.
package struct SelectionOptions: Sendable, Equatable {
    package var include: [GlobPattern] = []
    package var exclude: [ExcludeRule] = []
    /// Seconds.
    package var minimumAge: Double?
    package var maximumAge: Double?
    /// Bytes.
    package var minimumSize: Int64?
    package var maximumSize: Int64?
    package var symlinks: SymlinkPolicy?
    package var order: FileOrder?

    package init() {}

    /// Patterns of both count, those of the upper one last.
    package func over(_ lower: SelectionOptions) -> SelectionOptions {
        var result = lower
        result.include += include
        result.exclude += exclude
        result.minimumAge = minimumAge ?? lower.minimumAge
        result.maximumAge = maximumAge ?? lower.maximumAge
        result.minimumSize = minimumSize ?? lower.minimumSize
        result.maximumSize = maximumSize ?? lower.maximumSize
        result.symlinks = symlinks ?? lower.symlinks
        result.order = order ?? lower.order
        return result
    }

    /// - Parameter symlinks: the policy for links if no option sets one.
    package func selection(symlinks standard: SymlinkPolicy) -> Selection {
        var selection = Selection()
        selection.include = include
        selection.exclude = exclude
        selection.minimumAge = minimumAge
        selection.maximumAge = maximumAge
        selection.minimumSize = minimumSize
        selection.maximumSize = maximumSize
        selection.symlinks = symlinks ?? standard
        return selection
    }
}

/// What the object is given besides its bytes.
package struct ObjectOptions: Sendable, Equatable {
    private var texts: [ObjectHeader: String] = [:]
    private var pairs: [ObjectHeader: [NamedText]] = [:]
    /// The file of the customer key (SSE-C), as raw bytes.
    package var customerKeyFile: [UInt8]?

    package init() {}

    /// As it is sent; nil for one that is not set.
    package subscript(header: ObjectHeader) -> String? {
        get { texts[header] }
        set { texts[header] = newValue }
    }

    /// Each name once, in the order in which they were first given; those of metadata in lower case, as they are sent.
    package subscript(pairs header: ObjectHeader) -> [NamedText] {
        get { pairs[header] ?? [] }
        set { pairs[header] = newValue.isEmpty ? nil : newValue }
    }

    /// Pairs are laid over each other name by name.
    package func over(_ lower: ObjectOptions) -> ObjectOptions {
        var result = lower
        result.texts.merge(texts) { _, upper in upper }
        result.customerKeyFile = customerKeyFile ?? lower.customerKeyFile
        for (header, pairs) in pairs {
            for pair in pairs { result[pairs: header].put(pair) }
        }
        return result
    }
}

/// A name and a text, compared byte by byte.
package struct NamedText: Sendable, Equatable {
    package let name: String
    package let text: String

    package init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    package static func == (first: NamedText, second: NamedText) -> Bool {
        first.name.utf8.elementsEqual(second.name.utf8) && first.text.utf8.elementsEqual(second.text.utf8)
    }
}

extension [NamedText] {
    /// Adds the pair, or replaces the one of the same name.
    mutating func put(_ pair: NamedText) {
        if let index = firstIndex(where: { $0.name.utf8.elementsEqual(pair.name.utf8) }) {
            self[index] = pair
        } else {
            append(pair)
        }
    }
}
