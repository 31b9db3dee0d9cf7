import MulePlan
import Testing

@Suite("Access points")
struct AccessPointTests {
    private static let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/camera-7"

    @Test(arguments: [
        (arn + "/a/b", "a/b"), ("s3://" + arn + "/a/b", "a/b"), (arn + "//x", "/x"),
        ("arn:aws:s3:us-west-2:123456789012:accesspoint:camera-7/a:b/c", "a:b/c"),
    ])
    func `an ARN is read in the place of a bucket`(text: String, key: String) throws {
        let destination = try Destination(parsing: Array(text.utf8))
        #expect(destination == .object(ObjectAddress(bucket: Self.arn, key: ObjectKey(key))))
        let point = try #require(AccessPoint(bucket: destination.bucket))
        #expect(
            [point.partition, point.region, point.account, point.name] == [
                "aws", "us-west-2", "123456789012", "camera-7",
            ]
        )
        let again = destination.address(forName: [])
        #expect(try Destination(parsing: Array(again.description.utf8)) == destination, "what is shown can be typed")
    }

    @Test(arguments: [arn, arn + "/", arn + "/in/"])
    func `an ARN alone, or with a slash at the end, is a prefix`(text: String) throws {
        guard case .prefix(let address) = try Destination(parsing: Array(text.utf8)) else {
            Issue.record("not a prefix")
            return
        }
        #expect(address.bucket == Self.arn)
    }

    @Test(
        arguments: [
            ("arn:aws:s3:::bucket/key", .bucket("bucket")),
            ("arn:aws:s3::123456789012:accesspoint/m.mrap/key", .multiRegion),
            ("arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/a/key", .outpost),
            ("arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/a/key", .objectLambda),
            ("arn:aws:iam::123456789012:user/x", .other),
            ("arn:aws:s3:us-west-2:123456789012:accesspoint//key", .other),
            ("arn:", .other), ("arn:aws:s3:us-west-2:1:accesspoint/a.b/key", .other),
            ("arn:aws:s3:us.evil.example:1:accesspoint/a/key", .other), ("arn:aws:s3:r:1:accesspoint/a@b/key", .other),
        ] as [(String, AccessPoint.Refusal)]
    )
    func `other ARNs are refused with what to use instead`(text: String, refusal: AccessPoint.Refusal) {
        do {
            _ = try Destination(parsing: Array(text.utf8))
            Issue.record("\(text) is taken")
        } catch {
            guard case .unsupportedARN(_, let found) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(found == refusal && found.cure.hasSuffix(found == .bucket("bucket") ? "?" : "."))
        }
    }

    @Test(arguments: [
        ("us-east-1", "aws"), ("eu-isoe-west-1", "aws-iso-e"), ("us-iso-east-1", "aws-iso"),
        ("us-isob-west-1", "aws-iso-b"),
        ("us-isof-south-1", "aws-iso-f"), ("us-gov-east-1", "aws-us-gov"), ("cn-north-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
        ("aws-global", "aws"), ("aws-cn-global", "aws-cn"), ("us-new-moon-3", "aws"), ("RegionOne", "aws"), ("", "aws"),
    ])
    func `a region is in the partition of its pattern`(region: String, partition: String) {
        #expect(AWSPartition(region: region).name == partition)
    }
}
