package import MuleLedger
import MulePlan
package import MuleS3
package import MuleSigning
package import MuleSystem
import MuleTransport

/// Why an upload failed, with a message for the user.
package struct UploadFailure: Error, Sendable {
    package enum Kind: String, Sendable {
        /// The request contradicts itself or the pending upload.
        case usage
        /// The file is missing, unreadable, or has changed.
        case source
        /// The store refused.
        case store
        case credentials
        /// What the signer answers cannot be used.
        case signer
        /// The object is not what it should be, or mule cannot tell.
        case verification
        /// The object exists and must not be replaced.
        case exists
        /// Another process has the upload.
        case held
        case ledger
        /// Network errors or throttling persisted.
        case network
        /// A deadline, or the run's limit on bytes to send.
        case limit
        case interrupted
    }

    /// What else the failure affects.
    package enum Scope: Sendable {
        /// Only this object.
        case transfer
        /// All uploads to the same bucket: it does not exist, or is in another region.
        case bucket
        /// All uploads to the same store with the same credentials: no answer, or refused credentials.
        case store
        /// The whole run: the ledger, a deadline.
        case run
    }

    package var kind: Kind
    /// What failed, on what, why, and what to do.
    package var message: String
    /// Whether the same command resumes where this one stopped.
    package var isResumable: Bool
    package var httpStatus: Int?
    package var s3Code: String?
    package var requestID: String?
    package var scope = Scope.transfer
    /// Whether the failure is a server's answer.
    package private(set) var isAnswer = false
    /// Whether that answer had an S3 error document. An answer without one may come from a proxy or a portal.
    package private(set) var hasS3Document = false
    /// Whether the store may have executed a request whose answer was lost.
    var mayHaveSucceeded = false
    /// Whether the failure came before the request was sent.
    var nothingWasSent = false
    /// Set if the request must be retried later, after other work.
    var postponement: Postponement?
    /// Whether the upload at the store is not as recorded, so that checking it again, once per run, may repair it.
    var needsReconciling = false
    /// The checksum mode to create the upload again with, if the store does not accept its parts in the current one.
    var lowerRung: ChecksumMode?

    package init(_ kind: Kind, _ message: String, isResumable: Bool = false) {
        self.kind = kind
        self.message = message
        self.isResumable = isResumable
    }

    package init(ledger error: LedgerError, path: String) {
        var cure = error.cure
        switch error {
        case .readOnly, .cannotOpen:
            guard let (owner, user) = Ownership.difference(at: Array(path.utf8)) else { break }
            cure =
                "It belongs to \(owner), and mule runs as \(user): run mule as its owner (sudo -u \(owner) mule ...), "
                + "choose another ledger with --ledger, or change the owner of the ledger and its directory "
                + "(chown)."
        default: break
        }
        self.init(.ledger, "The ledger \(path) \(error.reason). \(cure)", isResumable: true)
        scope = .run
    }

    /// Whether the failure concerns this file and its object, so that it counts towards their quarantine.
    ///
    /// A refusal without an S3 document says nothing about the object, and neither does a failure that affects others.
    package var countsTowardsQuarantine: Bool {
        guard scope == .transfer, !isAnswer || hasS3Document else { return false }
        return switch kind {
        case .usage, .source, .store, .verification, .exists: true
        case .network: hasS3Document
        case .credentials, .signer, .held, .ledger, .limit, .interrupted: false
        }
    }

    /// Whether the run was asked to stop, without an error.
    package var isStop: Bool { kind == .interrupted || kind == .limit }

    /// The upload's state in the ledger after this failure.
    package var state: UploadState {
        switch kind {
        case .verification: nothingWasSent ? .pending : .unknown
        case .interrupted, .limit, .network, .held, .ledger, .credentials, .signer: .pending
        case .usage, .source, .store, .exists: .failed
        }
    }
}

extension UploadFailure {
    /// A failure at the store, with its evidence.
    package init(_ kind: Kind, _ message: String, evidence error: S3Error, isResumable: Bool = false) {
        self.init(kind, message, isResumable: isResumable)
        httpStatus = error.status
        s3Code = error.code
        requestID = error.requestID
        isAnswer = error.status != nil
        hasS3Document = error.hasDocument
    }

    /// The failure for a refusal that mule cannot handle otherwise.
    package static func refused(_ error: S3Error, sending object: String) -> UploadFailure {
        let what = "\(error.operation.rawValue) of \(object)\(error.part.map { ", part \($0)" } ?? "")"
        switch error.cause {
        case .noCredentials(let unavailable):
            var failure = UploadFailure(
                Kind(unavailable.kind),
                unavailable.reason,
                evidence: error,
                isResumable: unavailable.kind != .refused
            )
            failure.nothingWasSent = true
            // The store has not answered.
            failure.httpStatus = nil
            if unavailable.kind != .refused { failure.scope = .store }
            return failure
        case .transport(let reason):
            return transport(reason, what, evidence: error)
        case .unreadable(let status, let reason):
            return UploadFailure(
                .store,
                "\(what) got an answer (HTTP \(status)) that is not valid S3: \(reason). \(error.address) is not an S3 "
                    + "store, or something on the way changes its answers: check --endpoint-url.",
                evidence: error
            )
        case .answer(let status, _, _) where !error.isOfS3 && ![.clock, .redirected].contains(error.retryClass):
            var failure = UploadFailure(
                .store,
                "\(what) was answered with HTTP \(status), without an S3 error document: \(error.address) is not an S3 "
                    + "store, or a proxy or a portal on the way answers. Check --endpoint-url and the proxy.",
                evidence: error
            )
            // These concern the address; a proxy may refuse one object and let others pass.
            if [401, 404, 405, 407, 501].contains(status) { failure.scope = .store }
            return failure
        case .answer(let status, let code, let message):
            let text = message.hasSuffix(".") ? String(message.dropLast()) : message
            let said = text.isEmpty ? code : "\(code): \(text)"
            let (kind, cure, scope) = cure(error, code: code)
            var failure = UploadFailure(
                kind,
                "\(what) was refused (HTTP \(status), \(said)). \(cure)",
                evidence: error,
                isResumable: kind == .credentials
            )
            failure.scope = scope
            return failure
        }
    }

    /// The system refuses to create the few threads that mule needs.
    package static func noThread(_ error: SystemError) -> UploadFailure {
        var failure = UploadFailure(
            .network,
            "Cannot start a thread (\(error.reason)). Raise the limit of processes and threads (ulimit -u, TasksMax= "
                + "of the service, pids.max of the container), or stop other processes, and run the same command "
                + "again.",
            isResumable: true
        )
        failure.scope = .run
        return failure
    }

    /// No more files can be opened; the file itself may be fine.
    package static func noFile(_ error: SystemError) -> UploadFailure {
        var failure = UploadFailure(
            .network,
            "Cannot open more files (\(error.reason)). \(error.cureOfFileShortage), or lower --concurrency, and run "
                + "the same command again.",
            isResumable: true
        )
        failure.scope = .run
        return failure
    }

    private static func transport(_ error: TransportError, _ what: String, evidence: S3Error) -> UploadFailure {
        switch error {
        case .cancelled:
            return UploadFailure(.interrupted, "interrupted", isResumable: true)
        case .source(let reason, let offset):
            return UploadFailure(
                .source,
                "\(what): the source could not be read at byte \(offset) (\(reason.reason)).",
                isResumable: true
            )
        case .sourceEnded(let offset):
            return UploadFailure(.source, "\(what): the source ends at byte \(offset); it became shorter.")
        default:
            let cure = error.cure.map { " \($0)" } ?? ""
            return UploadFailure(
                .network,
                "\(what) failed: \(error.sentence).\(cure)",
                evidence: evidence,
                isResumable: true
            )
        }
    }

    private static func cure(_ error: S3Error, code: String) -> (Kind, String, Scope) {
        if let unavailable = error.renewalFailure, unavailable.kind != .credentials {
            return (Kind(unavailable.kind), "There is no new signature: \(unavailable.reason)", .store)
        }
        if let unavailable = error.renewalFailure {
            return (.credentials, "Could not refresh credentials: \(unavailable.reason).", .store)
        }
        switch (error.retryClass, code) {
        case (_, "NoSuchBucket"):
            return (
                .store, "The bucket \(error.bucket) does not exist there: check its name and --endpoint-url.", .bucket
            )
        case (_, "InvalidAccessKeyId") where error.isSignedElsewhere,
            (_, "SignatureDoesNotMatch") where error.isSignedElsewhere:
            return (
                .credentials,
                "The signer signs with a key that the store does not accept: tell its operator.", .store
            )
        case (.clock, _) where error.isSignedElsewhere:
            return (
                .credentials,
                "The signature is too old: the clock of the signer or of this machine is off by more than 15 minutes.",
                .store
            )
        case (_, "InvalidAccessKeyId"):
            return (
                .credentials, "The store does not know this access key: check AWS_ACCESS_KEY_ID or the profile.", .store
            )
        case (_, "SignatureDoesNotMatch"):
            let key = "secret key does not match the access key: check AWS_SECRET_ACCESS_KEY or the profile."
            let headers = error.doubtfulHeaders.joined(separator: ", ")
            guard !headers.isEmpty else { return (.credentials, "The " + key, .store) }
            return (
                .credentials,
                "The cause may be \(headers): its value has non-ASCII characters, which some stores sign differently. "
                    + "Try it without them. Otherwise the " + key, .store
            )
        case (.credentials, _):
            return (.credentials, "Refresh the credentials and run the same command again.", .store)
        case (.clock, _):
            return (.credentials, "This machine's clock is off by more than 15 minutes: set it.", .store)
        case (.redirected, _):
            if let region = error.region {
                return (.store, "The bucket is in the region \(region): add --region \(region).", .bucket)
            }
            let pointer = error.otherHost.map {
                "The store redirects to \($0), and mule does not follow redirects to other hosts: if it is the right "
                    + "host, set it with --endpoint-url."
            }
            return (
                .store, pointer ?? "The bucket is at another endpoint or in another region: check --region.", .bucket
            )
        case (_, "AccessDenied"), (_, "Forbidden"), (_, "AllAccessDisabled"):
            return (.store, "This needs \(error.operation.permission) on bucket \(error.bucket).", .transfer)
        case (_, "ConditionalRequestConflict"):
            return (
                .store, "Another program changed the object at the same time: run the same command again.", .transfer
            )
        case (_, "QuotaExceeded"), (_, "HTTP507"):
            return (.store, "The store's quota is used up.", .transfer)
        case (.damaged, _):
            return (
                .verification,
                "The store repeatedly received other bytes than were sent: the source changes while it is read, or "
                    + "this machine's memory or network corrupts data.", .transfer
            )
        default:
            return (.store, "The store gave no other reason.", .transfer)
        }
    }
}

extension UploadFailure.Kind {
    package init(_ kind: CredentialsUnavailable.Kind) {
        switch kind {
        case .credentials: self = .credentials
        case .refused: self = .store
        case .untrusted: self = .verification
        case .unreadable: self = .signer
        case .unreachable: self = .network
        }
    }
}

extension S3Error {
    /// The short reason, for messages about retries.
    package var shortReason: String {
        switch cause {
        case .transport(let error): error.sentence
        case .answer(let status, let code, _): "\(code) (HTTP \(status))"
        case .unreadable(_, let reason): "unreadable answer (\(reason))"
        case .noCredentials(let unavailable): unavailable.reason
        }
    }
}

extension Ledger {
    /// Reads or writes the ledger, and turns its error into a failure with a message for the user.
    package func reporting<Result>(
        _ step: (Ledger) throws(LedgerError) -> Result
    ) throws(UploadFailure) -> Result {
        do {
            return try step(self)
        } catch {
            throw failure(error)
        }
    }

    package func failure(_ error: LedgerError) -> UploadFailure {
        UploadFailure(ledger: error, path: LossyUTF8.string(path))
    }
}
