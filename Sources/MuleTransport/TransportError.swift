package import MuleSystem

/// Why a request got no answer.
package enum TransportError: Error, Hashable, Sendable {
    /// `Cancellation` was asked for, or the request's own `shouldStop` said so.
    case cancelled
    /// The host's name has no address.
    case cannotResolve(String)
    case cannotConnect(String)
    /// No secure connection: handshake, protocol version.
    case tls(String)
    /// The server's certificate is not one that we trust.
    case certificate(String)
    /// Nothing moved for this many seconds.
    case stalled(seconds: Double)
    /// Its connection was far behind others: the request's own `isLeftBehind` said so.
    case leftBehind
    /// The connection broke. `answered` tells whether any byte of an answer had come.
    case broken(String, answered: Bool)
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
        case .cannotResolve, .cannotConnect, .tls, .stalled, .leftBehind, .broken: true
        case .cancelled, .certificate, .source, .sourceEnded, .answerTooLong, .unusable: false
        }
    }
}

extension TransportError {
    /// The reason in words.
    package var sentence: String {
        switch self {
        case .cancelled: "cancelled"
        case .cannotResolve: "the host name has no address (no network, or a misspelt name)"
        case .cannotConnect: "no connection to the server"
        case .tls(let reason): "no secure connection (\(reason))"
        case .certificate(let reason): "untrusted certificate (\(reason))"
        case .stalled(let seconds): "nothing moved for \(Int(seconds)) s"
        case .leftBehind: "the connection was far slower than the others"
        case .broken(let reason, _): "the connection broke (\(reason))"
        case .source(let error, let offset): "the source can't be read at byte \(offset) (\(error.reason))"
        case .sourceEnded(let offset): "the source ends at byte \(offset)"
        case .answerTooLong(let limit): "the answer is longer than \(limit) bytes"
        case .unusable(let reason): reason
        }
    }
}
