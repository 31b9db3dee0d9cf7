// The day on which the store gives an upload up by itself: told in time, and once.

import MuleLedger
package import MulePlan
import MuleS3
import MuleSystem
import Synchronization

extension Worker {
    /// Keeps the date that the store has told of this upload.
    func learnAbortDate(_ date: String, _ transfer: Transfer) throws(UploadFailure) {
        guard let record = transfer.record, record.abortDate != date else { return }
        try run.ledger.reporting { ledger throws(LedgerError) in try ledger.recordAbortDate(record.number, date) }
        transfer.change { $0.record(abortDate: date) }
    }
}

extension UploadRun {
    /// Warns when the date is past or near, or can't be kept at the rate that is allowed; from then on the rate of this
    /// run is looked at now and then. To be called when the upload has its ID and what is left of it is known.
    func watchAbortDate(of transfer: Transfer) {
        guard let date = transfer.record?.abortDate.flatMap(AbortDate.init) else { return }
        guard transfer.change({ $0.learn(date) }) else { return }
        if let risk = risk(date, transfer, rate: settings.rateLimit?.constant.map(Double.init)) {
            warn(risk, date, transfer)
        } else {
            transfer.nextLookAtPace.store(
                Moment.now().adding(seconds: settings.paceInterval).nanoseconds,
                ordering: .relaxed
            )
        }
    }

    /// To be called whenever bytes have gone out; costs a look at the clock at most.
    func observePace(of transfer: Transfer) {
        let due = transfer.nextLookAtPace.load(ordering: .relaxed)
        guard due != .max else { return }
        let now = Moment.now()
        guard now.nanoseconds >= due, let date = transfer.change({ $0.abortDate }) else { return }
        let next = now.adding(seconds: settings.paceInterval).nanoseconds
        guard transfer.nextLookAtPace.compareExchange(expected: due, desired: next, ordering: .relaxed).exchanged else {
            return
        }
        // What all files of the run get together: if that is not enough for this one alone, it won't be done.
        let rate = Double(progress.bytesSent) / max(now.seconds(since: startedAt), 0.001)
        guard let risk = risk(date, transfer, rate: rate) else { return }
        // Near and in time for all that is known.
        if case .near = risk { return }
        transfer.nextLookAtPace.store(.max, ordering: .relaxed)
        warn(risk, date, transfer)
    }

    private func risk(_ date: AbortDate, _ transfer: Transfer, rate: Double?) -> AbortDate.Risk? {
        let done = transfer.bytesDone.load(ordering: .relaxed) + transfer.bytesInFlight.load(ordering: .relaxed)
        let size = transfer.size
        let now = UTCTime(millisecondsSince1970: wallClockMilliseconds() + transfer.job.service.clockDifference)
        return date.risk(at: now, bytesLeft: size.map { max(0, $0 - done) }, rate: rate)
    }

    private func warn(_ risk: AbortDate.Risk, _ date: AbortDate, _ transfer: Transfer) {
        emit(.notice(id: transfer.record?.id, risk.sentence(date, of: transfer.name)))
    }
}

extension AbortDate.Risk {
    /// For people: what will happen to the unfinished upload of that object, and what helps.
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
                + "by its bucket's lifecycle rule, and at this rate the rest takes "
                + "\(DurationText.format(needed)): all parts would be lost. Use a faster connection, or a rule "
                + "(AbortIncompleteMultipartUpload) that waits longer."
        }
    }
}
