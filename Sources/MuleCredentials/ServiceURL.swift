import MuleSigning

/// The address of a service: `http[s]://host[:port][/base]`.
struct ServiceURL: Hashable, Sendable {
    var isEncrypted: Bool
    /// With the port, if the URL has one.
    var host: String
    /// Encoded; empty, or starts with `/`.
    var path: String
    /// Without the question mark; may be empty.
    var query: String

    /// Nil for any other URL, including one with a user name or password.
    init?(_ text: String) {
        let lower = text.lowercased()
        guard let scheme = ["https", "http"].first(where: { lower.hasPrefix($0 + "://") }) else { return nil }
        let rest = text.dropFirst(scheme.count + 3)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let host = rest[..<end].lowercased()
        let isHost = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "-._:[]".utf8.contains(byte)
            }
        }
        let tail = rest[end...]
        let isPlain = tail.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }
        guard !host.isEmpty, isHost, isPlain else { return nil }
        isEncrypted = scheme == "https"
        self.host = host
        let mark = tail.firstIndex(of: "?") ?? tail.endIndex
        path = String(tail[..<mark])
        query = String(tail[mark...].dropFirst())
    }

    private init(host: String) {
        (isEncrypted, self.host, path, query) = (true, host, "", "")
    }

    /// Amazon's own service at the host.
    static func amazon(_ host: String) -> ServiceURL { ServiceURL(host: host) }

    var text: String { origin + path + (query.isEmpty ? "" : "?" + query) }
    var origin: String { (isEncrypted ? "https://" : "http://") + host }

    /// The URL of a path below this one, whose own path must not end in a slash.
    func appending(_ path: String) -> ServiceURL {
        var other = self
        while other.path.hasSuffix("/") { other.path.removeLast() }
        other.path += path
        return other
    }

    /// Without port and brackets.
    var hostName: String {
        if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
        return String(host.prefix { $0 != ":" })
    }
}
