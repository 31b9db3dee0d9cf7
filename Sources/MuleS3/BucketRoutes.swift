import MulePlan
import MuleSigning
import MuleSystem

/// The endpoint for a bucket, with the region that requests to it are signed for.
struct BucketRoute: Sendable {
    let endpoint: Endpoint
    let signer: any RequestSigner

    init(_ endpoint: Endpoint, _ signer: any RequestSigner) {
        self.endpoint = endpoint
        self.signer = signer.inRegion(endpoint.region)
    }
}

/// Remembers the regions of buckets from run to run, to avoid redirects.
package struct RegionMemory: Sendable {
    /// The region in which a bucket was found, by the bucket's name.
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

/// The route to each bucket of one store. At first it is the configured endpoint; an answer that names another region
/// changes it, once per bucket.
///
/// An address in an answer is never used: the host is the configured one, or Amazon's for the region if the store is
/// Amazon. So no answer can redirect signed requests to another server.
final class BucketRoutes: Sendable {
    private let named: BucketRoute
    private let state = Monitor(State())

    private struct State {
        var routes: [String: BucketRoute] = [:]
        /// Buckets whose route an answer has changed.
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
        // Outside the lock, because it reads the ledger.
        let remembered = state.withLock { $0.memory }?.load(bucket)
        let moved = remembered.flatMap(named.endpoint.serving(region:))
        let route = moved.map { BucketRoute($0, named.signer) } ?? named
        return state.withLock { state in
            let known = state.routes[bucket] ?? route
            state.routes[bucket] = known
            return known
        }
    }

    /// The new route after an answer to a request over `used` named a region; nil if the region is the same, or if the
    /// bucket's route was changed before.
    func redirect(_ bucket: String, from used: BucketRoute, to region: String) -> BucketRoute? {
        let (route, memory) = state.withLock { state -> (BucketRoute?, RegionMemory?) in
            let now = state.routes[bucket] ?? named
            // Another worker has just learned the same.
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
    /// This store's endpoint for another region: Amazon's hosts have the region in their names, other stores only in
    /// the signature. Nil for an invalid name, this same region, another AWS partition, and the endpoint of a VPC,
    /// which serves only its own region.
    func serving(region other: String) -> Endpoint? {
        guard other != region, Self.isRegionName(other) else { return nil }
        var endpoint = self
        endpoint.region = other
        guard isAmazon else { return endpoint }
        guard AWSPartition(region: region) == AWSPartition(region: other) else { return nil }
        var labels = host.split(separator: ".").map(String.init)
        if labels.contains("vpce") || labels.first?.hasPrefix("s3-accesspoint") == true { return nil }
        // One host for all regions.
        if labels.first == "s3-accelerate" { return endpoint }
        if labels.first == "s3", labels.dropFirst().first == "amazonaws" {
            // The oldest host has no region in its name.
            labels.insert(other, at: 1)
        } else {
            guard labels.contains(region) else { return nil }
            labels = labels.map { $0 == region ? other : $0 }
        }
        endpoint.host = labels.joined(separator: ".")
        return endpoint
    }

    /// Whether the host is one of Amazon's.
    package var isAmazon: Bool { AWSPartition.owns(host: host) }
}
