/// How a client connects; the same for all its requests.
package struct TransportSettings: Hashable, Sendable {
    /// PEM file of authorities to trust instead of the system's.
    package var caBundle: String?
    /// Shown to servers that ask for one.
    package var clientCertificate: ClientCertificate?
    /// Seconds for the look-up of the name, for the connection, and for the TLS handshake, each.
    package var connectTimeout = 20.0
    package var userAgent: String
    /// Whether to ignore the environment's proxies: for a service on this machine.
    package var ignoresProxies = false
    /// Whether to look at the certificate of each connection.
    package var observesSecurity = false
    /// What clients with these settings, or copies of them, learn about addresses.
    package let addresses = AddressBook()
    /// Addresses that need no name resolution: `host:port:address,address`, an IPv6 address in brackets.
    package var knownAddresses: [String] = []

    package init(userAgent: String, caBundle: String? = nil) {
        self.userAgent = userAgent
        self.caBundle = caBundle
    }
}
