// Warns, once and in time, that the store will abort an upload on its own.

import MuleLedger
package import MulePlan
import MuleS3
import MuleSystem
import Synchronization

extension Worker {
    /// Records the abort date that the store named.
    func learnAbortDate(_ date: String, _ transfer: Transfer) throws(UploadFailure) {
        guard let record = transfer.record, record.abortDate != date else { return }
        try run.ledger.reporting { ledger throws(LedgerError) in try ledger.recordAbortDate(record.number, date) }
        transfer.change { $0.record(abortDate: date) }
    }
}

extension UploadRun {
    /// Warns if the date is past or near, or if the rate limit cannot meet it; otherwise checks the rate of this run
    /// regularly. Call when the upload has its ID and the remaining size is known.
    func watchAbortDate(of transfer: Transfer) {
        guard let date = transfer.record?.abortDate.flatMap(AbortDate.init) else { return }
        guard transfer.change({ $0.learn(date) }) else { return }
        if let risk = risk(date, transfer, rate: settings.rateLimit?.constant.map(Double.init)) {
            warn(risk, date, transfer: transfer)
        } else {
            transfer.nextPaceCheck.store(
                Moment.now().adding(seconds: settings.paceInterval).nanoseconds,
                ordering: .relaxed
            )
        }
    }

    /// Call after sending bytes; usually costs only a look at the clock.
    func observePace(of transfer: Transfer) {
        let due = transfer.nextPaceCheck.load(ordering: .relaxed)
        guard due != .max else { return }
        let now = Moment.now()
        guard now.nanoseconds >= due, let date = transfer.change({ $0.abortDate }) else { return }
        let next = now.adding(seconds: settings.paceInterval).nanoseconds
        guard transfer.nextPaceCheck.compareExchange(expected: due, desired: next, ordering: .relaxed).exchanged else {
            return
        }
        // The rate of the whole run: if it is not enough for this file alone, the file will not finish.
        let rate = Double(progress.bytesSent) / max(now.seconds(since: startedAt), 0.001)
        guard let risk = risk(date, transfer, rate: rate) else { return }
        // Near, but expected to finish in time.
        if case .near = risk { return }
        transfer.nextPaceCheck.store(.max, ordering: .relaxed)
        warn(risk, date, transfer: transfer)
    }

    private func risk(_ date: AbortDate, _ transfer: Transfer, rate: Double?) -> AbortDate.Risk? {
        let done = transfer.bytesDone.load(ordering: .relaxed) + transfer.bytesInFlight.load(ordering: .relaxed)
        let size = transfer.size
        let now = UTCTime(millisecondsSince1970: wallClockMilliseconds() + transfer.job.service.clockDifference)
        return date.risk(at: now, bytesLeft: size.map { max(0, $0 - done) }, rate: rate)
    }

    private func warn(_ risk: AbortDate.Risk, _ date: AbortDate, transfer: Transfer) {
        emit(.notice(id: transfer.record?.id, risk.sentence(date, of: transfer.name)))
    }
}

extension AbortDate.Risk {
    /// For users: what will happen to the unfinished upload of that object, and how to prevent it.
    package func sentence(_ date: AbortDate, of object: String) -> String {
        let day = date.time.iso8601
        switch self {
        case .past:
            return
                "The store was due to abort the unfinished upload of \(object) at \(day), by its bucket's lifecycle "
                + "rule: parts that it has removed must be sent again."
        case .near(let left):
            return
                "The store will abort the unfinished upload of \(object) at \(day), in \(DurationText.format(left)), "
                + "by its bucket's lifecycle rule: if it is not completed by then, it must be sent again."
        case .tooSlow(let left, let needed):
            return
                "The store will abort the unfinished upload of \(object) at \(day), in \(DurationText.format(left)), "
                + "by its bucket's lifecycle rule, and at this rate the rest takes \(DurationText.format(needed)): "
                + "all parts would be lost. Use a faster connection, or a rule (AbortIncompleteMultipartUpload) that "
                + "waits longer."
        }
    }
}
