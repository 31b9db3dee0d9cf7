// The commands that let other programs upload.

extension CommandPage {
    static let presign = CommandPage(
        synopsis: ["[options] put|get BUCKET/KEY", "[options] swift put|get URL --key-file FILE"],
        summary: "print a URL that sends or reads one object without credentials",
        description: [
            "Prints one URL on standard output, and when it ends on standard error. With put, the client that has the URL "
                + "can send the object (\"mule upload FILE --url-file F\", curl -T, a browser); with get, it can read it. "
                + "The store is not contacted: the URL has the rights of the credentials that sign it, and works only "
                + "as long as they are valid. If they end before the URL, mule says so.",
            "A header that is fixed with put (--content-type, --if-absent) must be sent with the URL; \"mule upload\" "
                + "sees in the URL which headers it needs. The URL is a secret until it ends: keep it out of logs and "
                + "command lines.",
            "\"mule presign swift\" prints a temp URL of OpenStack Swift for the object at URL, "
                + "https://HOST/v1/ACCOUNT/CONTAINER/OBJECT. It is signed with the key of the account or of the container "
                + "(X-Account-Meta-Temp-URL-Key, X-Container-Meta-Temp-URL-Key), without other credentials.",
        ],
        details: [
            "A presigned URL is that of Signature Version 4, as the AWS SDKs make it, with the endpoint and region that "
                + "an upload would use. A redirect to another region would make it invalid: set --region to that of the "
                + "bucket. It takes one request of at most 5 GiB, and cannot be resumed."
        ],
        operands: .choice(["put", "get", "swift"]),
        common: [
            "expires": "how long it is valid (1h)",
            "content-type": "put: the type that must be sent",
            "if-absent": "put: never replace an object",
            "filename": "get: the name to save it under",
            "key-file": "swift: the temp URL key",
            "json": "print a JSON object",
        ],
        examples: [
            .init(
                line: "mule presign put --if-absent --expires 15m inbox/camera-7/0412.mov",
                about: "One object, created once, in the next 15 minutes."
            ),
            .init(
                line: "mule presign get --filename run17.tar --expires 2d lab-archive/run-17.tar",
                about: "A link for two days that saves the object under another name."
            ),
            .init(
                line: "mule presign swift put --key-file key https://swift.example.org/v1/AUTH_lab/inbox/a.raw",
                about: "A temp URL of Swift."
            ),
            .init(
                line: "mule presign put --json inbox/a.raw | jq -r .endsAt",
                about: "For scripts: URL, end and the headers that must be sent."
            ),
        ],
        problem: { arguments in
            do throws(PresignRequest.Problem) {
                _ = try PresignRequest(arguments)
                return nil
            } catch {
                return error.text
            }
        }
    )

    static let policy = CommandPage(
        synopsis: ["[options] iam|bucket|lifecycle|cors BUCKET[/PREFIX]"],
        summary: "print the least policy for uploads to a bucket, as JSON",
        description: [
            "Prints a document for AWS, or a store with the same policies. Nothing is changed, and no store is contacted; "
                + "the tools of the store apply it. PREFIX is the start of the keys.",
            "iam: a policy for the user or role of mule. It allows to create objects and to finish, list and abort unfinished "
                + "uploads, and denies to delete objects, so that a stolen key destroys nothing in a bucket with "
                + "versioning. bucket: the same as a policy of the bucket, for --principal.",
            "lifecycle: a rule that aborts uploads which are unfinished after 7 days. cors: the pages of one --origin may "
                + "send with PUT and read the ETag, for presigned URLs in browsers.",
        ],
        details: [
            "Each permission is one of an S3 operation that mule uses. Options of objects may need more: --tag "
                + "s3:PutObjectTagging, --acl s3:PutObjectAcl, --sse-kms-key-id kms:GenerateDataKey and kms:Decrypt on the "
                + "key. The partition (aws, aws-cn, aws-us-gov, ...) follows from the region. \"put-bucket-lifecycle-configuration\" "
                + "and \"put-bucket-cors\" replace all rules of the bucket: add those that it has."
        ],
        operands: .choice(["iam", "bucket", "lifecycle", "cors"]),
        common: [
            "for": "upload, archive or server",
            "origin": "cors: the site whose pages may send",
            "principal": "bucket: the user or role",
        ],
        examples: [
            .init(
                line: "mule policy iam backups/host-7/ > policy.json",
                about: "For a user or role: aws iam put-user-policy."
            ),
            .init(
                line: "mule policy bucket --principal arn:aws:iam::123456789012:role/camera inbox",
                about: "The same, for the bucket: aws s3api put-bucket-policy."
            ),
            .init(
                line: "mule policy lifecycle backups > rule.json",
                about: "For aws s3api put-bucket-lifecycle-configuration."
            ),
            .init(
                line: "mule policy cors --origin https://app.example.org inbox > cors.json",
                about: "For presigned URLs in browsers: aws s3api put-bucket-cors."
            ),
        ],
        problem: { arguments in
            let kinds = PolicyKind.allCases.map(\.rawValue).joined(separator: ", ")
            guard let word = arguments.operands.first.map(TextSafety.displayName) else {
                return "policy needs a kind (\(kinds)) and a BUCKET/PREFIX"
            }
            guard let kind = PolicyKind(rawValue: word) else { return "unknown policy \"\(word)\"; there are \(kinds)" }
            guard arguments.operands.count == 2 else { return "policy \(word) needs one BUCKET/PREFIX" }
            let options = arguments.policy
            if options.purpose != nil, ![.iam, .bucket].contains(kind) { return "--for is for iam and bucket" }
            if options.principal != nil, kind != .bucket { return "--principal is for bucket" }
            if options.origin != nil, kind != .cors { return "--origin is for cors" }
            if options.origin == nil, kind == .cors {
                return "policy cors needs the site whose pages may send: --origin https://app.example.org"
            }
            return nil
        }
    )
}
