import MulePlan
import MuleS3
import MuleSystem
import MuleTransport

/// Whether a server answers at all; for a store without a bucket.
struct EndpointCheck {
    private let settings: FoundSettings
    private let session: Session
    private let report: (Finding) -> Void

    /// Seconds to wait for an answer.
    private static let patience = 10.0

    init(_ settings: FoundSettings, _ session: Session, _ report: @escaping (Finding) -> Void) {
        self.settings = settings
        self.session = session
        self.report = report
    }

    func run() {
        let endpoint = settings.store.service.endpoint
        let place = "\(endpoint.url) (\(settings.origins.endpoint))"
        var request = HTTPRequest(method: "HEAD", url: endpoint.url + "/")
        request.stallTimeout = Self.patience
        request.answerTimeout = Self.patience
        do {
            let client = try HTTPClient(settings: settings.observingTransport, cancellation: session.cancellation)
            _ = try client.perform(request)
            report(.ok("endpoint", "\(place) answers.", cure: "\"mule doctor BUCKET\" checks a bucket there."))
            TLSCheck(endpoint, report).run(client.security)
        } catch {
            report(
                .problem("endpoint", .temporary, "\(place) does not answer: \(error.sentence).", cure: error.cure)
            )
        }
    }
}

/// How the connection is encrypted, and how long the server's certificate is valid.
struct TLSCheck {
    private let endpoint: Endpoint
    private let report: (Finding) -> Void
    private let now: UTCTime

    /// Certificates of 90 days are renewed a month before they expire: with fewer days left, that has failed.
    static let fewDays: Int64 = 21

    init(
        _ endpoint: Endpoint,
        _ report: @escaping (Finding) -> Void,
        now: UTCTime = UTCTime(millisecondsSince1970: wallClockMilliseconds())
    ) {
        self.endpoint = endpoint
        self.report = report
        self.now = now
    }

    func run(_ security: ConnectionSecurity?) {
        guard endpoint.isEncrypted else { return reportPlain() }
        guard let security else {
            return report(.ok("tls", "Encrypted, and the certificate is valid; it cannot be shown with this libcurl."))
        }
        var text = "\(security.version), certificate"
        if let name = security.name { text += " for \(TextSafety.displayText(name))" }
        if let issuer = security.issuer { text += " by \(TextSafety.displayText(issuer))" }
        guard let end = security.end else { return report(.ok("tls", text + ".")) }
        let time = UTCTime(millisecondsSince1970: end * 1000)
        let days = (time.millisecondsSince1970 - now.millisecondsSince1970) / 86_400_000
        text += ", valid until \(LocalTime.text(time)) (\(days == 1 ? "1 day" : "\(days) days"))."
        guard days <= Self.fewDays else { return report(.ok("tls", text)) }
        report(
            .warning(
                "tls",
                text + " After that, uploads cannot connect.",
                cure: "Let the operator of \(endpoint.host) renew the certificate."
            )
        )
    }

    private func reportPlain() {
        guard !endpoint.isOnThisMachine else {
            return report(.ok("tls", "Not encrypted; the endpoint is on this machine."))
        }
        report(
            .warning(
                "tls",
                "Not encrypted: other machines on the way can read what is uploaded.",
                cure: "Use an endpoint that starts with https://."
            )
        )
    }
}

/// How much the clocks of this machine and the store differ.
struct ClockCheck {
    let report: (Finding) -> Void

    /// Seconds of difference that cause a warning. S3 refuses requests at 15 minutes.
    private static let tolerable: Int64 = 60

    /// - Parameter difference: in milliseconds.
    func run(_ difference: Int64) {
        let seconds = abs(difference) / 1000
        guard seconds > Self.tolerable else {
            return report(.ok("clock", "The clocks of this machine and the store differ by \(seconds) s."))
        }
        report(
            .warning(
                "clock",
                "The clocks of this machine and the store differ by \(seconds) s. mule corrects for it; other programs "
                    + "fail from 15 minutes on.",
                cure: "Set the clock (timedatectl set-ntp true)."
            )
        )
    }
}
