import MuleS3
import MuleUpload

/// Whether the bucket exists and is where it is looked for. A HEAD tells that, and a list tells why a HEAD is refused.
struct BucketCheck {
    private let visit: BucketVisit

    init(_ visit: BucketVisit) { self.visit = visit }

    /// - Returns: whether to continue.
    func run() -> Bool {
        let (bucket, service, report) = (visit.bucket, visit.service, visit.report)
        let place = "\(service.endpoint.url), region \(service.region(of: bucket))"
        do throws(S3Error) {
            try visit.connection.headBucket(bucket)
            let now = service.region(of: bucket)
            if now != service.endpoint.region {
                report(
                    .warning(
                        "bucket",
                        "\(bucket) is in region \(now), but \(service.endpoint.region) is set. mule switches to the "
                            + "right region, which takes a request.",
                        cure: "Set --region \(now), or \"region\" in the configuration."
                    )
                )
            } else {
                report(.ok("bucket", "\(bucket) answers at \(place)."))
            }
            return true
        } catch {
            let failure = UploadFailure.refused(error, sending: bucket)
            guard error.status == 403, failure.kind == .store else {
                report(.problem("bucket", ExitStatus(failure.kind), failure.message))
                return false
            }
            // The answer to a HEAD has no body: only a GET tells wrong credentials from a missing permission.
            if let cause = credentialsFailure {
                report(.problem("bucket", ExitStatus(cause.kind), cause.message))
                return false
            }
            report(
                .warning(
                    "bucket",
                    "\(place): \(failure.message) Uploads work without it, but mule cannot tell a missing object from "
                        + "one that it may not see."
                )
            )
            return true
        }
    }

    /// Nil if the store accepts the credentials, or gives another reason.
    private var credentialsFailure: UploadFailure? {
        do throws(S3Error) {
            _ = try visit.connection.listMultipartUploads(of: visit.probe)
            return nil
        } catch {
            let failure = UploadFailure.refused(error, sending: visit.bucket)
            return failure.kind == .credentials ? failure : nil
        }
    }
}

/// What the credentials may read, and what does not work without.
struct PermissionCheck {
    private let visit: BucketVisit

    init(_ visit: BucketVisit) { self.visit = visit }

    /// - Returns: whether to continue.
    func run() -> Bool {
        let (connection, probe) = (visit.connection, visit.probe)
        return check(
            "permissions.list",
            "Uploads can be listed: mule finds uploads whose start or end was lost, and removes leftovers.",
            without: "Uploads work without it, but an upload whose creation response was lost cannot be found again."
        ) { () throws(S3Error) in _ = try connection.listMultipartUploads(of: probe) }
            && check(
                "permissions.read",
                "Objects can be checked: the result of an upload whose response was lost can be determined.",
                without: "Uploads work without it, but if the final response is lost, mule cannot tell whether the "
                    + "upload completed."
            ) { () throws(S3Error) in _ = try connection.headObject(probe) }
    }

    private func check(
        _ name: String,
        _ text: String,
        without: String,
        _ request: () throws(S3Error) -> Void
    ) -> Bool {
        do throws(S3Error) {
            try request()
            visit.report(.ok(name, text))
            return true
        } catch {
            let failure = UploadFailure.refused(error, sending: visit.bucket)
            if failure.kind == .store, [403, 405, 501].contains(error.status) {
                visit.report(.warning(name, "\(failure.message) \(without)"))
                return true
            }
            visit.report(.problem(name, ExitStatus(failure.kind), failure.message))
            return false
        }
    }
}
