package import MulePlan

/// What a request does, so that a signer can decide whether to sign it.
package struct RequestAction: Sendable {
    /// The operation's name in the S3 API, such as `UploadPart`.
    package var operation: String
    package var bucket: String
    package var key: ObjectKey?
    package var part: Int?
    package var uploadID: String?
    /// The whole URL, exactly as it is sent.
    package var url: String
    /// Bytes in the body.
    package var length: Int64

    package init(
        operation: String,
        bucket: String,
        key: ObjectKey?,
        part: Int? = nil,
        uploadID: String? = nil,
        url: String,
        length: Int64 = 0
    ) {
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.part = part
        self.uploadID = uploadID
        self.url = url
        self.length = length
    }
}

/// The signature of a request.
package struct RequestSignature: Sendable {
    /// The source of the signature, for renewal if the store refuses it.
    package enum Origin: Sendable {
        case credentials(Credentials)
        /// An answer of a signer, by its number.
        case answer(Int)
    }

    /// To be added to the request's own headers.
    package var headers: [(name: String, value: String)]
    package var origin: Origin

    package init(headers: [(name: String, value: String)], origin: Origin) {
        self.headers = headers
        self.origin = origin
    }

    /// Whether it has a session token, which expires.
    package var hasSessionToken: Bool {
        switch origin {
        case .credentials(let credentials): credentials.sessionToken != nil
        case .answer: headers.contains { $0.name == "x-amz-security-token" }
        }
    }

    /// Whether a new signature can match if the store finds that this one does not: the key of a day may be outdated,
    /// but a wrong secret key stays wrong.
    package var mayBeReplaced: Bool {
        switch origin {
        case .credentials(let credentials): credentials.signingKey != nil
        case .answer: true
        }
    }
}

/// Signs the requests to a store: with credentials of this host, or by asking a service that holds them.
package protocol RequestSigner: Sendable {
    /// Whether it can sign by Google's scheme too. A host without the secret key cannot.
    var signsForGoogle: Bool { get }

    /// The signer of requests to a region.
    func inRegion(_ region: String) -> any RequestSigner

    /// Called by any worker, just before the request is sent.
    ///
    /// - Parameter time: the store's time, as far as it is known.
    func sign(
        _ request: SignableRequest,
        _ action: RequestAction,
        at time: UTCTime
    ) throws(CredentialsUnavailable) -> RequestSignature

    /// The store has refused this signature as expired or unknown.
    ///
    /// - Returns: whether `sign` now returns another one, so that the request may be retried.
    /// - Throws: if renewing failed.
    func renew(refused: RequestSignature) throws(CredentialsUnavailable) -> Bool

    /// The store accepted a request with the latest signature.
    func noteAccepted()

    /// The identity behind the signatures, for `mule doctor`.
    func identity() throws(CredentialsUnavailable) -> SignerIdentity
}

extension RequestSigner {
    package var signsForGoogle: Bool { false }
}

/// The identity behind a signer's signatures.
package enum SignerIdentity: Sendable {
    /// - Parameter origin: where they come from; nil where that is not known.
    case credentials(Credentials, origin: String?)
    /// The address of the service that signs.
    case service(String)
}

/// Signs with the credentials of a provider.
package struct CredentialSigner: RequestSigner {
    private let provider: any CredentialsProvider
    private let signer: Signer

    package init(_ provider: any CredentialsProvider, region: String) {
        self.provider = provider
        signer = Signer(region: region)
    }

    package var signsForGoogle: Bool { true }

    package func inRegion(_ region: String) -> any RequestSigner { CredentialSigner(provider, region: region) }

    package func sign(
        _ request: SignableRequest,
        _ action: RequestAction,
        at time: UTCTime
    ) throws(CredentialsUnavailable) -> RequestSignature {
        let credentials = try provider.credentials(at: time)
        return RequestSignature(
            headers: signer.headers(for: request, credentials: credentials, at: time),
            origin: .credentials(credentials)
        )
    }

    package func renew(refused: RequestSignature) throws(CredentialsUnavailable) -> Bool {
        guard case .credentials(let credentials) = refused.origin else { return false }
        return try provider.renew(refused: credentials)
    }

    package func noteAccepted() { provider.noteAccepted() }

    package func identity() throws(CredentialsUnavailable) -> SignerIdentity {
        .credentials(try provider.credentials(), origin: provider.origin)
    }
}
