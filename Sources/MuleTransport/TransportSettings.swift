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
