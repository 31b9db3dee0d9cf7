import MuleCredentials
import MuleLedger
import MulePlan
import MuleS3
import MuleTransport

// The endpoint of a store, and what is refused because no endpoint could honour it.

extension Session {
    /// A setting of endpoints that a refusal is about.
    enum EndpointSetting: String {
        case endpointURL, fips, dualStack, accelerate, region, addressing
    }

    /// - Parameters:
    ///   - bucket: empty where only the store is asked for.
    ///   - origin: where a setting comes from, for messages; nil where that is not known.
    static func endpoint(
        _ options: StoreOptions,
        bucket: String = "",
        origin: (EndpointSetting) -> String? = { _ in nil }
    ) throws(CommandFailure) -> Endpoint {
        if let region = options.region, !Endpoint.isRegionName(region) {
            throw CommandFailure(
                status: .usage,
                message: "\"\(TextSafety.displayText(region))\" is not a valid region name."
            )
        }
        let query = EndpointQuery(
            region: options.region,
            url: options.endpointURL,
            addressing: options.addressing.flatMap { Addressing(rawValue: $0.rawValue) } ?? .auto,
            variant: EndpointVariant(
                fips: options.fips ?? false,
                dualStack: options.dualStack ?? false,
                accelerate: options.accelerate ?? false
            ),
            followsAccessPoints: options.aws.followsAccessPoints ?? true
        )
        do {
            return try Endpoint(query, bucket: bucket)
        } catch {
            throw CommandFailure(status: .usage, message: refusal(error, options, origin: origin))
        }
    }

    private static func refusal(
        _ error: EndpointError,
        _ options: StoreOptions,
        origin: (EndpointSetting) -> String?
    ) -> String {
        func from(_ setting: EndpointSetting) -> String { origin(setting).map { " (\($0))" } ?? "" }
        let shown = TextSafety.displayText(options.endpointURL ?? "")
        let place = "the endpoint \"\(shown)\"\(from(.endpointURL)) is set"
        let fips = "FIPS endpoints are required\(from(.fips))"
        return switch error {
        case .noScheme: "The endpoint \"\(shown)\" must start with https:// or http://."
        case .badHost: "The endpoint \"\(shown)\" is not a server address such as https://s3.example.org:9000."
        case .badPort: "The port in the endpoint \"\(shown)\" must be a number from 1 to 65535."
        case .addressWithoutNames(let url):
            url == options.endpointURL && options.addressing == .virtual
                ? "--addressing virtual puts the bucket name before the host name, but the endpoint \"\(shown)\" has "
                    + "an IP address: use a host name, or --addressing path."
                : "An access point is a part of the host name, but the endpoint \"\(shown)\" has an IP address: use "
                    + "a host name."
        case .fipsWithURL:
            "\(fips), but \(place). Remove the endpoint and set the region; where this store need not use FIPS "
                + "endpoints, add --no-fips."
        case .dualStackWithURL:
            "Dual-stack endpoints are wanted\(from(.dualStack)), but \(place). Remove the endpoint, or add "
                + "--no-dualstack."
        case .accelerateWithURL:
            "S3 Transfer Acceleration is wanted\(from(.accelerate)), but \(place). Remove the endpoint, or add "
                + "--no-accelerate."
        case .accelerateWithFIPS:
            "\(fips), but S3 Transfer Acceleration\(from(.accelerate)) has none: add --no-accelerate."
        case .noFIPS(let region):
            "\(fips), but AWS has none in the region \(TextSafety.displayText(region))\(from(.region)): use a bucket "
                + "in another region."
        case .noAcceleration(let region):
            "There is no S3 Transfer Acceleration\(from(.accelerate)) in the region "
                + "\(TextSafety.displayText(region)): add --no-accelerate."
        case .accelerateInPath:
            "S3 Transfer Acceleration\(from(.accelerate)) needs the bucket in the host name: remove --addressing "
                + "path\(from(.addressing)), or add --no-accelerate."
        case .accelerateWithDots(let bucket):
            "S3 Transfer Acceleration\(from(.accelerate)) cannot serve \(TextSafety.displayText(bucket)), whose name "
                + "has a dot: add --no-accelerate, or use another bucket."
        case .accelerateWithAccessPoint:
            "S3 Transfer Acceleration\(from(.accelerate)) cannot serve access points: add --no-accelerate, or use "
                + "the bucket."
        case .accessPointInPath:
            "An access point is a part of the host name: remove --addressing path\(from(.addressing))."
        case .otherPartition(let arn, let region):
            "\(TextSafety.displayText(arn)) is in another AWS partition than the region "
                + "\(TextSafety.displayText(region))\(from(.region)): set its own region, with credentials that are "
                + "valid there."
        case .otherRegion(let arn, let region):
            "\(TextSafety.displayText(arn)) is in another region than "
                + "\(TextSafety.displayText(region))\(from(.region)), and AWS_S3_USE_ARN_REGION or s3_use_arn_region "
                + "does not allow that: set its region with --region."
        }
    }

    /// The recorded endpoint of an upload, changed to what is required now: a FIPS endpoint by any setting,
    /// other kinds by the command line only.
    ///
    /// - Parameters:
    ///   - options: with the recorded endpoint.
    ///   - fips: whether FIPS endpoints are required.
    func endpoint(
        onRecord options: StoreOptions,
        bucket: String,
        fips: Bool
    ) throws(CommandFailure) -> Endpoint {
        var plain = options
        (plain.fips, plain.dualStack, plain.accelerate) = (nil, nil, nil)
        // A receipt has no addressing.
        if options.addressing == nil, try Self.endpoint(plain).variant.accelerate { plain.addressing = .virtual }
        let endpoint = try Self.endpoint(plain, bucket: bucket)
        let asked = arguments.store
        guard (fips && !endpoint.isFIPS) || asked.dualStack != nil || asked.accelerate != nil else { return endpoint }
        let changed = endpoint.changed { variant in
            if fips { variant.fips = true }
            if let dualStack = asked.dualStack { variant.dualStack = dualStack }
            if let accelerate = asked.accelerate { variant.accelerate = accelerate }
            // An accelerated upload can continue at the region's own endpoint.
            if fips, asked.accelerate != true { variant.accelerate = false }
        }
        if let changed { return changed }
        let what = fips ? "FIPS endpoints are required" : "--dualstack or --accelerate is given"
        throw CommandFailure(
            status: .usage,
            message: "\(what), but the upload was started at \(endpoint.url), which has no such endpoint. "
                + (fips ? "Abort it and upload again, or add --no-fips." : "Remove the option.")
        )
    }

    /// The client certificate of a store, whose files have been tried.
    func clientCertificate(_ options: StoreOptions) throws(CommandFailure) -> ClientCertificate? {
        guard let named = options.clientCertificate else {
            guard options.clientKey == nil else {
                throw CommandFailure(
                    status: .usage,
                    message: "--client-key is only used with --client-certificate: add the certificate of the key."
                )
            }
            return nil
        }
        func path(_ named: [UInt8], _ what: String) throws(CommandFailure) -> String {
            guard let path = FileLocation.expand(named, environment: environment).map(Self.absolute),
                let text = String(validating: path, as: UTF8.self)
            else {
                throw CommandFailure(
                    status: .usage,
                    message:
                        "The client \(what) \(TextSafety.displayName(named)) cannot be found: HOME is not set, or its "
                        + "name is not UTF-8."
                )
            }
            return text
        }
        let client = ClientCertificate(
            certificate: try path(named, "certificate"),
            key: try options.clientKey.map { (key) throws(CommandFailure) in try path(key, "key") }
        )
        if let problem = client.problem() {
            throw CommandFailure(status: .usage, message: "\(TextSafety.displayName(problem))")
        }
        return client
    }

    /// Says what AWS settings have no effect, for those who look for it.
    func noteUnusedSettings(_ aws: AWSEnvironment) {
        let unused = aws.unusedRetrySettings
        guard !unused.isEmpty else { return }
        console.detail(
            "\(unused.joined(separator: ", ")): not used. mule retries until --stall-limit passes without progress."
        )
    }
}
