import MuleLedger
import MulePlan
import MuleUpload

/// How long an object has been at its store, by the store's own clock.
///
/// A wrong clock of this machine, now or in the run that archived the file, must not make a file look old: where an age
/// matters, this clock, the store's clock and the object's date must all agree that the time has come.
struct ObjectAge {
    /// Why ages cannot be trusted in this run; nil if this clock and the store's agree.
    let doubt: UploadFailure?
    /// When the object was created, by this machine's clock; milliseconds since 1970.
    let provedAt: Int64
    /// Milliseconds since the object was created, by the store's clock; nil if it was sent in this run.
    private let byStore: Int64?

    /// HTTP dates are whole seconds, and stores round them either way (RFC 9110, 5.6.7).
    private static let rounding: Int64 = 2_000

    /// - Parameter now: milliseconds since 1970, by this machine's clock.
    init(_ summary: UploadSummary, now: Int64) {
        doubt =
            ClockComparison.doubt(now: now, store: summary.storeClock)
            ?? (summary.wasThere && summary.lastModified == nil ? Self.undated(summary) : nil)
        if let made = summary.lastModified, let time = summary.storeClock.now {
            byStore = time.millisecondsSince1970 - made.millisecondsSince1970
        } else {
            byStore = nil
        }
        provedAt = now - max(0, byStore ?? 0)
    }

    /// Whether the object is old enough, by the store's clock, for its action. True if the clocks are in doubt, because
    /// then `doubt` is the reason to report.
    func hasReached(_ after: AfterAction) -> Bool {
        guard doubt == nil, case .deleteAfter(let seconds) = after else { return true }
        return byStore.map { $0 + Self.rounding >= Int64(seconds * 1000) } ?? true
    }

    private static func undated(_ summary: UploadSummary) -> UploadFailure {
        UploadFailure(
            .source,
            "Nothing was moved or removed by age: \(summary.storeClock.host) does not say when \(summary.destination) "
                + "was created (an HTTP answer without Last-Modified).",
            isResumable: true
        )
    }
}
