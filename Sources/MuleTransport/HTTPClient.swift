// One request at a time on one warm connection. This file is the only one that names libcurl's functions; rules it
// relies on are in curl_easy_setopt(3), curl_multi_poll(3) and curl_multi_wakeup(3).

internal import CCurl
import Glibc
package import MuleSystem

/// How a client connects; the same for all its requests.
package struct TransportSettings: Hashable, Sendable {
    /// PEM file of the authorities to trust in place of the system's.
    package var caBundle: String?
    package var connectTimeout = 20.0
    package var userAgent: String
    /// Whether the way leads past the proxies of the environment: to a service on the machine itself.
    package var ignoresProxies = false

    package init(userAgent: String, caBundle: String? = nil) {
        self.userAgent = userAgent
        self.caBundle = caBundle
    }
}

/// An HTTP/1.1 client for one thread: it owns one easy handle, whose connection stays open between requests.
///
/// TLS is 1.2 or newer and always verified; proxies come from the environment, as with every curl program. Redirects
/// are answers like others, since credentials must not follow them.
package final class HTTPClient: HTTPPerformer {
    // Bigger writes mean fewer system calls: a C prototype of this loop sent 6.9 GiB/s, and 5.2 with curl's 64 KiB.
    private static let uploadBuffer = 512 << 10
    /// Seconds by which a look can't be late while the process runs.
    private static let absence = 5.0
    private static let tick = 1.0
    /// Seconds between two looks at what the kernel still holds.
    private static let deliveryInterval = 0.1
    private static let longestURL = 128 << 10

    private let easy: UnsafeMutableRawPointer
    private let multi: UnsafeMutableRawPointer
    private let cancellation: Cancellation
    private var cancellationTicket = 0
    private var sockets: Set<Int32> = []
    /// Whether the kernel collects what is written to them.
    private var holdsBack = false
    private var exchange = Exchange()
    private var lines = HeaderLines()
    /// Nil where libcurl reads the authorities by itself, for each connection.
    private var trusted: TrustStore.Source?

    /// - Throws: `TransportError.unusable` when libcurl refuses a setting, an unreadable CA file for one.
    package init(settings: TransportSettings, cancellation: Cancellation) throws(TransportError) {
        Self.initialiseOnce
        guard let easy = curl_easy_init(), let multi = curl_multi_init() else {
            throw .unusable("libcurl could not start")
        }
        self.easy = easy
        self.multi = multi
        self.cancellation = cancellation
        try set(settings)
        nonisolated(unsafe) let handle = multi  // curl_multi_wakeup is the one call that any thread may make.
        cancellationTicket = cancellation.onCancel { _ = curl_multi_wakeup(handle) }
    }

    deinit {
        cancellation.removeWaker(cancellationTicket)
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
    }

    /// "libcurl/7.88.1 OpenSSL/3.0.19 …", as libcurl describes itself.
    package static var version: String {
        initialiseOnce
        return String(cString: curl_version())
    }

    /// Where libcurl itself would look for authorities, if `TrustStore` can take its place.
    ///
    /// libcurl hands what its TLS library has made to a callback as a pointer without a type. Only where that library tells the
    /// version of ours are the two the same one. And the callback is not told whether it is asked for a proxy, to which the
    /// bundle does not apply.
    private static let systemTrust: TrustStore.Source? = {
        initialiseOnce
        guard !hasProxyWithTLS, let facts = mule_version_info()?.pointee, let tls = facts.ssl_version,
            String(cString: tls) == "OpenSSL/\(TrustStore.libraryVersion)",
            facts.age.rawValue >= CURLVERSION_SEVENTH.rawValue, let file = facts.cainfo
        else { return nil }
        return TrustStore.Source(file: String(cString: file), directory: facts.capath.map { String(cString: $0) })
    }()

    /// Whether the way to a proxy may be encrypted: by the variables that libcurl looks at.
    private static var hasProxyWithTLS: Bool {
        let names: [String] = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        return names.contains { getenv($0).map { String(cString: $0).lowercased().hasPrefix("https:") } ?? false }
    }

    // curl_global_init is not safe beside other threads in old versions of libcurl, hence once and early.
    private static let initialiseOnce: Void = { curl_global_init(Int(CURL_GLOBAL_DEFAULT)) }()

    private func set(_ settings: TransportSettings) throws(TransportError) {
        let context = Unmanaged.passUnretained(self).toOpaque()  // The handle lives exactly as long as this object.
        setLong(CURLOPT_NOSIGNAL, 1)
        setLong(CURLOPT_QUICK_EXIT, 1)
        setLong(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        setLong(CURLOPT_PATH_AS_IS, 1)
        setLong(CURLOPT_FOLLOWLOCATION, 0)
        setLong(CURLOPT_TCP_KEEPALIVE, 1)
        setLong(CURLOPT_UPLOAD_BUFFERSIZE, Self.uploadBuffer)
        setLong(CURLOPT_EXPECT_100_TIMEOUT_MS, 1000)
        setLong(CURLOPT_CONNECTTIMEOUT_MS, Int(settings.connectTimeout * 1000))
        setLong(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        setLong(CURLOPT_SSL_VERIFYPEER, 1)
        setLong(CURLOPT_SSL_VERIFYHOST, 2)
        setLong(CURLOPT_NOPROGRESS, 1)
        setString(CURLOPT_PROTOCOLS_STR, "http,https")
        setString(CURLOPT_USERAGENT, settings.userAgent)
        if settings.ignoresProxies { setString(CURLOPT_NOPROXY, "*") }
        if let bundle = settings.caBundle {
            guard access(bundle, R_OK) == 0 else {
                throw .unusable("the CA bundle \(bundle) can't be read: \(SystemError.current("open").reason)")
            }
        }
        trust(settings.caBundle)
        mule_setopt_pointer(easy, CURLOPT_READDATA, context)
        mule_setopt_data_callback(easy, CURLOPT_READFUNCTION) { bytes, size, count, context in
            HTTPClient.from(context).read(into: bytes, capacity: size * count)
        }
        mule_setopt_pointer(easy, CURLOPT_SEEKDATA, context)
        mule_setopt_seek_callback(easy) { context, offset, origin in
            HTTPClient.from(context).seek(to: Int64(offset), origin: origin)
        }
        mule_setopt_pointer(easy, CURLOPT_WRITEDATA, context)
        mule_setopt_data_callback(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            HTTPClient.from(context).receiveBody(bytes, count: size * count)
        }
        mule_setopt_pointer(easy, CURLOPT_HEADERDATA, context)
        mule_setopt_data_callback(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            HTTPClient.from(context).receiveHeader(bytes, count: size * count)
        }
        mule_setopt_pointer(easy, CURLOPT_OPENSOCKETDATA, context)
        mule_setopt_open_socket_callback(easy) { context, _, address in
            guard let address, HTTPClient.from(context).mayConnect() else { return CURL_SOCKET_BAD }
            let type = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = socket(address.pointee.family, type, address.pointee.protocol)
            if descriptor >= 0 {
                HTTPClient.from(context).sockets.insert(descriptor)
                if HTTPClient.from(context).holdsBack { HTTPClient.holdBack(descriptor, true) }
            }
            return descriptor
        }
        mule_setopt_pointer(easy, CURLOPT_CLOSESOCKETDATA, context)
        mule_setopt_close_socket_callback(easy) { context, descriptor in
            HTTPClient.from(context).sockets.remove(descriptor)
            return close(descriptor)
        }
    }

    /// Whom to trust: the authorities of the bundle, or the system's.
    private func trust(_ bundle: String?) {
        guard let system = Self.systemTrust else {
            if let bundle {
                setString(CURLOPT_CAINFO, bundle)
                // Not every TLS library has one.
                mule_setopt_string(easy, CURLOPT_CAPATH, nil)
            }
            return
        }
        trusted = bundle.map { TrustStore.Source(file: $0) } ?? system
        // Without the callback's store nobody is trusted: a mistake here refuses, it does not accept.
        mule_setopt_string(easy, CURLOPT_CAINFO, nil)
        mule_setopt_string(easy, CURLOPT_CAPATH, nil)
        mule_setopt_pointer(easy, CURLOPT_SSL_CTX_DATA, Unmanaged.passUnretained(self).toOpaque())
        let result = mule_setopt_tls_callback(easy) { _, tls, context in HTTPClient.from(context).share(with: tls) }
        precondition(result == CURLE_OK, "libcurl offers its TLS context where it is OpenSSL's")
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPClient {
        guard let context else { fatalError("libcurl called back without the pointer it was given") }
        return Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue()
    }

    private func setLong(_ option: CURLoption, _ value: Int) {
        let result = mule_setopt_long(easy, option, value)
        precondition(result == CURLE_OK, "libcurl knows every option that is set here")
    }

    private func setString(_ option: CURLoption, _ value: String) {
        let result = value.withCString { mule_setopt_string(easy, option, $0) }
        precondition(result == CURLE_OK, "libcurl knows every option that is set here")
    }

    // MARK: A request

    /// Sends the request and waits for the whole answer.
    ///
    /// There is no limit on the total time: a request is given up when nothing moves for its timeouts, and within
    /// moments of a cancellation. Bytes that the kernel still holds count as moving while it gets rid of them.
    package func perform(_ request: HTTPRequest) throws(TransportError) -> HTTPResponse {
        if cancellation.isCancelled { throw .cancelled }
        guard request.headers.allSatisfy(Self.isOneHeader) else {
            throw .unusable("a header holds a character that would end it")
        }
        guard Self.isURL(request.url) else { throw .unusable("the request's URL is too long, or no URL") }
        exchange = Exchange(request)
        defer { exchange = Exchange() }
        prepare(request, headers: headerList(request))
        holdBack(for: request)

        guard curl_multi_add_handle(multi, easy) == CURLM_OK else { throw .unusable("libcurl can't take the request") }
        defer { curl_multi_remove_handle(multi, easy) }
        let result = try run(request)
        countSent()
        let response = try judge(result)
        // Who answers has all of it, whatever the kernel has heard so far.
        countDelivered(exchange.sent)
        return response
    }

    private func headerList(_ request: HTTPRequest) -> UnsafeMutablePointer<curl_slist>? {
        // To curl a body that it is given as a whole is a form, unless somebody says what else it is.
        let isForm =
            Self.lentWhole(request) != nil
            && !request.headers.contains { $0.name.utf8.count == 12 && $0.name.lowercased() == "content-type" }
        return lines.make(
            of: request.headers,
            and: [request.expectsContinue ? "Expect: 100-continue" : "Expect:"] + (isForm ? ["Content-Type:"] : [])
        )
    }

    /// curl puts headers into the request as they are; RFC 9112, section 5, says what would make another one of them.
    private static func isOneHeader(name: String, value: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
            && value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }

    /// curl ends a URL at a NUL, and takes none of 8 MB; what a store makes us say in a query must not come near that.
    private static func isURL(_ text: String) -> Bool {
        text.utf8.count <= longestURL && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// A body that is in memory and need not be slowed or watched: curl takes it as it is, without asking for it piece by piece.
    private static func lentWhole(_ request: HTTPRequest) -> UnsafeRawBufferPointer? {
        guard case .lent(let lent) = request.body, request.pace == nil, request.observer == nil else { return nil }
        return lent.bytes
    }

    private func prepare(_ request: HTTPRequest, headers: UnsafeMutablePointer<curl_slist>?) {
        setString(CURLOPT_URL, request.url)
        mule_setopt_headers(easy, headers)
        mule_setopt_string(easy, CURLOPT_CUSTOMREQUEST, nil)
        setLong(CURLOPT_NOBODY, 0)
        if let body = Self.lentWhole(request) {
            mule_setopt_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
            mule_setopt_pointer(easy, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: body.baseAddress))
            setString(CURLOPT_CUSTOMREQUEST, request.method)
            return
        }
        // What was lent to the request before is not ours any more.
        mule_setopt_pointer(easy, CURLOPT_POSTFIELDS, nil)
        if request.method == "HEAD" {
            setLong(CURLOPT_UPLOAD, 0)
            setLong(CURLOPT_NOBODY, 1)
        } else if request.method == "PUT" || request.method == "POST" {
            setLong(CURLOPT_UPLOAD, 1)
            mule_setopt_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(request.body.length))
            setString(CURLOPT_CUSTOMREQUEST, request.method)
        } else {
            setLong(CURLOPT_UPLOAD, 0)
            setLong(CURLOPT_HTTPGET, 1)
            setString(CURLOPT_CUSTOMREQUEST, request.method)
        }
    }

    private func run(_ request: HTTPRequest) throws(TransportError) -> CURLcode {
        var running: Int32 = 0
        while true {
            let status = curl_multi_perform(multi, &running)
            guard status == CURLM_OK else { throw .unusable(String(cString: curl_multi_strerror(status))) }
            countSent()
            observeDelivery()
            var left: Int32 = 0
            while let message = curl_multi_info_read(multi, &left) {
                if message.pointee.msg == CURLMSG_DONE { return mule_message_result(message) }
            }
            if cancellation.isCancelled { throw .cancelled }
            try checkProgress(request)
            flush()
            curl_multi_poll(multi, nil, 0, Int32((watchesDelivery ? Self.deliveryInterval : Self.tick) * 1000), nil)
        }
    }

    /// Lets the kernel collect what libcurl writes in pieces: a head and a small body leave in one packet, and wake the server
    /// once. What is collected leaves with `flush`; were that never called, after 200 ms (tcp(7), `TCP_CORK`).
    private static func holdBack(_ descriptor: Int32, _ holds: Bool) {
        var value: Int32 = holds ? 1 : 0
        // Where it can't be set, as on a socket that is not TCP's, the pieces leave one by one.
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Only small bodies are worth it: to a large one it is a cost (docs/decisions.md). And only those that curl does not send together
    /// with their head by itself. A connection stays as it is until a request of the other kind comes.
    private func holdBack(for request: HTTPRequest) {
        let holds = if case .lent = request.body { !Self.leavesInOnePiece(request) } else { false }
        guard holds != holdsBack else { return }
        holdsBack = holds
        for descriptor in sockets { Self.holdBack(descriptor, holds) }
    }

    /// Whether curl writes head and body at once: bodies of less than 64 KiB that it holds, and over TLS no more than 16 KiB with
    /// the head.
    private static func leavesInOnePiece(_ request: HTTPRequest) -> Bool {
        guard let body = lentWhole(request) else { return false }
        return body.count < (request.url.hasPrefix("http:") ? 64 : 12) << 10
    }

    /// To be called before every wait for the other side. Setting `TCP_NODELAY` sends what is held back (tcp(7)).
    private func flush() {
        guard holdsBack else { return }
        var on: Int32 = 1
        for descriptor in sockets {
            _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    private func countSent() {
        var sent: curl_off_t = 0
        guard mule_getinfo_offset(easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK else { return }
        let total = Int64(sent)
        if total < exchange.sent { (exchange.sent, exchange.delivered) = (0, 0) }  // curl began the body again.
        if total > exchange.sent {
            exchange.request?.onSent?(total - exchange.sent)
            exchange.sent = total
            exchange.lastProgress = Moment.now()
        }
    }

    /// Whether there is something to be heard of the kernel's queue. A slow connection leaves room in it only once in
    /// seconds, and whoever waits for that hears of megabytes at once, long after they have gone.
    private var watchesDelivery: Bool { exchange.request?.onDelivered != nil && exchange.sent > exchange.delivered }

    private func observeDelivery() {
        guard watchesDelivery else { return }
        let now = Moment.now()
        guard now >= exchange.nextDelivery else { return }
        exchange.nextDelivery = now.adding(seconds: Self.deliveryInterval)
        countDelivered(exchange.sent - Int64(unsentBytes))
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
        // The process was stopped or its machine paused: the server has had no chance to be heard.
        if sinceLook > Self.tick + Self.absence {
            exchange.lastProgress = exchange.lastProgress.adding(seconds: sinceLook)
        }
        if exchange.isAnswering { exchange.answerSeconds += min(sinceLook, Self.absence) }
        if request.shouldStop?() == true { throw .cancelled }
        if request.isLeftBehind?() == true { throw .leftBehind }
        // The kernel takes megabytes at once and sends them over minutes on a slow link: its queue shrinking is
        // progress too.
        let queued = unsentBytes
        if queued != exchange.queued {
            exchange.queued = queued
            exchange.lastProgress = now
        }
        if !exchange.isReading, exchange.answerSeconds > request.answerDuration {
            throw .broken("the answer did not end within \(Int(request.answerDuration)) s", answered: true)
        }
        let quiet = now.seconds(since: exchange.lastProgress)
        let bodyGone = exchange.sent >= request.body.length && queued == 0
        let allowed = bodyGone ? request.answerTimeout : request.stallTimeout
        if quiet > allowed { throw .stalled(seconds: quiet) }
    }

    /// What the kernel has taken and the other side not yet acknowledged.
    private var unsentBytes: Int {
        sockets.reduce(0) { sum, descriptor in
            var count: Int32 = 0
            return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? sum + Int(count) : sum
        }
    }

    private func judge(_ result: CURLcode) throws(TransportError) -> HTTPResponse {
        if let error = exchange.failure { throw error }
        if result == CURLE_UNSUPPORTED_PROTOCOL, hasAsked {
            throw .broken("the answer is not HTTP", answered: true)
        }
        if result != CURLE_OK { throw Self.error(result, answered: exchange.head.status != 0) }
        // curl takes a head that the end of the connection cuts short for a whole one: what is missing may be its ETag.
        guard exchange.head.hasEnded else {
            throw .broken("the connection closed within the head of the answer", answered: exchange.head.status != 0)
        }
        return HTTPResponse(
            status: exchange.head.status,
            headers: exchange.head.headers,
            body: exchange.answer,
            continued: exchange.head.continued
        )
    }

    /// Whether any of the request has gone out.
    private var hasAsked: Bool {
        var size = 0
        return mule_getinfo_long(easy, CURLINFO_REQUEST_SIZE, &size) == CURLE_OK && size > 0
    }

    private static func error(_ code: CURLcode, answered: Bool) -> TransportError {
        let text = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: return .cannotResolve(text)
        case CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT: return .cannotConnect(text)
        case CURLE_SSL_CONNECT_ERROR: return .tls(text)
        case CURLE_PEER_FAILED_VERIFICATION: return .certificate(text)
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_OUT_OF_MEMORY, CURLE_BAD_FUNCTION_ARGUMENT:
            return .unusable(text)
        default: return .broken(text, answered: answered)
        }
    }

    // MARK: Callbacks, all on the thread that performs

    /// A connection's TLS is about to begin.
    private func share(with tls: UnsafeMutableRawPointer?) -> CURLcode {
        guard let tls, let trusted else { return CURLE_SSL_CACERT_BADFILE }
        do {
            try TrustStore.share(trusted, with: tls)
            return CURLE_OK
        } catch {
            exchange.failure = .unusable(error.sentence)
            return CURLE_SSL_CACERT_BADFILE
        }
    }

    /// Whether the request may go over another connection.
    ///
    /// When a connection that served before dies without a byte of an answer, curl sends the request again by itself. A
    /// POST may have been done by then, and whoever asked for it must know (RFC 9110, section 9.2.2): a second
    /// CreateMultipartUpload would leave the first one's upload behind.
    private func mayConnect() -> Bool {
        guard exchange.request?.method == "POST", hasAsked else { return true }
        exchange.failure = .broken("the server closed the connection in place of an answer", answered: false)
        return false
    }

    private func read(into bytes: UnsafeMutablePointer<CChar>?, capacity: Int) -> Int {
        guard let bytes, let request = exchange.request else { return 0 }
        let left = request.body.length - exchange.position
        guard left > 0 else { return 0 }
        if exchange.position == 0 { request.observer?.bodyStarts() }
        var count = Int(min(Int64(capacity), left))
        if let pace = request.pace { count = pace(count) }
        if cancellation.isCancelled {
            exchange.failure = .cancelled
            return Int(CURL_READFUNC_ABORT)
        }
        let room = UnsafeMutableRawBufferPointer(start: bytes, count: count)
        switch request.body {
        case .none: return 0
        case .bytes(let body):
            let start = Int(exchange.position)
            room.copyBytes(from: body[start..<start + count])
        case .lent(let lent):
            let start = Int(exchange.position)
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: lent.bytes[start..<start + count]))
        case .file(let slice):
            let offset = slice.offset + exchange.position
            do {
                count = try slice.file.read(into: room, at: offset)
            } catch {
                exchange.failure = .source(error, offset: offset)
                return Int(CURL_READFUNC_ABORT)
            }
            if count == 0 {
                exchange.failure = .sourceEnded(offset: offset)
                return Int(CURL_READFUNC_ABORT)
            }
        }
        request.observer?.bodyContinues(UnsafeRawBufferPointer(rebasing: room[..<count]))
        exchange.position += Int64(count)
        return count
    }

    private func seek(to offset: Int64, origin: Int32) -> Int32 {
        guard origin == SEEK_SET, offset == 0 else { return Int32(CURL_SEEKFUNC_FAIL) }
        exchange.position = 0
        return Int32(CURL_SEEKFUNC_OK)
    }

    private func receiveHeader(_ bytes: UnsafeMutablePointer<CChar>?, count: Int) -> Int {
        noteAnswer()
        guard exchange.head.take(UnsafeRawBufferPointer(start: bytes, count: count)) else {
            exchange.failure = .answerTooLong(limit: ResponseHead.sizeLimit)
            return 0
        }
        return count
    }

    private func receiveBody(_ bytes: UnsafeMutablePointer<CChar>?, count: Int) -> Int {
        noteAnswer()
        let head = exchange.head
        if let reader = exchange.request?.reader, (200..<300).contains(head.status) {
            if !exchange.isReading { reader.answerStarts(status: head.status, headers: head.headers) }
            exchange.isReading = true
            if reader.answerContinues(UnsafeRawBufferPointer(start: bytes, count: count)) { return count }
            exchange.failure = .cancelled
            return 0
        }
        var piece = UnsafeRawBufferPointer(start: bytes, count: count)[...]
        let limit = exchange.request?.answerLimit ?? 0
        if exchange.request?.dropsLeadingSpace == true, exchange.answer.isEmpty {
            piece = piece.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
            exchange.dropped += count - piece.count
        }
        guard exchange.dropped <= limit, exchange.answer.count + piece.count <= limit else {
            exchange.failure = .answerTooLong(limit: limit)
            return 0
        }
        exchange.answer.append(contentsOf: piece)
        return count
    }

    private func noteAnswer() {
        exchange.lastProgress = Moment.now()
        let length = exchange.request?.body.length ?? 0
        if exchange.sent >= length || exchange.head.status >= 200 { exchange.isAnswering = true }
    }
}

/// The state of the request under way.
private struct Exchange {
    var request: HTTPRequest?
    var position: Int64 = 0
    var sent: Int64 = 0
    var delivered: Int64 = 0
    var nextDelivery = Moment(nanoseconds: 0)
    var queued = 0
    var lastProgress = Moment.now()
    var lastLook = Moment.now()
    /// Whether the answer has begun that will end the exchange.
    var isAnswering = false
    /// How long it has taken since.
    var answerSeconds = 0.0
    var head = ResponseHead()
    var answer: [UInt8] = []
    /// Whether the answer's body has begun to go to the reader.
    var isReading = false
    /// Bytes of white space before the answer that were not kept.
    var dropped = 0
    var failure: TransportError?

    init(_ request: HTTPRequest? = nil) {
        self.request = request
    }
}
