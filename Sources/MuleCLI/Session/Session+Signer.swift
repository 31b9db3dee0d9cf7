import MuleLedger
import MulePlan
import MuleRemoteSigning
import MuleS3
import MuleSigning
import MuleSystem
import MuleUpload

/// A service that signs for this host, as a command works with it.
struct DelegatedSigner: Sendable {
    private enum Kind: Sendable {
        case server(RemoteSigner)
        case backend(BackendKeys)
    }

    /// As the ledger records it.
    let place: SignerPlace
    /// The calls of mule-uploader; nil for another protocol.
    let backend: UploadBackend?
    /// The same for calls that are not waited for, until the cancellation.
    let notes: @Sendable (Cancellation) -> UploadBackend?
    private let host: String
    private let kind: Kind

    /// - Parameter client: makes another client, which ends with another cancellation.
    init(
        _ client: SignerClient,
        _ signerProtocol: SignerProtocol,
        another: @escaping @Sendable (Cancellation) -> SignerClient
    ) {
        place = SignerPlace(url: client.address.text, protocolName: signerProtocol.rawValue)
        host = client.address.host
        switch signerProtocol {
        case .server:
            kind = .server(RemoteSigner(client))
            backend = nil
            notes = { _ in nil }
        case .muleUploader:
            let backend = UploadBackend(client)
            kind = .backend(
                BackendKeys(backend, now: { UTCTime(millisecondsSince1970: wallClockMilliseconds()) })
            )
            self.backend = backend
            notes = { UploadBackend(another($0)) }
        }
    }

    func requestSigner(region: String) -> any RequestSigner {
        switch kind {
        case .server(let signer): signer
        case .backend(let keys): BackendSigner(keys, region: region, host: host)
        }
    }

    /// The bucket that the signer is for, and its region; nil where it signs for any bucket that it allows.
    func bucket() throws(CredentialsUnavailable) -> (bucket: String, region: String)? {
        if case .backend(let keys) = kind { try keys.place() } else { nil }
    }

    var name: String { "The signer \(host)" }
}

extension Session {
    /// The token of the signer, which is never in a message.
    func signerToken(_ options: SignerOptions) throws(CommandFailure) -> SignerToken? {
        // A token is for one signer: with --signer, the variable's is for that one, and not for others in the ledger.
        let named = arguments.store.signer.address
        let isOfOther = named != nil && named != options.address
        if !isOfOther, arguments.store.signer.tokenFile == nil, let named = environment["MULE_SIGNER_TOKEN"],
            !named.isEmpty
        {
            guard let token = SignerToken(Array(named.utf8)) else {
                throw CommandFailure(
                    status: .usage,
                    message: "MULE_SIGNER_TOKEN is not a token: it has spaces or characters other than ASCII."
                )
            }
            return token
        }
        guard let named = options.tokenFile else { return nil }
        let shown = TextSafety.displayName(named)
        guard let path = FileLocation.expand(named, environment: environment) else {
            throw CommandFailure(status: .usage, message: "The token file \(shown) cannot be found: HOME is not set.")
        }
        let bytes: [UInt8]
        do {
            bytes = try File.contents(path: path, limit: SignerToken.longest + 2)
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "The token file \(shown) cannot be read: \(error.reason). Nothing was sent."
            )
        }
        guard let token = SignerToken(bytes) else {
            throw CommandFailure(
                status: .usage,
                message: "The token file \(shown) does not hold a token: one line of ASCII without spaces."
            )
        }
        return token
    }

    /// The signer of a recorded upload, with the token that the configuration has for it.
    func signerOptions(of place: SignerPlace) throws(CommandFailure) -> SignerOptions {
        var options = SignerOptions()
        do throws(SignerAddress.Problem) {
            options.address = try SignerAddress(place.url)
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "The signer \(TextSafety.displayText(place.url)) in the ledger is not an https address. Name "
                    + "another with --signer."
            )
        }
        options.signerProtocol = SignerProtocol(rawValue: place.protocolName)
        var configured = [configuration.store.signer]
        configured += configuration.buckets.sorted { $0.key < $1.key }.map(\.value.signer)
        configured += configuration.jobs.sorted { $0.key < $1.key }.map(\.value.store.signer)
        if let same = configured.first(where: { $0.address == options.address && $0.tokenFile != nil }) {
            options.tokenFile = same.tokenFile
            options.sendsAPIKey = same.sendsAPIKey
        }
        return options
    }

    /// The region of a signer that is for one bucket, which must be this one.
    func region(of signer: DelegatedSigner?, forBucket bucket: String) throws(CommandFailure) -> String? {
        guard let signer, let place = try place(of: signer) else { return nil }
        guard bucket.isEmpty || place.bucket.utf8.elementsEqual(bucket.utf8) else {
            throw CommandFailure(
                status: .unverified,
                message:
                    "\(signer.name) is for the bucket \(TextSafety.displayText(place.bucket)), and the destination is in "
                    + "\(TextSafety.displayText(bucket)). Nothing was sent."
            )
        }
        return place.region
    }

    private func place(of signer: DelegatedSigner) throws(CommandFailure) -> (bucket: String, region: String)? {
        do throws(CredentialsUnavailable) {
            return try patiently { () throws(CredentialsUnavailable) in try signer.bucket() }
        } catch {
            if cancellation.isCancelled {
                throw CommandFailure(status: .interruption, message: "Stopped. Nothing was sent.")
            }
            throw CommandFailure(status: ExitStatus(UploadFailure.Kind(error.kind)), message: Self.sentence(error))
        }
    }

    static func sentence(_ error: CredentialsUnavailable) -> String {
        TextSafety.displayText(error.reason) + (error.reason.hasSuffix(".") ? "" : ".")
    }

    /// Asks a signer for as long as a run may be without progress.
    func patiently<Result>(
        _ ask: () throws(CredentialsUnavailable) -> Result
    ) throws(CredentialsUnavailable) -> Result {
        let end = Moment.now().adding(seconds: runSettings.stallLimit)
        var pause = 0.5
        while true {
            do throws(CredentialsUnavailable) {
                return try ask()
            } catch {
                let next = Moment.now().adding(seconds: max(pause, error.retryAfter ?? 0))
                guard error.isTransient, next < end, !cancellation.isCancelled else { throw error }
                console.detail(TextSafety.displayText(error.reason))
                sleep(until: next, cancellation)
                pause = min(2 * pause, 20)
            }
        }
    }
}
