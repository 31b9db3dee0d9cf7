import MuleCredentials
import MuleLedger
import MulePlan
import MuleRemoteSigning
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import MuleUpload

// The store of a bucket or of a recorded upload: its endpoint, credentials or signer, and certificates.

extension Session {
    /// A store, with the ledger's record of it.
    struct Store {
        var service: S3Service
        var address: StoreAddress
        /// The bucket's options, from all sources.
        var options: StoreOptions
        /// Nil where this host has credentials.
        var signer: DelegatedSigner?
    }

    /// The bucket's store by flags, environment and configuration.
    ///
    /// - Parameter recorded: the ledger's record of the object's store; only flags override it.
    func store(
        forBucket bucket: String,
        recorded: StoreOptions = StoreOptions()
    ) throws(CommandFailure) -> Store {
        let plan = try plan(forBucket: bucket, recorded: recorded)
        var endpoint = plan.endpoint
        let signer = try delegatedSigner(plan.options.signer, caBundle: plan.caBundle)
        if let region = try region(of: signer, forBucket: bucket), plan.options.region == nil {
            var options = plan.options
            options.region = region
            let origins = SettingOrigins(session: self, bucket: bucket, aws: plan.aws)
            endpoint = try Self.endpoint(options, bucket: bucket, origin: origins.origin)
        }
        noteUnusedSettings(plan.aws)
        warnOfOtherProvider(plan)
        if endpoint.isFIPS, !Endpoint.listsFIPS(in: endpoint.region) {
            console.notice(
                "AWS lists no FIPS endpoint of S3 in \(endpoint.region): \(endpoint.host) may not exist. mule uses "
                    + "no other."
            )
        }
        if [.upload, .adopt, .verify].contains(arguments.command), let doubt = BucketName.doubt(bucket) {
            console.notice(TextSafety.displayText(doubt))
        }
        let terms = RequestTerms(headers: try requestHeaders(), customerKey: try customerKey())
        try checkTerms(terms, at: plan.options.provider)
        return Store(
            service: try service(
                endpoint,
                provider: plan.options.provider,
                caBundle: plan.caBundle,
                client: plan.client,
                signer: try requestSigner(
                    signer,
                    plan.aws,
                    options: plan.options,
                    caBundle: plan.caBundle,
                    endpoint: endpoint
                ),
                terms: terms
            ),
            address: StoreAddress(
                endpoint: endpoint.url,
                region: endpoint.region,
                addressing: endpoint.addressing.rawValue,
                profile: signer != nil || plan.aws.profileName == "default" ? nil : plan.aws.profileName,
                caBundle: plan.caBundle,
                clientCertificate: plan.client?.certificate,
                clientKey: plan.client?.key,
                signer: signer?.place,
                requestHeaders: terms.headers,
                customerKey: terms.customerKey?.fingerprint(bucket: bucket)
            ),
            options: plan.options,
            signer: signer
        )
    }

    /// How to reach a store, before credentials are requested.
    struct StorePlan {
        var endpoint: Endpoint
        var caBundle: String?
        var client: ClientCertificate?
        var aws: AWSEnvironment
        var options: StoreOptions
    }

    /// Reports its mistakes, both to runs and to `config check`.
    func plan(
        forBucket bucket: String,
        recorded: StoreOptions = StoreOptions()
    ) throws(CommandFailure) -> StorePlan {
        let configured = configuration.store(forBucket: bucket)
        let aws = try awsEnvironment(profile: arguments.store.profile, configured: configured.profile)
        var options = arguments.store
            .over(recorded)
            .over(StoreOptions(aws.environmentSettings))
            .over(configured)
            .over(StoreOptions(aws.profileSettings))
        let endpoint: Endpoint
        if recorded.endpointURL != nil, arguments.store.endpointURL == nil {
            endpoint = try self.endpoint(onRecord: options, bucket: bucket, fips: options.fips ?? false)
            options.provider = provider(options, at: endpoint, bucket: bucket, isRecorded: true)
        } else {
            let origins = SettingOrigins(session: self, bucket: bucket, aws: aws)
            options = try Self.located(options)
            let plain = try Self.endpoint(options, bucket: bucket, origin: origins.origin)
            options.provider = provider(options, at: plain, bucket: bucket, isRecorded: false)
            endpoint = try Self.endpoint(options, bucket: bucket, of: options.provider, origin: origins.origin)
        }
        // Without a bucket there is nothing to check at it: "mule doctor" asks for the store alone.
        if !bucket.isEmpty, let problem = Self.problem(bucket, at: endpoint, options) {
            throw CommandFailure(status: .usage, message: problem)
        }
        return StorePlan(
            endpoint: endpoint,
            caBundle: try caBundle(options),
            client: try clientCertificate(options),
            aws: aws,
            options: options
        )
    }

    /// Configuration keys that are set by AWS's variables, in the order in which the variables are read.
    ///
    /// - Parameter known: the settings without the variables.
    func variablesOfStores(besides known: StoreOptions) -> [(key: String, variable: String)] {
        var used: [(key: String, variable: String)] = []
        func look(_ key: String, _ isKnown: Bool, _ names: String...) {
            guard !isKnown, let name = names.first(where: { environment[$0]?.isEmpty == false }) else { return }
            used.append((key, name))
        }
        let aws = try? awsEnvironment(profile: arguments.store.profile, configured: known.profile)
        let ignoresEndpoints = aws?.environmentSettings.ignoresConfiguredEndpoints ?? false
        look("endpointURL", known.endpointURL != nil || ignoresEndpoints, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        look("region", known.region != nil, "AWS_REGION", "AWS_DEFAULT_REGION")
        look("profile", known.profile != nil, "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
        look("caBundle", known.caBundle != nil, "AWS_CA_BUNDLE")
        look("fips", known.fips != nil, "AWS_USE_FIPS_ENDPOINT")
        look("dualstack", known.dualStack != nil, "AWS_USE_DUALSTACK_ENDPOINT")
        return used
    }

    /// The same without the variables that override the configuration.
    var withoutVariablesOfStores: Session {
        let names = [
            "PROFILE", "DEFAULT_PROFILE", "REGION", "DEFAULT_REGION", "CA_BUNDLE", "ENDPOINT_URL", "ENDPOINT_URL_S3",
            "USE_FIPS_ENDPOINT", "USE_DUALSTACK_ENDPOINT", "S3_USE_ARN_REGION", "REQUEST_CHECKSUM_CALCULATION",
        ]
        return Session(
            arguments,
            environment: environment.filter { variable, _ in !names.contains { variable == "AWS_" + $0 } },
            configuration: configuration,
            console: console
        )
    }

    /// Throws if parts may not have this size; the last part may be smaller.
    static func checkPartSize(_ size: Int64) throws(CommandFailure) {
        do {
            _ = try PartSizing(partSize: size).method(size: size)
        } catch {
            throw CommandFailure(status: .usage, message: error.sentence(for: "A file"))
        }
    }

    /// The store of a recorded upload. The command line overrides the record: an endpoint may have moved.
    func store(of record: UploadRecord) throws(CommandFailure) -> Store {
        try store(at: record.upload.store, for: record.upload.destination.bucket, followsOptions: true)
    }

    /// The endpoint of the command line, as the ledger writes it; nil if there is none. Without IDs, only uploads that
    /// were started there are selected: a store's answer for an unknown upload is the same as for a removed one.
    func namedEndpoint() throws(CommandFailure) -> String? {
        guard arguments.store.endpointURL != nil else { return nil }
        var options = arguments.store
        // Whether they can be honoured is said where the store is used.
        (options.fips, options.dualStack, options.accelerate) = (nil, nil, nil)
        return try Self.endpoint(options).url
    }

    /// - Parameter followsOptions: whether the command line's options override the record. Commands that select rows
    ///   themselves must not follow them, because only some of the uploads may have moved.
    func store(
        at recorded: StoreAddress,
        for bucket: String,
        followsOptions: Bool
    ) throws(CommandFailure) -> Store {
        var options = StoreOptions()
        options.endpointURL = recorded.endpoint
        options.region = recorded.region
        options.addressing = AddressingChoice(rawValue: recorded.addressing)
        options.caBundle = recorded.caBundle.map { Array($0.utf8) }
        options.clientCertificate = recorded.clientCertificate.map { Array($0.utf8) }
        options.clientKey = recorded.clientKey.map { Array($0.utf8) }
        let aws = try awsEnvironment(profile: arguments.store.profile, configured: recorded.profile)
        var above = followsOptions ? arguments.store : StoreOptions()
        above.caBundle = above.caBundle ?? StoreOptions(aws.environmentSettings).caBundle
        // The key of one certificate says nothing of another.
        if above.clientCertificate != nil { options.clientKey = nil }
        // What FIPS demands holds for uploads that were started without it too.
        options.fips = fips(aws, bucket)
        if let place = recorded.signer { options.signer = try signerOptions(of: place) }
        options = above.over(options)
        let endpoint =
            followsOptions && arguments.store.endpointURL != nil
            ? try Self.endpoint(options)
            : try endpoint(onRecord: options, bucket: bucket, fips: options.fips ?? false)
        options.provider =
            Provider(endpoint) ?? (followsOptions ? arguments.store.provider : nil)
            ?? configuredProvider(at: endpoint, bucket: bucket)
        let caBundle = try caBundle(options)
        let client = try clientCertificate(options)
        let signer = try delegatedSigner(options.signer, caBundle: caBundle)
        let terms = RequestTerms(
            headers: try requestHeaders(recorded: recorded.requestHeaders, followsOptions: followsOptions),
            // Uploads without a key must not get one.
            customerKey: recorded.customerKey == nil ? nil : try customerKey()
        )
        return Store(
            service: try service(
                endpoint,
                provider: options.provider,
                caBundle: caBundle,
                client: client,
                signer: try requestSigner(
                    signer,
                    aws,
                    options: options,
                    caBundle: caBundle,
                    endpoint: endpoint
                ),
                terms: terms
            ),
            address: recorded,
            options: options
        )
    }

    /// Whether FIPS endpoints are required of uploads on record.
    private func fips(_ aws: AWSEnvironment, _ bucket: String) -> Bool? {
        arguments.store.fips ?? aws.environmentSettings.fips ?? configuration.store(forBucket: bucket).fips
            ?? aws.profileSettings.fips
    }

    private func service(
        _ endpoint: Endpoint,
        provider: Provider?,
        caBundle: String?,
        client: ClientCertificate?,
        signer: any RequestSigner,
        terms: RequestTerms
    ) throws(CommandFailure) -> S3Service {
        if terms.customerKey != nil { try Self.checkKeyIsSafe(at: endpoint, signer: signer) }
        var transport = TransportSettings(userAgent: "mule/\(Version.number)", caBundle: caBundle)
        transport.clientCertificate = client
        let console = console
        let log: @Sendable (String) -> Void = { console.detail(TextSafety.displayName($0)) }
        return S3Service(
            endpoint: endpoint,
            transport: transport,
            signer: signer,
            cancellation: cancellation,
            patience: runSettings.stallLimit,
            terms: terms,
            provider: provider,
            log: arguments.verbose ? log : nil
        )
    }

    func awsEnvironment(profile: String?, configured: String?) throws(CommandFailure) -> AWSEnvironment {
        do {
            return try AWSEnvironment(profile: profile, environment: environment, configured: configured)
        } catch {
            var message = error.reason
            if case .unknownProfile(let unknown) = error,
                let near = Suggestion.nearest(of: unknown.name, in: unknown.known)
            {
                message += " Did you mean \"\(near)\"?"
            }
            let status: ExitStatus = if case .credentials = error { .credentials } else { .usage }
            throw CommandFailure(status: status, message: message)
        }
    }

    /// Whom the credentials belong to, by the token service; nil where none is known.
    ///
    /// - Parameter endpoint: the bucket's, in the region where the store serves it.
    func identity(
        of credentials: Credentials,
        _ plan: StorePlan,
        at endpoint: Endpoint
    ) throws(CredentialsUnavailable) -> CallerIdentity? {
        guard endpoint.isAmazon || plan.aws.namesTokenService else { return nil }
        return try plan.aws.identity(
            of: credentials,
            region: endpoint.region,
            userAgent: "mule/\(Version.number)",
            caBundle: plan.caBundle,
            fips: endpoint.isFIPS ? true : plan.options.fips,
            dualStack: dualStackOfServices(plan.aws),
            cancellation: cancellation
        )
    }

    /// Whether services that give credentials are asked at dual-stack endpoints. What only the profile says is for it
    /// to apply: s3.use_dualstack_endpoint is about S3 alone.
    private func dualStackOfServices(_ aws: AWSEnvironment) -> Bool? {
        arguments.store.dualStack ?? aws.environmentSettings.dualStack ?? configuration.store.dualStack
    }

    private func provider(
        _ aws: AWSEnvironment,
        fips: Bool?,
        caBundle: String?
    ) throws(CommandFailure) -> any CredentialsProvider {
        let dualStack = dualStackOfServices(aws)
        let key = ProviderKey(
            profile: aws.profileName,
            caBundle: caBundle,
            fips: fips,
            dualStack: dualStack
        )
        if let known = providers.withLock({ $0[key] }) { return known }
        do {
            let console = console
            let provider = try aws.credentialsProvider(
                userAgent: "mule/\(Version.number)",
                caBundle: caBundle,
                fips: fips,
                dualStack: dualStack,
                cancellation: cancellation
            ) {
                console.error(TextSafety.displayName($0))
            }
            providers.withLock { $0[key] = provider }
            return provider
        } catch {
            throw CommandFailure(status: .credentials, message: error.reason)
        }
    }

    /// What signs the requests to a store. With a signer, no credentials are looked for.
    private func requestSigner(
        _ signer: DelegatedSigner?,
        _ aws: AWSEnvironment,
        options: StoreOptions,
        caBundle: String?,
        endpoint: Endpoint
    ) throws(CommandFailure) -> any RequestSigner {
        if let signer { return signer.requestSigner(region: endpoint.region) }
        // An endpoint can require FIPS by itself, as that of a recorded upload does, or the name of a region.
        let fips = endpoint.isFIPS ? true : options.fips
        return CredentialSigner(try provider(aws, fips: fips, caBundle: caBundle), region: endpoint.region)
    }

    /// The signer of the options, once for all stores; nil where this host has credentials.
    func delegatedSigner(_ options: SignerOptions, caBundle: String?) throws(CommandFailure) -> DelegatedSigner? {
        guard let address = options.address else { return nil }
        let key = SignerKey(options: options, caBundle: caBundle)
        if let known = signers.withLock({ $0[key] }) { return known }
        let token = try signerToken(options)
        let patience = runSettings.stallLimit
        var settings = TransportSettings(userAgent: "mule/\(Version.number)", caBundle: caBundle)
        settings.ignoresProxies = address.isLoopback
        let transport = settings
        let client: @Sendable (Cancellation) -> SignerClient = { cancellation in
            SignerClient(
                address,
                token: token,
                sendsAPIKey: options.sendsAPIKey ?? false,
                transport: transport,
                patience: patience,
                cancellation: cancellation
            )
        }
        let signer = DelegatedSigner(client(cancellation), options.signerProtocol ?? .server, another: client)
        return signers.withLock { signers in
            if let known = signers[key] { return known }
            signers[key] = signer
            return signer
        }
    }

    /// Why nothing can be uploaded to the bucket at this endpoint, as a sentence; nil if it can.
    static func problem(_ bucket: String, at endpoint: Endpoint, _ options: StoreOptions) -> String? {
        let isInPath = options.addressing == .path
        let rules: BucketName.Rules =
            endpoint.isAmazon ? (isInPath ? .inPath : .amazon) : (endpoint.addressing == .virtual ? .inHost : .inPath)
        if let problem = BucketName.problem(bucket, rules) { return TextSafety.displayText(problem) }
        guard let url = options.endpointURL, let place = endpoint.place(of: bucket) else { return nil }
        let what =
            "The endpoint \(TextSafety.displayText(url)) already contains the bucket "
            + "\(TextSafety.displayText(bucket)): objects would be stored below \(bucket)/\(bucket)/. "
        switch place {
        case .path: return what + "Write the endpoint without the bucket."
        case .host:
            // With an explicit addressing style, the server's own name may start with the bucket's name.
            if isInPath { return nil }
            return what
                + "Write the endpoint without the bucket; if this is the server's own name, add --addressing path."
        }
    }

    func caBundle(_ options: StoreOptions) throws(CommandFailure) -> String? {
        guard let named = options.caBundle else { return nil }
        guard let path = FileLocation.expand(named, environment: environment),
            let text = String(validating: path, as: UTF8.self)
        else {
            throw CommandFailure(
                status: .usage,
                message:
                    "The CA bundle \(TextSafety.displayName(named)) cannot be found: HOME is not set, or its name is "
                    + "not UTF-8."
            )
        }
        do {
            _ = try File.openForReading(path: path)
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "The CA bundle \(TextSafety.displayName(path)) cannot be read: \(error.reason)."
            )
        }
        return text
    }
}

extension StoreOptions {
    /// The settings of AWS's variables, or of a profile in AWS's shared files.
    init(_ settings: StoreSettings) {
        self.init()
        region = settings.region
        endpointURL = settings.endpointURL
        caBundle = settings.caBundle.map { Array($0.utf8) }
        addressing = settings.addressing.flatMap(AddressingChoice.init(rawValue:))
        fips = settings.fips
        dualStack = settings.dualStack
        accelerate = settings.accelerate
        aws.followsAccessPoints = settings.followsAccessPoints
        aws.onlyRequiredChecksums = settings.onlyRequiredChecksums
    }
}
