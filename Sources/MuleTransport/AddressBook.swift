import MuleSystem

/// Which addresses of each host answer, which do not, and whether the host has answered at all. Shared by all
/// connections of a run.
package final class AddressBook: Sendable {
    private struct Entry {
        var hasServed = false
        var answering: Set<String> = []
        var failing: Set<String> = []
    }

    /// Keys are "host:port".
    private let entries = Monitor<[String: Entry]>([:])

    package init() {}

    /// Whether the host and port have answered a request.
    func hasServed(_ place: String) -> Bool { entries.withLock { $0[place]?.hasServed ?? false } }

    /// Whether to try the address first. After a failure: only addresses that have answered since, or, if there are
    /// none, those that have not failed. Without a failure the order of DNS applies, which spreads the load.
    func prefers(_ address: String, of place: String) -> Bool {
        entries.withLock { entries in
            guard let entry = entries[place], !entry.failing.isEmpty else { return true }
            return entry.answering.isEmpty ? !entry.failing.contains(address) : entry.answering.contains(address)
        }
    }

    func noteAnswer(of place: String, at address: String?) {
        entries.withLock { entries in
            var entry = entries[place] ?? Entry()
            // Most answers show nothing new.
            if entry.hasServed, address.map(entry.answering.contains) ?? true { return }
            entry.hasServed = true
            if let address {
                entry.answering.insert(address)
                entry.failing.remove(address)
            }
            entries[place] = entry
        }
    }

    func noteFailure(of place: String, at address: String) {
        entries.withLock { entries in
            entries[place, default: Entry()].failing.insert(address)
            entries[place]?.answering.remove(address)
        }
    }
}

extension AddressBook: Hashable {
    package static func == (one: AddressBook, other: AddressBook) -> Bool { one === other }

    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
