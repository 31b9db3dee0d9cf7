import MulePlan
import MuleSigning
import MuleSystem
package import MuleTransport
import MuleXML

/// A call of an operation, before it is signed.
struct S3Call {
    var operation: S3Operation
    var method: String
    var bucket: String
    var key: ObjectKey?
    var part: Int?
    var query: [QueryItem] = []
    var headers: [(name: String, value: String)] = []
    var body = HTTPRequest.Body.none
    var payload = PayloadHash.empty
    var answerTimeout = 120.0
    var answerLimit = 1 << 20
    var dropsLeadingSpace = false
    var transfer = BodyTransfer()
    var reader: (any AnswerReader)?
    /// Google's for a request with a header that only Google has.
    var scheme = SignatureScheme.amazon
}

/// How a body is sent, and the callbacks for its progress.
package struct BodyTransfer {
    package var observer: (any BodyObserver)?
    package var pace: Pace?
    package var onSent: ((Int64) -> Void)?
    package var onDelivered: ((Int64) -> Void)?
    package var onAnswered: ((Double) -> Void)?
    package var shouldStop: (() -> Bool)?
    package var isLeftBehind: (() -> Bool)?

    package init() {}
}

/// A store over one connection, for one thread: signs each request just before it is sent, and reads the answer.
///
/// It retries only what takes no time and is safe to repeat, each once: a request refused because of the clock, with
/// the clock corrected; one that a proxy refused because of its `Expect` header; and one for a bucket of another
/// region.
package final class S3Connection {
    package let service: S3Service
    private let client: any HTTPPerformer
    /// Whether a body was sent successfully over this connection. Until then, large bodies use `Expect: 100-continue`,
    /// so that a refusal arrives as an answer and not as a broken pipe.
    private var isProven = false

    private static let expectThreshold: Int64 = 1 << 20

    package convenience init(service: S3Service) throws(TransportError) {
        var settings = service.transport
        settings.connectTimeout = min(settings.connectTimeout, service.longestWait)
        let client = try HTTPClient(settings: settings, cancellation: service.cancellation)
        self.init(service: service, client: client)
    }

    /// Uses the given client.
    package init(service: S3Service, client: any HTTPPerformer) {
        self.service = service
        self.client = client
    }

    /// Sends the call; throws for answers other than 2xx.
    func send(_ call: S3Call) throws(S3Error) -> HTTPResponse {
        var route = service.routes.route(to: call.bucket)
        var wasRedirected = false
        var wasLate = false
        var wasUnexpected = false
        while true {
            do {
                return try attempt(call, route)
            } catch {
                if error.retryClass == .clock, !wasLate {
                    wasLate = true
                } else if error.status == 417, !wasUnexpected {
                    wasUnexpected = true
                } else if !wasRedirected, let other = redirection(of: call, from: route, after: error) {
                    wasRedirected = true
                    route = other
                } else {
                    throw error
                }
            }
        }
    }

    /// The route to the bucket's region, if the error is about a wrong region.
    ///
    /// Answers to HEAD have no body to name the region, and some redirects omit it. Then HeadBucket is sent, whose
    /// answer has the region in a header even if it is a refusal.
    private func redirection(of call: S3Call, from route: BucketRoute, after error: S3Error) -> BucketRoute? {
        let isMute = call.method == "HEAD" && error.status == 400 && route.endpoint.isAmazon
        guard error.retryClass == .redirected || isMute else { return nil }
        var region = error.region
        if region == nil, call.operation != .headBucket {
            let look = S3Call(operation: .headBucket, method: "HEAD", bucket: call.bucket)
            do {
                region = try attempt(look, route)[header: "x-amz-bucket-region"]
            } catch {
                region = error.region
            }
        }
        guard let region, let other = service.routes.redirect(call.bucket, from: route, to: region) else { return nil }
        service.log?(
            "\(call.bucket) is in the region \(other.endpoint.region); sending requests to \(other.endpoint.host)"
        )
        return other
    }

    private func attempt(_ call: S3Call, _ route: BucketRoute) throws(S3Error) -> HTTPResponse {
        let started = Moment.now()
        let expects = !isProven && service.usesExpect && call.body.length >= Self.expectThreshold
        let (request, signature) = try signed(call, route, expectsContinue: expects)
        let response: HTTPResponse
        do {
            response = try client.perform(request)
        } catch {
            isProven = false
            let failure = fail(call, .transport(error))
            service.log?("\(describe(call)): \(error.sentence)")
            throw failure
        }
        if expects && (response.status == 417 || (response.status < 300 && !response.continued)) {
            service.stopUsingExpect()
        }
        if let date = response[header: "date"] { service.compareClock(with: date) }
        if !service.isKnownToBeS3, response.headers.contains(where: { $0.name.hasPrefix("x-amz-") }) {
            service.noteS3()
        }
        if !service.conditionIsGeneration, response.headers.contains(where: Self.isGoogles) {
            service.noteGoogle()
        }
        guard (200..<300).contains(response.status) else {
            var error = error(call, response, askedIn: route.endpoint.region)
            if error.code == "SignatureDoesNotMatch" {
                error.doubtfulHeaders = call.headers.filter { MetadataText.isBeyondASCII($0.value) }.map(\.name)
            }
            error.isSignedElsewhere = signature.mayBeReplaced
            renew(signature, route, after: &error, call: call)
            log(call, response, since: started, detail: error.code)
            throw error
        }
        log(call, response, since: started, detail: nil)
        if call.body.length > 0 { isProven = true }
        route.signer.noteAccepted()
        return response
    }

    /// Replaces a refused signature, once for all workers. The caller decides whether to retry, because it knows what
    /// was counted of the body.
    private func renew(_ refused: RequestSignature, _ route: BucketRoute, after error: inout S3Error, call: S3Call) {
        // For an expired token, the answer to HEAD is only "400 Bad Request", because it has no body.
        let isMute = call.method == "HEAD" && error.status == 400 && refused.hasSessionToken
        let isMismatch = error.code == "SignatureDoesNotMatch" && refused.mayBeReplaced
        guard error.asksForNewCredentials || isMute || isMismatch else { return }
        do throws(CredentialsUnavailable) {
            error.hasNewCredentials = try route.signer.renew(refused: refused)
        } catch let failure {
            error.renewalFailure = failure
        }
    }

    private func signature(
        of request: SignableRequest,
        _ url: String,
        _ call: S3Call,
        route: BucketRoute
    ) throws(S3Error) -> RequestSignature {
        let action = RequestAction(
            operation: call.operation.rawValue,
            bucket: call.bucket,
            key: call.key,
            part: call.part,
            uploadID: call.query.first { $0.name == "uploadId" }?.value,
            url: url,
            length: call.body.length
        )
        do {
            return try route.signer.sign(request, action, at: service.now())
        } catch {
            var failure = fail(call, service.cancellation.isCancelled ? .transport(.cancelled) : .noCredentials(error))
            failure.retryAfter = error.retryAfter
            failure.hasDocument = error.kind == .refused
            throw failure
        }
    }

    private func signed(
        _ call: S3Call,
        _ route: BucketRoute,
        expectsContinue: Bool
    ) throws(S3Error) -> (HTTPRequest, RequestSignature) {
        let target = route.endpoint.target(bucket: call.bucket, key: call.key)
        let terms = service.terms.headers(for: call.operation)
        var headers: [(name: String, value: String)] = []
        headers.reserveCapacity(call.headers.count + terms.count)
        for header in [call.headers, terms].joined() {
            headers.append((name(of: header.name, in: call.scheme), MetadataText.header(header.name, header.value)))
        }
        let signable = SignableRequest(
            method: call.method,
            host: target.host,
            encodedPath: target.path,
            query: call.query,
            headers: headers,
            payload: call.payload,
            scheme: call.scheme
        )
        let query = signable.encodedQuery
        let url = joined(
            route.endpoint.scheme,
            "://",
            target.host,
            target.path,
            query.isEmpty ? "" : "?",
            query
        )
        var request = HTTPRequest(method: call.method, url: url)
        let signature = try signature(of: signable, url, call, route: route)
        request.headers = headers + signature.headers
        request.body = call.body
        request.expectsContinue = expectsContinue
        request.stallTimeout = min(request.stallTimeout, service.patience)
        request.answerTimeout = min(call.answerTimeout, service.longestWait)
        request.answerLimit = call.answerLimit
        request.dropsLeadingSpace = call.dropsLeadingSpace
        request.observer = call.transfer.observer
        request.reader = call.reader
        request.pace = call.transfer.pace
        request.onSent = call.transfer.onSent
        request.onDelivered = call.transfer.onDelivered
        request.onAnswered = call.transfer.onAnswered
        request.shouldStop = call.transfer.shouldStop
        request.decodesAnswer = call.operation != .getObject
        request.isFromServer = Self.isStores
        request.isLeftBehind = call.transfer.isLeftBehind
        return (request, signature)
    }

    private static func isGoogles(_ header: (name: String, value: String)) -> Bool {
        header.name.hasPrefix("x-goog-") || header.name == "x-guploader-uploadid"
    }

    /// Google's headers for the properties of objects differ from Amazon's only in the prefix.
    /// https://cloud.google.com/storage/docs/migrating
    private func name(of header: String, in scheme: SignatureScheme) -> String {
        let amazon = SignatureScheme.amazon.headerPrefix
        guard scheme != .amazon, header.hasPrefix(amazon) else { return header }
        return scheme.headerPrefix + header.dropFirst(amazon.count)
    }

    // MARK: Errors

    func fail(_ call: S3Call, _ cause: S3Error.Cause) -> S3Error {
        var error = S3Error(
            operation: call.operation,
            bucket: call.bucket,
            key: call.key,
            part: call.part,
            cause: cause
        )
        error.address = service.endpoint.address
        return error
    }

    /// The error of an answer with an error status, or with an error document in a successful one.
    ///
    /// - Parameter region: the one that the request was signed for.
    func error(
        _ call: S3Call,
        _ response: HTTPResponse,
        document: XMLElement? = nil,
        askedIn region: String? = nil
    ) -> S3Error {
        let element = document ?? (try? XMLReader.parse(response.body))
        let date = response[header: "date"].flatMap(UTCTime.init(httpDate:))
        let code =
            element?.value("Code").map { StoreText.cut($0, to: 100) }
            ?? (isSkewed(response.status, date) ? "RequestTimeTooSkewed" : nil)
            ?? (isMisplaced(response, askedIn: region) ? "AuthorizationHeaderMalformed" : nil)
            ?? Self.code(forStatus: response.status, of: call.operation)
        let message = StoreText.cut(element?.value("Message") ?? "", to: 1000)
        var error = fail(call, .answer(status: response.status, code: code, message: message))
        error.hasDocument = element?.value("Code") != nil
        error.requestID = Self.requestID(response) ?? element?.value("RequestId").map { StoreText.cut($0, to: 200) }
        error.region = StoreText.region(response[header: "x-amz-bucket-region"] ?? element?.value("Region"))
        error.otherHost = (element?.value("Endpoint") ?? response[header: "location"].flatMap(Self.server))
            .map { StoreText.cut($0, to: 255) }
        error.retryAfter = Self.retryAfter(response, now: date ?? service.now())
        error.sizeAllowed = (element?.value("MinSizeAllowed") ?? element?.value("MaxSizeAllowed")).flatMap { Int64($0) }
        if error.retryClass == .clock,
            let time = element?.value("ServerTime").flatMap(UTCTime.init(iso8601:)) ?? date
        {
            service.learnTime(time)
        }
        return error
    }

    /// Whether the clock can be the reason of a refusal without a reason: it differs from the store's by over 15
    /// minutes.
    private func isSkewed(_ status: Int, _ date: UTCTime?) -> Bool {
        guard status == 403, let date else { return false }
        return abs(date.millisecondsSince1970 - service.now().millisecondsSince1970) > 900_000
    }

    /// Whether the region can be the reason of a refusal without a reason: the bucket is in another one.
    private func isMisplaced(_ response: HTTPResponse, askedIn region: String?) -> Bool {
        guard response.status == 400, let region, let other = response[header: "x-amz-bucket-region"] else {
            return false
        }
        return other != region
    }

    /// Scheme, host and port: if only the scheme differs, the host alone would not show it.
    private static func server(ofURL url: String) -> String? {
        guard let start = url.firstRange(of: "://")?.upperBound else { return nil }
        let host = url[start...].prefix { !"/?#".contains($0) }
        return host.isEmpty ? nil : String(url[..<start] + host)
    }

    /// Whether an answer comes from the store, and not from a proxy on the way.
    private static func isStores(_ response: HTTPResponse) -> Bool {
        if requestID(response) != nil { return true }
        // Proxies identify themselves; without that, an answer without a body may be from either.
        if response.body.isEmpty { return response[header: "via"] == nil && response.status != 407 }
        return (try? XMLReader.parse(response.body))?.value("Code") != nil
    }

    /// For HEAD, which has no body, and for servers that answer in HTML.
    private static func code(forStatus status: Int, of operation: S3Operation) -> String {
        switch status {
        case 301, 308: "PermanentRedirect"
        case 302, 303, 307: "TemporaryRedirect"
        case 400: "BadRequest"
        case 403: "Forbidden"
        case 404:
            switch operation {
            case .uploadPart, .listParts, .completeMultipartUpload, .abortMultipartUpload: "NotFound"
            case .headObject, .getObject, .getObjectAttributes, .deleteObject, .deleteObjectVersion: "NoSuchKey"
            case .headBucket, .listObjects, .listMultipartUploads, .createMultipartUpload, .putObject:
                "NoSuchBucket"
            case .getBucketLifecycle, .getObjectLock, .getBucketVersioning, .listBuckets: "NotFound"
            }
        case 405: "MethodNotAllowed"
        case 412: "PreconditionFailed"
        case 413: "EntityTooLarge"
        case 501: "NotImplemented"
        case 503: "ServiceUnavailable"
        default: "HTTP\(status)"
        }
    }

    /// Seconds, from `Retry-After` in either form (RFC 9110, section 10.2.3) or S3's own header in milliseconds.
    private static func retryAfter(_ response: HTTPResponse, now: UTCTime) -> Double? {
        if let milliseconds = StoreText.seconds(response[header: "x-amz-retry-after"]) { return milliseconds / 1000 }
        guard let text = response[header: "retry-after"] else { return nil }
        if let seconds = StoreText.seconds(text) { return seconds }
        guard let time = UTCTime(httpDate: text) else { return nil }
        let seconds = Double(time.millisecondsSince1970 - now.millisecondsSince1970) / 1000
        return seconds > 0 ? min(seconds, 86_400) : nil
    }

    private static func requestID(_ response: HTTPResponse) -> String? {
        // Google's answers have an ID of their own.
        (response[header: "x-amz-request-id"] ?? response[header: "x-guploader-uploadid"])
            .map { StoreText.cut($0, to: 200) }
    }

    /// Logs what the store's support asks for.
    private func log(_ call: S3Call, _ response: HTTPResponse, since started: Moment, detail: String?) {
        guard let log = service.log else { return }
        var text = "\(describe(call)): \(response.status)"
        if let detail { text += " \(detail)" }
        text += " in \(Int(Moment.now().seconds(since: started) * 1000)) ms"
        if let id = Self.requestID(response) { text += ", request \(id)" }
        log(text)
    }

    private func describe(_ call: S3Call) -> String {
        var text = call.operation.rawValue + " " + call.bucket
        if let key = call.key { text += "/" + key.string }
        if let part = call.part { text += " part \(part)" }
        return text
    }
}
