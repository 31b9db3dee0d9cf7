import MuleLedger
import MulePlan
import MuleS3

// Whose rules a store follows, and what follows from that before anything is sent.

extension Session {
    /// What is known of a store, by the user's word or by its endpoint.
    ///
    /// - Parameter isRecorded: whether the ledger names the endpoint. Then the configuration may be about another store.
    func provider(
        _ options: StoreOptions,
        at endpoint: Endpoint,
        bucket: String,
        isRecorded: Bool
    ) -> Provider? {
        if let asked = arguments.store.provider { return asked }
        // The host says it with certainty; the configuration may be older than an endpoint of the command line.
        if let known = Provider(endpoint) { return known }
        return isRecorded ? configuredProvider(at: endpoint, bucket: bucket) : options.provider
    }

    /// The configuration's provider of the bucket, if it is about this endpoint.
    func configuredProvider(at endpoint: Endpoint, bucket: String) -> Provider? {
        guard configuration.store(forBucket: bucket).provider != nil, let plan = try? plan(forBucket: bucket),
            plan.endpoint.url == endpoint.url
        else { return nil }
        return plan.options.provider
    }

    /// The same options, with the endpoint of a store that needs none to be named.
    static func located(_ options: StoreOptions) throws(CommandFailure) -> StoreOptions {
        guard let provider = options.provider, provider != .aws, options.endpointURL == nil else { return options }
        var located = options
        switch provider.endpoint(region: options.region) {
        case .success(let url): located.endpointURL = url
        case .failure(let missing):
            let what = missing.needsRegion ? "a region or an endpoint: add --region REGION or" : "an endpoint: add"
            throw CommandFailure(
                status: .usage,
                message:
                    "The provider \(provider.rawValue) (\(provider.profile.title)) needs \(what) --endpoint-url "
                    + "\(missing.example), and replace the words in capitals."
            )
        }
        return located
    }

    /// The endpoint, signed for the region that its host or its store names if no setting does.
    static func endpoint(
        _ options: StoreOptions,
        bucket: String,
        of provider: Provider?,
        origin: (EndpointSetting) -> String?
    ) throws(CommandFailure) -> Endpoint {
        let endpoint = try Self.endpoint(options, bucket: bucket, origin: origin)
        guard options.region == nil, options.endpointURL != nil, let region = provider?.region(of: endpoint) else {
            return endpoint
        }
        var options = options
        options.region = region
        return try Self.endpoint(options, bucket: bucket, origin: origin)
    }

    /// Says that the endpoint belongs to another store than the user thinks.
    func warnOfOtherProvider(_ plan: StorePlan) {
        guard let asked = arguments.store.provider, let known = Provider(plan.endpoint), known != asked else { return }
        console.notice(
            "\(plan.endpoint.host) belongs to \(known.profile.title), and --provider \(asked.rawValue) sets the rules of "
                + "\(asked.profile.title)."
        )
    }

    /// Throws if the store would refuse or ignore what every request says.
    func checkTerms(_ terms: RequestTerms, at provider: Provider?) throws(CommandFailure) {
        guard let profile = provider?.profile else { return }
        for header in ObjectHeader.allCases where header.isOnEveryRequest && terms.headers[header.name] != nil {
            if let problem = profile.problem(with: header) { throw CommandFailure(status: .usage, message: problem) }
        }
        if terms.customerKey != nil, !profile.takesCustomerKeys {
            throw CommandFailure(
                status: .usage,
                message:
                    "\(profile.title) does not support customer keys of S3 (--sse-c-key-file, MULE_SSE_C_KEY). Nothing "
                    + "was sent."
            )
        }
    }
}

extension StoreProfile {
    /// Why an option must not be sent, as sentences; nil if it works or is only a decoration.
    func problem(with header: ObjectHeader) -> String? {
        switch lacks[header] {
        case nil: nil
        case .refused: "\(title) does not accept --\(header.flag): remove the option. Nothing was sent."
        case .dropped where header.protects:
            "\(title) ignores --\(header.flag), so the object would not be protected: remove the option. "
                + "Nothing was sent."
        case .dropped: nil
        }
    }

    /// What objects will not have, as sentences to continue the option.
    func lack(of header: ObjectHeader) -> String? {
        lacks[header] == .dropped && !header.protects ? "\(title) ignores it; the object will not have it." : nil
    }
}

extension ObjectOptions {
    /// The given options that differ from what an object has without them.
    func notable(of headers: some Sequence<ObjectHeader>) -> [ObjectHeader] {
        headers.filter { header in
            guard self[header] != nil || !self[pairs: header].isEmpty else { return false }
            return !(header == .acl && self[header] == "private")
                && !(header == .storageClass && self[header] == "STANDARD")
        }
    }
}

extension ObjectHeader {
    /// Whether data would be less safe than the user thinks without it.
    fileprivate var protects: Bool {
        switch self {
        case .sse, .sseKMSKeyID, .sseKMSContext, .sseBucketKey, .objectLockMode, .objectLockRetainUntil,
            .objectLockLegalHold, .expectedBucketOwner:
            true
        case .contentType, .cacheControl, .contentDisposition, .contentEncoding, .contentLanguage, .expires, .metadata,
            .tags, .websiteRedirect, .storageClass, .acl, .requestPayer:
            false
        }
    }
}
