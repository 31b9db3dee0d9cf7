internal import CCurl
import Glibc
import MuleSystem

/// How a libcurl transfer ended, with all that libcurl reports about it.
struct CurlOutcome {
    var code: CURLcode
    /// libcurl's message for this failure, or the general one for the code.
    var text: String
    /// `X509_V_ERR_…` of openssl-verify(1).
    var verification = 0
    /// The proxy's status for CONNECT; 0 without an answer.
    var connectStatus = 0
    /// `errno` of the connection attempt.
    var systemCode: Int32 = 0
    var isEncrypted = false
    /// Whether the server of this connection asked for a client certificate.
    var wantsCertificate = false
    var hasTimedOut = false
    var addresses = 1
    var socketError: SystemError?
    /// How far the request had come.
    var stage = NetworkFailure.Stage.answer

    init(_ code: CURLcode, text: String? = nil) {
        self.code = code
        self.text = text.flatMap { $0.isEmpty ? nil : $0 } ?? String(cString: curl_easy_strerror(code))
    }

    /// Where and why it failed; nil if a retry cannot help with any server.
    var failure: (stage: NetworkFailure.Stage, reason: NetworkFailure.Reason)? {
        if connectStatus >= 300 { return (.tunnel, .refusedByProxy(status: connectStatus)) }
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER, CURLE_OUT_OF_MEMORY,
            CURLE_BAD_FUNCTION_ARGUMENT:
            return nil
        case CURLE_UNSUPPORTED_PROTOCOL:
            return stage < .sending ? nil : (.answer, .notHTTP)
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            return (.lookup, socketError.map { .noSocket($0) } ?? .failedLookup(text))
        case CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT:
            return (.connecting, connecting)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_ISSUER_ERROR:
            return (.handshake, .certificate(certificate))
        case CURLE_SSL_CONNECT_ERROR:
            return (.handshake, handshake)
        case CURLE_SSL_CERTPROBLEM:
            // The client's certificate, which was valid when the run started.
            return nil
        default:
            if speaksOfCertificate { return (.handshake, .wantsClientCertificate) }
            // In TLS 1.3 the server sees that there is no certificate only after the client's handshake has ended.
            if wantsCertificate { return (.handshake, .wantsClientCertificate) }
            return (stage, .closed(text))
        }
    }

    private var connecting: NetworkFailure.Reason {
        if let socketError, addresses == 0 { return .noSocket(socketError) }
        if hasTimedOut { return .noConnection(addresses: addresses) }
        switch systemCode {
        case ECONNREFUSED: return .refused
        case ETIMEDOUT, 0: return .noConnection(addresses: addresses)
        default: return .noRoute(SystemError(code: systemCode, call: "connect").reason)
        }
    }

    private var certificate: NetworkFailure.Certificate {
        let reason = text.firstRange(of: "SSL certificate problem: ").map { String(text[$0.upperBound...]) } ?? text
        switch verification {
        case 9: return .notYetValid
        case 10: return .expired
        case 62, 64: return .wrongName
        case 2, 18, 19, 20, 21, 27: return .unknownAuthority(reason)
        default:
            // libcurl compares the name itself, after OpenSSL.
            let isName = ["subject name", "does not match"].contains { text.contains($0) }
            return isName ? .wrongName : .other(reason)
        }
    }

    /// Whether the server's alert is about the certificate of the client: it has none, or one that the server does not
    /// accept (RFC 8446, section 6.2). A client sends such alerts itself where the server's certificate is bad, but
    /// never gets them.
    private var speaksOfCertificate: Bool {
        [
            "certificate required", "bad certificate", "unknown ca", "certificate unknown", "certificate expired",
            "certificate revoked", "unsupported certificate",
        ].contains { text.contains("alert " + $0) }
    }

    private var handshake: NetworkFailure.Reason {
        if speaksOfCertificate { return .wantsClientCertificate }
        if wantsCertificate, text.contains("alert") { return .wantsClientCertificate }
        // How OpenSSL and GnuTLS report an unencrypted answer.
        let plain = ["wrong version number", "packet length too long", "unexpected TLS packet"]
        if plain.contains(where: { text.contains($0) }) { return .speaksNoTLS }
        // "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to …" means that the connection closed without an
        // alert.
        if text.contains("SSL_ERROR_SYSCALL") { return .failedHandshake("the server closed the connection") }
        return .failedHandshake(text)
    }
}

/// Why a name could not be resolved, which libcurl does not report.
enum NameLookup {
    /// Seconds after which a lookup counts as unanswered: the resolver waits 5 s for each server (resolv.conf(5)).
    static let silence = 4.0

    /// Looks the name up again for the reason. It failed quickly, so this is quick too.
    static func reason(_ host: String, after seconds: Double) -> NetworkFailure.Reason {
        guard seconds < silence else { return .silentNameServer }
        var result: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, nil, &result)
        if let result { freeaddrinfo(result) }
        switch code {
        case EAI_NONAME, noData: return .noSuchHost
        case EAI_AGAIN: return .silentNameServer
        case EAI_SYSTEM: return .failedLookup(SystemError.current("getaddrinfo").reason)
        case 0: return .failedLookup("a retry succeeded")
        default: return .failedLookup(String(cString: gai_strerror(code)))
        }
    }

    // EAI_NODATA of netdb.h, which needs _GNU_SOURCE: the name exists and has no address.
    private static let noData: Int32 = -5
}
