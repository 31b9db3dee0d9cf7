/// Scheme, host and port of a URL (RFC 6454): what a connection leads to.
struct Origin {
    let scheme: String
    /// An IPv6 address has brackets.
    let host: String
    let port: Int

    /// The URL up to its path, unchanged.
    private let text: Substring

    var isEncrypted: Bool { scheme == "https" }
    /// "host:port".
    let place: String

    /// Nil if it is not a URL with http or https.
    init?(_ url: String) {
        guard let end = url.firstRange(of: "://") else { return nil }
        scheme = url[..<end.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { return nil }
        var authority = url[end.upperBound...].prefix { !"/?#".contains($0) }
        text = url[..<authority.endIndex]
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        let bracket = authority.lastIndex(of: "]")
        if let colon = authority.lastIndex(of: ":"), bracket.map({ $0 < colon }) ?? true {
            guard let number = Int(authority[authority.index(after: colon)...]) else { return nil }
            (host, port) = (authority[..<colon].lowercased(), number)
        } else {
            (host, port) = (authority.lowercased(), scheme == "https" ? 443 : 80)
        }
        guard !host.isEmpty else { return nil }
        place = "\(host):\(port)"
    }

    /// Whether the URL starts with the same text, so that it need not be parsed.
    func isOrigin(of url: String) -> Bool {
        guard url.utf8.starts(with: text.utf8) else { return false }
        return url.utf8.dropFirst(text.utf8.count).first == UInt8(ascii: "/")
    }
}
