/// What a fault's actions come to for one request, sorted by the moment they take effect.
struct Disruption: Sendable {
    enum Break: Sendable {
        case reset(Int64)
        case stall(Int64)
    }

    enum BeforeProcessing: Sendable {
        case close
        case stall
        case answer(StoreError)
        case emptyBody
    }

    enum AfterProcessing: Sendable {
        case close
        case closeInAnswer
        case emptyBody
        case truncated
        case eTag(String)
        case dropChecksum
        case wrongChecksum
        case error(StoreError)
    }

    var early: (error: StoreError, honoursExpect: Bool, lingers: Bool)?
    var refusesExpect = false
    var sendsContinue = true
    var flipsBit = false
    var bodyBreak: Break?
    var bytesPerSecond: Int64?
    var delaySeconds = 0.0
    var whitespaceSeconds: Double?
    var before: BeforeProcessing?
    var after: AfterProcessing?
    /// Complete puts another object in place and forgets the upload.
    var replacesObject = false
    var custom: (@Sendable (RecordedRequest) -> FakeReply?)?
    var hooks: [(moment: Fault.Stage, action: @Sendable (RecordedRequest) -> Void)] = []

    init(_ actions: [Fault.Action] = []) {
        for action in actions { add(action) }
    }

    private mutating func add(_ action: Fault.Action) {
        switch action {
        case .status(let status, let code, let message, let retryAfter, let headers):
            let wait = retryAfter.map { [FakeHeader("Retry-After", "\($0)")] } ?? []
            before = .answer(StoreError(status, code, message, headers: headers + wait))
        case .earlyStatus(let status, let code, let honoursExpect, let lingers):
            early = (StoreError(status, code), honoursExpect, lingers)
        case .resetAfter(let bytes): bodyBreak = .reset(bytes)
        case .stallAfter(let bytes): bodyBreak = .stall(bytes)
        case .crawl(let rate): bytesPerSecond = rate
        case .closeBeforeProcessing: before = .close
        case .closeAfterProcessing: after = .close
        case .closeInAnswer: after = .closeInAnswer
        case .stall: before = .stall
        case .delay(let seconds): delaySeconds += seconds
        case .emptyBody200(let processed):
            if processed { after = .emptyBody } else { before = .emptyBody }
        case .truncatedXML: after = .truncated
        case .emptyETag: after = .eTag("")
        case .wrongETag: after = .eTag("0123456789abcdef0123456789abcdef")
        case .dropChecksumEcho: after = .dropChecksum
        case .wrongChecksumEcho: after = .wrongChecksum
        case .no100Continue: sendsContinue = false
        case .expectationFailed: refusesExpect = true
        case .respond200ThenError(let code, let seconds, let processed):
            whitespaceSeconds = seconds
            // The status of the error's own document; on the wire it is 200.
            if processed { after = .error(StoreError(500, code)) } else { before = .answer(StoreError(500, code)) }
        case .whitespaceThenResult(let seconds): whitespaceSeconds = seconds
        case .noSuchUploadButObjectPresent(let other):
            if other { replacesObject = true } else { after = .error(StoreError(404, "NoSuchUpload")) }
        case .redirect(let status, let headers, let region):
            let hint = region.map { [FakeHeader("x-amz-bucket-region", $0)] } ?? []
            let code = status == 307 ? "TemporaryRedirect" : "PermanentRedirect"
            before = .answer(StoreError(status, code, headers: headers + hint))
        case .flipBit: flipsBit = true
        case .run(let moment, let action): hooks.append((moment, action))
        case .custom(let answer): custom = answer
        }
    }

    func run(_ moment: Fault.Stage, _ request: RecordedRequest) {
        for hook in hooks where hook.moment == moment { hook.action(request) }
    }
}
