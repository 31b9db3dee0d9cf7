// What a bucket is set to do by itself, and what the credentials may do beyond uploads: questions of `mule doctor`, not
// of uploads. A bucket's settings are read, never changed.

package import MulePlan
import MuleSigning
import MuleTransport
import MuleXML

/// An enabled rule of a bucket's lifecycle that aborts unfinished uploads.
package struct AbortRule: Equatable, Sendable {
    package var id: String?
    /// The keys' start; empty for all objects.
    package var prefix: String
    package var days: Int
}

/// The default retention of new objects in a bucket.
package struct DefaultRetention: Equatable, Sendable {
    /// `GOVERNANCE` or `COMPLIANCE`.
    package var mode: String
    /// Such as `30 days`.
    package var period: String

    package init(mode: String, period: String) {
        self.mode = mode
        self.period = period
    }
}

/// Whether a bucket keeps old versions.
package enum BucketVersioning: String, Sendable {
    case never, enabled, suspended
}

/// How a store answered a request to delete an object that does not exist.
package enum DeletionAnswer: Sendable {
    /// It would have deleted the object.
    case permitted
    case refused(S3Error)
    /// The answer is about something else.
    case unclear(S3Error)
}

extension S3Connection {
    /// The rules that abort unfinished uploads.
    package func abortRules(of bucket: String) throws(S3Error) -> [AbortRule] {
        let root = try setting(
            .getBucketLifecycle,
            "lifecycle",
            of: bucket,
            root: "LifecycleConfiguration",
            absent: "NoSuchLifecycleConfiguration"
        )
        return (root?.all("Rule") ?? []).compactMap { rule in
            guard rule.value("Status") == "Enabled",
                let days = rule["AbortIncompleteMultipartUpload"]?.value("DaysAfterInitiation").flatMap({ Int($0) })
            else { return nil }
            let filter = rule["Filter"]
            let prefix = filter?.value("Prefix") ?? filter?["And"]?.value("Prefix") ?? rule.value("Prefix") ?? ""
            return AbortRule(
                id: rule.value("ID").map { StoreText.cut($0, to: 255) },
                prefix: StoreText.cut(prefix, to: 1024),
                days: days
            )
        }
    }

    /// Nil if new objects get no retention.
    package func defaultRetention(of bucket: String) throws(S3Error) -> DefaultRetention? {
        let root = try setting(
            .getObjectLock,
            "object-lock",
            of: bucket,
            root: "ObjectLockConfiguration",
            absent: "ObjectLockConfigurationNotFoundError"
        )
        guard let retention = root?["Rule"]?["DefaultRetention"], let mode = retention.value("Mode") else { return nil }
        func period(_ unit: String) -> String? {
            retention.value(unit).flatMap { Int($0) }.map {
                "\($0) \($0 == 1 ? unit.dropLast().lowercased() : unit.lowercased())"
            }
        }
        return DefaultRetention(
            mode: StoreText.cut(mode, to: 40),
            period: period("Days") ?? period("Years") ?? "an unknown time"
        )
    }

    package func versioning(of bucket: String) throws(S3Error) -> BucketVersioning {
        let root = try setting(
            .getBucketVersioning,
            "versioning",
            of: bucket,
            root: "VersioningConfiguration",
            absent: nil
        )
        switch root?.value("Status") {
        case "Enabled": return .enabled
        case nil where root?.children.isEmpty != false: return .never
        // Also what is not known: then there may be versions.
        default: return .suspended
        }
    }

    /// Whom the store takes the credentials for, as the owner of a list of buckets; nil if it does not tell.
    package func owner() throws(S3Error) -> String? {
        let call = S3Call(operation: .listBuckets, method: "GET", bucket: "")
        let owner = try document(call, try send(call), roots: ["ListAllMyBucketsResult"])["Owner"]
        return StoreText.name(owner?.value("ID") ?? owner?.value("DisplayName"))
    }

    /// Asks for the deletion of an object that does not exist.
    ///
    /// - Parameters:
    ///   - ifExists: adds a condition that fails, because the object does not exist; where it is known, nothing is
    ///     deleted and no delete marker is left.
    ///   - version: a version of the object; a request for one never leaves a delete marker.
    package func deleteAbsent(_ address: ObjectAddress, ifExists: Bool, version: String? = nil) -> DeletionAnswer {
        var call = S3Call(operation: .deleteObject, method: "DELETE", bucket: address.bucket, key: address.key)
        if let version {
            call.operation = .deleteObjectVersion
            call.query = [QueryItem(name: "versionId", value: version)]
        }
        if ifExists { call.headers = [("if-match", "*")] }
        do {
            _ = try send(call)
            return .permitted
        } catch {
            // Without a document, a proxy may have answered.
            guard error.hasDocument else { return .unclear(error) }
            switch (error.status, error.code) {
            case (404, "NoSuchKey"), (404, "NoSuchVersion"), (412, _): return .permitted
            case (403, "AccessDenied"): return .refused(error)
            default: return .unclear(error)
            }
        }
    }

    /// - Parameters:
    ///   - root: moto's answers are named after the operation instead.
    ///   - absent: the code for a bucket without the setting.
    /// - Returns: nil for a bucket without it.
    private func setting(
        _ operation: S3Operation,
        _ query: String,
        of bucket: String,
        root: String,
        absent: String?
    ) throws(S3Error) -> XMLElement? {
        var call = S3Call(operation: operation, method: "GET", bucket: bucket)
        call.query = [QueryItem(name: query)]
        let response: HTTPResponse
        do {
            response = try send(call)
        } catch {
            if let absent, error.code == absent { return nil }
            throw error
        }
        return try document(call, response, roots: [root, operation.rawValue + "Response"])
    }
}

extension S3Error {
    /// Whether the store has no such setting: it says so, or answers something else, such as a list of objects.
    package var isAboutUnknownSetting: Bool {
        switch cause {
        case .answer(let status, let code, _): [405, 501].contains(status) || code == "NotImplemented"
        case .unreadable(let status, _): status == 200
        case .transport, .noCredentials: false
        }
    }
}
