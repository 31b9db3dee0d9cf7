// A CompleteMultipartUpload whose answer was lost, with the connection or with the process, may still run at the store.
//
// A second one at the same time, or an abort, makes stores lose the object's data: MinIO
// (https://github.com/minio/minio/issues/17858), Ceph (https://github.com/ceph/ceph/pull/16732,
// https://github.com/ceph/ceph/pull/60771), LocalStack. So mule waits for the object first.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

extension RemoteSteps {
    /// Waits until the object of a Complete that may still run appears, or until that Complete has had enough time.
    ///
    /// Looks do not count as progress: an upload whose Complete is never answered must reach the stall limit. An adopted
    /// upload has no token to find its object by, so only time passes.
    ///
    /// - Parameter moment: when that Complete was last known to run, in milliseconds since 1970.
    /// - Returns: whether the object has this upload's token and size.
    func awaitObject(
        ofCompleteAt moment: Int64,
        size: Int64,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> Bool {
        let longest = client.context.policy.completionTime(size: size)
        let store = client.context.store(transfer.job.service)
        let allowed = client.stallTimer.limit - transfer.streak.seconds(at: client.stallTimer.activeTime)
        // The wall clock may have been set since.
        let left = min(max(Double(moment - ledger.now()) / 1_000 + longest, 0), longest, max(allowed, 0))
        let wasRetry = client.isRetry
        client.isRetry = true
        defer { client.isRetry = wasRetry }
        let end = Moment.now().adding(seconds: left)
        var pause = 0.1
        var isNoted = false
        while true {
            do throws(UploadFailure) {
                if !record.isAdopted, try ownHead(size: size, record, transfer) != nil { return true }
            } catch {
                // Not permitted: only time is left.
                guard error.kind == .verification else { throw error }
            }
            let now = Moment.now()
            guard now < end else { return false }
            if cancellation.isCancelled || transfer.isStopped { throw .interrupted }
            // Most objects appear in a moment.
            if pause > 0.5, !isNoted {
                isNoted = true
                emit(
                    .notice(
                        id: record.id,
                        "The store may still be completing \(transfer.name): waiting up to "
                            + "\(Int(end.seconds(since: now).rounded(.up))) s for the object."
                    )
                )
            }
            sleep(until: min(now.adding(seconds: pause), end), cancellation)
            pause = min(pause * 2, 5)
            for streak in [transfer.streak, store.streak] { streak.noteWait(at: client.stallTimer.activeTime) }
        }
    }

    /// Waits for a Complete of an earlier run, if there is one.
    func awaitEarlierComplete(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) {
        guard let attempted = record.completeAttemptedAt, record.mayHaveBeenCompleted || record.isAdopted else {
            return
        }
        let size = record.size ?? record.bytesDone
        _ = try awaitObject(ofCompleteAt: attempted, size: size, record, transfer)
    }
}

extension S3Error {
    /// Whether the store may still execute the request: the connection or a proxy ended the wait for the answer.
    /// Envoy and Varnish answer 503 then.
    var mayStillRun: Bool { !hasDocument && (mayHaveSucceeded || status == 503) }
}
