internal import CCurl
import Glibc
import MuleSystem

/// The state of the current request: what libcurl has read of the body, and the answer so far.
struct Exchange {
    let request: HTTPRequest?
    let started = Moment.now()
    var position: Int64 = 0
    var sent: Int64 = 0
    var delivered: Int64 = 0
    var nextDelivery = Moment(nanoseconds: 0)
    /// Whether libcurl has paused the body, and since when none of it may be sent.
    var isHeld = false
    var heldSince: Moment?
    var queued = 0
    var lastProgress = Moment.now()
    var lastLook = Moment.now()
    /// Whether the final answer has started.
    var isAnswering = false
    /// Seconds since then.
    var answerSeconds = 0.0
    var head = ResponseHead()
    /// Bytes of the body that were sent before the answer started.
    var sentBeforeAnswer: Int64?
    var answer: [UInt8] = []
    /// Whether the answer's body goes to the reader.
    var isReading = false
    /// Bytes of white space before the answer that were dropped.
    var dropped = 0
    var failure: TransportError?
    /// Whether a connection is established and the request is being sent.
    var isUnderWay = false
    /// Microseconds at which libcurl started to send over a connection that has closed since; 0 if none has.
    var earlierStart: Int64 = 0
    /// Whether some of the request may have been sent over such a connection.
    var mayHaveLeft = false
    /// Whether the server asked for a client certificate.
    var wantsCertificate = false

    init(_ request: HTTPRequest? = nil) {
        self.request = request
    }

    // MARK: The body of the request

    /// Reads the next bytes of the body for libcurl.
    ///
    /// - Returns: their number, 0 at the end, `CURL_READFUNC_PAUSE` if none may be sent now, or `CURL_READFUNC_ABORT`
    ///   with the   reason in `failure`.
    mutating func read(into bytes: UnsafeMutablePointer<CChar>?, capacity: Int, _ cancellation: Cancellation) -> Int {
        guard let bytes, let request else { return 0 }
        let left = request.body.length - position
        guard left > 0 else { return 0 }
        var count = Int(min(Int64(capacity), left))
        if let pace = request.pace { count = pace(count) }
        if cancellation.isCancelled { return abort(.cancelled) }
        guard count > 0 else {
            isHeld = true
            if heldSince == nil { heldSince = .now() }
            return Int(CURL_READFUNC_PAUSE)
        }
        heldSince = nil
        if position == 0 { request.observer?.bodyStarts() }
        let room = UnsafeMutableRawBufferPointer(start: bytes, count: count)
        switch request.body {
        case .none: return 0
        case .bytes(let body):
            let start = Int(position)
            room.copyBytes(from: body[start..<start + count])
        case .lent(let lent):
            let start = Int(position)
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: lent.bytes[start..<start + count]))
        case .file(let slice):
            let offset = slice.offset + position
            do {
                count = try slice.file.read(into: room, at: offset)
            } catch {
                return abort(.source(error, offset: offset))
            }
            if count == 0 { return abort(.sourceEnded(offset: offset)) }
        }
        request.observer?.bodyContinues(UnsafeRawBufferPointer(rebasing: room[..<count]))
        position += Int64(count)
        return count
    }

    private mutating func abort(_ reason: TransportError) -> Int {
        failure = reason
        return Int(CURL_READFUNC_ABORT)
    }

    /// libcurl seeks only to the first byte, to send the body again.
    mutating func seek(to offset: Int64, origin: Int32) -> Int32 {
        guard origin == SEEK_SET, offset == 0 else { return Int32(CURL_SEEKFUNC_FAIL) }
        position = 0
        return Int32(CURL_SEEKFUNC_OK)
    }

    // MARK: The answer

    /// - Parameter sent: bytes of the body that have been sent.
    mutating func receiveHeader(_ bytes: UnsafeMutablePointer<CChar>?, count: Int, sent: Int64) -> Int {
        noteAnswer()
        guard head.take(UnsafeRawBufferPointer(start: bytes, count: count)) else {
            failure = .answerTooLong(limit: ResponseHead.sizeLimit)
            return 0
        }
        if head.status < 200 {
            sentBeforeAnswer = nil
        } else if sentBeforeAnswer == nil {
            sentBeforeAnswer = sent
        }
        return count
    }

    mutating func receiveBody(_ bytes: UnsafeMutablePointer<CChar>?, count: Int) -> Int {
        noteAnswer()
        if let reader = request?.reader, (200..<300).contains(head.status) {
            if !isReading { reader.answerStarts(status: head.status, headers: head.headers) }
            isReading = true
            if reader.answerContinues(UnsafeRawBufferPointer(start: bytes, count: count)) { return count }
            failure = .cancelled
            return 0
        }
        var piece = UnsafeRawBufferPointer(start: bytes, count: count)[...]
        let limit = request?.answerLimit ?? 0
        if request?.dropsLeadingSpace == true, answer.isEmpty {
            piece = piece.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
            dropped += count - piece.count
        }
        guard dropped <= limit, answer.count + piece.count <= limit else {
            failure = .answerTooLong(limit: limit)
            return 0
        }
        answer.append(contentsOf: piece)
        return count
    }

    private mutating func noteAnswer() {
        lastProgress = Moment.now()
        if sent >= request?.body.length ?? 0 || head.status >= 200 { isAnswering = true }
    }
}
