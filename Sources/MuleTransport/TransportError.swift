package import MuleSystem

/// Why a request got no answer.
package enum TransportError: Error, Hashable, Sendable {
    /// `Cancellation` was asked for, or the request's own `shouldStop` said so.
    case cancelled
    /// The network, a proxy, or the other side's TLS.
    case network(NetworkFailure)
    /// Its connection was far behind others: the request's own `isLeftBehind` said so.
    case leftBehind
    /// The body's file could not be read at this offset of the file.
    case source(SystemError, offset: Int64)
    /// The body's file ended before its range did.
    case sourceEnded(offset: Int64)
    /// The answer is longer than any that this program asks for.
    case answerTooLong(limit: Int)
    /// The URL or an option is not usable, a CA file can't be read, and the like: trying again can't help.
    case unusable(String)

    /// Whether the same request may succeed later.
    package var isTransient: Bool {
        switch self {
        case .network(let failure): failure.isTransient
        case .leftBehind: true
        case .cancelled, .source, .sourceEnded, .answerTooLong, .unusable: false
        }
    }

    /// Whether no connection stood that could have carried the request: nothing of it has left.
    package var connectionFailed: Bool { network.map { $0.stage < .sending && !$0.mayHaveLeft } ?? false }

    /// The network's failure; nil for others.
    package var network: NetworkFailure? {
        if case .network(let failure) = self { failure } else { nil }
    }

    /// The reason in words.
    package var sentence: String {
        switch self {
        case .cancelled: "cancelled"
        case .network(let failure): failure.sentence
        case .leftBehind: "the connection was much slower than the others"
        case .source(let error, let offset): "the source cannot be read at byte \(offset) (\(error.reason))"
        case .sourceEnded(let offset): "the source ends at byte \(offset)"
        case .answerTooLong(let limit): "the answer is longer than \(limit) bytes"
        case .unusable(let reason): reason
        }
    }

    /// What to do about it, as a sentence; nil where nothing is known.
    package var cure: String? { network?.cure }
}
