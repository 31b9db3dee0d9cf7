import MuleDigest
import MuleS3
import MuleSystem

/// Facts about endpoints, shared by the transfers of a run and stored in the ledger.
final class EndpointFacts: Sendable {
    /// By endpoint; nil where the ledger knows none.
    private let known = Monitor<[String: ChecksumMode?]>([:])
    private let load: @Sendable (String) -> String?
    private let save: @Sendable (String, String) -> Void

    private static let best = ChecksumMode.checksum(.crc64nvme, confirmed: false)
    static let factName = "protection"
    /// Stores gain features: after a week mule retries the best mode.
    static let lifetime: Int64 = 7 * 86_400

    init(load: @escaping @Sendable (String) -> String?, save: @escaping @Sendable (String, String) -> Void) {
        self.load = load
        self.save = save
    }

    /// The mode that the store accepted lately; nil if none is known.
    func checksumMode(of endpoint: String) -> ChecksumMode? {
        if let cached = known.withLock({ $0[endpoint] }) { return cached }
        let learned = load(endpoint).flatMap(ChecksumMode.init(text:))
        known.withLock { $0[endpoint] = .some(learned) }
        return learned
    }

    func learn(_ checksumMode: ChecksumMode, of endpoint: String) {
        let isNews = known.withLock { known in
            if let cached = known[endpoint], (cached ?? Self.best) == checksumMode { return false }
            known[endpoint] = checksumMode
            return true
        }
        if isNews { save(endpoint, checksumMode.text) }
    }
}

/// Which endpoints compare a signed body with its hash (`x-amz-content-sha256`), shared by the transfers of a run and
/// stored in the ledger.
final class SignedBodyFacts: Sendable {
    private struct Endpoint {
        var isLoaded = false
        /// Nil while unknown.
        var comparesHash: Bool?
        var isAsking = false
        var questions = 0
    }

    private let known = Monitor<[String: Endpoint]>([:])
    private let load: @Sendable (String) -> String?
    private let save: @Sendable (String, String) -> Void

    static let factName = "checks-payload-hash"
    /// A store that does not answer clearly is asked this often in a run.
    static let mostQuestions = 3

    init(load: @escaping @Sendable (String) -> String?, save: @escaping @Sendable (String, String) -> Void) {
        self.load = load
        self.save = save
    }

    /// Whether the store is known to compare.
    func comparesHash(_ endpoint: String) -> Bool {
        loaded(endpoint).comparesHash ?? false
    }

    /// Waits while another worker asks the store, for a second at most. Four small requests take less time than the MD5
    /// of what is sent meanwhile.
    func waitForAnswer(_ endpoint: String) {
        let deadline = Moment.now().adding(seconds: 1)
        known.wait(askingAgainAt: { _ in deadline }) { known in
            known[endpoint]?.isAsking != true || Moment.now() >= deadline ? () : nil
        }
    }

    /// Whether the caller must ask the store and then call `learn`: true for one caller at a time, while it is unknown.
    func mustAsk(_ endpoint: String) -> Bool {
        _ = loaded(endpoint)
        return known.withLock { known in
            guard var entry = known[endpoint], entry.comparesHash == nil, !entry.isAsking,
                entry.questions < Self.mostQuestions
            else { return false }
            entry.isAsking = true
            entry.questions += 1
            known[endpoint] = entry
            return true
        }
    }

    /// - Parameter comparesHash: nil if the store did not answer clearly.
    func learn(_ comparesHash: Bool?, of endpoint: String) {
        known.update { known in
            known[endpoint, default: Endpoint()].isAsking = false
            known[endpoint]?.comparesHash = comparesHash
        }
        if let comparesHash { save(endpoint, comparesHash ? "yes" : "no") }
    }

    private func loaded(_ endpoint: String) -> Endpoint {
        if let entry = known.withLock({ $0[endpoint] }), entry.isLoaded { return entry }
        let text = load(endpoint)
        return known.withLock { known in
            var entry = known[endpoint] ?? Endpoint()
            if !entry.isLoaded {
                entry.isLoaded = true
                entry.comparesHash = text.map { $0 == "yes" }
                known[endpoint] = entry
            }
            return entry
        }
    }
}
