// How AWS's tools choose an endpoint of S3: the rules of botocore's `endpoint-rule-set-1.json`, for what mule can do.

import MulePlan

/// Which of Amazon's endpoints of a region.
package struct EndpointVariant: Hashable, Sendable {
    /// With cryptography validated by FIPS 140, as some laws demand.
    package var fips: Bool
    /// With IPv6 addresses as well.
    package var dualStack: Bool
    /// Through Amazon's edge locations.
    package var accelerate: Bool

    package init(fips: Bool = false, dualStack: Bool = false, accelerate: Bool = false) {
        (self.fips, self.dualStack, self.accelerate) = (fips, dualStack, accelerate)
    }
}

/// The settings from which the endpoint of a store follows.
package struct EndpointQuery: Hashable, Sendable {
    /// Nil where nothing names one: the region of an access point, or us-east-1.
    package var region: String?
    /// Nil for Amazon's own.
    package var url: String?
    package var addressing: Addressing
    package var variant: EndpointVariant
    /// Whether an access point may be in another region than `region`.
    package var followsAccessPoints: Bool

    package init(
        region: String? = nil,
        url: String? = nil,
        addressing: Addressing = .auto,
        variant: EndpointVariant = EndpointVariant(),
        followsAccessPoints: Bool = true
    ) {
        self.region = region
        self.url = url
        self.addressing = addressing
        self.variant = variant
        self.followsAccessPoints = followsAccessPoints
    }
}

extension Endpoint {
    private static let global = "aws-global"

    /// The endpoint for a bucket or an access point.
    ///
    /// - Parameter bucket: empty where only the store is asked for.
    /// - Throws: when the settings contradict each other. None of them is dropped.
    package init(_ query: EndpointQuery, bucket: String) throws(EndpointError) {
        let point = AccessPoint(bucket: bucket)
        let named = query.region.map(AWSPartition.namedRegion)
        var variant = query.variant
        if named?.isFIPS == true { variant.fips = true }
        let region = named?.name ?? point?.region ?? "us-east-1"
        if variant.accelerate, variant.fips { throw .accelerateWithFIPS }
        if let url = query.url {
            if variant.fips { throw .fipsWithURL(url) }
            if variant.dualStack { throw .dualStackWithURL(url) }
            if variant.accelerate { throw .accelerateWithURL(url) }
        }
        let partition = AWSPartition(region: region)
        if variant.fips, partition.name == "aws-cn" { throw .noFIPS(region: region) }
        if point != nil || variant.accelerate, query.addressing == .path {
            throw point == nil ? .accelerateInPath : .accessPointInPath(bucket)
        }
        if let point {
            if variant.accelerate { throw .accelerateWithAccessPoint(bucket) }
            guard AWSPartition(region: point.region) == partition else {
                throw .otherPartition(bucket, region: region)
            }
            guard query.followsAccessPoints || point.region == region else {
                throw .otherRegion(bucket, region: region)
            }
            try self.init(
                url: query.url ?? "https://" + Self.host(point.region, variant, forAccessPoints: true),
                region: point.region,
                addressing: .virtual
            )
            return
        }
        let signing = region == Self.global ? "us-east-1" : region
        if let url = query.url {
            try self.init(url: url, region: signing, addressing: query.addressing)
            return
        }
        if variant.accelerate {
            if partition.name == "aws-cn" { throw .noAcceleration(region: region) }
            if bucket.contains(".") { throw .accelerateWithDots(bucket) }
        }
        try self.init(
            url: "https://" + Self.host(region, variant),
            region: signing,
            addressing: query.addressing == .path ? .path : .virtual
        )
    }

    private static func host(_ region: String, _ variant: EndpointVariant, forAccessPoints: Bool = false) -> String {
        var labels = [forAccessPoints ? "s3-accesspoint" : variant.accelerate ? "s3-accelerate" : "s3"]
        if variant.fips { labels[0] += "-fips" }
        if variant.dualStack { labels.append("dualstack") }
        let isGlobal = region == Self.global
        // The rules give the global region no host of its own, except for the oldest one.
        if variant.accelerate ? variant.dualStack && isGlobal : !isGlobal || variant.fips || variant.dualStack {
            labels.append(isGlobal ? "us-east-1" : region)
        }
        return (labels + [AWSPartition(region: region).dnsSuffix]).joined(separator: ".")
    }

    /// Which of Amazon's endpoints this is; nil for any other server.
    private var form: (variant: EndpointVariant, isForAccessPoints: Bool)? {
        guard scheme == "https", basePath.isEmpty else { return nil }
        for number in 0..<16 {
            func has(_ bit: Int) -> Bool { number & bit != 0 }
            let variant = EndpointVariant(fips: has(1), dualStack: has(2), accelerate: has(4))
            let regions = [region] + (region == "us-east-1" ? [Self.global] : [])
            if regions.contains(where: { Self.host($0, variant, forAccessPoints: has(8)) == host }) {
                return (variant, has(8))
            }
        }
        return nil
    }

    /// Which of Amazon's endpoints this is; the plain one for any other server.
    package var variant: EndpointVariant { form?.variant ?? EndpointVariant() }

    package var isFIPS: Bool { variant.fips }

    /// The same store's endpoint of another kind; nil where this is none of Amazon's, or there is none of that kind.
    package func changed(by change: (inout EndpointVariant) -> Void) -> Endpoint? {
        guard let form else { return nil }
        var variant = form.variant
        change(&variant)
        if variant.accelerate, variant.fips || form.isForAccessPoints || addressing == .path { return nil }
        if variant.fips, AWSPartition(region: region).name == "aws-cn" { return nil }
        var other = self
        other.host = Self.host(region, variant, forAccessPoints: form.isForAccessPoints)
        return other
    }

    /// Whether AWS lists FIPS endpoints of S3 in the region. There are some in North America only; a region that is new
    /// is taken to have them.
    package static func listsFIPS(in region: String) -> Bool {
        let name = AWSPartition.namedRegion(region).name
        return name == global || ["us-", "ca-"].contains { name.hasPrefix($0) }
    }
}
