import MuleDigest
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import MuleUpload

/// The checks of credentials, and of a bucket: first what harms nothing, and only on demand an upload that is given up.
struct StoreDoctor {
    let session: Session
    let bucket: String?
    let report: (Finding) -> Void

    /// Seconds between the two clocks from which on people should know. S3 refuses requests at 15 minutes.
    private static let tolerableSkew: Int64 = 60

    func run() {
        let store: Session.Store
        do {
            store = try session.store(forBucket: bucket ?? "")
        } catch {
            return report(
                .problem(error.status == .credentials ? "credentials" : "configuration", error.status, error.message)
            )
        }
        guard lookAtCredentials(store), let bucket else { return }
        let connection: S3Connection
        do {
            connection = try S3Connection(service: store.service)
        } catch {
            return report(.problem("store", .usage, "No connection can be made: \(error.sentence)."))
        }
        guard lookAtBucket(bucket, store, connection) else { return }
        lookAtClock(store)
        let probe = ObjectAddress(bucket: bucket, key: ObjectKey("mule-doctor-\(UInt64.random(in: 0...UInt64.max))"))
        guard lookAtListing(probe, connection), lookAtObject(probe, connection) else { return }
        guard session.typed.write else {
            return report(
                .ok(
                    "permissions.write",
                    "Not tried. \"mule doctor --write \(bucket)\" begins an upload there and gives it up."
                )
            )
        }
        write(probe, connection)
    }

    private func lookAtCredentials(_ store: Session.Store) -> Bool {
        do {
            let credentials = try store.service.credentials.credentials()
            var text = "Access key \(Self.shortened(credentials.accessKeyID))"
            if credentials.sessionToken != nil { text += ", temporary" }
            if let end = credentials.expiration { text += ", until \(end.iso8601)" }
            report(.ok("credentials", text + "."))
            return true
        } catch {
            report(.problem("credentials", .credentials, error.reason))
            return false
        }
    }

    /// Enough to tell one key from another.
    private static func shortened(_ key: String) -> String {
        key.utf8.count < 12
            ? TextSafety.displayName(key) : TextSafety.displayName("\(key.prefix(4))...\(key.suffix(4))")
    }

    private func lookAtBucket(_ bucket: String, _ store: Session.Store, _ connection: S3Connection) -> Bool {
        let place = "\(store.service.endpoint.url), region \(store.service.region(of: bucket))"
        do throws(S3Error) {
            try connection.headBucket(bucket)
            let now = store.service.region(of: bucket)
            if now != store.service.endpoint.region {
                report(
                    .warning(
                        "bucket",
                        "\(bucket) is in the region \(now), and \(store.service.endpoint.region) is set. mule finds the way by "
                            + "itself; --region \(now) or the configuration saves the detour."
                    )
                )
            } else {
                report(.ok("bucket", "\(bucket) answers at \(place)."))
            }
            return true
        } catch {
            let failure = UploadFailure.refused(error, sending: bucket)
            if error.status == 403, failure.kind == .store {
                report(
                    .warning(
                        "bucket",
                        "\(place): \(failure.message) Uploads do without it; mule can't tell a missing object from one it may "
                            + "not see then."
                    )
                )
                return true
            }
            report(.problem("bucket", ExitStatus(failure.kind), failure.message))
            return false
        }
    }

    private func lookAtClock(_ store: Session.Store) {
        let seconds = abs(store.service.clockDifference) / 1000
        if seconds > Self.tolerableSkew {
            report(
                .warning(
                    "clock",
                    "This machine's clock and the store's differ by \(seconds) s. mule corrects for it; other programs fail "
                        + "from 15 minutes on. Set the clock (timedatectl set-ntp true)."
                )
            )
        } else {
            report(.ok("clock", "This machine's clock and the store's differ by \(seconds) s."))
        }
    }

    /// Whether to go on: a refusal here may be the first answer that has words to it.
    private func lookAtListing(_ probe: ObjectAddress, _ connection: S3Connection) -> Bool {
        do throws(S3Error) {
            _ = try connection.listMultipartUploads(of: probe)
            report(.ok("permissions.list", "Uploads may be listed: leftovers of lost answers are found and removed."))
            return true
        } catch {
            return judge(
                "permissions.list",
                error,
                probe.bucket,
                "Uploads can be sent without it; an upload whose beginning was lost on the way can't be found again then."
            )
        }
    }

    private func lookAtObject(_ probe: ObjectAddress, _ connection: S3Connection) -> Bool {
        do throws(S3Error) {
            _ = try connection.headObject(probe)
            report(.ok("permissions.read", "Objects may be looked at: lost answers can be cleared up."))
            return true
        } catch {
            return judge(
                "permissions.read",
                error,
                probe.bucket,
                "Uploads can be sent without it; where the answer at the end is lost, nobody can tell what became of it."
            )
        }
    }

    private func judge(_ check: String, _ error: S3Error, _ bucket: String, _ without: String) -> Bool {
        let failure = UploadFailure.refused(error, sending: bucket)
        if failure.kind == .store, [403, 405, 501].contains(error.status) {
            report(.warning(check, "\(failure.message) \(without)"))
            return true
        }
        report(.problem(check, ExitStatus(failure.kind), failure.message))
        return false
    }

    // MARK: An upload that is given up

    /// Begins an upload, sends a part of a few bytes, lists it, and gives it up. No object is made.
    private func write(_ probe: ObjectAddress, _ connection: S3Connection) {
        var uploadID: String?
        var step = "permissions.write"
        do throws(S3Error) {
            let created = try connection.createMultipartUpload(probe, attributes: ObjectAttributes(), checksum: nil)
            uploadID = created.uploadID
            try sendPart(probe, created.uploadID, connection)
            report(.ok(step, "An upload was begun under \(probe), and a part of it was taken."))
            step = "permissions.parts"
            try listParts(probe, created.uploadID, connection)
            step = "permissions.abort"
            try connection.abortMultipartUpload(probe, uploadID: created.uploadID)
            uploadID = nil
            report(.ok(step, "It was given up; nothing of it is left."))
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
                    "The upload \(left) of \(probe) was left at the store, which bills for its few bytes. Remove it with the "
                        + "rights to, such as: aws s3api abort-multipart-upload --bucket \(probe.bucket) --key "
                        + "\(probe.key.string) --upload-id \(left)"
                )
            )
        }
    }

    private func sendPart(_ probe: ObjectAddress, _ uploadID: String, _ connection: S3Connection) throws(S3Error) {
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

    private func listParts(_ probe: ObjectAddress, _ uploadID: String, _ connection: S3Connection) throws(S3Error) {
        do throws(S3Error) {
            let parts = try connection.listParts(probe, uploadID: uploadID).parts
            if parts.map(\.number) == [1] {
                report(
                    .ok("permissions.parts", "Its parts may be listed: parts that were not recorded are found again.")
                )
            } else {
                report(
                    .warning("permissions.parts", "The store lists other parts than were sent: \(parts.map(\.number)).")
                )
            }
        } catch {
            guard error.status == 403 else { throw error }
            report(
                .warning(
                    "permissions.parts",
                    UploadFailure.refused(error, sending: probe.bucket).message
                        + " Without it a part that was not recorded is sent again."
                )
            )
        }
    }
}
