package import MuleSystem

/// The server or proxy of a connection, for messages.
package struct RemoteEnd: Hashable, Sendable {
    /// As in the URL; an IPv6 address has brackets.
    package var host: String
    package var port: Int
    /// The address that was tried last; nil before the name was resolved.
    package var address: String?
    /// The proxy, `host:port`, without user and password. Then `address` is the proxy's.
    package var proxy: String?
    /// The environment variable that names the proxy.
    package var proxyVariable: String?

    package init(
        host: String,
        port: Int,
        address: String? = nil,
        proxy: String? = nil,
        proxyVariable: String? = nil
    ) {
        (self.host, self.port, self.address, self.proxy) = (host, port, address, proxy)
        self.proxyVariable = proxyVariable
    }

    var name: String { "\(host):\(port)" }

    /// Whether a store was named, or may have been forgotten, cannot be told from the address.
    fileprivate var isAmazon: Bool { Self.amazonSuffixes.contains { host.hasSuffix($0) } }

    /// Of all partitions of AWS.
    private static let amazonSuffixes = [
        ".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".c2s.ic.gov", ".sc2s.sgov.gov", ".cloud.adc-e.uk",
        ".csp.hci.ic.gov",
    ]

    /// The server, or the proxy if there is one.
    fileprivate var words: String {
        // Not if the host is the address.
        let place = address.flatMap { host == $0 || host == "[\($0)]" ? nil : " (address \($0))" } ?? ""
        return proxy.map { "the proxy \($0)\(place), for \(name)" } ?? name + place
    }
}

/// Why the network gave no answer: at which stage, with which server, and the reason.
package struct NetworkFailure: Hashable, Sendable {
    /// How far the request had come.
    package enum Stage: Int, Sendable, Comparable {
        case lookup
        case connecting
        /// The CONNECT request to the proxy (RFC 9110, section 9.3.6).
        case tunnel
        /// The TLS handshake.
        case handshake
        case sending
        case answer

        package static func < (one: Stage, other: Stage) -> Bool { one.rawValue < other.rawValue }
    }

    package enum Certificate: Hashable, Sendable {
        case expired
        case notYetValid
        /// It is for another host.
        case wrongName
        /// No trusted authority has signed it. The text is the TLS library's.
        case unknownAuthority(String)
        case other(String)
    }

    package enum Reason: Hashable, Sendable {
        case noSuchHost
        case silentNameServer
        case failedLookup(String)
        case refused
        /// The system has no route; the text is its reason.
        case noRoute(String)
        /// No address answered the connection attempts.
        case noConnection(addresses: Int)
        /// The process could not open a socket.
        case noSocket(SystemError)
        /// The proxy's own answer, with its HTTP status.
        case refusedByProxy(status: Int)
        case certificate(Certificate)
        /// The URL has https, but the port answers unencrypted.
        case speaksNoTLS
        /// The URL has http, but the port requires TLS.
        case wantsTLS
        case wantsClientCertificate
        /// The port accepts connections and does not answer the handshake.
        case silentHandshake
        case failedHandshake(String)
        /// No progress for this many seconds.
        case stalled(seconds: Double)
        case closed(String)
        case notHTTP
    }

    package var stage: Stage
    package var peer: RemoteEnd
    package var reason: Reason
    /// Whether any byte of an answer has arrived.
    package var answered = false
    /// Whether any of the request may have been sent.
    package var mayHaveLeft: Bool
    /// Whether this host and port have answered a request of this run before.
    package var hasServed: Bool

    package init(
        _ stage: Stage,
        _ peer: RemoteEnd,
        _ reason: Reason,
        answered: Bool = false,
        mayHaveLeft: Bool? = nil,
        hasServed: Bool = false
    ) {
        self.stage = stage
        self.peer = peer
        self.reason = reason
        self.answered = answered
        self.mayHaveLeft = mayHaveLeft ?? (stage >= .sending)
        self.hasServed = hasServed
    }

    /// Whether the same request may succeed later. A wrong address or certificate stays wrong, unless the same host has
    /// answered before: then something on the way has changed and may change back.
    package var isTransient: Bool { hasServed || !reason.isLasting }
}

extension NetworkFailure.Reason {
    fileprivate var isLasting: Bool {
        switch self {
        case .certificate, .speaksNoTLS, .wantsTLS, .wantsClientCertificate: true
        case .refusedByProxy(let status): (400..<500).contains(status) && status != 408 && status != 429
        default: false
        }
    }
}

extension NetworkFailure {
    /// What happened and where, as the second half of a sentence.
    package var sentence: String { "\(peer.words): \(reason.words(at: stage))" }

    /// What to do about it, as a sentence; nil if waiting is all that helps.
    package var cure: String? {
        if let cure = proxyCure { return cure }
        return switch reason {
        case .noSuchHost where peer.isAmazon:
            "It is a host of Amazon S3, which is used if no endpoint is set: for another store add --endpoint-url. "
                + "Otherwise check the region and the network."
        case .noSuchHost: "Check the host in --endpoint-url, and the network."
        case .silentNameServer, .failedLookup: "Check the network and /etc/resolv.conf."
        case .refused, .noConnection: "Check the host and port in --endpoint-url, and the firewalls in between."
        case .noRoute: "Check the network."
        case .noSocket(let error) where error.isFileShortage: "\(error.cureOfFileShortage), or lower --concurrency."
        case .noSocket: "Give this process more memory, or lower --concurrency."
        case .refusedByProxy(407):
            "Put the user and password into the proxy's address: https_proxy=http://USER:PASSWORD@HOST:PORT."
        case .refusedByProxy(let status) where status < 500:
            "Allow \(peer.name) at the proxy, or add \(peer.host) to no_proxy."
        case .refusedByProxy: "Check that the proxy can reach \(peer.name), or add \(peer.host) to no_proxy."
        case .certificate(let certificate): certificate.cure(peer.host)
        case .speaksNoTLS: "Use http:// in --endpoint-url, or the port that speaks TLS."
        case .wantsTLS: "Use https:// in --endpoint-url."
        case .wantsClientCertificate:
            "Give a certificate that it accepts with --client-certificate, and its key with --client-key."
        case .silentHandshake: "Check that this is the https port."
        case .failedHandshake, .stalled, .closed: nil
        case .notHTTP: "Check the port in --endpoint-url."
        }
    }
}

extension NetworkFailure {
    /// The advice if the connection to the proxy failed: its address is wrong, not the endpoint.
    package var proxyCure: String? {
        guard let proxy = peer.proxy else { return nil }
        let way = "or add \(peer.host) to no_proxy"
        let name = peer.proxyVariable.map { "the proxy \(proxy) in the variable \($0)" } ?? "the proxy \(proxy)"
        return switch reason {
        case .noSuchHost, .refused, .noConnection, .noRoute, .silentNameServer, .failedLookup:
            "Check \(name) and the network to it, \(way)."
        case .refusedByProxy(407):
            "Put the user and password into the proxy's address: "
                + "\(peer.proxyVariable ?? "https_proxy")=http://USER:PASSWORD@HOST:PORT."
        case .refusedByProxy(let status) where status < 500:
            "Allow \(peer.name) at the proxy, check \(name), \(way)."
        case .refusedByProxy: "Check that the proxy can reach \(peer.name), check \(name), \(way)."
        case .closed, .stalled, .silentHandshake, .notHTTP, .failedHandshake:
            stage <= .tunnel ? "Check \(name), \(way)." : nil
        case .noSocket, .certificate, .speaksNoTLS, .wantsTLS, .wantsClientCertificate: nil
        }
    }
}

extension NetworkFailure.Certificate {
    fileprivate var words: String {
        switch self {
        case .expired: "its certificate has expired"
        case .notYetValid: "its certificate is not valid yet"
        case .wrongName: "its certificate is for another name"
        case .unknownAuthority(let reason): "its certificate is not trusted (\(reason))"
        case .other(let reason): "its certificate is not valid (\(reason))"
        }
    }

    fileprivate func cure(_ host: String) -> String {
        switch self {
        case .expired: "Renew it on the server, or set this machine's clock if it is wrong."
        case .notYetValid: "Set this machine's clock if it is wrong, or wait until the certificate is valid."
        case .wrongName: "Use the host name in the certificate, or get a certificate for \(host)."
        case .unknownAuthority:
            "If it is from your own certificate authority, give its PEM file with --ca-bundle or AWS_CA_BUNDLE."
        case .other: "Check the certificate on the server."
        }
    }
}

extension NetworkFailure.Reason {
    fileprivate func words(at stage: NetworkFailure.Stage) -> String {
        switch self {
        case .noSuchHost: "the host does not exist"
        case .silentNameServer: "the name server does not answer"
        case .failedLookup(let reason): "the name lookup failed (\(reason))"
        case .refused: "the connection was refused"
        case .noRoute(let reason): "there is no route to it (\(reason))"
        case .noConnection(let addresses):
            addresses > 1 ? "none of its \(addresses) addresses answers" : "could not connect (no answer)"
        case .noSocket(let error): "this process cannot open a connection (\(error.reason))"
        case .refusedByProxy(407): "the proxy asks for a user and a password (HTTP 407)"
        case .refusedByProxy(let status): "the proxy refused the connection (HTTP \(status))"
        case .certificate(let certificate): certificate.words
        case .speaksNoTLS: "the port does not speak TLS"
        case .wantsTLS: "the port speaks TLS, and the request was plain HTTP"
        case .wantsClientCertificate: "the server demands a client certificate, and got none that it accepts"
        case .silentHandshake: "it accepts TCP connections, but does not answer the TLS handshake"
        case .failedHandshake(let reason): "no secure connection (\(reason))"
        case .stalled(let seconds):
            "no progress for \(Int(seconds)) s while \(stage.words)"
        case .closed(let reason): "the connection broke while \(stage.words) (\(reason))"
        case .notHTTP: "the answer is not HTTP"
        }
    }
}

extension NetworkFailure.Stage {
    fileprivate var words: String {
        switch self {
        case .lookup: "looking up the name"
        case .connecting: "connecting"
        case .tunnel: "asking the proxy to connect"
        case .handshake: "negotiating TLS"
        case .sending: "sending the request"
        case .answer: "waiting for the answer"
        }
    }
}
