/// One of AWS's clouds. Each has its own regions, DNS names and accounts; nothing of one is visible in another.
///
/// The facts are those of the rules for endpoints that all AWS SDKs share (`partitions.json`). A region that is not
/// known yet is found by the pattern of its name.
package struct AWSPartition: Hashable, Sendable {
    /// As in ARNs.
    package let name: String
    package let dnsSuffix: String
    /// Of dual-stack endpoints, except those of S3, which have the ordinary one.
    package let dualStackSuffix: String
    /// What the names of its regions start with; a word and a number follow.
    private let regionPrefixes: [String]

    /// The commercial cloud is the first, and the answer for regions that match no pattern.
    package static let all: [AWSPartition] = [
        AWSPartition(
            name: "aws",
            dnsSuffix: "amazonaws.com",
            dualStackSuffix: "api.aws",
            regionPrefixes: ["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"]
        ),
        AWSPartition(
            name: "aws-cn",
            dnsSuffix: "amazonaws.com.cn",
            dualStackSuffix: "api.amazonwebservices.com.cn",
            regionPrefixes: ["cn-"]
        ),
        AWSPartition(
            name: "aws-eusc",
            dnsSuffix: "amazonaws.eu",
            dualStackSuffix: "api.amazonwebservices.eu",
            regionPrefixes: ["eusc-de-"]
        ),
        AWSPartition(
            name: "aws-iso",
            dnsSuffix: "c2s.ic.gov",
            dualStackSuffix: "api.aws.ic.gov",
            regionPrefixes: ["us-iso-"]
        ),
        AWSPartition(
            name: "aws-iso-b",
            dnsSuffix: "sc2s.sgov.gov",
            dualStackSuffix: "api.aws.scloud",
            regionPrefixes: ["us-isob-"]
        ),
        AWSPartition(
            name: "aws-iso-e",
            dnsSuffix: "cloud.adc-e.uk",
            dualStackSuffix: "api.cloud-aws.adc-e.uk",
            regionPrefixes: ["eu-isoe-"]
        ),
        AWSPartition(
            name: "aws-iso-f",
            dnsSuffix: "csp.hci.ic.gov",
            dualStackSuffix: "api.aws.hci.ic.gov",
            regionPrefixes: ["us-isof-"]
        ),
        AWSPartition(
            name: "aws-us-gov",
            dnsSuffix: "amazonaws.com",
            dualStackSuffix: "api.aws",
            regionPrefixes: ["us-gov-"]
        ),
    ]
}

extension AWSPartition {
    /// The partition of a region, `aws-global` and its likes included.
    package init(region: String) {
        self = Self.all.first { $0.name + "-global" == region || $0.hasRegion(region) } ?? Self.all[0]
    }

    private func hasRegion(_ region: String) -> Bool {
        regionPrefixes.contains { prefix in
            guard region.hasPrefix(prefix) else { return false }
            let rest = region.dropFirst(prefix.count).split(separator: "-", omittingEmptySubsequences: false)
            return rest.count == 2 && !rest[0].isEmpty && rest[0].utf8.allSatisfy(Self.isWordByte)
                && !rest[1].isEmpty && rest[1].utf8.allSatisfy { (0x30...0x39).contains($0) }
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
            || byte == UInt8(ascii: "_")
    }

    /// A region's name without what marks it as FIPS. Old configurations name a FIPS endpoint as a region:
    /// `fips-us-gov-west-1`, `us-gov-west-1-fips`.
    package static func namedRegion(_ text: String) -> (name: String, isFIPS: Bool) {
        if text.hasPrefix("fips-") { return (String(text.dropFirst(5)), true) }
        if text.hasSuffix("-fips") { return (String(text.dropLast(5)), true) }
        return (text, false)
    }

    /// Whether a host is one of AWS's, in any partition.
    package static func owns(host: String) -> Bool {
        all.contains { host.hasSuffix("." + $0.dnsSuffix) }
    }
}
