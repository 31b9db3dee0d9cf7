import MuleSigning
import MuleSystem

/// Where a bucket is asked for, and for which region requests to it are signed.
struct BucketRoute: Sendable {
    let endpoint: Endpoint
    let signer: any RequestSigner

    init(_ endpoint: Endpoint, _ signer: any RequestSigner) {
        self.endpoint = endpoint
        self.signer = signer.inRegion(endpoint.region)
    }
}

/// The regions of buckets, kept from run to run, so that a detour is made once.
package struct RegionMemory: Sendable {
    /// The region a bucket was found in, by the bucket's name.
    package var load: @Sendable (String) -> String?
    package var save: @Sendable (_ bucket: String, _ region: String) -> Void

    package init(
        load: @escaping @Sendable (String) -> String?,
        save: @escaping @Sendable (_ bucket: String, _ region: String) -> Void
    ) {
        self.load = load
        self.save = save
    }
}

/// The way to each bucket of one store. It begins as the store was named; an answer that names another region changes it,
/// once for each bucket.
///
/// A way is never taken from an answer's own address: the host is the named one, or Amazon's for the region if the
/// store is Amazon. So no answer can send signed requests to somebody else.
final class BucketRoutes: Sendable {
    private let named: BucketRoute
    private let state = Monitor(State())

    private struct State {
        var routes: [String: BucketRoute] = [:]
        /// Buckets that an answer has sent elsewhere.
        var redirected: Set<String> = []
        var memory: RegionMemory?
    }

    init(_ endpoint: Endpoint, _ signer: any RequestSigner) {
        named = BucketRoute(endpoint, signer)
    }

    func use(_ memory: RegionMemory) {
        state.withLock { $0.memory = memory }
    }

    func route(to bucket: String) -> BucketRoute {
        if let known = state.withLock({ $0.routes[bucket] }) { return known }
        // Asked outside the lock, since it reads the ledger.
        let remembered = state.withLock { $0.memory }?.load(bucket)
        let moved = remembered.flatMap(named.endpoint.serving(region:))
        let route = moved.map { BucketRoute($0, named.signer) } ?? named
        return state.withLock { state in
            let known = state.routes[bucket] ?? route
            state.routes[bucket] = known
            return known
        }
    }

    /// The way to the bucket after an answer to a request that went over `used` has named a region; nil when that region
    /// is no other one, or this bucket was sent elsewhere before.
    func redirect(_ bucket: String, from used: BucketRoute, to region: String) -> BucketRoute? {
        let (route, memory) = state.withLock { state -> (BucketRoute?, RegionMemory?) in
            let now = state.routes[bucket] ?? named
            // Another worker has heard the same a moment ago.
            if now.endpoint != used.endpoint { return (now, nil) }
            guard !state.redirected.contains(bucket),
                let endpoint = now.endpoint.serving(region: region)
            else { return (nil, nil) }
            let route = BucketRoute(endpoint, named.signer)
            state.routes[bucket] = route
            state.redirected.insert(bucket)
            return (route, state.memory)
        }
        memory?.save(bucket, region)
        return route
    }
}

extension Endpoint {
    /// This store's endpoint for another region: Amazon's hosts carry the region in their names, other stores only in
    /// the signature. Nil for what is no region's name, this very region, another partition of AWS, and the
    /// endpoint of a VPC, which serves its own region only.
    func serving(region other: String) -> Endpoint? {
        guard other != region, Self.isRegionName(other) else { return nil }
        var endpoint = self
        endpoint.region = other
        guard isAmazon else { return endpoint }
        guard Self.isChina(region) == Self.isChina(other) else { return nil }
        var labels = host.split(separator: ".").map(String.init)
        if labels.contains("vpce") { return nil }
        if labels.first == "s3", labels.dropFirst().first == "amazonaws" {
            // The oldest host names no region.
            labels.insert(other, at: 1)
        } else {
            guard labels.contains(region) else { return nil }
            labels = labels.map { $0 == region ? other : $0 }
        }
        endpoint.host = labels.joined(separator: ".")
        return endpoint
    }

    /// Whether the host is one of Amazon's.
    package var isAmazon: Bool { host.hasSuffix(".amazonaws.com") || host.hasSuffix(".amazonaws.com.cn") }

    private static func isChina(_ region: String) -> Bool { region.hasPrefix("cn-") }
}
