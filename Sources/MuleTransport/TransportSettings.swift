/// How a client connects; the same for all its requests.
package struct TransportSettings: Hashable, Sendable {
    /// PEM file of the authorities to trust in place of the system's.
    package var caBundle: String?
    /// Shown to servers that ask for one.
    package var clientCertificate: ClientCertificate?
    /// Seconds for the look-up of the name, for the connection, and for the TLS handshake, each.
    package var connectTimeout = 20.0
    package var userAgent: String
    /// Whether the way leads past the proxies of the environment: to a service on the machine itself.
    package var ignoresProxies = false
    /// What the clients with these settings, and with copies of them, learn of addresses.
    package let addresses = AddressBook()
    /// Addresses that need no look-up: `host:port:address,address`, an IPv6 address in brackets.
    package var knownAddresses: [String] = []

    package init(userAgent: String, caBundle: String? = nil) {
        self.userAgent = userAgent
        self.caBundle = caBundle
    }
}
