import MuleJSON
import MuleS3
import TestSupport
import Testing

@testable import MuleCLI

@Suite struct PolicyTests {
    private func document(_ bucket: String = "photos", _ prefix: String = "run 17/", partition: String = "aws")
        -> PolicyDocument
    { PolicyDocument(bucket: bucket, prefix: prefix, partition: partition) }

    @Test func `uploads may create and never delete`() {
        let text = document().permissions(.upload).indented
        #expect(
            text == """
                {
                  "Statement": [
                    {
                      "Action": [
                        "s3:AbortMultipartUpload",
                        "s3:GetObject",
                        "s3:GetObjectAttributes",
                        "s3:ListMultipartUploadParts",
                        "s3:PutObject"
                      ],
                      "Effect": "Allow",
                      "Resource": "arn:aws:s3:::photos/run 17/*",
                      "Sid": "MuleSends"
                    },
                    {
                      "Action": [
                        "s3:ListBucket",
                        "s3:ListBucketMultipartUploads"
                      ],
                      "Condition": {
                        "StringLike": {
                          "s3:prefix": [
                            "run 17/*"
                          ]
                        }
                      },
                      "Effect": "Allow",
                      "Resource": "arn:aws:s3:::photos",
                      "Sid": "MuleLists"
                    },
                    {
                      "Action": [
                        "s3:DeleteObject*"
                      ],
                      "Effect": "Deny",
                      "Resource": "arn:aws:s3:::photos/*",
                      "Sid": "MuleNeverDeletes"
                    }
                  ],
                  "Version": "2012-10-17"
                }
                """
        )
    }

    @Test func `every operation of mule is covered, and the server has fewer`() {
        let permissions = Set(S3Operation.ofUploads.map(\.permission))
        for purpose in [PolicyPurpose.upload, .archive] {
            #expect(Set(purpose.operations.map(\.permission)) == permissions)
        }
        #expect(Set(PolicyPurpose.server.operations.map(\.permission)).isStrictSubset(of: permissions))
        #expect(!permissions.contains { $0.contains("Delete") }, "an upload deletes nothing")
        let server = document().permissions(.server).line
        #expect(!server.contains("s3:ListBucket"))
        #expect(server.contains(#""Action":["s3:PutBucket*","s3:PutLifecycleConfiguration"],"Effect":"Deny""#))
    }

    @Test func `the documents name the permissions of every operation`() throws {
        let here = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = String(decoding: try Files.read(here + "/docs/credentials.md"), as: UTF8.self)
        for permission in Set(S3Operation.ofUploads.map(\.permission)) {
            #expect(text.contains("`\(permission)`"), "\(permission) is not in docs/credentials.md")
        }
    }

    @Test func `prefixes are no patterns, and partitions and access points have their own ARNs`() {
        let odd = document("photos", "a*b?c$", partition: "aws-cn").permissions(.upload).line
        #expect(odd.contains(#""Resource":"arn:aws-cn:s3:::photos/a${*}b${?}c${$}*""#))
        let whole = document("photos", "").permissions(.upload, principal: "arn:aws:iam::1:user/a").line
        #expect(whole.contains(#""Resource":"arn:aws:s3:::photos/*""#) && !whole.contains("Condition"))
        #expect(whole.contains(#""Principal":{"AWS":"arn:aws:iam::1:user/a"}"#))
        let point = document("arn:aws:s3:us-east-1:123456789012:accesspoint/camera", "in/").permissions(.upload).line
        #expect(point.contains(#""Resource":"arn:aws:s3:us-east-1:123456789012:accesspoint/camera/object/in/*""#))
        #expect(point.contains(#""Resource":"arn:aws:s3:us-east-1:123456789012:accesspoint/camera","Sid":"MuleLists""#))
    }

    @Test func `rules of lifecycle and CORS`() {
        #expect(
            document().lifecycle.line
                == #"{"Rules":[{"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7},"Filter":{"Prefix":"run 17/"},"#
                + #""ID":"mule-unfinished-uploads","Status":"Enabled"}]}"#
        )
        #expect(
            PolicyDocument.cors(origin: "https://app.example.org").line
                == #"{"CORSRules":[{"AllowedHeaders":["content-type","if-none-match","x-amz-*"],"AllowedMethods":["PUT"],"#
                + #""AllowedOrigins":["https://app.example.org"],"ExposeHeaders":["ETag"],"MaxAgeSeconds":3600}]}"#
        )
    }

    @Test(arguments: [
        ("iam b", nil), ("cors b --origin https://app.example.org", nil), ("bucket b/p/ --for server", nil),
        ("cors b", "--origin"), ("lifecycle b --for upload", "--for is"),
        ("iam b --principal arn:aws:iam::1:user/a", "--principal is"),
        ("iam", "one BUCKET"), ("acl b", "unknown policy"),
        ("cors b --origin https://app.example.org/x", "not one origin"),
        ("bucket b --principal *", "is not the ARN"),
    ])
    func `operands and options must fit the kind`(line: String, why: String?) {
        var refusal: String?
        do throws(UsageError) {
            _ = try CommandLineParser.parse(("policy " + line).split(separator: " ").map { Array($0.utf8) })
        } catch {
            refusal = error.description
        }
        #expect(why.map { refusal?.contains($0) == true } ?? (refusal == nil), "\(refusal ?? "")")
    }

    @Test(arguments: [
        ("192.0.2.7", true), ("192.0.2.0/24", true), ("2001:db8::/32", true), ("192.0.2.1/24", false),
        ("192.0.2.0/33", false),
        ("host", false), ("192.0.2.0/", false), ("0.0.0.0/0", true),
    ])
    func `ranges of addresses`(text: String, isRange: Bool) {
        #expect((IPRange(text) != nil) == isRange)
    }
}
