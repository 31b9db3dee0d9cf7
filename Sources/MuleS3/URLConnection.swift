import MuleDigest
import MulePlan
package import MuleSystem
package import MuleTransport
import MuleXML

/// What a server shows of an object at a URL.
package struct ObjectAtURL: Sendable {
    package var object: StoredObject
    package var size: Int64?
    /// Of the object's bytes, where the server says it in a header of its own (`x-goog-hash`).
    package var md5: [UInt8]?
    package var encryption: ObjectEncryption?

    init(_ response: HTTPResponse) {
        object = StoredObject(response)
        size = response[header: "content-length"].flatMap { Int64($0) }
        encryption = ObjectEncryption(response)
        md5 = GoogleHash(response)["md5"].flatMap { Base64.decode($0) }
    }
}

/// A server over one connection, for URLs that hold a permission. It signs nothing, follows no redirect, and repeats
/// nothing.
package final class URLConnection {
    private let client: any HTTPPerformer
    private let log: (@Sendable (String) -> Void)?
    private var expectWorks = true

    private static let expectThreshold: Int64 = 1 << 20

    package init(
        settings: TransportSettings,
        cancellation: Cancellation,
        log: (@Sendable (String) -> Void)?
    ) throws(TransportError) {
        client = try HTTPClient(settings: settings, cancellation: cancellation)
        self.log = log
    }

    /// - Parameter patience: seconds without progress after which a request fails.
    package func put(
        _ url: ObjectURL,
        headers: [(name: String, value: String)],
        body: HTTPRequest.Body,
        transfer: BodyTransfer,
        patience: Double
    ) throws(S3Error) -> ObjectAtURL {
        var request = HTTPRequest(method: "PUT", url: url.text)
        request.headers = headers
        request.body = body
        request.expectsContinue = expectWorks && body.length >= Self.expectThreshold
        request.stallTimeout = min(request.stallTimeout, patience)
        request.answerTimeout = min(S3Connection.answerTimeout(forBody: body.length), patience)
        request.observer = transfer.observer
        request.pace = transfer.pace
        request.onSent = transfer.onSent
        request.onDelivered = transfer.onDelivered
        request.shouldStop = transfer.shouldStop
        let response = try perform(request, .putObject, url: url)
        // Some servers wait for nothing, and some proxies never answer.
        if request.expectsContinue, !response.continued { expectWorks = false }
        return ObjectAtURL(response)
    }

    /// The object as it is now; nil if the URL does not allow to ask, or there is none.
    package func head(_ url: ObjectURL, patience: Double) -> ObjectAtURL? {
        var request = HTTPRequest(method: "HEAD", url: url.text)
        request.answerTimeout = min(request.answerTimeout, patience)
        return (try? perform(request, .headObject, url: url)).map { ObjectAtURL($0) }
    }

    private func perform(
        _ request: HTTPRequest,
        _ operation: S3Operation,
        url: ObjectURL
    ) throws(S3Error) -> HTTPResponse {
        let started = Moment.now()
        func fail(_ cause: S3Error.Cause) -> S3Error {
            var error = S3Error(operation: operation, bucket: "", key: nil, cause: cause)
            error.address = url.host
            return error
        }
        let response: HTTPResponse
        do {
            response = try client.perform(request)
        } catch {
            log?("\(request.method) \(url.shown): \(error.sentence)")
            throw fail(.transport(error))
        }
        let milliseconds = Int(Moment.now().seconds(since: started) * 1000)
        // A server may repeat the query anywhere; checked before it is cut.
        func shown(_ text: String?, _ limit: Int) -> String? {
            text.flatMap { url.isIn($0) ? nil : StoreText.cut($0, to: limit) }
        }
        let id = shown(response[header: "x-amz-request-id"] ?? response[header: "x-trans-id"], 200)
        log?(
            "\(request.method) \(url.shown): \(response.status) in \(milliseconds) ms\(id.map { ", request \($0)" } ?? "")"
        )
        guard !(200..<300).contains(response.status) else { return response }
        if response.status == 417 { expectWorks = false }
        let document = try? XMLReader.parse(response.body)
        let code = shown(document?.value("Code"), 100)
        var error = fail(
            .answer(
                status: response.status,
                code: code ?? "HTTP\(response.status)",
                message: shown(document?.value("Message"), 1000) ?? ""
            )
        )
        error.hasDocument = code != nil
        error.requestID = id
        error.retryAfter = StoreText.seconds(response[header: "retry-after"])
        throw error
    }
}
