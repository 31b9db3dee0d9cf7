package import MuleSystem

/// Part of a file, to be read by `pread` as the connection takes it: nothing is held in memory.
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

/// Bytes of somebody else, who keeps them as they are until the request has ended.
///
/// `@unchecked Sendable`: they are only read while they are lent.
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

/// Takes the body of a successful answer as it comes, so that it may be of any length.
package protocol AnswerReader: AnyObject {
    /// The answer's head has come.
    func answerStarts(status: Int, headers: [(name: String, value: String)])
    /// - Returns: false to break the request off, which then fails as cancelled.
    func answerContinues(_ bytes: UnsafeRawBufferPointer) -> Bool
}

/// Says how many bytes may go now, at most as many as asked for. 0 holds the body; it is asked again within moments.
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
    /// Wait for the server's leave before the body goes (RFC 9110, section 10.1.1).
    package var expectsContinue = false
    /// Seconds without a byte moving before the transfer is given up.
    package var stallTimeout = 60.0
    /// Seconds to wait for the answer's first byte once the body has gone, and between two bytes of it.
    package var answerTimeout = 120.0
    /// Seconds from the first byte of the answer to its last; without it a byte now and then would hold us for ever.
    package var answerDuration = 3600.0
    /// Longest answer body that is taken, in bytes. The heads before it have a limit of their own.
    package var answerLimit = 1 << 20
    /// White space before the rest of the answer is read, counted against the limit, and not kept.
    package var dropsLeadingSpace = false
    /// Whether a compressed answer is decoded. Only where it is read here: what is stored compressed is kept as it is.
    package var decodesAnswer = true
    /// Tells an answer of the server that was asked from one of a proxy in between, where one speaks plain text. Nil: all are
    /// the server's, but for 407.
    package var isFromServer: ((HTTPResponse) -> Bool)?
    package var observer: (any BodyObserver)?
    /// Gets the body of an answer of 2xx in place of `HTTPResponse.body`, without a limit on its length.
    package var reader: (any AnswerReader)?
    package var pace: Pace?
    /// Called with the number of body bytes that have just gone out.
    package var onSent: ((Int64) -> Void)?
    /// Called now and then with the number of body bytes that the other side has acknowledged since the last call. The
    /// kernel takes megabytes at once and sends them over seconds, so that this tells more of the line than `onSent`.
    package var onDelivered: ((Int64) -> Void)?
    /// Asked about once a second; true breaks the request off.
    package var shouldStop: (() -> Bool)?
    /// Asked about once a second; true closes the connection, and the request fails as left behind.
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
    /// Whether the server answered 100 to an expectation before the body went.
    package var continued: Bool

    package init(status: Int, headers: [(name: String, value: String)], body: [UInt8], continued: Bool = false) {
        self.status = status
        self.headers = headers
        self.body = body
        self.continued = continued
    }

    package subscript(header name: String) -> String? {
        headers.first { $0.name == name }?.value
    }
}
