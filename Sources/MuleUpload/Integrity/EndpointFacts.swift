import MuleDigest
import MuleSystem

/// What has been learned about endpoints, shared by the transfers of a run and kept in the ledger between runs.
final class EndpointFacts: Sendable {
    private let known = Monitor<[String: ChecksumMode]>([:])
    private let load: @Sendable (String) -> String?
    private let save: @Sendable (String, String) -> Void

    static let factName = "protection"
    /// Stores learn new tricks: after a week the best rung is tried again.
    static let lifetime: Int64 = 7 * 86_400

    init(load: @escaping @Sendable (String) -> String?, save: @escaping @Sendable (String, String) -> Void) {
        self.load = load
        self.save = save
    }

    /// The rung to begin on where the user leaves it open.
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
