/// An access point of S3, which takes the place of a bucket: `arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME`.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html
package struct AccessPoint: Hashable, Sendable {
    package let partition: String
    package let region: String
    package let account: String
    package let name: String

    /// Why an ARN names no place that mule can write to.
    package enum Refusal: Error, Hashable, Sendable {
        case bucket(String)
        case multiRegion
        case outpost
        case objectLambda
        case other

        /// What to use instead, as a sentence.
        package var cure: String {
            switch self {
            case .bucket(let name): "Did you mean \(name)?"
            case .multiRegion:
                "Requests to a multi-Region access point need signatures of the kind SigV4A, which mule cannot make: "
                    + "use the bucket, or an access point of one region."
            case .outpost: "mule cannot write to S3 on Outposts: use a bucket or an access point of the region."
            case .objectLambda: "Object Lambda access points only serve objects: use the bucket or its access point."
            case .other:
                "The ARN of an access point is arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME. The access point's alias "
                    + "can be used as a bucket too."
            }
        }
    }

    /// Whether a text is meant as an ARN. No bucket's name has a colon.
    package static func isARN(_ text: some Collection<UInt8>) -> Bool { text.starts(with: "arn:".utf8) }

    /// The access point that stands for a bucket; nil for the name of a bucket.
    package init?(bucket: String) {
        guard Self.isARN(bucket.utf8), let point = try? AccessPoint(arn: bucket) else { return nil }
        self = point
    }

    /// The one form in which it is recorded.
    package var arn: String { "arn:\(partition):s3:\(region):\(account):accesspoint/\(name)" }

    /// Reads an ARN. The name may follow `accesspoint` after a slash or a colon.
    package init(arn: String) throws(Refusal) {
        let fields = arn.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard fields.count == 6, fields[0] == "arn", !fields[1].isEmpty else { throw .other }
        let (service, region, account, resource) = (fields[2], fields[3], fields[4], fields[5])
        switch service {
        case "s3": break
        case "s3-outposts": throw .outpost
        case "s3-object-lambda": throw .objectLambda
        default: throw .other
        }
        let kind = "accesspoint"
        guard resource.hasPrefix(kind), let separator = resource.dropFirst(kind.count).first, ":/".contains(separator)
        else { throw region.isEmpty && account.isEmpty && !resource.isEmpty ? .bucket(String(resource)) : .other }
        guard !region.isEmpty else { throw .multiRegion }
        let name = resource.dropFirst(kind.count + 1)
        guard Self.isLabel(name), Self.isLabel(account), Self.isLabel(region) else { throw .other }
        (partition, self.region) = (String(fields[1]), String(region))
        (self.account, self.name) = (String(account), String(name))
    }

    /// Where the bucket ends in `bucket/key` or `ARN/key`: at the first slash, except for the one inside the ARN.
    package static func endOfBucket(in text: ArraySlice<UInt8>) -> Int {
        let slash = UInt8(ascii: "/")
        let first = text.firstIndex(of: slash) ?? text.endIndex
        guard isARN(text), first < text.endIndex, text[..<first].suffix(12).elementsEqual(":accesspoint".utf8) else {
            return first
        }
        return text[(first + 1)...].firstIndex(of: slash) ?? text.endIndex
    }

    /// What may be a label of a host's name (RFC 1123).
    private static func isLabel(_ text: Substring) -> Bool {
        (1...63).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasSuffix("-")
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                    || $0 == UInt8(ascii: "-")
            }
    }
}
