// The authorities that servers' certificates are verified against. Only this file and ConnectionSecurity use OpenSSL's
// TLS library; the rules it relies on are in SSL_CTX_set1_verify_cert_store(3), X509_STORE_load_file(3) and X509_VERIFY_PARAM_set_flags(3).

import CSSL
import Glibc
import MuleSystem

/// Certificates that are parsed once per bundle and shared by all connections of the process.
///
/// libcurl reads the system's bundle for each connection, which takes 20 ms and nearly a megabyte. OpenSSL counts
/// references to a store and locks its lookups, so that all threads may verify with it.
enum TrustStore {
    /// Where authorities are found.
    struct Source: Hashable {
        var file: String
        /// Certificates named by their hash, read on demand.
        var directory: String?
    }

    struct Unreadable: Error {
        var source: Source
        var reason: String

        var sentence: String { "the CA bundle \(source.file) cannot be used: \(reason)" }
    }

    // @unchecked Sendable: OpenSSL counts references and locks. Never freed, because the process may connect at any
    // time.
    private struct Parsed: @unchecked Sendable {
        let store: OpaquePointer
    }

    // A parsed bundle is kept: a change takes effect when mule restarts. A failed one is parsed again.
    private static let parsed = Monitor<[Source: Parsed]>([:])

    /// "3.0.19", of the loaded library.
    static var libraryVersion: String { String(cString: OpenSSL_version(OPENSSL_VERSION_STRING)) }

    /// Makes a TLS context verify certificates against the source only. While one thread parses it, others wait.
    ///
    /// Certificates that libcurl adds to the context's own store, before or after this, are ignored.
    ///
    /// - Parameter context: an `SSL_CTX` before its first connection.
    static func share(_ source: Source, with context: UnsafeMutableRawPointer) throws(Unreadable) {
        let parsed = try Self.parsed.withLock { known throws(Unreadable) in
            if let store = known[source] { return store }
            let store = try parse(source)
            known[source] = store
            return store
        }
        guard mule_verify_with(context, parsed.store) == 1 else {
            throw Unreadable(source: source, reason: "out of memory")
        }
    }

    /// Informs the client if a server asks for a certificate, which mule never has. A server that requires one may
    /// close the connection without saying so (SSL_CTX_set_client_cert_cb(3)).
    ///
    /// - Parameter context: an `SSL_CTX` whose connections end before the client does.
    static func tell(_ client: HTTPClient, ofRequestsTo context: UnsafeMutableRawPointer) {
        let context = OpaquePointer(context)
        // The slot that OpenSSL reserves for applications (SSL_CTX_set_app_data is a macro for it); libcurl does not
        // use it.
        SSL_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(client).toOpaque())
        SSL_CTX_set_client_cert_cb(context) { connection, _, _ in
            if let owner = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), 0) {
                HTTPClient.from(owner).exchange.wantsCertificate = true
            }
            return 0
        }
    }

    private static func parse(_ source: Source) throws(Unreadable) -> Parsed {
        // Errors left in this thread's queue would be taken for the connection's.
        defer { ERR_clear_error() }
        guard let store = X509_STORE_new() else { throw Unreadable(source: source, reason: "out of memory") }
        guard X509_STORE_load_file(store, source.file) == 1,
            source.directory.map({ X509_STORE_load_path(store, $0) == 1 }) ?? true
        else {
            X509_STORE_free(store)
            guard access(source.file, R_OK) == 0 else {
                throw Unreadable(source: source, reason: SystemError.current("open").reason)
            }
            let reason = ERR_reason_error_string(ERR_peek_last_error()).map { String(cString: $0) }
            throw Unreadable(source: source, reason: reason ?? "it has no certificate")
        }
        // As in libcurl: an intermediate certificate in the bundle is trusted as a root.
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN))
        return Parsed(store: store)
    }
}
