import MuleDigest
import MuleSystem

/// Caches the derived keys by day, region and service.
///
/// A process signs with one or two identities, and around midnight for two days, so a few entries are enough. An entry
/// holds its secret for comparison; the secret is not a dictionary key, and is dropped with the entry.
package final class SigningKeyCache: Sendable {
    private struct Entry {
        let credentials: Credentials
        let date: String
        let key: [UInt8]
    }

    private let region: String
    private let service: String
    private let capacity: Int
    /// The newest last.
    private let entries = Monitor<[Entry]>([])

    package init(region: String, service: String, capacity: Int = 4) {
        self.region = region
        self.service = service
        self.capacity = capacity
    }

    package var count: Int { entries.withLock { $0.count } }

    /// 32 bytes. `date` as in the credential scope, `20261120`.
    package func key(for credentials: Credentials, date: String) -> [UInt8] {
        guard let secret = credentials.secretAccessKey else { return credentials.signingKey?.bytes ?? [] }
        if let known = entries.withLock({ known(credentials, date, in: $0) }) { return known }
        // Derived outside the lock: if two threads do it at once, both get the same key.
        let key = derive(secret: secret, date: date)
        entries.withLock { entries in
            guard known(credentials, date, in: entries) == nil else { return }
            if entries.count == capacity { entries.removeFirst() }
            entries.append(Entry(credentials: credentials, date: date, key: key))
        }
        return key
    }

    private func known(_ credentials: Credentials, _ date: String, in entries: [Entry]) -> [UInt8]? {
        entries.last { $0.date == date && $0.credentials.hasSameKey(as: credentials) }?.key
    }

    private func derive(secret: String, date: String) -> [UInt8] {
        var key = Array("AWS4\(secret)".utf8)
        for step in [date, region, service, "aws4_request"] {
            key = hmacSHA256(key: key, message: step.utf8)
        }
        return key
    }
}
