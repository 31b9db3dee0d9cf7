internal import CCurl
import Glibc
import MuleSystem

// The options and callbacks that are the same for all requests of a client.
extension HTTPClient {
    // Larger writes need fewer system calls: a C prototype of this loop sent 6.9 GiB/s, and 5.2 with curl's 64 KiB.
    private static let uploadBuffer = 512 << 10
    /// Over TLS libcurl copies a small body here once more, and allocates the buffer for each request. It allows no less.
    private static let smallUploadBuffer = 16 << 10

    func set(_ settings: TransportSettings) throws(TransportError) {
        curl.setLong(CURLOPT_NOSIGNAL, 1)
        curl.setLong(CURLOPT_QUICK_EXIT, 1)
        curl.setLong(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        curl.setLong(CURLOPT_PATH_AS_IS, 1)
        curl.setLong(CURLOPT_FOLLOWLOCATION, 0)
        curl.setLong(CURLOPT_TCP_KEEPALIVE, 1)
        setUploadBuffer(isSmall: false)
        curl.setLong(CURLOPT_EXPECT_100_TIMEOUT_MS, 1000)
        // `ConnectionAttempts` has the timeout; by default libcurl would end after 300 s.
        curl.setLong(CURLOPT_CONNECTTIMEOUT_MS, 86_400_000)
        curl.setLong(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        curl.setLong(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        curl.setLong(CURLOPT_SSL_VERIFYPEER, 1)
        curl.setLong(CURLOPT_SSL_VERIFYHOST, 2)
        curl.setLong(CURLOPT_NOPROGRESS, 1)
        curl.setString(CURLOPT_PROTOCOLS_STR, "http,https")
        curl.setString(CURLOPT_USERAGENT, settings.userAgent)
        if settings.ignoresProxies { curl.setString(CURLOPT_NOPROXY, "*") }
        if let bundle = settings.caBundle {
            guard access(bundle, R_OK) == 0 else {
                throw .unusable("the CA bundle \(bundle) cannot be read: \(SystemError.current("open").reason)")
            }
        }
        if let client = settings.clientCertificate {
            curl.setString(CURLOPT_SSLCERT, client.certificate)
            curl.setString(CURLOPT_SSLKEY, client.key)
        }
        if !settings.knownAddresses.isEmpty { curl.setAddresses(settings.knownAddresses) }
        setCallbacks()
        trust(settings.caBundle)
    }

    // libcurl copies each text, so the two that most requests share are set only when they change.

    func setDecoding(_ decodes: Bool) {
        guard decodes != decodesAnswers else { return }
        decodesAnswers = decodes
        if decodes {
            curl.setString(CURLOPT_ACCEPT_ENCODING, "identity")
        } else {
            curl.clear(CURLOPT_ACCEPT_ENCODING)
        }
    }

    /// libcurl sends HEAD by `CURLOPT_NOBODY`.
    func setMethod(_ method: String) {
        guard method != methodOnHandle else { return }
        methodOnHandle = method
        if method == "HEAD" {
            curl.clear(CURLOPT_CUSTOMREQUEST)
        } else {
            curl.setString(CURLOPT_CUSTOMREQUEST, method)
        }
    }

    /// - Parameter isSmall: whether curl writes head and body of the request at once.
    func setUploadBuffer(isSmall: Bool) {
        guard isSmall != hasSmallBuffer else { return }
        hasSmallBuffer = isSmall
        curl.setLong(CURLOPT_UPLOAD_BUFFERSIZE, isSmall ? Self.smallUploadBuffer : Self.uploadBuffer)
    }

    // MARK: Callbacks, all on the thread that calls `perform`

    private func setCallbacks() {
        let easy = curl.easy
        let context = Unmanaged.passUnretained(self).toOpaque()  // The handle lives exactly as long as this object.
        mule_setopt_pointer(easy, CURLOPT_READDATA, context)
        mule_setopt_data_callback(easy, CURLOPT_READFUNCTION) { bytes, size, count, context in
            let client = HTTPClient.from(context)
            return client.exchange.read(into: bytes, capacity: size * count, client.cancellation)
        }
        mule_setopt_pointer(easy, CURLOPT_SEEKDATA, context)
        mule_setopt_seek_callback(easy) { context, offset, origin in
            HTTPClient.from(context).exchange.seek(to: Int64(offset), origin: origin)
        }
        mule_setopt_pointer(easy, CURLOPT_WRITEDATA, context)
        mule_setopt_data_callback(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            HTTPClient.from(context).exchange.receiveBody(bytes, count: size * count)
        }
        mule_setopt_pointer(easy, CURLOPT_HEADERDATA, context)
        mule_setopt_data_callback(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            HTTPClient.from(context).receiveHeader(bytes, count: size * count)
        }
        mule_setopt_pointer(easy, CURLOPT_OPENSOCKETDATA, context)
        mule_setopt_open_socket_callback(easy) { context, _, address in
            guard let address else { return CURL_SOCKET_BAD }
            return HTTPClient.from(context).openSocket(address)
        }
        mule_setopt_pointer(easy, CURLOPT_CLOSESOCKETDATA, context)
        mule_setopt_close_socket_callback(easy) { context, descriptor in
            HTTPClient.from(context).attempts.closes(descriptor)
            HTTPClient.from(context).sockets.remove(descriptor)
            return close(descriptor)
        }
    }

    /// Success before the body was sent is a failure: a captive portal or a broken proxy has not read the body. libcurl
    /// would also send the next request after the rest of this body.
    private func receiveHeader(_ bytes: UnsafeMutablePointer<CChar>?, count: Int) -> Int {
        let taken = exchange.receiveHeader(bytes, count: count, sent: curl.count(CURLINFO_SIZE_UPLOAD_T))
        if settings.observesSecurity, exchange.head.hasEnded { security = connectionSecurity }
        guard exchange.head.hasEnded, (200..<300).contains(exchange.head.status), let sent = exchange.sentBeforeAnswer,
            let length = exchange.request?.body.length, sent < length
        else { return taken }
        let reason = "the server reported success after \(sent) of \(length) bytes of the body"
        exchange.failure = failure(.answer, .closed(reason))
        return 0
    }

    private var connectionSecurity: ConnectionSecurity? {
        guard Self.sharesTLSLibrary, let host = origin?.host else { return nil }
        return ConnectionSecurity(of: curl.easy, host: host)
    }

    static func from(_ context: UnsafeMutableRawPointer?) -> HTTPClient {
        guard let context else { fatalError("libcurl called back without the pointer it was given") }
        return Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue()
    }

    /// Whether the request may use another connection.
    ///
    /// If a reused connection closes without any byte of an answer, curl repeats the request. A POST may have been
    /// executed by then, and the caller must know (RFC 9110, section 9.2.2): a second CreateMultipartUpload would leave
    /// the first upload unfinished.
    private func mayConnect() -> Bool {
        guard exchange.request?.method == "POST", hasAsked else { return true }
        exchange.failure = failure(.answer, .closed("the server closed it without an answer"), answered: false)
        return false
    }

    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> Int32 {
        guard mayConnect(), let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return CURL_SOCKET_BAD }
        let family = address.pointee.family
        let (text, port) = OpenSockets.place(of: UnsafeRawPointer(address) + offset, family: family)
        guard attempts.allows(text) else { return CURL_SOCKET_BAD }
        if hasAsked, attempts.isEmpty {
            // The request's connection has closed, and libcurl repeats the request.
            exchange.mayHaveLeft = true
            exchange.isUnderWay = false
            exchange.earlierStart = curl.count(CURLINFO_PRETRANSFER_TIME_T)
        }
        let type = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, address.pointee.protocol)
        guard descriptor >= 0 else {
            attempts.couldNotOpen(SystemError.current("socket"))
            return CURL_SOCKET_BAD
        }
        sockets.insert(descriptor)
        attempts.opened(descriptor, to: text, port)
        return descriptor
    }

    // MARK: Trusted authorities

    /// Trusts the authorities of the bundle, or the system's.
    private func trust(_ bundle: String?) {
        guard let system = Self.systemTrust else {
            if let bundle {
                curl.setString(CURLOPT_CAINFO, bundle)
                // Not every TLS library supports it.
                curl.clear(CURLOPT_CAPATH)
            }
            return
        }
        trusted = bundle.map { TrustStore.Source(file: $0) } ?? system
        // Without the callback's store no certificate is accepted, so a mistake here refuses connections.
        curl.clear(CURLOPT_CAINFO)
        curl.clear(CURLOPT_CAPATH)
        mule_setopt_pointer(curl.easy, CURLOPT_SSL_CTX_DATA, Unmanaged.passUnretained(self).toOpaque())
        let result = mule_setopt_tls_callback(curl.easy) { _, tls, context in HTTPClient.from(context).share(with: tls)
        }
        precondition(result == CURLE_OK, "libcurl offers its TLS context where it is OpenSSL's")
    }

    /// Called before a connection's TLS handshake.
    private func share(with tls: UnsafeMutableRawPointer?) -> CURLcode {
        guard let tls, let trusted else { return CURLE_SSL_CACERT_BADFILE }
        do {
            try TrustStore.share(trusted, with: tls)
            TrustStore.tell(self, ofRequestsTo: tls)
            return CURLE_OK
        } catch {
            exchange.failure = .unusable(error.sentence)
            return CURLE_SSL_CACERT_BADFILE
        }
    }

    /// The system's authorities as libcurl would find them; nil if `TrustStore` cannot be used.
    ///
    /// The callback does not know whether the connection is to a proxy, to which the bundle does not apply.
    private static let systemTrust: TrustStore.Source? = {
        guard !hasProxyWithTLS, sharesTLSLibrary, let facts = mule_version_info()?.pointee,
            facts.age.rawValue >= CURLVERSION_SEVENTH.rawValue, let file = facts.cainfo
        else { return nil }
        return TrustStore.Source(file: String(cString: file), directory: facts.capath.map { String(cString: $0) })
    }()

    /// libcurl passes values of its TLS library as untyped pointers: they are usable only if that library has the same
    /// version as ours.
    private static let sharesTLSLibrary: Bool = {
        CurlHandle.initialiseOnce
        guard let tls = mule_version_info()?.pointee.ssl_version else { return false }
        return String(cString: tls) == "OpenSSL/\(TrustStore.libraryVersion)"
    }()

    /// Whether the connection to a proxy may be encrypted, by the variables that libcurl reads.
    private static var hasProxyWithTLS: Bool {
        let names: [String] = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        return names.contains { getenv($0).map { String(cString: $0).lowercased().hasPrefix("https:") } ?? false }
    }
}
