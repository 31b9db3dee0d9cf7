// Temp URLs of OpenStack Swift: the URL of an object with a signature of its method, path and end.
// https://docs.openstack.org/swift/latest/api/temporary_url_middleware.html

package import MuleDigest
package import MulePlan

package struct TempURL: Sendable {
    /// An object's address at Swift: `https://host/v1/ACCOUNT/CONTAINER/OBJECT`.
    package struct Place: Sendable {
        /// `scheme://host`
        package let origin: String
        /// `/v1/ACCOUNT/CONTAINER`, decoded.
        package let container: [UInt8]
        /// Empty for the URL of a container.
        package var object: [UInt8]

        /// Why a text is no such address; continues a sentence that starts with it.
        package struct Refusal: Error, Sendable {
            package let why: String
        }

        package init(_ text: String) throws(Refusal) {
            let lowered = text.lowercased()
            guard let scheme = ["https://", "http://"].first(where: { lowered.hasPrefix($0) }) else {
                throw Refusal(why: "must start with https:// or http://")
            }
            guard !text.contains(where: { "?#".contains($0) }) else {
                throw Refusal(why: "must have no query (?) and no fragment (#); write %3F and %23 in a name")
            }
            let rest = Array(text.utf8.dropFirst(scheme.utf8.count))
            let host = rest.prefix { $0 != UInt8(ascii: "/") }
            guard !host.isEmpty, !host.contains(UInt8(ascii: "@")) else {
                throw Refusal(why: "must have a host, and no user name")
            }
            origin = scheme + String(decoding: host, as: UTF8.self)
            let path = Self.decoded(rest[host.endIndex...])
            let pieces = path.split(separator: UInt8(ascii: "/"), maxSplits: 4, omittingEmptySubsequences: false)
            guard pieces.count >= 4, pieces[0].isEmpty, !pieces[1].isEmpty, !pieces[2].isEmpty, !pieces[3].isEmpty
            else {
                throw Refusal(why: "is not an object of Swift; write https://HOST/v1/ACCOUNT/CONTAINER/OBJECT")
            }
            container = Array(pieces[..<4].joined(separator: [UInt8(ascii: "/")]))
            object = pieces.count > 4 ? Array(pieces[4]) : []
        }

        private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
            var bytes: [UInt8] = []
            var rest = text
            while let byte = rest.popFirst() {
                if byte == UInt8(ascii: "%"), rest.count >= 2,
                    let value = Hex.decode(String(decoding: rest.prefix(2), as: UTF8.self))
                {
                    bytes += value
                    rest = rest.dropFirst(2)
                } else {
                    bytes.append(byte)
                }
            }
            return bytes
        }

        package var path: [UInt8] { container + [UInt8(ascii: "/")] + object }

        /// The URL without a signature.
        package var url: String { origin + URIEncoding.path(path) }
    }

    package let text: String

    /// - Parameters:
    ///   - key: of the account or the container, `X-Account-Meta-Temp-URL-Key`.
    ///   - prefix: the start of the names of all objects for which the signature is valid; nil for this object only.
    ///   - ipRange: the addresses that may use it.
    ///   - parameters: more of the query, which the signature does not cover.
    package init(
        _ method: String,
        _ place: Place,
        key: [UInt8],
        digest: KeyedDigest = .sha256,
        endsAt: UTCTime,
        prefix: [UInt8]? = nil,
        ipRange: String? = nil,
        parameters: [QueryItem] = []
    ) {
        let end = String(endsAt.millisecondsSince1970 / 1000)
        let slash = UInt8(ascii: "/")
        let path = prefix.map { Array("prefix:".utf8) + place.container + [slash] + $0 } ?? place.path
        let range = ipRange.map { Array("ip=\($0)\n".utf8) } ?? []
        let code = digest.code(key: key, message: range + Array("\(method)\n\(end)\n".utf8) + path)
        let signature =
            switch digest {
            case .sha256, .sha1: Hex.encode(code)
            // Hex of this length would be taken for no digest: Swift demands the name and Base64 for it.
            case .sha512: "sha512:" + Self.urlSafe(Base64.encode(code))
            }
        var query = "temp_url_sig=\(URIEncoding.component(signature.utf8))&temp_url_expires=\(end)"
        if let prefix { query += "&temp_url_prefix=\(URIEncoding.component(prefix))" }
        if let ipRange { query += "&temp_url_ip_range=\(URIEncoding.component(ipRange.utf8))" }
        for item in parameters {
            query += "&\(item.name)" + (item.value.isEmpty ? "" : "=\(URIEncoding.component(item.value.utf8))")
        }
        text = place.url + "?" + query
    }

    private static func urlSafe(_ base64: String) -> String {
        String(base64.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }
}
