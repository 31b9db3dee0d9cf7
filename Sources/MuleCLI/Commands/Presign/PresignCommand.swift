import MuleDigest
import MuleJSON
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem

/// `mule presign`
struct PresignCommand {
    let session: Session

    private static let usualLife = 3600

    private var options: PresignOptions { session.arguments.presign }
    private var seconds: Int { options.seconds ?? Self.usualLife }

    func run() throws(CommandFailure) -> ExitStatus {
        let request: PresignRequest
        do throws(PresignRequest.Problem) {
            request = try PresignRequest(session.arguments)
        } catch {
            throw CommandFailure(status: .usage, message: error.text)
        }
        return request.isSwift ? try signForSwift(request) : try signForS3(request)
    }

    private func signForS3(_ request: PresignRequest) throws(CommandFailure) -> ExitStatus {
        let shown = TextSafety.displayName(request.target)
        guard case .object(let address) = try session.destination(request.target) else {
            throw CommandFailure(
                status: .usage,
                message: "\"\(shown)\" is no object: a presigned URL is for one, so write BUCKET/KEY."
            )
        }
        guard address.key.utf8.count <= StoreLimits.amazon.maximumKeyLength else {
            throw CommandFailure(
                status: .usage,
                message: "The key is \(address.key.utf8.count) bytes long; S3 allows "
                    + "\(StoreLimits.amazon.maximumKeyLength)."
            )
        }
        var headers: [(name: String, value: String)] = []
        if let type = options.contentType { headers.append(("content-type", type)) }
        if options.ifAbsent { headers.append(("if-none-match", "*")) }
        let disposition = ContentDisposition.text(inline: options.inline, filename: options.filename)
        let store = try session.store(forBucket: address.bucket)
        let identity: SignerIdentity
        do throws(CredentialsUnavailable) {
            identity = try store.service.signer.identity()
        } catch {
            if session.cancellation.isCancelled { return .interruption }
            throw CommandFailure(status: .credentials, message: error.reason)
        }
        guard store.signer == nil, case .credentials(let credentials, _) = identity else {
            throw CommandFailure(
                status: .usage,
                message: "A URL cannot be presigned with --signer, which signs only the requests of uploads: use "
                    + "credentials of this host."
            )
        }
        let url = PresignedURL(
            request.method,
            address,
            at: store.service.endpoint,
            headers: headers,
            query: disposition.map { [QueryItem(name: "response-content-disposition", value: $0)] } ?? [],
            credentials: credentials,
            now: UTCTime(millisecondsSince1970: wallClockMilliseconds()),
            seconds: seconds
        )
        if let end = credentials.expiration, end < url.endsAt {
            session.console.warn(
                "The credentials end at \(end.iso8601), and the URL with them, before the \(DurationText.format(Double(seconds))) "
                    + "are over. Use credentials that last longer, such as the key of a user.",
                isShown: !session.console.isQuiet
            )
        } else if credentials.sessionToken != nil, credentials.expiration == nil {
            session.console.warn(
                "The credentials are temporary and do not say when they end: the URL may end before "
                    + "\(url.endsAt.iso8601).",
                isShown: !session.console.isQuiet
            )
        }
        show(
            url.text,
            of: request,
            destination: address.description,
            endsAt: url.endsAt,
            headers: headers,
            credentialsEndAt: credentials.expiration
        )
        return .done
    }

    private func signForSwift(_ request: PresignRequest) throws(CommandFailure) -> ExitStatus {
        guard let text = String(validating: request.target, as: UTF8.self) else {
            throw CommandFailure(
                status: .usage,
                message: "\"\(TextSafety.displayName(request.target))\" is not valid UTF-8: write %XX in the URL."
            )
        }
        var place: TempURL.Place
        do throws(TempURL.Place.Refusal) {
            place = try TempURL.Place(text)
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "\"\(TextSafety.displayOperand(request.target))\" \(error.why)."
            )
        }
        let prefix = options.prefix.map { Array($0.utf8) }
        if place.object.isEmpty, let prefix { place.object = prefix }
        guard !place.object.isEmpty else {
            throw CommandFailure(
                status: .usage,
                message:
                    "\"\(TextSafety.displayOperand(request.target))\" is a container: add the object's name, or --prefix."
            )
        }
        if let prefix, !place.object.starts(with: prefix) {
            throw CommandFailure(
                status: .usage,
                message: "The object \(TextSafety.displayName(place.object)) does not start with the --prefix "
                    + "\(TextSafety.displayName(prefix))."
            )
        }
        let key = try key()
        var parameters: [QueryItem] = []
        if let filename = options.filename { parameters.append(QueryItem(name: "filename", value: filename)) }
        if options.inline { parameters.append(QueryItem(name: "inline")) }
        let endsAt = UTCTime(secondsSince1970: wallClockMilliseconds() / 1000 + Int64(seconds))
        let url = TempURL(
            request.method.rawValue,
            place,
            key: key,
            digest: options.digest ?? .sha256,
            endsAt: endsAt,
            prefix: prefix,
            ipRange: options.ipRange,
            parameters: parameters
        )
        show(url.text, of: request, destination: place.url, endsAt: endsAt)
        return .done
    }

    /// The key for temp URLs, without the line feed that editors put at the end.
    private func key() throws(CommandFailure) -> [UInt8] {
        let path = options.keyFile ?? []
        let (what, bytes) = try SecretFile.read(path, "key", limit: 4096)
        guard !bytes.isEmpty else { throw CommandFailure(status: .usage, message: "\(what) is empty.") }
        return bytes
    }

    private func show(
        _ url: String,
        of request: PresignRequest,
        destination: String,
        endsAt: UTCTime,
        headers: [(name: String, value: String)] = [],
        credentialsEndAt: UTCTime? = nil
    ) {
        guard !session.console.isJSON else {
            return session.console.result(
                JSONValue.object([
                    "credentialsEndAt": JSONValue(credentialsEndAt?.iso8601),
                    "destination": .string(destination),
                    "endsAt": .string(endsAt.iso8601),
                    "event": "presigned",
                    "headers": .object(
                        Dictionary(headers.map { ($0.name, JSONValue.string($0.value)) }) { _, last in last }
                    ),
                    "method": .string(request.method.rawValue),
                    "url": .string(url),
                ]).line
            )
        }
        session.console.result(url)
        var text = "valid until \(endsAt.iso8601), for \(DurationText.format(Double(seconds)))"
        if !headers.isEmpty {
            text +=
                "; must be sent with \(headers.map { "\($0.name): \(TextSafety.displayText($0.value))" }.joined(separator: ", "))"
        }
        session.console.note(text)
    }
}
