import MuleJSON
import MulePlan
package import MuleS3

/// What `mule policy` prints.
enum PolicyKind: String, CaseIterable {
    case iam, bucket, lifecycle, cors
}

/// Who uses the permissions.
package enum PolicyPurpose: String, CaseIterable, Sendable {
    case upload, archive, server

    /// The operations for which the store must give permission: those that mule sends to it.
    package var operations: [S3Operation] {
        switch self {
        case .upload, .archive: S3Operation.ofUploads
        case .server:
            [
                .createMultipartUpload, .uploadPart, .listParts, .completeMultipartUpload, .abortMultipartUpload,
                .putObject, .headObject,
            ]
        }
    }

    /// What is denied even if another policy allows it.
    fileprivate var denied: (onObjects: [String], onBucket: [String]) {
        (["s3:DeleteObject*"], self == .server ? ["s3:PutBucket*", "s3:PutLifecycleConfiguration"] : [])
    }
}

/// The documents for one bucket, or for the objects whose keys start with a prefix.
struct PolicyDocument {
    let bucket: String
    let prefix: String
    /// As in ARNs.
    let partition: String

    static let daysUntilAbort: Int64 = 7
    /// A principal that no store accepts.
    static let missingPrincipal = "user/NAME"

    /// - Parameter principal: nil for a policy of the principal itself.
    func permissions(_ purpose: PolicyPurpose, principal: String? = nil) -> JSONValue {
        func actions(onBucket: Bool) -> [String] {
            Set(purpose.operations.filter { $0.isOnBucket == onBucket }.map(\.permission)).sorted()
        }
        var statements = [
            statement(
                "MuleSends",
                "Allow",
                actions: actions(onBucket: false),
                resource: objects(Self.literal(prefix) + "*"),
                principal: principal
            )
        ]
        let listing = actions(onBucket: true)
        if !listing.isEmpty {
            let condition: JSONValue? =
                prefix.isEmpty
                ? nil : ["StringLike": ["s3:prefix": .array([.string(Self.literal(prefix) + "*")])]]
            statements.append(
                statement(
                    "MuleLists",
                    "Allow",
                    actions: listing,
                    resource: bucketARN,
                    principal: principal,
                    condition: condition
                )
            )
        }
        let denied = purpose.denied
        statements.append(
            statement(
                "MuleNeverDeletes",
                "Deny",
                actions: denied.onObjects,
                resource: objects("*"),
                principal: principal
            )
        )
        if !denied.onBucket.isEmpty {
            statements.append(
                statement(
                    "MuleNeverConfigures",
                    "Deny",
                    actions: denied.onBucket,
                    resource: bucketARN,
                    principal: principal
                )
            )
        }
        return ["Statement": .array(statements), "Version": "2012-10-17"]
    }

    private func statement(
        _ name: String,
        _ effect: String,
        actions: [String],
        resource: String,
        principal: String?,
        condition: JSONValue? = nil
    ) -> JSONValue {
        var members: [String: JSONValue] = [
            "Action": .array(actions.map { .string($0) }), "Effect": .string(effect), "Resource": .string(resource),
            "Sid": .string(name),
        ]
        members["Condition"] = condition
        if let principal { members["Principal"] = ["AWS": .string(principal)] }
        return .object(members)
    }

    private var bucketARN: String {
        AccessPoint(bucket: bucket).map(\.arn) ?? "arn:\(partition):s3:::\(bucket)"
    }

    private func objects(_ pattern: String) -> String {
        bucketARN + (AccessPoint(bucket: bucket) == nil ? "/" : "/object/") + pattern
    }

    /// A text of which a policy takes no character for a pattern or a variable (IAM: "Policy variables").
    private static func literal(_ text: String) -> String {
        text.map { "*?$".contains($0) ? "${\($0)}" : String($0) }.joined()
    }

    var lifecycle: JSONValue {
        [
            "Rules": [
                [
                    "AbortIncompleteMultipartUpload": ["DaysAfterInitiation": .int(Self.daysUntilAbort)],
                    "Filter": ["Prefix": .string(prefix)],
                    "ID": "mule-unfinished-uploads",
                    "Status": "Enabled",
                ]
            ]
        ]
    }

    /// For presigned PUT requests of one site's pages.
    static func cors(origin: String) -> JSONValue {
        [
            "CORSRules": [
                [
                    "AllowedHeaders": ["content-type", "if-none-match", "x-amz-*"],
                    "AllowedMethods": ["PUT"],
                    "AllowedOrigins": [.string(origin)],
                    "ExposeHeaders": ["ETag"],
                    "MaxAgeSeconds": 3600,
                ]
            ]
        ]
    }
}
