/// A rule of a scenario: which requests it strikes, how often, and what happens to them.
///
/// Rules are asked in order; the first that matches and is not used up strikes. A scenario is a list of them:
/// ```swift
/// [.on(.uploadPart, part: 3, times: 2, .status(500, code: "InternalError")),
///  .on(.complete, .closeAfterProcessing)]
/// ```
package struct Fault: Sendable {
    package enum Action: Sendable {
        /// The body is read, the operation is not done, this is answered. A status below 300 has no document.
        case status(Int, code: String, message: String = "", retryAfter: Int? = nil, headers: [FakeHeader] = [])
        /// Answered before the body is read, then closed. With `honoursExpect` false, `100 Continue` is sent first;
        /// with `lingers` false the connection is reset at once, so that a client that is still sending may lose the
        /// answer.
        case earlyStatus(Int, code: String, honoursExpect: Bool = true, lingers: Bool = true)
        /// The connection is reset when so many bytes of the body have arrived (0: right after the headers).
        case resetAfter(bytes: Int64)
        /// Reading stops after so many bytes and nothing is ever answered.
        case stallAfter(bytes: Int64)
        /// The body is read as slowly as this.
        case crawl(bytesPerSecond: Int64)
        /// The body is read, the connection closed; the operation is not done.
        case closeBeforeProcessing
        /// The operation is done, the connection closed without an answer.
        case closeAfterProcessing
        /// The operation is done, and half of the answer's document sent before the connection closes.
        case closeInAnswer
        /// The body is read; nothing is done or answered until the server stops or the client leaves.
        case stall
        /// Waits before the operation is done. May stand with another action.
        case delay(Double)
        /// 200 without a body.
        case emptyBody200(processed: Bool = true)
        /// The operation is done; the answer's document is cut in the middle, with a matching Content-Length.
        case truncatedXML
        /// The operation is done; the ETag in the answer is empty.
        case emptyETag
        /// The operation is done; the ETag in the answer is another one.
        case wrongETag
        /// The operation is done; no `x-amz-checksum-…` is answered.
        case dropChecksumEcho
        /// The operation is done; the answered checksum is another one.
        case wrongChecksumEcho
        /// `100 Continue` is never sent; the body is awaited all the same.
        case no100Continue
        /// 417 to a request with Expect, as some proxies do. Without Expect nothing happens.
        case expectationFailed
        /// 200, white space for a while, then an `<Error>` document. `processed`: the operation was done all the same.
        case respond200ThenError(code: String, whitespaceSeconds: Double = 0, processed: Bool = false)
        /// 200, white space for a while, then the true result.
        case whitespaceThenResult(seconds: Double)
        /// Complete answers NoSuchUpload, and the key holds the finished object, or another one (`other`).
        case noSuchUploadButObjectPresent(other: Bool = false)
        /// A redirect; `region` is added as `x-amz-bucket-region` when not nil.
        case redirect(status: Int, headers: [FakeHeader] = [], region: String? = nil)
        /// Turns the body's first bit over on arrival, before it is digested and kept.
        case flipBit
        /// Runs a closure on the connection's thread; may stand with another action.
        case run(Stage, @Sendable (RecordedRequest) -> Void)
        /// Answers what the closure returns; nil lets the request take its course.
        case custom(@Sendable (RecordedRequest) -> FakeReply?)
    }

    /// Points in the life of a request at which a test may act.
    package enum Stage: Sendable { case headersRead, beforeProcessing, afterProcessing, afterAnswer }

    package var operation: FakeOperation?
    package var part: Int?
    package var key: [UInt8]?
    /// Strikes from the n-th match on, from 1.
    package var occurrence: Int
    package var times: Int
    package var probability: Double
    /// Evaluated while the server's state is locked: it must not call the server.
    package var predicate: @Sendable (RecordedRequest) -> Bool
    package var actions: [Action]
    private var matches = 0
    private var random: SeededRandom

    /// A rule. A nil `operation` matches all operations; `occurrence` is the first match with a fault, from 1; `times`
    /// is the maximum number of faults; `probability` is the chance of a fault at each match, drawn from `seed`.
    package static func on(
        _ operation: FakeOperation?,
        part: Int? = nil,
        key: String? = nil,
        occurrence: Int = 1,
        times: Int = 1,
        probability: Double = 1,
        seed: UInt64 = 1,
        where predicate: @escaping @Sendable (RecordedRequest) -> Bool = { _ in true },
        _ actions: Action...
    ) -> Fault {
        Fault(
            operation: operation,
            part: part,
            key: key.map { Array($0.utf8) },
            occurrence: occurrence,
            times: times,
            probability: probability,
            predicate: predicate,
            actions: actions,
            random: SeededRandom(seed: seed)
        )
    }

    /// Whether the request is struck; counts the match and the strike.
    mutating func strikes(_ request: RecordedRequest) -> Bool {
        guard times > 0, operation == nil || operation == request.operation,
            part == nil || part == request.partNumber, key == nil || key == request.key, predicate(request)
        else { return false }
        matches += 1
        guard matches >= occurrence else { return false }
        guard probability >= 1 || Double.random(in: 0..<1, using: &random) < probability else { return false }
        times -= 1
        return true
    }
}

/// A closure to run when a body has come to a certain length.
struct BodyHook: Sendable {
    var operation: FakeOperation
    var part: Int?
    var key: [UInt8]?
    var bytes: Int64
    var times: Int
    var action: @Sendable (RecordedRequest) -> Void

    func matches(_ request: RecordedRequest) -> Bool {
        times > 0 && operation == request.operation && (part == nil || part == request.partNumber)
            && (key == nil || key == request.key)
    }
}
