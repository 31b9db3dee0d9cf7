import MulePlan
import Testing

@testable import MuleS3

/// What the table of botocore's choices (MuleCLITests) does not have: changes of an endpoint on record, and redirects.
@Suite("Kinds of endpoints")
struct EndpointRulesTests {
    private func amazon(_ variant: EndpointVariant = EndpointVariant(), region: String = "us-west-2") -> Endpoint {
        .amazon(region: region, variant)
    }

    @Test func `another region of a FIPS endpoint is a FIPS endpoint`() throws {
        for variant in [EndpointVariant(fips: true), EndpointVariant(fips: true, dualStack: true)] {
            let there = try #require(amazon(variant).serving(region: "us-east-2"))
            #expect(there == amazon(variant, region: "us-east-2") && there.isFIPS)
        }
    }

    @Test func `acceleration has one host for all regions, and access points have none but their own`() throws {
        let there = try #require(amazon(EndpointVariant(accelerate: true)).serving(region: "eu-west-1"))
        #expect(there.host == "s3-accelerate.amazonaws.com" && there.region == "eu-west-1")
        let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/p"
        #expect(try Endpoint(EndpointQuery(), bucket: arn).serving(region: "us-east-2") == nil)
    }

    @Test(arguments: [("us-gov-west-1", "us-east-1"), ("us-east-1", "us-gov-west-1"), ("us-iso-east-1", "us-east-1")])
    func `no redirect leads to another partition`(region: String, other: String) {
        #expect(amazon(region: region).serving(region: other) == nil)
    }

    @Test func `every endpoint of Amazon's is known by its URL, and changes into a FIPS endpoint`() throws {
        for number in 0..<8 {
            let variant = EndpointVariant(
                fips: number & 1 != 0,
                dualStack: number & 2 != 0,
                accelerate: number & 4 != 0
            )
            guard !variant.fips || !variant.accelerate else { continue }
            let made = amazon(variant)
            let onRecord = try Endpoint(url: made.url, region: made.region, addressing: .virtual)
            #expect(onRecord.variant == variant, "\(made.url)")
            let changed = onRecord.changed {
                $0.fips = true
                $0.accelerate = false
            }
            #expect(changed == amazon(EndpointVariant(fips: true, dualStack: variant.dualStack)))
        }
        let global = try Endpoint(url: "https://s3.amazonaws.com", region: "us-east-1", addressing: .virtual)
        #expect(global.changed { $0.fips = true }?.host == "s3-fips.us-east-1.amazonaws.com")
        let point = try Endpoint(
            url: "https://s3-accesspoint.us-west-2.amazonaws.com",
            region: "us-west-2",
            addressing: .virtual
        )
        #expect(point.changed { $0.fips = true }?.host == "s3-accesspoint-fips.us-west-2.amazonaws.com")
    }

    @Test(arguments: [
        "https://s3.example.org", "http://s3.us-west-2.amazonaws.com", "https://s3.us-west-2.amazonaws.com/base",
        "https://s3-fips.us-west-2.amazonaws.com.evil.org", "https://s3-fips.us-east-1.amazonaws.com:8443",
        "https://vpce-1.s3.us-west-2.vpce.amazonaws.com",
    ])
    func `any other server is no FIPS endpoint, and does not become one`(url: String) throws {
        let endpoint = try Endpoint(url: url, region: "us-west-2")
        #expect(!endpoint.isFIPS && endpoint.changed { $0.fips = true } == nil)
    }

    @Test func `an access point is in the host, below the base of an endpoint of its own too`() throws {
        let arn = "arn:aws-us-gov:s3:us-gov-west-1:123456789012:accesspoint/cam"
        let gateway = try Endpoint(EndpointQuery(url: "https://gw.example.org/base"), bucket: arn)
        let target = gateway.target(bucket: arn, key: ObjectKey("a b"))
        #expect(target.host == "cam-123456789012.gw.example.org" && target.path == "/base/a%20b")
        #expect(gateway.region == "us-gov-west-1")
        #expect(throws: EndpointError.addressWithoutNames("http://10.0.0.1")) {
            try Endpoint(EndpointQuery(url: "http://10.0.0.1"), bucket: arn)
        }
    }
}
