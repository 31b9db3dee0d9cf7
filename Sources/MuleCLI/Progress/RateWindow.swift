/// The rate over the last seconds, from a counter that is read from time to time.
package struct RateWindow: Sendable {
    private struct Sample {
        let time: Double
        let count: Int64
    }

    /// Seconds.
    private let length: Double
    /// Sorted by time; the first one may be older than the window, so that the window is always covered.
    private var samples: [Sample] = []

    package init(length: Double = 15) { self.length = length }

    /// Adds the counter at a monotonic time in seconds. Earlier times are ignored.
    package mutating func add(_ count: Int64, at time: Double) {
        if let last = samples.last, time <= last.time { return }
        samples.append(Sample(time: time, count: count))
        let start = time - length
        while samples.count > 2, samples[1].time <= start { samples.removeFirst() }
    }

    /// Counts per second, never below 0; nil for less than half a second of data.
    package var rate: Double? {
        guard let first = samples.first, let last = samples.last, last.time - first.time >= 0.5 else { return nil }
        let start = max(first.time, last.time - length)
        return max(0, (Double(last.count) - count(at: start, after: first)) / (last.time - start))
    }

    /// The counter at the window's start, interpolated linearly between samples.
    private func count(at time: Double, after first: Sample) -> Double {
        guard samples.count > 1, samples[1].time > first.time else { return Double(first.count) }
        let share = min(1, max(0, (time - first.time) / (samples[1].time - first.time)))
        return Double(first.count) + share * (Double(samples[1].count) - Double(first.count))
    }
}

/// The rate and remaining time of a run.
package struct TransferPace: Sendable {
    private var sent = RateWindow()
    private var advanced = RateWindow()
    private var missing: Int64?

    package init() {}

    /// Adds a snapshot at a monotonic time in seconds.
    package mutating func add(_ snapshot: TransferSnapshot, at time: Double) {
        sent.add(snapshot.bytesSentThisRun, at: time)
        let reached = snapshot.bytesDone + snapshot.bytesInFlight
        // Already delivered bytes do not count for the rate, and bytes sent twice are no progress.
        advanced.add(reached - snapshot.bytesSkipped, at: time)
        missing = snapshot.totalBytes.map { max(0, $0 - reached) }
    }

    /// Payload bytes sent per second, including retries; nil at the very start.
    package var rate: Double? { sent.rate }

    /// Seconds until all bytes are confirmed at this rate; nil if unknown.
    package var secondsLeft: Double? {
        guard let missing, let speed = advanced.rate, speed > 0 else { return nil }
        let seconds = Double(missing) / speed
        return seconds < 100 * 86_400 ? seconds : nil
    }
}
