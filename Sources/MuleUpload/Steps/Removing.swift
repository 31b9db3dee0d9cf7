// Aborts uploads: removes the parts at the store before the ledger forgets them.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

/// The result of a removal.
enum Removal: Sendable {
    case removed
    case refused(S3Error)
}

extension RemoteSteps {
    /// Removes what the upload has left at the store.
    ///
    /// A part in flight during the abort may arrive afterwards, so the abort is repeated until the store lists no
    /// parts.
    func removeParts(of record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> Removal {
        // First what an unanswered Create has left: the upload itself shows which initiator is this user.
        if record.createAttemptedAt != nil, case .refused(let error) = try removeUnanswered(record, transfer) {
            guard error.mayNotBeAsked else { return .refused(error) }
            // What such a Create has left has no parts and costs nothing; it must not prevent the removal of the parts.
            emit(.siblingsUnknown(record, transfer, error: error))
        }
        guard let uploadID = record.uploadID else { return .removed }
        try awaitEarlierComplete(record, transfer)
        return try abort(uploadID, at: record.upload.destination, transfer.job.service, id: record.id) {
            transfer.isStopped
        }
    }

    /// Aborts an upload of any origin until the store lists no parts of it.
    ///
    /// - Parameter id: the upload's ID in the ledger, for notices.
    func abort(
        _ uploadID: String,
        at address: ObjectAddress,
        _ service: S3Service,
        id: String?,
        unless isStopped: () -> Bool = { false }
    ) throws(UploadFailure) -> Removal {
        for round in 0..<5 {
            if round > 0 { sleep(until: Moment.now().adding(seconds: 0.2 * Double(round)), cancellation) }
            let aborted = try client.retrying(with: service, unless: isStopped) { (connection) throws(S3Error) in
                try connection.abortMultipartUpload(address, uploadID: uploadID)
            }
            if case .refused(let error, _) = aborted {
                return error.leavesNothing ? .removed : .refused(error)
            }
            let listed = try client.retrying(with: service, unless: isStopped) { (connection) throws(S3Error) in
                try connection.listParts(address, uploadID: uploadID)
            }
            switch listed {
            case .refused(let error, _):
                if error.leavesNothing { return .removed }
                guard error.mayNotBeAsked else { return .refused(error) }
                emit(
                    .notice(
                        id: id,
                        "The store says that the parts of \(address) are removed; cannot check whether one arrived "
                            + "afterwards (\(error.shortReason)). This needs \(error.operation.permission)."
                    )
                )
                return .removed
            case .success(let listing, _): if listing.parts.isEmpty { return .removed }
            }
        }
        throw UploadFailure(
            .store,
            "The store still lists parts of \(address) after several aborts: another process may be sending them. Run "
                + "the same command again when that process has ended.",
            isResumable: true
        )
    }

    /// Removes what unanswered attempts of Create have left: uploads of this key without parts, created around the
    /// attempts by the same user.
    func removeUnanswered(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> Removal {
        guard let attempted = record.createAttemptedAt else { return .removed }
        let address = record.upload.destination
        let first = attempted + transfer.job.service.clockDifference
        func list() throws(UploadFailure) -> Answer<[OpenUpload]> {
            try client.retrying(transfer) { (connection) throws(S3Error) in
                try connection.listMultipartUploads(of: address)
            }
        }
        var uploads: [OpenUpload]
        switch try list() {
        case .refused(let error, _): return error.leavesNothing ? .removed : .refused(error)
        case .success(let found, _): uploads = found
        }
        var own = uploads.first { $0.uploadID == record.uploadID }
        if own == nil, !uploads.isEmpty {
            // A new upload shows the initiator name of this user; it is removed with the others.
            let probe = try client.retrying(transfer) { (connection) throws(S3Error) in
                try connection.createMultipartUpload(address, attributes: ObjectAttributes(), checksum: nil)
            }
            switch (probe, try list()) {
            case (.refused(let error, _), _), (_, .refused(let error, _)): return .refused(error)
            case (.success(let probe, _), .success(let found, _)):
                uploads = found
                own = found.first { $0.uploadID == probe.uploadID }
            }
        }
        let last = max(first, own?.initiated?.millisecondsSince1970 ?? first)
        for upload in uploads where upload.uploadID != record.uploadID && upload.initiator == own?.initiator {
            guard let initiated = upload.initiated?.millisecondsSince1970,
                (first - Self.createWindow...last + Self.createWindow).contains(initiated)
            else { continue }
            if case .refused(let error) = try removeIfEmpty(upload, address, transfer: transfer) {
                return .refused(error)
            }
        }
        return .removed
    }

    private func removeIfEmpty(
        _ upload: OpenUpload,
        _ address: ObjectAddress,
        transfer: Transfer
    ) throws(UploadFailure) -> Removal {
        let listed = try client.retrying(transfer) { (connection) throws(S3Error) in
            try connection.listParts(address, uploadID: upload.uploadID)
        }
        switch listed {
        case .refused(let error, _): return error.leavesNothing ? .removed : .refused(error)
        case .success(let listing, _): guard listing.parts.isEmpty else { return .removed }
        }
        // A 404 may follow from an abort whose answer was lost.
        let aborted = try client.retrying(transfer) { (connection) throws(S3Error) in
            try connection.abortMultipartUpload(address, uploadID: upload.uploadID)
        }
        if case .refused(let error, _) = aborted, !error.leavesNothing { return .refused(error) }
        return .removed
    }

    /// Milliseconds around the attempts of Create: clocks differ, and the store may still execute an interrupted
    /// request.
    private static let createWindow: Int64 = 60_000
}

extension S3Error {
    /// Whether nothing is left to remove: the upload or its whole bucket is gone.
    var leavesNothing: Bool { isVanishedUpload || (code == "NoSuchBucket" && isOfS3) }

    /// Whether the request is not permitted, or not supported by this store, for any object.
    var mayNotBeAsked: Bool { isMissingPermission || retryClass == .unsupported || lacksCustomerKey }

    /// Whether the upload is encrypted with a customer key that the request did not have. Aborting needs none.
    private var lacksCustomerKey: Bool {
        guard case .answer(400, "InvalidRequest", let message) = cause else { return false }
        return message.lowercased().contains("server side encryption")
    }
}

extension UploadEvent {
    static func siblingsUnknown(_ record: UploadRecord, _ transfer: Transfer, error: S3Error) -> UploadEvent {
        .notice(
            id: record.id,
            "An interrupted run may have left an empty upload of \(transfer.name) at the store; cannot check this "
                + "(\(error.shortReason)): it needs \(error.operation.permission)."
        )
    }
}
