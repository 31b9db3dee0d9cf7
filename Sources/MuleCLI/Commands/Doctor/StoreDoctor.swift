import MulePlan
import MuleS3
import MuleTransport
import MuleUpload

/// Checks a store and a bucket: first how it is reached and as whom, then what the bucket permits and is set to do, and
/// only on request an upload that is then aborted. After the first problem that makes all others follow, it stops.
struct StoreDoctor {
    let session: Session
    let bucket: String?
    /// Where the keys start that the credentials are for; what follows the last slash is not used.
    var prefix = ""
    /// Whether to find out if the credentials may delete, by a request that cannot delete anything.
    var asksForDeletion = true
    let report: (Finding) -> Void

    func run() {
        guard let settings = SettingsCheck(session: session, bucket: bucket, report: report).run() else { return }
        guard let bucket else { return EndpointCheck(settings, session, report).run() }
        let settingsOfClient = settings.observingTransport
        let client: HTTPClient
        do {
            client = try HTTPClient(settings: settingsOfClient, cancellation: session.cancellation)
        } catch {
            return report(.problem("store", .usage, "Cannot set up a connection: \(error.sentence)."))
        }
        let visit = BucketVisit(
            settings: settings,
            bucket: bucket,
            prefix: prefix.lastIndex(of: "/").map { String(prefix[...$0]) } ?? "",
            connection: S3Connection(service: settings.store.service, client: client),
            report: report
        )
        guard BucketCheck(visit).run() else { return }
        TLSCheck(settings.store.service.endpoint, report).run(client.security)
        ClockCheck(report: report).run(settings.store.service.clockDifference)
        IdentityCheck(visit: visit, session: session).run()
        guard PermissionCheck(visit).run() else { return }
        let isLocked = BucketSettingsCheck(visit).run()
        DeletionCheck(visit: visit, isAsked: asksForDeletion).run()
        if session.arguments.write {
            WriteCheck(visit).run(isLocked: isLocked)
        } else {
            ChecksumCheck(visit: visit, session: session).run()
            report(
                .ok(
                    "permissions.write",
                    "Not checked.",
                    cure: "\"mule doctor --write \(visit.place)\" starts an upload there and aborts it."
                )
            )
        }
    }
}

/// A bucket, and how its checks ask and report.
struct BucketVisit {
    let settings: FoundSettings
    let bucket: String
    /// Empty, or with a slash at its end.
    let prefix: String
    /// The bucket with the prefix, as an operand.
    let place: String
    let connection: S3Connection
    let report: (Finding) -> Void
    /// An object that does not exist: its name has 128 random bits.
    let probe: ObjectAddress

    init(
        settings: FoundSettings,
        bucket: String,
        prefix: String,
        connection: S3Connection,
        report: @escaping (Finding) -> Void
    ) {
        self.settings = settings
        self.bucket = bucket
        self.prefix = prefix
        place = TextSafety.displayText(prefix.isEmpty ? bucket : "\(bucket)/\(prefix)")
        self.connection = connection
        self.report = report
        let random = (0..<2).map { _ in String(UInt64.random(in: 0...UInt64.max), radix: 36) }.joined()
        probe = ObjectAddress(bucket: bucket, key: ObjectKey("\(prefix)mule-doctor-\(random)"))
    }

    var service: S3Service { settings.store.service }

    /// Whether requests are signed by a service, which signs only those of uploads.
    var isSignedElsewhere: Bool { settings.store.signer != nil }

    /// Text for what a signer is not asked for.
    static let notSigned = "Not checked: a signer signs only the requests of uploads."

    /// Reports a question that the store does not answer: a missing permission is not a fault, because uploads work
    /// without it.
    func reportUnchecked(_ check: String, _ error: S3Error) {
        if error.status == 403, error.retryClass != .credentials {
            report(.ok(check, "Not checked: \(error.operation.permission) is not granted."))
        } else {
            report(.warning(check, "Not checked: \(UploadFailure.refused(error, sending: bucket).message)"))
        }
    }
}
