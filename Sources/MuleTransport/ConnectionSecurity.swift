internal import CCurl
internal import CSSL
import Glibc

/// How the connection of a request is encrypted, and what the server's certificate says. It has been verified: without
/// that there is no answer.
package struct ConnectionSecurity: Hashable, Sendable {
    /// Such as `TLSv1.3`.
    package var version: String
    /// The organization that has signed the certificate, or its name.
    package var issuer: String?
    /// The name in the certificate that is the server's, which may be a pattern; nil for an IP address.
    package var name: String?
    /// When the certificate expires, in seconds since 1970.
    package var end: Int64?

    /// Nil if the connection is not encrypted, or if libcurl uses another TLS library.
    ///
    /// - Parameter easy: a handle during a transfer, when the connection is known (CURLINFO_TLS_SSL_PTR(3)).
    init?(of easy: UnsafeMutableRawPointer, host: String) {
        guard let connection = mule_tls_connection(easy).map({ OpaquePointer($0) }),
            let version = SSL_get_version(connection), let certificate = SSL_get1_peer_certificate(connection)
        else { return nil }
        defer { X509_free(certificate) }
        self.version = String(cString: version)
        let issuer = X509_get_issuer_name(certificate)
        self.issuer = Self.text(NID_organizationName, of: issuer) ?? Self.text(NID_commonName, of: issuer)
        var matched: UnsafeMutablePointer<CChar>?
        if X509_check_host(certificate, host, host.utf8.count, 0, &matched) == 1, let matched {
            name = Self.printable(String(cString: matched))
            CRYPTO_free(matched, #fileID, 0)
        }
        var time = tm()
        if let last = X509_get0_notAfter(certificate), ASN1_TIME_to_tm(last, &time) == 1 { end = Int64(timegm(&time)) }
    }

    private static func text(_ field: Int32, of name: OpaquePointer?) -> String? {
        guard let name else { return nil }
        var bytes = [CChar](repeating: 0, count: 256)
        guard X509_NAME_get_text_by_NID(name, field, &bytes, Int32(bytes.count)) > 0 else { return nil }
        let text = bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return printable(String(decoding: text, as: UTF8.self))
    }

    /// Certificates are texts of a server's.
    private static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value >= 0x20 && $0.value != 0x7F ? $0 : "?" }))
    }
}
