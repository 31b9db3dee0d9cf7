package import MuleSystem

/// Part of a file, read by `pread` as the connection takes it: nothing is kept in memory.
package struct FileSlice: Sendable {
    package var file: File
    package var offset: Int64
    package var length: Int64

    package init(file: File, offset: Int64, length: Int64) {
        self.file = file
        self.offset = offset
        self.length = length
    }

    package var range: Range<Int64> { offset..<offset + length }
}

/// Bytes that the caller owns and keeps unchanged until the request has ended.
///
/// `@unchecked Sendable`: they are only read.
package struct LentBytes: @unchecked Sendable {
    package let bytes: UnsafeRawBufferPointer

    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }
}

/// Sees the body's bytes on their way into the connection.
package protocol BodyObserver: AnyObject {
    /// The body starts at its first byte, for the first time or again.
    func bodyStarts()
    func bodyContinues(_ bytes: UnsafeRawBufferPointer)
}

/// Reads the body of a successful answer as it arrives, so that it may have any length.
package protocol AnswerReader: AnyObject {
    /// The answer's head has arrived.
    func answerStarts(status: Int, headers: [(name: String, value: String)])
    /// - Returns: false to end the request, which then fails as cancelled.
    func answerContinues(_ bytes: UnsafeRawBufferPointer) -> Bool
}

/// How many of the wanted bytes may be sent now. 0 holds the body; the call is soon repeated.
package typealias Pace = @Sendable (_ wanted: Int) -> Int

/// Sends a request and waits for its whole answer, one at a time.
package protocol HTTPPerformer: AnyObject {
    func perform(_ request: HTTPRequest) throws(TransportError) -> HTTPResponse
}

package struct HTTPRequest {
    package enum Body {
        case none
        case bytes([UInt8])
        case lent(LentBytes)
        case file(FileSlice)

        package var length: Int64 {
            switch self {
            case .none: 0
            case .bytes(let bytes): Int64(bytes.count)
            case .lent(let lent): Int64(lent.bytes.count)
            case .file(let slice): slice.length
            }
        }
    }

    package var method: String
    package var url: String
    package var headers: [(name: String, value: String)] = []
    package var body = Body.none
    /// Send `Expect: 100-continue`, and wait for the server's answer before the body (RFC 9110, section 10.1.1).
    package var expectsContinue = false
    /// Seconds without progress after which the transfer fails.
    package var stallTimeout = 60.0
    /// Seconds to wait for the answer's first byte after the body, and between two of its bytes.
    package var answerTimeout = 120.0
    /// Maximum seconds from the first to the last byte of the answer, for servers that send a byte now and then.
    package var answerDuration = 3600.0
    /// Maximum length of the answer's body, in bytes. The heads before it have their own limit.
    package var answerLimit = 1 << 20
    /// Drop white space before the answer's body, but count it against the limit.
    package var dropsLeadingSpace = false
    /// Decode a compressed answer. Not for objects, which are kept as they are stored.
    package var decodesAnswer = true
    /// Tells an answer of the server from one of a proxy on an unencrypted connection. Nil: only 407 is from a proxy.
    package var isFromServer: ((HTTPResponse) -> Bool)?
    package var observer: (any BodyObserver)?
    /// Gets the body of a 2xx answer instead of `HTTPResponse.body`, without a limit on its length.
    package var reader: (any AnswerReader)?
    package var pace: Pace?
    /// Called with the number of body bytes that were just sent.
    package var onSent: ((Int64) -> Void)?
    /// Called from time to time with the number of body bytes acknowledged since the last call. The kernel accepts
    /// megabytes at once and sends them over seconds, so this tells more about the link than `onSent`.
    package var onDelivered: ((Int64) -> Void)?
    /// Called once with the seconds from the request's first byte to the answer's, without those for the connection.
    package var onAnswered: ((Double) -> Void)?
    /// Asked about once a second; true ends the request.
    package var shouldStop: (() -> Bool)?
    /// Asked about once a second; true closes the connection, and the request fails with `leftBehind`.
    package var isLeftBehind: (() -> Bool)?

    package init(method: String, url: String) {
        self.method = method
        self.url = url
    }
}

package struct HTTPResponse: Sendable {
    package var status: Int
    /// In the order of the answer, names in lower case.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Whether the server answered 100 to `Expect` before the body was sent.
    package var continued: Bool

    package init(status: Int, headers: [(name: String, value: String)], body: [UInt8], continued: Bool = false) {
        self.status = status
        self.headers = headers
        self.body = body
        self.continued = continued
    }

    package subscript(header name: String) -> String? {
        // Names are ASCII, and every answer is searched for two dozen.
        headers.first { $0.name.utf8.count == name.utf8.count && $0.name == name }?.value
    }
}
