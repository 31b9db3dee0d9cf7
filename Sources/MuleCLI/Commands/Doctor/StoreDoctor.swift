import MuleDigest
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import MuleUpload

/// Checks credentials and a bucket: read-only requests first, and only on request an upload that is then aborted.
struct StoreDoctor {
    let session: Session
    let bucket: String?
    let report: (Finding) -> Void

    /// Seconds of clock difference that cause a warning. S3 refuses requests at 15 minutes.
    private static let tolerableSkew: Int64 = 60

    /// Seconds to wait for an answer without a bucket.
    private static let patience = 10.0

    func run() {
        guard let origins = checkSettings() else { return }
        let store: Session.Store
        do {
            store = try session.store(forBucket: bucket ?? "")
        } catch {
            return report(
                .problem(error.status == .credentials ? "credentials" : "configuration", error.status, error.message)
            )
        }
        guard checkCredentials(store) else { return }
        guard let bucket else { return checkEndpoint(store, origins) }
        let connection: S3Connection
        do {
            connection = try S3Connection(service: store.service)
        } catch {
            return report(.problem("store", .usage, "Cannot set up a connection: \(error.sentence)."))
        }
        let probe = ObjectAddress(bucket: bucket, key: ObjectKey("mule-doctor-\(UInt64.random(in: 0...UInt64.max))"))
        guard checkBucket(probe, store, connection: connection) else { return }
        checkClock(store)
        guard checkListing(probe, connection), checkObject(probe, connection) else { return }
        guard session.arguments.write else {
            return report(
                .ok(
                    "permissions.write",
                    "Not checked. \"mule doctor --write \(bucket)\" starts an upload there and aborts it."
                )
            )
        }
        write(probe, connection)
    }

    /// Reports which settings are used, and where each comes from.
    ///
    /// - Returns: nil if they lead to no store.
    private func checkSettings() -> SettingOrigins? {
        let plan: Session.StorePlan
        do {
            plan = try session.plan(forBucket: bucket ?? "")
        } catch {
            report(
                .problem(error.status == .credentials ? "credentials" : "configuration", error.status, error.message)
            )
            return nil
        }
        let origins = SettingOrigins(session: session, bucket: bucket, aws: plan.aws)
        report(.ok("configuration", origins.configuration))
        report(.ok("profile", origins.profile))
        report(.ok("region", "\(plan.endpoint.region) (\(origins.region))."))
        for kind in origins.endpointKinds(plan.endpoint.variant) {
            report(.ok("endpoint.\(kind.name)", "\(kind.isOn ? "On" : "Off") (\(kind.origin))."))
        }
        if bucket != nil { report(.ok("endpoint", "\(plan.endpoint.url) (\(origins.endpoint)).")) }
        return origins
    }

    /// Whether a server answers. With a bucket, later checks show that.
    private func checkEndpoint(_ store: Session.Store, _ origins: SettingOrigins) {
        let endpoint = store.service.endpoint
        let place = "\(endpoint.url) (\(origins.endpoint))"
        var settings = store.service.transport
        settings.connectTimeout = min(settings.connectTimeout, store.service.patience)
        var request = HTTPRequest(method: "HEAD", url: endpoint.url + "/")
        request.stallTimeout = Self.patience
        request.answerTimeout = Self.patience
        do {
            let client = try HTTPClient(settings: settings, cancellation: session.cancellation)
            _ = try client.perform(request)
            report(.ok("endpoint", "\(place) answers. \"mule doctor BUCKET\" checks a bucket there."))
        } catch {
            let cure = error.cure.map { " \($0)" } ?? ""
            report(.problem("endpoint", .temporary, "\(place) does not answer: \(error.sentence).\(cure)"))
        }
    }

    private func checkCredentials(_ store: Session.Store) -> Bool {
        do {
            let credentials: Credentials
            switch try store.service.signer.identity() {
            case .credentials(let found): credentials = found
            case .service(let address):
                report(.ok("credentials", "This host holds no key: \(address) signs its requests."))
                return true
            }
            var text = "Access key \(Self.shortened(credentials.accessKeyID))"
            if credentials.sessionToken != nil { text += ", temporary" }
            if let end = credentials.expiration { text += ", valid until \(LocalTime.text(end))" }
            report(.ok("credentials", text + "."))
            return true
        } catch {
            report(.problem("credentials", .credentials, error.reason))
            return false
        }
    }

    /// Enough to distinguish keys.
    private static func shortened(_ key: String) -> String {
        key.utf8.count < 12
            ? TextSafety.displayName(key) : TextSafety.displayName("\(key.prefix(4))...\(key.suffix(4))")
    }

    private func checkBucket(_ probe: ObjectAddress, _ store: Session.Store, connection: S3Connection) -> Bool {
        let bucket = probe.bucket
        let place = "\(store.service.endpoint.url), region \(store.service.region(of: bucket))"
        do throws(S3Error) {
            try connection.headBucket(bucket)
            let now = store.service.region(of: bucket)
            if now != store.service.endpoint.region {
                report(
                    .warning(
                        "bucket",
                        "\(bucket) is in region \(now), but \(store.service.endpoint.region) is set. mule switches to "
                            + "the right region; --region \(now) or the configuration saves that request."
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
            if let cause = credentialsFailure(probe, connection) {
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
    private func credentialsFailure(_ probe: ObjectAddress, _ connection: S3Connection) -> UploadFailure? {
        do throws(S3Error) {
            _ = try connection.listMultipartUploads(of: probe)
            return nil
        } catch {
            let failure = UploadFailure.refused(error, sending: probe.bucket)
            return failure.kind == .credentials ? failure : nil
        }
    }

    private func checkClock(_ store: Session.Store) {
        let seconds = abs(store.service.clockDifference) / 1000
        if seconds > Self.tolerableSkew {
            report(
                .warning(
                    "clock",
                    "The clocks of this machine and the store differ by \(seconds) s. mule corrects for it; other "
                        + "programs fail from 15 minutes on. Set the clock (timedatectl set-ntp true)."
                )
            )
        } else {
            report(.ok("clock", "The clocks of this machine and the store differ by \(seconds) s."))
        }
    }

    /// - Returns: whether to continue.
    private func checkListing(_ probe: ObjectAddress, _ connection: S3Connection) -> Bool {
        do throws(S3Error) {
            _ = try connection.listMultipartUploads(of: probe)
            report(
                .ok(
                    "permissions.list",
                    "Uploads can be listed: mule finds uploads whose start or end was lost, and removes leftovers."
                )
            )
            return true
        } catch {
            return judge(
                "permissions.list",
                error,
                bucket: probe.bucket,
                without:
                    "Uploads work without it, but an upload whose creation response was lost cannot be found again."
            )
        }
    }

    private func checkObject(_ probe: ObjectAddress, _ connection: S3Connection) -> Bool {
        do throws(S3Error) {
            _ = try connection.headObject(probe)
            report(
                .ok(
                    "permissions.read",
                    "Objects can be checked: the result of an upload whose response was lost can be determined."
                )
            )
            return true
        } catch {
            return judge(
                "permissions.read",
                error,
                bucket: probe.bucket,
                without:
                    "Uploads work without it, but if the final response is lost, mule cannot tell whether the upload "
                    + "completed."
            )
        }
    }

    private func judge(_ check: String, _ error: S3Error, bucket: String, without: String) -> Bool {
        let failure = UploadFailure.refused(error, sending: bucket)
        if failure.kind == .store, [403, 405, 501].contains(error.status) {
            report(.warning(check, "\(failure.message) \(without)"))
            return true
        }
        report(.problem(check, ExitStatus(failure.kind), failure.message))
        return false
    }

    // MARK: An upload that is aborted

    /// Starts an upload, sends a part of a few bytes, lists it, and aborts it. No object is created.
    private func write(_ probe: ObjectAddress, _ connection: S3Connection) {
        var uploadID: String?
        var step = "permissions.write"
        do throws(S3Error) {
            let created = try connection.createMultipartUpload(probe, attributes: ObjectAttributes(), checksum: nil)
            uploadID = created.uploadID
            try sendPart(probe, created.uploadID, connection: connection)
            report(.ok(step, "Started an upload of \(probe) and sent a part."))
            step = "permissions.parts"
            try listParts(probe, created.uploadID, connection: connection)
            step = "permissions.abort"
            try connection.abortMultipartUpload(probe, uploadID: created.uploadID)
            uploadID = nil
            report(.ok(step, "Aborted the upload; nothing is left at the store."))
        } catch {
            let failure = UploadFailure.refused(error, sending: probe.description)
            report(.problem(step, ExitStatus(failure.kind), failure.message))
        }
        guard let left = uploadID else { return }
        do throws(S3Error) {
            try connection.abortMultipartUpload(probe, uploadID: left)
        } catch {
            report(
                .problem(
                    "permissions.abort",
                    .refused,
                    "The upload \(left) of \(probe) was left at the store and its few bytes cost storage. Remove it "
                        + "with sufficient permissions: aws s3api abort-multipart-upload --bucket \(probe.bucket) "
                        + "--key \(probe.key.string) --upload-id \(left)"
                )
            )
        }
    }

    private func sendPart(_ probe: ObjectAddress, _ uploadID: String, connection: S3Connection) throws(S3Error) {
        let content = Array("mule doctor\n".utf8)
        let file: File
        do {
            file = try File.openNameless(directory: Array("/tmp".utf8))
            try file.write(content, at: 0)
        } catch {
            throw S3Error(
                operation: .uploadPart,
                bucket: probe.bucket,
                key: probe.key,
                cause: .transport(.source(error, offset: 0))
            )
        }
        _ = try connection.uploadPart(
            probe,
            uploadID: uploadID,
            number: 1,
            body: .file(FileSlice(file: file, offset: 0, length: Int64(content.count))),
            proof: BodyProof(payload: .sha256(sha256(content))),
            transfer: BodyTransfer()
        )
    }

    private func listParts(_ probe: ObjectAddress, _ uploadID: String, connection: S3Connection) throws(S3Error) {
        do throws(S3Error) {
            let parts = try connection.listParts(probe, uploadID: uploadID).parts
            if parts.map(\.number) == [1] {
                report(
                    .ok("permissions.parts", "Parts can be listed: mule finds parts that were not recorded.")
                )
            } else {
                report(
                    .warning("permissions.parts", "The store lists parts \(parts.map(\.number)), but part 1 was sent.")
                )
            }
        } catch {
            guard error.status == 403 else { throw error }
            report(
                .warning(
                    "permissions.parts",
                    UploadFailure.refused(error, sending: probe.bucket).message
                        + " Without it, parts that were not recorded are sent again."
                )
            )
        }
    }
}
