import MuleSystem

/// Taking in a body: digests, hooks at exact byte counts, breaks and the speed limit.
extension Connection {
    func receiveBody(
        _ length: Int64,
        _ request: inout RecordedRequest,
        needs: DigestNeeds,
        disruption: Disruption,
        profile: FakeProfile
    ) throws -> ReceivedBody {
        var body = ReceivedBody()
        let isDocument = !request.operation.carriesPayload
        var keeps = isDocument
        if case .keep = profile.bodies { keeps = true }
        let content = keeps ? FakeBytes(capacity: Int(length)) : nil
        let digests = needs.isEmpty ? nil : BodyDigests(needs)
        let needsBytes = content != nil || digests != nil || disruption.flipsBit
        let scratch = needsBytes && content == nil ? FakeBytes(capacity: 512 << 10) : nil
        let start = Moment.now()
        let rate = disruption.bytesPerSecond ?? profile.connectionBytesPerSecond
        try strike(disruption, at: 0)
        var stops = bodyStops(request, disruption)
        runHooks(request, at: 0)
        while body.count < length {
            let stop = min(length, stops.first { $0 > body.count } ?? length)
            var limit = Int(min(stop - body.count, 512 << 10))
            if let rate { limit = min(limit, max(1, Int(rate / 20))) }
            let target = content?.buffer.baseAddress?.advanced(by: Int(body.count)) ?? scratch?.buffer.baseAddress
            let got = try wire.receive(into: target, limit: limit)
            if let target {
                let bytes = UnsafeMutableRawBufferPointer(start: target, count: got)
                if disruption.flipsBit, body.count == 0 { bytes[0] ^= 0x80 }
                digests?.update(UnsafeRawBufferPointer(bytes))
            }
            body.count += Int64(got)
            request.bodyBytes = body.count
            note(request, received: got, isPayload: !isDocument)
            if body.count == stops.first { stops.removeFirst() }
            runHooks(request, at: body.count)
            try strike(disruption, at: body.count)
            if let rate {
                pause(until: start.adding(seconds: Double(body.count) / Double(rate)))
            }
        }
        // A break that lies behind the end of the body strikes at its end.
        try strike(disruption, at: .max)
        digests?.finish(&body)
        if isDocument { request.document = content?.array ?? [] } else { body.content = content }
        return body
    }

    private func note(_ request: RecordedRequest, received: Int, isPayload: Bool) {
        state.update { state in
            state.generation += 1
            state.requests[request.index].bodyBytes = request.bodyBytes
            if isPayload { state.payloadBytesReceived += Int64(received) }
        }
    }

    /// Byte counts at which reading must halt exactly.
    private func bodyStops(_ request: RecordedRequest, _ disruption: Disruption) -> [Int64] {
        var stops = state.withLock { state in state.bodyHooks.filter { $0.matches(request) }.map(\.bytes) }
        switch disruption.bodyBreak {
        case .reset(let bytes), .stall(let bytes): stops.append(bytes)
        case nil: break
        }
        return stops.filter { $0 > 0 }.sorted()
    }

    private func runHooks(_ request: RecordedRequest, at count: Int64) {
        let actions = state.withLock { state in
            state.bodyHooks.indices.filter {
                state.bodyHooks[$0].bytes == count && state.bodyHooks[$0].matches(request)
            }
            .map { index in
                state.bodyHooks[index].times -= 1
                return state.bodyHooks[index].action
            }
        }
        for action in actions { action(request) }
    }

    private func strike(_ disruption: Disruption, at count: Int64) throws {
        switch disruption.bodyBreak {
        case .reset(let bytes) where count >= bytes: throw End.reset
        case .stall(let bytes) where count >= bytes: try stall()
        default: break
        }
    }
}
