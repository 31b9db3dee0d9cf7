import Glibc

/// The proxy that libcurl reads from the environment, for messages. libcurl chooses it, and does not report it.
struct Proxy: Equatable {
    let host: String
    let port: Int
    /// The environment variable that names it.
    private(set) var variable = ""

    var name: String { "\(host):\(port)" }

    /// The proxy for a host, by the variables and the order of libcurl-env(3).
    init?(scheme: String, host: String, environment: (String) -> String?) {
        func value(_ names: [String]) -> (variable: String, text: String)? {
            for name in names {
                if let text = environment(name), !text.isEmpty { return (name, text) }
            }
            return nil
        }
        // HTTP_PROXY in capitals is ignored: in CGI it comes from a request header.
        let own = scheme == "https" ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]
        guard let address = value(own + ["all_proxy", "ALL_PROXY"]) else { return nil }
        if let exceptions = value(["no_proxy", "NO_PROXY"]), Self.excepts(exceptions.text, host) { return nil }
        self.init(address.text)
        variable = address.variable
    }

    init?(scheme: String, host: String) {
        self.init(scheme: scheme, host: host) { getenv($0).map { String(cString: $0) } }
    }

    /// `[scheme://][user[:password]@]host[:port][/]`; libcurl's default port is 1080, and 443 with https.
    private init?(_ address: String) {
        var rest = address[...]
        var isEncrypted = false
        if let end = rest.firstRange(of: "://") {
            isEncrypted = rest[..<end.lowerBound].lowercased() == "https"
            rest = rest[end.upperBound...]
        }
        rest = rest.prefix { $0 != "/" }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        let bracket = rest.lastIndex(of: "]")
        if let colon = rest.lastIndex(of: ":"), bracket.map({ $0 < colon }) ?? true,
            let port = Int(rest[rest.index(after: colon)...])
        {
            (host, self.port) = (String(rest[..<colon]), port)
        } else {
            (host, port) = (String(rest), isEncrypted ? 443 : 1080)
        }
        if host.isEmpty { return nil }
    }

    private static func excepts(_ list: String, _ host: String) -> Bool {
        if list == "*" { return true }
        let host = host.lowercased().trimming("[]")
        return list.lowercased().split { $0 == "," || $0 == " " }.contains { entry in
            let name = entry.hasPrefix(".") ? String(entry.dropFirst()) : String(entry).trimming("[]")
            return host == name || host.hasSuffix("." + name)
        }
    }
}

extension String {
    fileprivate func trimming(_ characters: String) -> String {
        String(drop { characters.contains($0) }.reversed().drop { characters.contains($0) }.reversed())
    }
}
