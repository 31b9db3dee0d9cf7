import MulePlan

/// Progress for logs: a plain line from time to time.
package struct PlainPrinter: Sendable {
    /// Seconds between two lines, and before the first: a short run has none.
    package static let interval = 30.0
    package static let firstAfter = 1.0

    private var lastTime: Double?

    package init() {}

    /// Whether a line is due.
    package mutating func isDue(at time: Double) -> Bool {
        guard let last = lastTime else {
            lastTime = time - PlainPrinter.interval + PlainPrinter.firstAfter
            return false
        }
        guard time - last >= PlainPrinter.interval else { return false }
        lastTime = time
        return true
    }

    /// `mule: dump.zst 61 % (183.1 of 300.0 GiB), 92.4 MiB/s, about 21m10s left, 2 retries`
    package static func line(_ snapshot: TransferSnapshot, pace: TransferPace) -> String {
        let file = snapshot.isSingle ? snapshot.files.first : nil
        let subject = file?.name ?? snapshot.filesText + ","
        let bar = BarLine(
            name: subject,
            done: snapshot.bytesDone,
            inFlight: snapshot.bytesInFlight,
            total: snapshot.totalBytes,
            isComplete: snapshot.isComplete,
            rate: nil,
            remark: nil,
            status: nil
        )
        let reached = bar.done + bar.inFlight
        var facts: [String] = []
        if let total = bar.total, let percent = bar.percent {
            facts.append("\(subject) \(percent) % (\(ByteSize.format(min(reached, total), of: total)))")
        } else {
            facts.append("\(subject) \(ByteSize.format(reached))")
        }
        if let state = file?.state, state != .sending { facts.append(state.rawValue) }
        if !bar.isComplete {
            if let rate = pace.rate { facts.append(ByteSize.format(Int64(min(rate, 1e18))) + "/s") }
            if bar.total != nil, let left = pace.secondsLeft { facts.append("about \(DurationText.format(left)) left") }
        }
        if let retries = Wording.retries(snapshot.retries) { facts.append(retries) }
        if snapshot.failures > 0 { facts.append("\(snapshot.failures) failed") }
        if let reason = snapshot.waitingReason { facts.append("waiting: " + reason) }
        return TextSafety.displayName(Array(("mule: " + facts.joined(separator: ", ")).utf8))
    }
}
