package import MuleSystem

/// Why a request got no answer.
package enum TransportError: Error, Hashable, Sendable {
    /// By `Cancellation`, or by the request's own `shouldStop`.
    case cancelled
    /// The network, a proxy, or the server's TLS.
    case network(NetworkFailure)
    /// The connection was much slower than others: the request's own `isLeftBehind` returned true.
    case leftBehind
    /// The body's file could not be read at this offset of the file.
    case source(SystemError, offset: Int64)
    /// The body's file ended before its range.
    case sourceEnded(offset: Int64)
    /// The answer exceeds the limit.
    case answerTooLong(limit: Int)
    /// The URL or an option is not usable, or a CA file cannot be read: a retry cannot help.
    case unusable(String)

    /// Whether the same request may succeed later.
    package var isTransient: Bool {
        switch self {
        case .network(let failure): failure.isTransient
        case .leftBehind: true
        case .cancelled, .source, .sourceEnded, .answerTooLong, .unusable: false
        }
    }

    /// Whether no connection was established: none of the request was sent.
    package var connectionFailed: Bool { network.map { $0.stage < .sending && !$0.mayHaveLeft } ?? false }

    /// The network's failure; nil for other errors.
    package var network: NetworkFailure? {
        if case .network(let failure) = self { failure } else { nil }
    }

    /// The reason as text.
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

    /// What to do about it, as a sentence; nil if nothing is known.
    package var cure: String? { network?.cure }
}
