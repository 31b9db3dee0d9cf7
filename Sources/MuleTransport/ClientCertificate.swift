import CSSL
import Glibc
import MuleSystem

/// What proves to servers who this client is, if they ask for it: two PEM files, or one that holds both.
package struct ClientCertificate: Hashable, Sendable {
    /// The certificate, followed by those of the authorities between it and one that the server knows.
    package var certificate: String
    package var key: String

    package init(certificate: String, key: String? = nil) {
        self.certificate = certificate
        self.key = key ?? certificate
    }

    /// Why the files cannot be used, as a sentence; nil if they can. libcurl would say so only when a server is
    /// connected.
    package func problem() -> String? {
        // What stays in this thread's queue of errors would be taken for a connection's.
        defer { ERR_clear_error() }
        if let reason = Self.unreadable(certificate) {
            return "The client certificate \(certificate) cannot be read: \(reason)."
        }
        if let reason = Self.unreadable(key) { return "The client key \(key) cannot be read: \(reason)." }
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            return "The client certificate \(certificate) cannot be used: out of memory."
        }
        defer { SSL_CTX_free(context) }
        guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            return "\(certificate) has no client certificate in PEM form."
        }
        // Without this, OpenSSL would ask for the password on the terminal.
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, asked in
            asked?.assumingMemoryBound(to: Bool.self).pointee = true
            return -1
        }
        var isEncrypted = false
        let hasKey = withUnsafeMutablePointer(to: &isEncrypted) { asked in
            SSL_CTX_set_default_passwd_cb_userdata(context, asked)
            return SSL_CTX_use_PrivateKey_file(context, key, X509_FILETYPE_PEM) == 1
        }
        if hasKey { return nil }
        if isEncrypted {
            return
                "The client key \(key) has a password, which mule cannot ask for: remove it with \"openssl pkey -in "
                + "FILE -out NEW\", and protect the new file."
        }
        // The key is compared with the certificate when it is taken in.
        let isOther = mule_error_reason(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH
        return isOther
            ? "The client key \(key) does not belong to the certificate \(certificate)."
            : "\(key) has no private key in PEM form."
    }

    private static func unreadable(_ path: String) -> String? {
        do {
            // A directory can be opened, and not read.
            _ = try File.contents(path: Array(path.utf8), limit: 1 << 20)
            return nil
        } catch {
            return error.reason
        }
    }
}
