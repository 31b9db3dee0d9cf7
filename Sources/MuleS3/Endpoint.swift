package import MulePlan
import MuleSigning

/// How a bucket is named in a request.
package enum Addressing: String, Sendable, CaseIterable {
    /// Path style for endpoints that were given, virtual host for Amazon's own.
    case auto
    /// `https://host/bucket/key`
    case path
    /// `https://bucket.host/key`
    case virtual
}

/// Where a store is.
package struct Endpoint: Hashable, Sendable {
    package var scheme: String
    /// With a port that is not the scheme's own.
    package var host: String
    /// Before every path; empty, or starting with `/` and not ending in one.
    package var basePath: String
    package var region: String
    /// Never `auto`.
    package private(set) var addressing: Addressing

    package var isEncrypted: Bool { scheme == "https" }

    /// What was given, or Amazon's own endpoint; the ledger knows an upload's store by it.
    package var url: String { scheme + "://" + host + basePath }

    /// HOST:PORT, for messages.
    package var address: String {
        let hasPort = host.split(separator: "]", omittingEmptySubsequences: false).last?.contains(":") ?? false
        return hasPort ? host : host + (isEncrypted ? ":443" : ":80")
    }

    /// Amazon's endpoint of the region.
    package static func amazon(region: String, addressing: Addressing = .auto) -> Endpoint {
        let suffix = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
        return Endpoint(
            scheme: "https",
            host: "s3.\(region).\(suffix)",
            basePath: "",
            region: region,
            addressing: addressing == .path ? .path : .virtual
        )
    }

    /// An endpoint that a user named: `http[s]://host[:port][/base]`.
    package init(url: String, region: String, addressing: Addressing = .auto) throws(EndpointError) {
        let lower = url.lowercased()
        guard let scheme = ["http", "https"].first(where: { lower.hasPrefix($0 + "://") }) else {
            throw .noScheme(url)
        }
        let rest = url.dropFirst(scheme.count + 3)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var host = rest[..<slash].lowercased()
        guard !host.isEmpty, host.utf8.allSatisfy(Self.isHostByte) else { throw .badHost(url) }
        let ownPort = scheme == "https" ? ":443" : ":80"
        if host.hasSuffix(ownPort) { host.removeLast(ownPort.count) }
        guard !host.isEmpty, !host.hasPrefix(":") else { throw .badHost(url) }
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        guard !path.contains("?"), !path.contains("#") else { throw .badHost(url) }
        self.init(
            scheme: scheme,
            host: host,
            basePath: URIEncoding.path(path.utf8),
            region: region,
            addressing: addressing == .virtual ? .virtual : .path
        )
    }

    private init(scheme: String, host: String, basePath: String, region: String, addressing: Addressing) {
        self.scheme = scheme
        self.host = host
        self.basePath = basePath
        self.region = region
        self.addressing = addressing
    }

    // User info is not a host's byte: an endpoint with a password in it would end in logs and the ledger.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "-._:[]".utf8.contains(byte)
        }
    }

    /// Whether a text can be a region's name. Stores other than Amazon's make up their own, such as `RegionOne`.
    package static func isRegionName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// Host and encoded path of a bucket or an object in it.
    ///
    /// A bucket name with a dot can't match a wildcard certificate, so over TLS it always goes into the path.
    package func target(bucket: String, key: ObjectKey?) -> (host: String, path: String) {
        let keyPath = key.map { URIEncoding.path($0.utf8) } ?? ""
        let inPath = addressing == .path || (isEncrypted && bucket.contains("."))
        if inPath {
            return (host, basePath + "/" + bucket + (key == nil ? "" : "/" + keyPath))
        }
        return (bucket + "." + host, basePath + "/" + keyPath)
    }
}

package enum EndpointError: Error, Hashable, Sendable {
    case noScheme(String)
    case badHost(String)
}
