// One request at a time on one kept-alive connection. Only this module uses libcurl; the rules it relies on are in
// curl_easy_setopt(3), curl_multi_poll(3) and curl_multi_wakeup(3).

internal import CCurl
package import MuleSystem

/// An HTTP/1.1 client for one thread: it owns one easy handle, whose connection stays open between requests.
///
/// TLS is 1.2 or newer and always verified; proxies come from the environment, as with every curl program. Redirects
/// are returned, not followed, because credentials must not be sent to other servers.
package final class HTTPClient: HTTPPerformer {
    /// A check that is later than this many seconds means that the process was suspended.
    private static let absence = 5.0
    private static let tick = 1.0
    /// Seconds between two checks of what the kernel still holds.
    private static let deliveryInterval = 0.1
    /// Seconds between two checks whether a held body may continue: at first, and later.
    private static let shortHoldInterval = 0.01
    private static let holdInterval = 0.05
    private static let shortHold = 0.3
    /// Seconds between two checks of the connection attempts.
    private static let connectionInterval = 0.25
    private static let longestURL = 128 << 10

    let settings: TransportSettings
    let curl: CurlHandle
    let cancellation: Cancellation
    private var cancellationTicket = 0
    var sockets = OpenSockets()
    var exchange = Exchange()
    /// Scheme, host and port of the current request.
    private(set) var origin: Origin?
    var attempts: ConnectionAttempts
    private var lines = HeaderLines()
    /// How the last answer came; nil unless the settings ask for it, and without TLS.
    package internal(set) var security: ConnectionSecurity?
    /// What the handle is set to; nil before the first setting, like the next two.
    var hasSmallBuffer: Bool?
    var decodesAnswers: Bool?
    var methodOnHandle: String?
    /// Nil if libcurl reads the authorities itself, for each connection.
    var trusted: TrustStore.Source?

    /// - Throws: `TransportError.unusable` if libcurl refuses a setting, such as an unreadable CA file.
    package init(settings: TransportSettings, cancellation: Cancellation) throws(TransportError) {
        guard let curl = CurlHandle() else { throw .unusable("libcurl could not start") }
        self.curl = curl
        self.settings = settings
        attempts = ConnectionAttempts(place: "", book: settings.addresses, limit: 0)
        self.cancellation = cancellation
        try set(settings)
        nonisolated(unsafe) let handle = curl.multi  // curl_multi_wakeup is the one call that any thread may make.
        cancellationTicket = cancellation.onCancel { _ = curl_multi_wakeup(handle) }
    }

    deinit {
        cancellation.removeWaker(cancellationTicket)
        curl.close()
    }

    /// "libcurl/7.88.1 OpenSSL/3.0.19 …", libcurl's own description.
    package static var version: String { CurlHandle.version }

    // MARK: A request

    /// Sends the request and waits for the whole answer.
    ///
    /// The total time is not limited: a request fails if it makes no progress during its timeouts, or soon after a
    /// cancellation. The kernel's progress with bytes that it still holds counts too.
    package func perform(_ request: HTTPRequest) throws(TransportError) -> HTTPResponse {
        if cancellation.isCancelled { throw .cancelled }
        guard request.headers.allSatisfy(Self.isOneHeader) else {
            throw .unusable("a header has a line break or NUL")
        }
        guard Self.isURL(request.url) else { throw .unusable("the request's URL is too long or not valid") }
        // Most requests of a client have the same origin.
        let known = origin.flatMap { $0.isOrigin(of: request.url) ? $0 : nil }
        guard let origin = known ?? Origin(request.url) else {
            throw .unusable("the request's URL is too long or not valid")
        }
        self.origin = origin
        exchange = Exchange(request)
        attempts = ConnectionAttempts(
            place: origin.place,
            book: settings.addresses,
            limit: settings.connectTimeout
        )
        defer { exchange = Exchange() }
        prepare(request, headers: headerList(request))
        holdBack(for: request)
        if request.body.length > 0 {
            sockets.start(canHoldBody: request.pace != nil)
            setUploadBuffer(isSmall: Self.leavesInOnePiece(request))
        }

        let result = Result { () throws(TransportError) in try exchangeAll(request) }
        remember(result)
        return try result.get()
    }

    /// Sends the request, and tries the next addresses as long as no connection is established.
    private func exchangeAll(_ request: HTTPRequest) throws(TransportError) -> HTTPResponse {
        while true {
            guard curl_multi_add_handle(curl.multi, curl.easy) == CURLM_OK else {
                throw .unusable("libcurl rejects the request")
            }
            defer { curl_multi_remove_handle(curl.multi, curl.easy) }
            curl.forgetMessage()
            let result = try run(request)
            countSent()
            if result == CURLE_COULDNT_CONNECT, exchange.failure == nil, attempts.nextRound() { continue }
            let response = try judge(result)
            // An answer means that the server has the whole body, even if the kernel has no acknowledgment yet.
            countDelivered(exchange.sent)
            noteSpeed(of: request, isAnswered: true)
            if let onAnswered = request.onAnswered {
                let waited = curl.count(CURLINFO_STARTTRANSFER_TIME_T) - curl.count(CURLINFO_PRETRANSFER_TIME_T)
                onAnswered(Double(max(waited, 0)) / 1e6)
            }
            return response
        }
    }

    private func noteSpeed(of request: HTTPRequest, isAnswered: Bool) {
        let seconds = Moment.now().seconds(since: exchange.started)
        sockets.note(exchange.sent, of: request.body.length, in: seconds, isAnswered: isAnswered)
    }

    private func headerList(_ request: HTTPRequest) -> UnsafeMutablePointer<curl_slist>? {
        // For a body passed as a whole, curl assumes a form unless there is a Content-Type.
        let isForm =
            Self.lentWhole(request) != nil
            && !request.headers.contains { $0.name.utf8.count == 12 && $0.name.lowercased() == "content-type" }
        return lines.make(
            of: request.headers,
            and: [request.expectsContinue ? "Expect: 100-continue" : "Expect:"] + (isForm ? ["Content-Type:"] : [])
        )
    }

    /// curl copies headers verbatim: excludes characters that would start another header (RFC 9112, section 5).
    private static func isOneHeader(name: String, value: String) -> Bool {
        !name.isEmpty && allBytes(of: name) { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
            && allBytes(of: value) { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }

    /// curl ends a URL at a NUL and refuses 8 MB; the query of a request may contain text of the store.
    private static func isURL(_ text: String) -> Bool {
        text.utf8.count <= longestURL && allBytes(of: text) { (0x21...0x7E).contains($0) }
    }

    /// Reads the string's storage directly: its UTF-8 view checks how it is stored for each byte.
    private static func allBytes(of text: String, _ isRight: (UInt8) -> Bool) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { $0.allSatisfy(isRight) } ?? text.utf8.allSatisfy(isRight)
    }

    /// A body in memory that is neither paced nor observed: curl sends it as a whole, without the read callback.
    private static func lentWhole(_ request: HTTPRequest) -> UnsafeRawBufferPointer? {
        guard case .lent(let lent) = request.body, request.pace == nil, request.observer == nil else { return nil }
        return lent.bytes
    }

    private func prepare(_ request: HTTPRequest, headers: UnsafeMutablePointer<curl_slist>?) {
        curl.setString(CURLOPT_URL, request.url)
        mule_setopt_headers(curl.easy, headers)
        // Some servers compress answers even if the request does not allow it.
        setDecoding(request.decodesAnswer && request.reader == nil)
        setMethod(request.method)
        curl.setLong(CURLOPT_NOBODY, 0)
        if let body = Self.lentWhole(request) {
            mule_setopt_offset(curl.easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
            mule_setopt_pointer(curl.easy, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: body.baseAddress))
            return
        }
        // The last request's body no longer belongs to this client.
        mule_setopt_pointer(curl.easy, CURLOPT_POSTFIELDS, nil)
        if request.method == "HEAD" {
            curl.setLong(CURLOPT_UPLOAD, 0)
            curl.setLong(CURLOPT_NOBODY, 1)
        } else if request.method == "PUT" || request.method == "POST" {
            curl.setLong(CURLOPT_UPLOAD, 1)
            mule_setopt_offset(curl.easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(request.body.length))
        } else {
            curl.setLong(CURLOPT_UPLOAD, 0)
            curl.setLong(CURLOPT_HTTPGET, 1)
        }
    }

    private func run(_ request: HTTPRequest) throws(TransportError) -> CURLcode {
        var running: Int32 = 0
        while true {
            let status = curl_multi_perform(curl.multi, &running)
            guard status == CURLM_OK else { throw .unusable(String(cString: curl_multi_strerror(status))) }
            countSent()
            observeDelivery()
            var left: Int32 = 0
            while let message = curl_multi_info_read(curl.multi, &left) {
                if message.pointee.msg == CURLMSG_DONE { return mule_message_result(message) }
            }
            if cancellation.isCancelled { throw .cancelled }
            try checkProgress(request)
            if let failure = connectionFailure() { throw failure }
            sockets.flush()
            curl_multi_poll(curl.multi, nil, 0, Int32(pollSeconds * 1000), nil)
            resume()
        }
    }

    /// Seconds until the next check, if the connection has no event.
    private var pollSeconds: Double {
        if !exchange.isUnderWay { return attempts.takeRetryNow() ? 0 : Self.connectionInterval }
        guard let since = exchange.heldSince else { return watchesDelivery ? Self.deliveryInterval : Self.tick }
        // Most bodies are held only briefly.
        return Moment.now().seconds(since: since) < Self.shortHold ? Self.shortHoldInterval : Self.holdInterval
    }

    /// Lets libcurl ask again for bytes of a held body. During this time the server is not too slow.
    private func resume() {
        guard exchange.isHeld else { return }
        exchange.isHeld = false
        exchange.lastProgress = Moment.now()
        curl_easy_pause(curl.easy, CURLPAUSE_CONT)
    }

    /// Only for small bodies, because it slows large ones down (docs/decisions.md), and only if curl does not send head
    /// and body together. The connection keeps the setting until a request of the other kind.
    private func holdBack(for request: HTTPRequest) {
        let holds = if case .lent = request.body { !Self.leavesInOnePiece(request) } else { false }
        sockets.holdBack(holds)
    }

    /// Whether curl writes head and body at once: bodies in memory of less than 64 KiB, and over TLS at most 16 KiB
    /// with the head.
    private static func leavesInOnePiece(_ request: HTTPRequest) -> Bool {
        guard let body = lentWhole(request) else { return false }
        return body.count < (request.url.hasPrefix("http:") ? 64 : 12) << 10
    }

    private func countSent() {
        let total = curl.count(CURLINFO_SIZE_UPLOAD_T)
        if total < exchange.sent { (exchange.sent, exchange.delivered) = (0, 0) }  // curl restarted the body.
        if total > exchange.sent {
            exchange.request?.onSent?(total - exchange.sent)
            exchange.sent = total
            exchange.lastProgress = Moment.now()
        }
    }

    /// Whether to check the kernel's queue. On a slow connection libcurl reports megabytes at once every few seconds,
    /// long after they were sent.
    private var watchesDelivery: Bool { exchange.request?.onDelivered != nil && exchange.sent > exchange.delivered }

    private func observeDelivery() {
        guard watchesDelivery else { return }
        let now = Moment.now()
        guard now >= exchange.nextDelivery else { return }
        exchange.nextDelivery = now.adding(seconds: Self.deliveryInterval)
        countDelivered(exchange.sent - Int64(sockets.unsentBytes))
    }

    private func countDelivered(_ total: Int64) {
        guard total > exchange.delivered else { return }
        exchange.request?.onDelivered?(total - exchange.delivered)
        exchange.delivered = total
    }

    private func checkProgress(_ request: HTTPRequest) throws(TransportError) {
        let now = Moment.now()
        let sinceLook = now.seconds(since: exchange.lastLook)
        guard sinceLook >= Self.tick else { return }
        exchange.lastLook = now
        noteSpeed(of: request, isAnswered: false)
        // The process or the machine was suspended: the server's answer could not be read.
        if sinceLook > Self.tick + Self.absence {
            exchange.lastProgress = exchange.lastProgress.adding(seconds: sinceLook)
        }
        if exchange.isAnswering { exchange.answerSeconds += min(sinceLook, Self.absence) }
        if request.shouldStop?() == true { throw .cancelled }
        if request.isLeftBehind?() == true { throw .leftBehind }
        // The kernel accepts megabytes at once and sends them over minutes on a slow link: a shrinking queue is
        // progress too.
        let queued = sockets.unsentBytes
        if queued != exchange.queued {
            exchange.queued = queued
            exchange.lastProgress = now
        }
        if !exchange.isReading, exchange.answerSeconds > request.answerDuration {
            throw failure(.answer, .closed("it did not end within \(Int(request.answerDuration)) s"))
        }
        let quiet = now.seconds(since: exchange.lastProgress)
        let bodyGone = exchange.sent >= request.body.length && queued == 0
        let allowed = bodyGone ? request.answerTimeout : request.stallTimeout
        if quiet > allowed { throw failure(ofSilenceFor: quiet) }
    }

    private func judge(_ result: CURLcode) throws(TransportError) -> HTTPResponse {
        if let error = exchange.failure { throw error }
        if result != CURLE_OK { throw failure(of: result) }
        // curl accepts a head that is cut off by the end of the connection; the missing part may be the ETag.
        guard exchange.head.hasEnded else {
            throw failure(.answer, .closed("it was closed before the end of the answer's headers"))
        }
        let response = HTTPResponse(
            status: exchange.head.status,
            headers: exchange.head.headers,
            body: exchange.answer,
            continued: exchange.head.continued
        )
        if asksForTLS(response) { throw failure(.answer, .wantsTLS) }
        if isProxys(response) { throw failure(.answer, .refusedByProxy(status: response.status)) }
        return response
    }

    /// Whether any of the request has been sent.
    var hasAsked: Bool { curl.number(CURLINFO_REQUEST_SIZE) > 0 }
}
