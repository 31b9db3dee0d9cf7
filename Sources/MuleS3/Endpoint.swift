package import MulePlan
import MuleSigning

/// How a request names the bucket.
package enum Addressing: String, Sendable, CaseIterable {
    /// Path style for configured endpoints, virtual host for Amazon's own.
    case auto
    /// `https://host/bucket/key`
    case path
    /// `https://bucket.host/key`
    case virtual
}

/// The address of a store.
package struct Endpoint: Hashable, Sendable {
    package var scheme: String
    /// With the port, unless it is the scheme's default.
    package var host: String
    /// Prefix of all paths; empty, or starts with `/` and does not end in it.
    package var basePath: String
    package var region: String
    /// Never `auto`.
    package private(set) var addressing: Addressing

    package var isEncrypted: Bool { scheme == "https" }

    /// As configured, or Amazon's own; the ledger identifies an upload's store by it.
    package var url: String { scheme + "://" + host + basePath }

    /// HOST:PORT, for messages.
    package var address: String {
        let hasPort = host.split(separator: "]", omittingEmptySubsequences: false).last?.contains(":") ?? false
        return hasPort ? host : host + (isEncrypted ? ":443" : ":80")
    }

    /// An endpoint that a user named: `http[s]://host[:port][/base]`.
    package init(url: String, region: String, addressing: Addressing = .auto) throws(EndpointError) {
        let lower = url.lowercased()
        guard let scheme = ["http", "https"].first(where: { lower.hasPrefix($0 + "://") }) else {
            throw .noScheme(url)
        }
        let rest = url.dropFirst(scheme.count + 3)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let host = try EndpointHost(rest[..<slash].lowercased(), ownPort: scheme == "https" ? 443 : 80, of: url).text
        guard addressing != .virtual || !EndpointHost.isAddress(host) else { throw .addressWithoutNames(url) }
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        guard !path.contains("?"), !path.contains("#") else { throw .badHost(url) }
        self.init(
            scheme: scheme,
            host: host,
            basePath: Self.encodedOnce(path),
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

    /// The path in its signed form. Encoded bytes stay as they are; an encoded slash is not a separator.
    private static func encodedOnce(_ path: Substring) -> String {
        var encoded = ""
        var rest = Array(path.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let value = hexadecimal(rest.prefix(2)) {
                encoded += value == 0x2F ? "%2F" : URIEncoding.path(CollectionOfOne(UInt8(value)))
                rest = rest.dropFirst(2)
            } else {
                encoded += URIEncoding.path(CollectionOfOne(byte))
            }
        }
        return encoded
    }

    /// Where the endpoint contains the bucket's name, so that objects would go below that name twice.
    package enum BucketPlace: Sendable {
        case path
        case host
    }

    /// Where the endpoint contains the bucket's name; nil if it does not. A host with one label is a server's name.
    package func place(of bucket: String) -> BucketPlace? {
        if basePath.split(separator: "/").last.map(String.init) == bucket { return .path }
        return !EndpointHost.isAddress(host) && host.hasPrefix(bucket.lowercased() + ".") ? .host : nil
    }

    /// Whether a text can be a region's name. Other stores have their own, such as `RegionOne`.
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

    /// Host and encoded path of a bucket or of an object in it.
    ///
    /// A bucket name with a dot does not match a wildcard certificate, so over TLS it is always in the path.
    ///
    /// - Parameter bucket: empty for the store itself.
    package func target(bucket: String, key: ObjectKey?) -> (host: String, path: String) {
        if bucket.isEmpty { return (host, basePath + "/") }
        let keyPath = key.map { URIEncoding.path($0.utf8) } ?? ""
        if let point = AccessPoint(bucket: bucket) {
            return ("\(point.name)-\(point.account).\(host)".lowercased(), basePath + "/" + keyPath)
        }
        let inPath = addressing == .path || (isEncrypted && bucket.contains("."))
        if inPath {
            return (host, joined(basePath, "/", bucket, key == nil ? "" : "/", keyPath))
        }
        return (bucket + "." + host, basePath + "/" + keyPath)
    }
}

package enum EndpointError: Error, Hashable, Sendable {
    case noScheme(String)
    case badHost(String)
    /// The port is not a number from 1 to 65535.
    case badPort(String)
    /// Virtual-host addressing is set, but the host is an IP address.
    case addressWithoutNames(String)
    case fipsWithURL(String)
    case dualStackWithURL(String)
    case accelerateWithURL(String)
    case accelerateWithFIPS
    /// The partition has no FIPS endpoints.
    case noFIPS(region: String)
    case noAcceleration(region: String)
    case accelerateInPath
    /// A dot in the bucket's name.
    case accelerateWithDots(String)
    case accelerateWithAccessPoint(String)
    case accessPointInPath(String)
    /// The access point is in another partition than the region that is set.
    case otherPartition(String, region: String)
    /// The access point is in another region, and the settings do not allow that.
    case otherRegion(String, region: String)
}
