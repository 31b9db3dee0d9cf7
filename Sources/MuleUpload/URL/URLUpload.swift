// One file by one PUT to a URL that holds the permission. Nothing is recorded: a PUT cannot be resumed, and the ledger
// must not keep a URL.

import MuleDigest
import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSystem
package import MuleTransport
import Synchronization

package final class URLUpload: Sendable {
    private let path: [UInt8]
    private let url: ObjectURL
    private let attributes: ObjectAttributes
    private let transport: TransportSettings
    private let settings: RunSettings
    private let cancellation: Cancellation
    private let log: (@Sendable (String) -> Void)?
    private let notice: @Sendable (String) -> Void

    private let size = Atomic<Int64>(-1)
    private let sent = Atomic<Int64>(0)
    private let delivered = Atomic<Int64>(0)
    private let retries = Atomic<Int>(0)
    private let phase = Monitor(TransferPhase.waiting)
    private let waiting = Monitor<(reason: String, until: Moment)?>(nil)

    /// The most bytes in one PUT (AWS: "Amazon S3 quotas"; `max_file_size` of Swift).
    package static let longest: Int64 = 5 << 30
    /// Seconds after which a host that never answered counts as wrong.
    private static let firstAnswerLimit = 30.0

    /// - Parameters:
    ///   - path: the file as the user named it.
    ///   - attributes: headers for the object; each that S3 must find signed has to be signed by the URL.
    package init(
        _ path: [UInt8],
        to url: ObjectURL,
        attributes: ObjectAttributes,
        transport: TransportSettings,
        settings: RunSettings,
        cancellation: Cancellation,
        log: (@Sendable (String) -> Void)?,
        notice: @escaping @Sendable (String) -> Void
    ) {
        self.path = path
        self.url = url
        self.attributes = attributes
        self.transport = transport
        self.settings = settings
        self.cancellation = cancellation
        self.log = log
        self.notice = notice
    }

    /// What events name as the destination.
    package var destination: ObjectAddress {
        let parts = url.shown.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        return ObjectAddress(
            bucket: parts.prefix(3).joined(separator: "/"),
            key: ObjectKey(parts.count > 3 ? String(parts[3]) : "")
        )
    }

    package func snapshot() -> RunSnapshot {
        let size = size.load(ordering: .relaxed)
        let phase = phase.withLock { $0 }
        let isDone = phase == .done || phase == .failed
        let done = phase == .done ? max(0, size) : 0
        let now = Moment.now()
        let waiting = waiting.withLock { $0 }.flatMap { waiting in
            waiting.until > now
                ? "\(waiting.reason), trying again in \(Int(waiting.until.seconds(since: now)) + 1) s" : nil
        }
        let inFlight = phase == .done ? 0 : delivered.load(ordering: .relaxed)
        let file = FileSnapshot(
            id: nil,
            source: path,
            destination: destination,
            size: size < 0 ? nil : size,
            bytesDone: done,
            bytesInFlight: inFlight,
            partsDone: 0,
            partCount: nil,
            phase: phase
        )
        return RunSnapshot(
            active: isDone ? [] : [file],
            filesDone: isDone ? 1 : 0,
            filesTotal: 1,
            findsMore: false,
            bytesTotal: size < 0 ? nil : size,
            bytesDone: done,
            bytesInFlight: inFlight,
            bytesSkipped: 0,
            bytesSent: sent.load(ordering: .relaxed),
            partsInFlight: phase == .sending ? 1 : 0,
            retries: retries.load(ordering: .relaxed),
            waitingReason: waiting
        )
    }

    // MARK: The upload

    package func run() throws(UploadFailure) -> UploadSummary {
        do throws(UploadFailure) {
            let summary = try upload()
            enter(.done)
            return summary
        } catch {
            enter(.failed)
            throw error
        }
    }

    private func upload() throws(UploadFailure) -> UploadSummary {
        let started = Moment.now()
        let source = try SourceFile.open(path: path) { [cancellation] in cancellation.isCancelled }
        size.store(source.size, ordering: .relaxed)
        try checkLimits(source.size)
        enter(.checking)
        let headers = try headers(source)
        let connection: URLConnection
        do throws(TransportError) {
            connection = try URLConnection(settings: transport, cancellation: cancellation, log: log)
        } catch {
            throw UploadFailure(.usage, "Cannot connect: \(error.sentence).")
        }
        let (answer, md5) = try send(source, headers: headers, over: connection)
        enter(.completing)
        try checkUnchanged(source)
        let proof = try proof(of: answer, md5: md5, source)
        return UploadSummary(
            id: nil,
            number: nil,
            identity: nil,
            source: source.identity.path,
            name: path,
            destination: destination,
            size: source.size,
            parts: nil,
            proof: proof,
            bytesSent: sent.load(ordering: .relaxed),
            bytesSkipped: 0,
            seconds: Moment.now().seconds(since: started),
            wasThere: false,
            evidence: nil,
            storeClock: StoreClock(host: url.host, now: nil),
            lastModified: nil
        )
    }

    private func enter(_ phase: TransferPhase) { self.phase.withLock { $0 = phase } }

    private var name: String { LossyUTF8.string(path) }

    private static func now() -> UTCTime { UTCTime(millisecondsSince1970: wallClockMilliseconds()) }

    /// Seconds for which the URL is still valid; nil if it does not say.
    private var secondsLeft: Double? {
        url.endsAt.map { Double($0.millisecondsSince1970 - Self.now().millisecondsSince1970) / 1000 }
    }

    private func checkLimits(_ size: Int64) throws(UploadFailure) {
        guard size <= Self.longest else {
            throw UploadFailure(
                .usage,
                "\(name) is too large for a URL: it has \(ByteSize.format(size)), and one PUT takes at most "
                    + "\(ByteSize.format(Self.longest)). Upload it with credentials."
            )
        }
        guard let left = secondsLeft, let end = url.endsAt else { return }
        guard left > 0 else {
            throw UploadFailure(.usage, "The URL ended at \(end.iso8601): get a new one. Nothing was sent.")
        }
        guard let timetable = settings.rateLimit else { return }
        let (weekday, minute) = localTimeOfWeek()
        let most = URLDeadline.bytes(timetable, within: left, from: .init(weekday: weekday, minute: minute))
        if let most, most < Double(size) {
            throw UploadFailure(
                .usage,
                "\(name) cannot arrive before the URL ends at \(end.iso8601): --limit-rate lets "
                    + "\(ByteSize.format(Int64(most))) of \(ByteSize.format(size)) through until then. Get a URL that is "
                    + "valid for longer, or raise the limit. Nothing was sent."
            )
        }
    }

    // MARK: Headers

    /// Those that the URL has signed, and those of the options.
    private func headers(_ source: SourceFile) throws(UploadFailure) -> [(name: String, value: String)] {
        var headers = attributes.headers.map { (name: $0.name, value: $0.value) }
        if url.listsSignedHeaders {
            // S3 refuses its own headers unless they are signed.
            for header in headers where header.name.hasPrefix("x-amz-") && !url.signedHeaders.contains(header.name) {
                throw UploadFailure(
                    .usage,
                    "The URL has not signed the header \(header.name), so the store would refuse it: make the URL with it, "
                        + "or remove \(Self.option(for: header.name) ?? "the option"). Nothing was sent."
                )
            }
        }
        for name in url.signedHeaders where !headers.contains(where: { $0.name == name }) {
            if name == "content-length" { continue }
            headers.append((name, try value(of: name, source)))
        }
        return headers
    }

    private func value(of header: String, _ source: SourceFile) throws(UploadFailure) -> String {
        switch header {
        case "if-none-match": return "*"
        case "x-amz-content-sha256": return "UNSIGNED-PAYLOAD"
        case "content-md5": return try digest(source, .md5).base64
        default: break
        }
        if let algorithm = ChecksumAlgorithm.allCases.first(where: { $0.headerName == header }) {
            return try digest(source, algorithm).base64
        }
        if let option = Self.option(for: header) {
            throw UploadFailure(
                .usage,
                "The URL has signed the header \(header), which must be sent with the value that its maker used: add "
                    + "\(option). Nothing was sent."
            )
        }
        throw UploadFailure(
            .usage,
            "The URL has signed the header \(header), which mule cannot send: get a URL without it. Nothing was sent."
        )
    }

    private static func option(for header: String) -> String? {
        ObjectHeader.allCases.first { row in
            row.kind == .metadata ? header.hasPrefix(row.name) : header == row.name
        }.map { "--\($0.flag)" }
    }

    private func digest(_ source: SourceFile, _ algorithm: ChecksumAlgorithm) throws(UploadFailure) -> Checksum {
        let digests = FileDigests(
            file: source.file,
            name: name,
            shouldStop: { [cancellation] in cancellation.isCancelled }
        )
        return try digests.digestWhole(size: source.size, algorithm)
    }

    // MARK: Sending

    /// Sends it, again after failures that may pass, until the URL ends or nothing moves for the stall limit.
    private func send(
        _ source: SourceFile,
        headers: [(name: String, value: String)],
        over connection: URLConnection
    ) throws(UploadFailure) -> (ObjectAtURL, md5: [UInt8]) {
        let pacer = BodyPacer(settings.rateLimit, isBounded: false)
        let age = pacer.nextAge()
        var tries = Tries()
        var hasSaidSo = false
        var random = SystemRandomNumberGenerator()
        while true {
            if cancellation.isCancelled { throw .stoppedAtURL }
            let attempt = Attempt(size: source.size, deadline: secondsLeft)
            enter(.sending)
            delivered.store(0, ordering: .relaxed)
            let answer = attempt.put(self, source, headers: headers, over: connection, pacer: pacer, age: age)
            let error: S3Error
            switch answer {
            case .success(let object): return (object, attempt.md5)
            case .failure(let failure): error = failure
            }
            if let rate = attempt.tooSlow { throw tooSlow(rate, source.size, mayBeStored: tries.isAmbiguous) }
            if case .transport(.cancelled) = error.cause {
                throw tries.isAmbiguous || attempt.hasLeft ? .stoppedAtURLWithBody : .stoppedAtURL
            }
            tries.note(error, reached: attempt.furthest)
            if tries.isAmbiguous, url.kind == .swift, let object = connection.head(url, patience: settings.stallLimit),
                object.size == source.size, object.object.eTag?.lowercased() == (try digest(source, .md5).hex)
            {
                return (object, try digest(source, .md5).bytes)
            }
            guard tries.mayRetry(error, settings.retry) else { throw refusal(error, wasAmbiguous: tries.wasAmbiguous) }
            let isTired =
                tries.secondsWithoutProgress
                > (tries.hasAnswer ? settings.stallLimit : min(settings.stallLimit, Self.firstAnswerLimit))
            if isTired { throw stalled(error, tries) }
            if let left = secondsLeft, left <= 0 { throw endedWhileRetrying(error) }
            let delay = settings.retry.delay(
                for: error.retryClass,
                failures: tries.failures,
                retryAfter: error.retryAfter,
                random: Double.random(in: 0..<1, using: &random)
            )
            let until = Moment.now().adding(seconds: error.status == 417 ? 0 : delay)
            waiting.withLock { $0 = (error.shortReason, until) }
            retries.add(1, ordering: .relaxed)
            if attempt.furthest > 0, !hasSaidSo {
                hasSaidSo = true
                notice("Sending \(name) to \(url.host) failed (\(error.shortReason)); it is sent again from its start.")
            }
            sleep(until: until, cancellation)
            try checkUnchanged(source)
        }
    }

    /// What earlier attempts have shown.
    private struct Tries {
        private(set) var failures = 0
        private(set) var hasAnswer = false
        /// Whether the store may have executed the last attempt, or one before it.
        private(set) var isAmbiguous = false
        private(set) var wasAmbiguous = false
        private var damages = 0
        private var furthest: Int64 = -1
        private var lastProgress = Moment.now()

        var secondsWithoutProgress: Double { Moment.now().seconds(since: lastProgress) }

        mutating func note(_ error: S3Error, reached: Int64) {
            failures += 1
            wasAmbiguous = isAmbiguous
            if error.hasAnswer { hasAnswer = true }
            if error.mayHaveSucceeded { isAmbiguous = true }
            if error.retryClass == .damaged { damages += 1 }
            // An attempt that only gets as far as an earlier one is no progress.
            if reached > furthest, reached > 0 { (furthest, lastProgress) = (reached, Moment.now()) }
        }

        func mayRetry(_ error: S3Error, _ policy: RetryPolicy) -> Bool {
            switch error.retryClass {
            case .transient, .throttled: true
            case .damaged: damages < policy.damagedTries
            // Once: some proxies refuse Expect.
            default: error.status == 417 && failures == 1
            }
        }
    }

    /// One PUT with what is counted and digested on the way.
    private final class Attempt: BodyObserver {
        private var digest = MessageDigest(.md5)
        private var watch: URLDeadline.Watch?
        private(set) var tooSlow: Double?
        private(set) var furthest: Int64 = 0
        /// Bytes given to the kernel, and bytes acknowledged, since the body started.
        private var handed: Int64 = 0
        private var delivered: Int64 = 0
        private let size: Int64
        private let started = Moment.now()

        /// Whether the whole body may reach the store even if the connection is closed now.
        var hasLeft: Bool { handed >= size }

        init(size: Int64, deadline: Double?) {
            self.size = size
            watch = deadline.map { URLDeadline.Watch(end: $0, size: size) }
        }

        func bodyStarts() {
            digest.restart()
            (handed, delivered) = (0, 0)
            watch?.begin(at: Moment.now().seconds(since: started))
        }

        func bodyContinues(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }

        private(set) lazy var md5 = digest.finish()

        func put(
            _ upload: URLUpload,
            _ source: SourceFile,
            headers: [(name: String, value: String)],
            over connection: URLConnection,
            pacer: BodyPacer,
            age: Int
        ) -> Result<ObjectAtURL, S3Error> {
            var transfer = BodyTransfer()
            transfer.observer = self
            transfer.onSent = { [unowned self] count in
                upload.sent.add(count, ordering: .relaxed)
                handed += count
            }
            transfer.onDelivered = { [unowned self] count in
                delivered += count
                furthest = max(furthest, delivered)
                upload.delivered.store(delivered, ordering: .relaxed)
            }
            transfer.shouldStop = { [unowned self] in
                // What the kernel has will arrive.
                guard delivered > 0, !hasLeft else { return false }
                tooSlow = watch?.tooSlow(delivered, at: Moment.now().seconds(since: started))
                return tooSlow != nil
            }
            let paced = pacer.start(age, length: source.size, with: &transfer) {}
            let answer = Result { () throws(S3Error) in
                try connection.put(
                    upload.url,
                    headers: headers,
                    body: .file(FileSlice(file: source.file, offset: 0, length: source.size)),
                    transfer: transfer,
                    patience: upload.settings.stallLimit
                )
            }
            paced.end(isThere: (try? answer.get()) != nil)
            return answer
        }
    }

    private func checkUnchanged(_ source: SourceFile) throws(UploadFailure) {
        let status: FileStatus
        do {
            status = try source.file.status()
        } catch {
            throw UploadFailure(.source, "\(name) cannot be read: \(error.reason).")
        }
        let now = SourceIdentity(path: source.identity.path, status)
        let changes = now.changes(since: source.identity)
        guard changes.isEmpty else {
            throw UploadFailure(
                .source,
                "\(name) changed while it was sent: \(UploadFailure.words(changes)). An object at \(url.shown) may hold bytes "
                    + "of two versions: send the file again, with a new URL, when no program writes to it."
            )
        }
    }

    // MARK: Proof

    /// - Throws: `verification` if nothing shows that the object holds the bytes, or something shows that it does not.
    private func proof(of answer: ObjectAtURL, md5: [UInt8], _ source: SourceFile) throws(UploadFailure) -> ObjectProof
    {
        let stored = answer.object
        let hex = Hex.encode(md5)
        func proof(_ algorithm: ChecksumAlgorithm, _ value: String) -> ObjectProof {
            ObjectProof(
                eTag: stored.eTag,
                versionID: stored.versionID,
                checksumAlgorithm: algorithm.rawValue,
                checksumType: ChecksumType.fullObject.rawValue,
                checksumValue: value
            )
        }
        if let eTag = stored.eTag?.lowercased(), eTag == hex { return proof(.md5, hex) }
        if let shown = answer.md5 {
            if shown == md5 { return proof(.md5, hex) }
            throw differs("its MD5 is \(Hex.encode(shown)), that of the file is \(hex)")
        }
        for (algorithm, value) in stored.checksums.sorted(by: { $0.key.rawValue < $1.key.rawValue })
        where stored.checksumType != .composite {
            let mine = try digest(source, algorithm)
            if Checksum(algorithm: algorithm, base64: value) == mine { return proof(algorithm, mine.base64) }
            throw differs("its \(algorithm.rawValue) is \(value), that of the file is \(mine.base64)")
        }
        if let eTag = stored.eTag?.lowercased(), Hex.decode(eTag)?.count == 16, answer.encryption?.keepsMD5 ?? true {
            throw differs("its ETag is \(eTag), the MD5 of the file is \(hex)")
        }
        let what = stored.eTag == nil ? "no ETag" : "an ETag that is not an MD5"
        throw UploadFailure(
            .verification,
            "\(name) was sent, not proven: the answer of \(url.host) has \(what), and no checksum of the object. Compare the "
                + "object with \"mule verify\" and credentials before you delete the file."
        )
    }

    private func differs(_ how: String) -> UploadFailure {
        UploadFailure(
            .verification,
            "The object at \(url.shown) is not \(name): \(how). Send the file again, with a new URL."
        )
    }

    // MARK: Failures

    private func tooSlow(_ rate: Double, _ size: Int64, mayBeStored: Bool) -> UploadFailure {
        let end = url.endsAt?.iso8601 ?? ""
        return UploadFailure(
            .usage,
            "\(name) cannot arrive before the URL ends at \(end): \(ByteSize.format(delivered.load(ordering: .relaxed))) of "
                + "\(ByteSize.format(size)) were sent, at \(ByteSize.format(Int64(rate)))/s. "
                + (mayBeStored ? "An earlier attempt may have stored the object: compare it. " : "Nothing is stored. ")
                + "Get a URL that is valid for longer."
        )
    }

    private func endedWhileRetrying(_ error: S3Error) -> UploadFailure {
        UploadFailure(
            .network,
            "The URL ended at \(url.endsAt?.iso8601 ?? "") before \(name) could be sent (last error: \(error.shortReason)). "
                + "Run the command again with a new URL.",
            evidence: error
        )
    }

    private func stalled(_ error: S3Error, _ tries: Tries) -> UploadFailure {
        let cure = if case .transport(let reason) = error.cause { Self.cure(reason) } else { "" }
        return UploadFailure(
            .network,
            "No progress at \(url.host) for \(Int(tries.secondsWithoutProgress)) s (last error: \(error.shortReason)).\(cure) "
                + "Run the command again, which sends \(name) from its start.",
            evidence: error
        )
    }

    private func refusal(_ error: S3Error, wasAmbiguous: Bool) -> UploadFailure {
        let what = "PUT of \(url.shown)"
        switch error.cause {
        case .transport(.source(let reason, let offset)):
            return UploadFailure(.source, "\(name) cannot be read at byte \(offset): \(reason.reason).")
        case .transport(.sourceEnded(let offset)):
            return UploadFailure(.source, "\(name) ends at byte \(offset): it became shorter while it was sent.")
        case .transport(let reason):
            return UploadFailure(
                .network,
                "\(what) failed: \(reason.sentence).\(Self.cure(reason))",
                evidence: error
            )
        case .unreadable, .noCredentials:
            return UploadFailure(.network, "\(what) failed: \(error.shortReason).", evidence: error)
        case .answer(let status, let code, let message):
            let text = message.hasSuffix(".") ? String(message.dropLast()) : message
            let said = "HTTP \(status)" + (error.hasDocument ? ", \(code)" : "") + (text.isEmpty ? "" : ": \(text)")
            let (kind, cure) = cure(error, status, wasAmbiguous: wasAmbiguous)
            return UploadFailure(kind, "\(what) was refused (\(said)). \(cure)", evidence: error)
        }
    }

    /// What to do, with a space before it. No option names the host here.
    private static func cure(_ error: TransportError) -> String {
        error.cure.map { " " + $0.replacing("--endpoint-url", with: "the URL") } ?? ""
    }

    private func cure(
        _ error: S3Error,
        _ status: Int,
        wasAmbiguous: Bool
    ) -> (UploadFailure.Kind, String) {
        if status == 412 {
            return wasAmbiguous
                ? (
                    .verification,
                    "An object exists there, and it may be \(name): the answer to an earlier attempt was lost. Compare it."
                ) : (.exists, "An object exists there, and the URL replaces none.")
        }
        if (300..<400).contains(status) {
            return (.store, "mule follows no redirect with a URL: get one for the right host and region.")
        }
        if let left = secondsLeft, left <= 0 {
            return (.credentials, "The URL ended at \(url.endsAt?.iso8601 ?? ""): get a new one.")
        }
        switch (error.retryClass, status) {
        case (.damaged, _):
            return (
                .verification, "The server received other bytes than were sent: check the network and this machine."
            )
        case (.credentials, _), (_, 401), (.clock, _):
            return (
                .credentials,
                "The URL is not valid there: it was changed, is for another method, or its key or credentials ended."
            )
        case (_, 403):
            return (.store, "The URL is not valid for this, or its maker may not write there: get a new one.")
        case (_, 404): return (.store, "The bucket or container does not exist there.")
        case (_, 413): return (.store, "The file is too large for the server.")
        default: return (.store, "The server gave no other reason.")
        }
    }
}

extension UploadFailure {
    /// The run was asked to stop.
    package static let stoppedAtURL = UploadFailure(
        .interrupted,
        "Stopped. A PUT to a URL keeps nothing: the same command sends the file from its start."
    )

    /// The same after the whole body has left: nothing tells whether the store has it.
    static let stoppedAtURLWithBody = UploadFailure(
        .interrupted,
        "Stopped after the whole file was sent, before the store answered: the object may exist. The same command sends "
            + "the file from its start."
    )
}
