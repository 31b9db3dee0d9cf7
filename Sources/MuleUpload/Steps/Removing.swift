// Giving up an upload: its parts are removed at the store, and only then forgotten here.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

/// How a removal ended.
enum Removal: Sendable {
    case removed
    case refused(S3Error)
}

extension RemoteSteps {
    /// Removes what the upload has left at the store.
    ///
    /// A part that is under way when the upload is aborted may land afterwards, so the abort is repeated until the store
    /// lists nothing any more.
    func removeParts(of record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> Removal {
        // First what an unanswered Create has left: the upload itself shows whose it is.
        if record.createAttemptedAt != nil, case .refused(let error) = try removeUnanswered(record, transfer) {
            guard error.mayNotBeAsked else { return .refused(error) }
            // What such a Create has left holds no part and costs nothing; it must not keep the parts from going.
            emit(.siblingsUnknown(record, transfer, error))
        }
        guard let uploadID = record.uploadID else { return .removed }
        return try abort(uploadID, at: record.upload.destination, transfer.job.service, id: record.id) {
            transfer.isStopped
        }
    }

    /// Aborts an upload, whoever began it, until the store lists no part of it any more.
    ///
    /// - Parameter id: what the upload is called here, for what is said of it.
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

    /// Removes the uploads that unanswered tries of Create have left: those of this key that were created around the attempts
    /// by the same user and have no parts.
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
            // An upload of our own shows by what name this store knows us; it goes with the others.
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
            if case .refused(let error) = try removeIfEmpty(upload, address, transfer) { return .refused(error) }
        }
        return .removed
    }

    private func removeIfEmpty(
        _ upload: OpenUpload,
        _ address: ObjectAddress,
        _ transfer: Transfer
    ) throws(UploadFailure) -> Removal {
        let listed = try client.retrying(transfer) { (connection) throws(S3Error) in
            try connection.listParts(address, uploadID: upload.uploadID)
        }
        switch listed {
        case .refused(let error, _): return error.leavesNothing ? .removed : .refused(error)
        case .success(let listing, _): guard listing.parts.isEmpty else { return .removed }
        }
        // A 404 may be the echo of an abort whose answer was lost.
        let aborted = try client.retrying(transfer) { (connection) throws(S3Error) in
            try connection.abortMultipartUpload(address, uploadID: upload.uploadID)
        }
        if case .refused(let error, _) = aborted, !error.leavesNothing { return .refused(error) }
        return .removed
    }

    /// Milliseconds around the tries of Create: clocks differ, and a request that was cut off may still be carried out.
    private static let createWindow: Int64 = 60_000
}

extension S3Error {
    /// Whether there is nothing left that could be removed: the upload, or its whole bucket, is gone.
    var leavesNothing: Bool { isVanishedUpload || (code == "NoSuchBucket" && isOfS3) }

    /// Whether the question is not allowed, or not known to this store, whatever is asked about.
    var mayNotBeAsked: Bool { isMissingPermission || retryClass == .unsupported }
}

extension UploadEvent {
    static func siblingsUnknown(_ record: UploadRecord, _ transfer: Transfer, _ error: S3Error) -> UploadEvent {
        .notice(
            id: record.id,
            "An interrupted run may have left an empty upload of \(transfer.name) at the store; cannot check this "
                + "(\(error.shortReason)): it needs \(error.operation.permission)."
        )
    }
}
