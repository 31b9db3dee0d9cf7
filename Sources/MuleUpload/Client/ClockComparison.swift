package import MulePlan
package import MuleS3

/// What a store's answers show of its clock.
package struct StoreClock: Sendable {
    /// The store's name in messages.
    package var host: String
    /// Nil before the first answer with a date, or if the store sends none.
    package var now: UTCTime?

    package init(host: String, now: UTCTime?) {
        self.host = host
        self.now = now
    }
}

/// Whether this machine's clock can be trusted to remove something by age.
package enum ClockComparison {
    /// Milliseconds above which two clocks differ too much: beyond that, S3 refuses signatures (RequestTimeTooSkewed).
    package static let tolerance: Int64 = 900_000

    /// Why nothing may be removed by age; nil if the clocks agree.
    ///
    /// - Parameter now: milliseconds since 1970, by this machine's clock.
    package static func doubt(now: Int64, store: StoreClock) -> UploadFailure? {
        guard let time = store.now else {
            return UploadFailure(
                .source,
                "Nothing was moved or removed by age: \(store.host) does not send its time (an HTTP answer without "
                    + "Date), so this machine's clock cannot be checked.",
                isResumable: true
            )
        }
        guard abs(time.millisecondsSince1970 - now) > tolerance else { return nil }
        return UploadFailure(
            .source,
            "Nothing was moved or removed by age: this machine's clock shows "
                + "\(UTCTime(millisecondsSince1970: now).iso8601), that of \(store.host) \(time.iso8601). Set the "
                + "clock that is wrong (timedatectl set-ntp true) and run the same command again.",
            isResumable: true
        )
    }
}

extension S3Service {
    package var clock: StoreClock { StoreClock(host: endpoint.host, now: toldTime) }
}
