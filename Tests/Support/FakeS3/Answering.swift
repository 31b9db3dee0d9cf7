import MuleDigest
import MuleSystem

/// Doing the operation and sending its answer, marred as the script wants it.
extension Connection {
    func process(
        _ request: inout RecordedRequest,
        _ body: ReceivedBody,
        signature: SignatureCheck.Outcome,
        disruption: Disruption,
        profile: FakeProfile
    ) throws -> Bool {
        if !request.document.isEmpty { state.update { $0.requests[request.index].document = request.document } }
        let wait = disruption.delaySeconds + profile.latencySeconds
        if wait > 0 { pause(until: Moment.now().adding(seconds: wait)) }
        disruption.run(.beforeProcessing, request)
        if let reply = disruption.custom?(request) {
            try answer(reply, to: &request, closes: false)
            return true
        }
        if let seconds = disruption.whitespaceSeconds {
            try answerAfterWhitespace(seconds, &request, body, disruption)
            return true
        }
        let reply: FakeReply
        do throws(StoreError) {
            if let hash = signature.payloadHash, profile.verifiesPayloadHash, body.sha256 != hash {
                throw Self.payloadMismatch(stated: hash, actual: body.sha256)
            }
            switch disruption.before {
            case .close: throw StoreError(0, "")
            case .stall:
                wire.waitForClose()
                throw StoreError(0, "")
            case .answer(let error): throw error
            case .emptyBody: reply = FakeReply(200)
            case nil: reply = try perform(request, body, disruption)
            }
        } catch {
            // Status 0 stands for no answer at all.
            if error.status == 0 { return false }
            try answer(FakeReply(error, for: request), to: &request, closes: false)
            return true
        }
        disruption.run(.afterProcessing, request)
        return try finish(reply, &request, disruption)
    }

    private static func payloadMismatch(stated: [UInt8], actual: [UInt8]?) -> StoreError {
        StoreError(
            400,
            "XAmzContentSHA256Mismatch",
            elements: [
                FakeXML("ClientComputedContentSHA256", Hex.encode(stated)),
                FakeXML("S3ComputedContentSHA256", Hex.encode(actual ?? [])),
            ]
        )
    }

    private func perform(
        _ request: RecordedRequest,
        _ body: ReceivedBody,
        _ disruption: Disruption
    ) throws(StoreError) -> FakeReply {
        let result = state.update { state in
            state.generation += 1
            if disruption.replacesObject {
                state.store.buckets[request.bucket]?.uploads[request.uploadID ?? ""] = nil
                var other = FakeObject(content: Array("somebody else's object".utf8))
                other.lastModified = state.now
                state.store.buckets[request.bucket]?.objects[request.key] = other
                return Result<FakeReply, StoreError>
                    .failure(.noSuchUpload(request.uploadID ?? "", profile: state.profile))
            }
            return Result { () throws(StoreError) in try state.perform(request, body) }
        }
        return try result.get()
    }

    /// Sends a reply, marred as the fault wants it.
    private func finish(_ reply: FakeReply, _ request: inout RecordedRequest, _ disruption: Disruption) throws -> Bool {
        var reply = reply
        switch disruption.after {
        case .close: return false
        case .closeInAnswer:
            note(&request, reply)
            try wire.send(head(reply, request, length: reply.contentLength, closes: false))
            if var half = reply.payload {
                half.range = half.range.lowerBound..<(half.range.lowerBound + reply.contentLength / 2)
                try send(half)
            } else {
                try wire.send(Array(reply.body.prefix(reply.body.count / 2)))
            }
            return false
        case .emptyBody: reply = FakeReply(200)
        case .truncated: reply.body = Array(reply.body.prefix(reply.body.count * 2 / 3))
        case .eTag(let eTag):
            reply.headers = reply.headers.map { $0.name == "ETag" ? FakeHeader("ETag", "\"\(eTag)\"") : $0 }
            if !reply.body.isEmpty, var root = FakeXML(parsing: reply.body) {
                for index in root.children.indices where root.children[index].name == "ETag" {
                    root.children[index].text = eTag.isEmpty ? "" : "\"\(eTag)\""
                }
                reply.body = root.document(namespace: "http://s3.amazonaws.com/doc/2006-03-01/")
            }
        case .dropChecksum: reply.replaceChecksums { _ in nil }
        case .wrongChecksum:
            reply.replaceChecksums { value in
                Base64.decode(String(value.prefix { $0 != "-" })).map { Base64.encode($0.map { ~$0 }) }
            }
        case .error(let error): reply = FakeReply(error, for: request)
        case nil: break
        }
        try answer(reply, to: &request, closes: false)
        return true
    }

    private func answerAfterWhitespace(
        _ seconds: Double,
        _ request: inout RecordedRequest,
        _ body: ReceivedBody,
        _ disruption: Disruption
    ) throws {
        request.status = 200
        let recorded = request
        state.update { state in
            state.generation += 1
            state.requests[recorded.index].status = 200
        }
        var isOpen = true
        func send(chunk: [UInt8]) {
            let size = Array("\(String(chunk.count, radix: 16))\r\n".utf8)
            isOpen = isOpen && (try? wire.send(size + chunk + [13, 10])) != nil
        }
        try? wire.send(
            head(
                FakeReply(200, headers: [FakeHeader("Content-Type", "application/xml")]),
                request,
                length: nil,
                closes: false
            )
        )
        let end = Moment.now().adding(seconds: seconds)
        repeat {
            send(chunk: [UInt8(ascii: " "), UInt8(ascii: "\n")])
            pause(until: min(end, Moment.now().adding(seconds: 0.1)))
        } while Moment.now() < end && !state.withLock(\.isStopping)
        // A client that has left does not keep the store from finishing.
        var failure: StoreError?
        var document: [UInt8] = []
        do throws(StoreError) {
            if case .answer(let error) = disruption.before { throw error }
            document = try perform(request, body, disruption).body
            if case .error(let error) = disruption.after { throw error }
        } catch {
            failure = error
            document = error.document(resource: "/\(request.bucket)/\(request.keyText)", request: request)
        }
        disruption.run(.afterProcessing, request)
        request.errorCode = failure?.code
        let answered = request
        state.update { state in
            state.generation += 1
            state.requests[answered.index].errorCode = answered.errorCode
            state.requests[answered.index].finishedAt = .now()
        }
        send(chunk: document)
        try wire.send(Array("0\r\n\r\n".utf8))
    }

    func answer(_ reply: FakeReply, to request: inout RecordedRequest, closes: Bool) throws {
        note(&request, reply)
        let head = head(reply, request, length: reply.contentLength, closes: closes)
        guard request.method != "HEAD" else { return try wire.send(head) }
        guard let payload = reply.payload else { return try wire.send(head + reply.body) }
        try wire.send(head)
        try send(payload)
    }

    private func send(_ payload: FakeReply.Payload) throws {
        var offset: Int64 = 0
        for segment in payload.segments {
            let span = offset..<(offset + Int64(segment.count))
            offset = span.upperBound
            let wanted = span.clamped(to: payload.range)
            guard !wanted.isEmpty else { continue }
            let local = Int(wanted.lowerBound - span.lowerBound)..<Int(wanted.upperBound - span.lowerBound)
            try wire.send(UnsafeRawBufferPointer(rebasing: segment.buffer[local]))
        }
    }

    /// Records the answer before it goes out, so that a client never knows more than the record.
    private func note(_ request: inout RecordedRequest, _ reply: FakeReply) {
        request.status = reply.status
        request.errorCode = reply.errorCode
        request.finishedAt = .now()
        let answered = request
        state.update { state in
            state.generation += 1
            state.requests[answered.index].status = answered.status
            state.requests[answered.index].errorCode = answered.errorCode
            state.requests[answered.index].finishedAt = answered.finishedAt
        }
    }

    private func head(_ reply: FakeReply, _ request: RecordedRequest, length: Int64?, closes: Bool) -> [UInt8] {
        let (now, isGoogle) = state.withLock { ($0.now, $0.profile.isGoogle) }
        var reply = reply
        if isGoogle { reply.headers.append(FakeHeader("x-guploader-uploadid", request.requestID)) }
        return reply.head(for: request, date: StoreClock.httpDate(now), length: length, closes: closes)
    }
}

extension FakeReply {
    /// Rewrites or (nil) drops every checksum value in headers and document.
    fileprivate mutating func replaceChecksums(_ change: (String) -> String?) {
        headers = headers.compactMap { field in
            if field.name == "x-goog-hash", field.value.hasPrefix("crc32c=") {
                return change(String(field.value.dropFirst(7))).map { FakeHeader(field.name, "crc32c=" + $0) }
            }
            guard field.name.hasPrefix("x-amz-checksum-"), field.name != "x-amz-checksum-type" else { return field }
            return change(field.value).map { FakeHeader(field.name, $0) }
        }
        guard !body.isEmpty, var root = FakeXML(parsing: body) else { return }
        root.children = root.children.compactMap { child in
            guard child.name.hasPrefix("Checksum"), child.name != "ChecksumType" else { return child }
            return change(child.text).map { FakeXML(child.name, $0) }
        }
        body = root.document(namespace: "http://s3.amazonaws.com/doc/2006-03-01/")
    }
}
