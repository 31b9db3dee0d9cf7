import MuleDigest
import MuleSystem

/// Facts about endpoints, shared by the transfers of a run and stored in the ledger.
final class EndpointFacts: Sendable {
    private let known = Monitor<[String: ChecksumMode]>([:])
    private let load: @Sendable (String) -> String?
    private let save: @Sendable (String, String) -> Void

    static let factName = "protection"
    /// Stores gain features: after a week mule retries the best mode.
    static let lifetime: Int64 = 7 * 86_400

    init(load: @escaping @Sendable (String) -> String?, save: @escaping @Sendable (String, String) -> Void) {
        self.load = load
        self.save = save
    }

    /// The first mode to try with `--checksum auto`.
    func checksumMode(of endpoint: String) -> ChecksumMode {
        if let value = known.withLock({ $0[endpoint] }) { return value }
        let value = load(endpoint).flatMap(ChecksumMode.init(text:)) ?? .checksum(.crc64nvme, confirmed: false)
        known.withLock { $0[endpoint] = value }
        return value
    }

    func learn(_ checksumMode: ChecksumMode, of endpoint: String) {
        let isNews = known.withLock { known in
            if known[endpoint] == checksumMode { return false }
            known[endpoint] = checksumMode
            return true
        }
        if isNews { save(endpoint, checksumMode.text) }
    }
}
