import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// The checksum that uploads to the store used lately, without asking it.
struct ChecksumCheck {
    let visit: BucketVisit
    let session: Session

    func run() {
        let check = "checksum"
        let cure = "\"mule doctor --write \(visit.place)\" finds it."
        guard let path = try? session.ledgerPath(), (try? FileStatus.of(path: path)) != nil,
            let ledger = try? Ledger(path: path),
            let mode = try? ledger.checksumMode(of: visit.service.endpoint.url)
        else {
            return visit.report(.ok(check, "Not known: no upload to this endpoint in the last days.", cure: cure))
        }
        visit.report(.ok(check, "\(Self.words(mode)), as the last uploads to this endpoint have shown."))
    }

    static func words(_ mode: ChecksumMode) -> String {
        let words = mode.words
        return words.prefix(1).uppercased() + words.dropFirst()
    }
}

/// Whether an upload works: starts one, sends a part of a few bytes, lists it, and aborts it. No object is created.
struct WriteCheck {
    private let visit: BucketVisit

    init(_ visit: BucketVisit) { self.visit = visit }

    func run(isLocked: Bool) {
        var probe = UploadProbe(
            visit.connection,
            visit.probe,
            integrity: IntegrityOptions(visit.settings.store.options),
            isLocked: isLocked
        )
        var step = "permissions.write"
        do throws(UploadFailure) {
            let mode = try probe.send()
            visit.report(.ok(step, "Started an upload of \(visit.probe) and sent a part."))
            report(mode)
            step = "permissions.parts"
            try listParts(probe)
            step = "permissions.abort"
            try probe.abort()
            visit.report(.ok(step, "Aborted the upload; nothing is left at the store."))
        } catch {
            visit.report(.problem(step, ExitStatus(error.kind), error.message))
        }
        guard let left = probe.uploadID else { return }
        do throws(UploadFailure) {
            try probe.abort()
        } catch {
            visit.report(
                .problem(
                    "permissions.abort",
                    .refused,
                    "The upload \(left) of \(visit.probe) was left at the store and its few bytes cost storage.",
                    cure: "Remove it with sufficient permissions: aws s3api abort-multipart-upload --bucket "
                        + "\(visit.bucket) --key '\(visit.probe.key.string.replacing("'", with: "'\\''"))' --upload-id '\(left)'"
                )
            )
        }
    }

    private func report(_ mode: ChecksumMode) {
        let check = "checksum"
        switch mode {
        case .checksum, .md5, .md5WithCRC32C:
            visit.report(.ok(check, "\(ChecksumCheck.words(mode)): the store accepts it with each part."))
        case .signedPayload:
            visit.report(.ok(check, "A signed SHA-256: the store accepts no other checksum of a part."))
        case .none:
            visit.report(
                .warning(
                    check,
                    "None: the store does not check the parts that it receives.",
                    cure: "Remove \"checksum\" from the configuration."
                )
            )
        }
    }

    private func listParts(_ probe: UploadProbe) throws(UploadFailure) {
        let check = "permissions.parts"
        do throws(S3Error) {
            let numbers = try probe.parts()?.parts.map(\.number) ?? []
            if numbers == [1] {
                visit.report(.ok(check, "Parts can be listed: mule finds parts that were not recorded."))
            } else {
                visit.report(.warning(check, "The store lists parts \(numbers), but part 1 was sent."))
            }
        } catch {
            let failure = UploadFailure.refused(error, sending: visit.bucket)
            guard error.status == 403 else { throw failure }
            visit.report(
                .warning(check, failure.message + " Without it, parts that were not recorded are sent again.")
            )
        }
    }
}
