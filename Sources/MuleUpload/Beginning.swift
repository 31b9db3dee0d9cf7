// The first steps of an upload: what is there already, and what is to be sent.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    func begin(_ transfer: Transfer) throws(UploadFailure) {
        run.progress.begin(transfer)
        transfer.enter(.checking)
        if case .stream(let descriptor, let plan) = transfer.job.source {
            return try beginStream(transfer, descriptor: descriptor, plan: plan)
        }
        guard case .file(let path) = transfer.job.source else { return }
        let source = try SourceFile.open(path: path)
        transfer.state.withLock { $0.source = source }
        if case .doneBefore(let previous, let again) = transfer.job.row {
            if try isStillThere(previous, source, transfer) { return }
            try claim(again, transfer)
        }
        guard var record = transfer.record else { fatalError("a transfer begins with a row") }
        if let fresh = transfer.job.restartsAs { record = try abandon(record, for: fresh, transfer) }
        transfer.use(run.negotiated(record, endpoint: transfer.job.service.endpoint.url))
        run.emit(.started(record))
        if record.upload.partSize == nil {
            try checkSource(source, record)
            try putFile(source, transfer, record)
        } else if record.uploadID != nil {
            try resume(source, transfer, record)
        } else {
            try checkSource(source, record)
            try create(transfer, record)
            sendAll(source, transfer)
        }
    }

    private func claim(_ upload: NewUpload, _ transfer: Transfer) throws(UploadFailure) {
        let claim: Ledger.Claim?
        do {
            claim = try run.ledger.claim([upload]).first
        } catch {
            throw run.failure(error)
        }
        switch claim {
        case .began(let record, let lease), .found(let record, let lease):
            transfer.state.withLock { state in
                state.record = record
                state.lease = lease
                state.partCount = record.partCount
            }
        case .heldElsewhere, nil:
            throw UploadFailure(.held, "Another mule is uploading to \(transfer.name); this one leaves it alone.")
        }
    }

    private func checkSource(_ source: SourceFile, _ record: UploadRecord) throws(UploadFailure) {
        guard let before = record.upload.source else { return }
        let changes = source.identity.changes(since: before).filter { $0 != .device }
        guard changes.isEmpty else {
            throw .changed(source.identity.path, changes, while: "since the upload was begun")
        }
    }

    // MARK: Done before

    /// Whether the object that the ledger remembers is still the one at the store.
    private func isStillThere(
        _ previous: UploadRecord,
        _ source: SourceFile,
        _ transfer: Transfer
    ) throws(UploadFailure) -> Bool {
        // Who may not look must send.
        guard case .success(let head?, _) = try lookAtObject(transfer), head.size == source.identity.size else {
            return false
        }
        let isOurs =
            head.metadata[UploadToken.metadataName].map { $0 == previous.token }
            ?? (head.object.eTag != nil && head.object.eTag == previous.proof.eTag)
        guard isOurs else { return false }
        let size = source.identity.size
        transfer.bytesDone.store(size, ordering: .relaxed)
        transfer.bytesSkipped.store(size, ordering: .relaxed)
        run.completed(transfer, previous, previous.proof, wasThere: true)
        return true
    }

    // MARK: Beginning anew

    /// Gives up what an earlier run began and gives the row a fresh plan.
    private func abandon(
        _ record: UploadRecord,
        for fresh: NewUpload,
        _ transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        if record.mayHoldParts {
            switch try removeParts(of: record, transfer) {
            case .removed: break
            case .refused(let error):
                run.emit(
                    .notice(
                        id: record.id,
                        "The parts of the earlier upload of \(transfer.name) could not be removed "
                            + "(\(error.shortReason)); they cost money until they are."
                    )
                )
            }
        }
        do {
            let replanned = try run.ledger.replan(record, as: fresh)
            transfer.state.withLock { state in
                state.record = replanned
                state.size = replanned.size
                state.partCount = replanned.partCount
            }
            return replanned
        } catch {
            throw run.failure(error)
        }
    }

    /// Creates the multipart upload and makes its ID durable, before any part goes.
    func create(_ transfer: Transfer, _ record: UploadRecord) throws(UploadFailure) {
        let wasTriedBefore = record.createAttemptedAt != nil
        var record = record
        if record.upload.onlyIfAbsent, try presentObject(transfer) != nil { throw .exists(transfer.name) }
        do {
            record = try run.ledger.recordCreateAttempt(record)
        } catch {
            throw run.failure(error)
        }
        transfer.update(record)
        let attributes = run.attributes(of: record)
        while true {
            let protection = transfer.protection
            let answer = try persist(transfer) { (connection) throws(S3Error) in
                try connection.createMultipartUpload(
                    transfer.job.destination,
                    attributes: attributes,
                    checksum: protection.checksumAlgorithm
                )
            }
            switch answer {
            case .refused(let error, let ambiguous):
                guard let lower = run.lowerRung(protection, after: error, record) else {
                    if !ambiguous && !wasTriedBefore { try forgetAttempt(record, transfer) }
                    throw refusal(error, transfer)
                }
                transfer.use(Negotiated(protection: lower, wholeObject: nil))
            case .success(let created, let ambiguous):
                return try keep(created, transfer, record, mayHaveSiblings: ambiguous || wasTriedBefore)
            }
        }
    }

    /// The store has refused to create the upload, and no try of it is unanswered: nothing lies there.
    private func forgetAttempt(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) {
        do {
            transfer.update(try run.ledger.forgetCreateAttempt(record))
        } catch {
            throw run.failure(error)
        }
    }

    private func keep(
        _ created: CreatedUpload,
        _ transfer: Transfer,
        _ record: UploadRecord,
        mayHaveSiblings: Bool
    ) throws(UploadFailure) {
        var protection = transfer.protection
        if case .checksum(let algorithm, _) = protection, created.checksumAlgorithm == algorithm {
            protection = .checksum(algorithm, confirmed: true)
        }
        let negotiated = Negotiated(
            protection: protection,
            wholeObject: protection.isConfirmed ? created.checksumType : nil
        )
        do {
            transfer.update(
                try run.ledger.recordCreated(
                    record,
                    uploadID: created.uploadID,
                    negotiated: negotiated.text,
                    abortDate: created.abortDate,
                    mayHaveSiblings: mayHaveSiblings
                )
            )
        } catch {
            throw run.failure(error)
        }
        transfer.use(negotiated)
        // A checksum that Create did not promise may still be echoed for a part; anything else is settled here.
        if protection.isConfirmed || protection.checksumAlgorithm == nil { run.learn(protection, transfer) }
    }

    /// For stores that don't know `If-None-Match`: a look before anything is sent. The header closes the gap between the
    /// look and the end where it is known.
    func presentObject(_ transfer: Transfer) throws(UploadFailure) -> ObjectHead? {
        guard case .success(let head, _) = try lookAtObject(transfer) else { return nil }
        return head
    }

    // MARK: Parts

    func sendAll(_ source: SourceFile, _ transfer: Transfer) {
        guard let plan = transfer.record.flatMap(run.plan) else { fatalError("parts without a plan") }
        transfer.enter(.sending)
        run.queue.add(
            parts: (1...plan.count).map { Self.work($0, plan, source) },
            of: transfer
        )
    }

    private static func work(
        _ number: Int,
        _ plan: PartPlan,
        _ source: SourceFile,
        candidate: StoredPart? = nil
    ) -> PartWork {
        let range = plan.range(of: number)
        return PartWork(
            number: number,
            slice: FileSlice(
                file: source.file,
                offset: range.lowerBound,
                length: range.upperBound - range.lowerBound
            ),
            candidate: candidate
        )
    }

    // MARK: Resuming

    /// Goes on with an upload that has an ID: by the ledger, and by what the store lists.
    func resume(_ source: SourceFile, _ transfer: Transfer, _ record: UploadRecord) throws(UploadFailure) {
        guard let uploadID = record.uploadID, let before = record.upload.source, let plan = run.plan(of: record) else {
            fatalError("resumed without an upload ID or a plan")
        }
        let rows: [PartRecord]
        do {
            rows = try run.ledger.parts(of: record.number)
        } catch {
            throw run.failure(error)
        }
        let (listing, stored) = try list(uploadID, transfer, record)
        let decision = ResumeDecision.decide(
            plan: plan,
            recordedSource: before,
            currentSource: source.identity,
            recorded: rows.map { RecordedPart(number: $0.number, size: $0.size, eTag: $0.eTag) },
            listing: listing
        )
        switch decision {
        case .refuse(let changes):
            throw .changed(source.identity.path, changes, while: "since the upload was begun")
        case .reconcile:
            try reconcileVanished(source, transfer, record)
        case .proceed(let actions):
            let sizes = Dictionary(rows.map { ($0.number, $0.size) }, uniquingKeysWith: { first, _ in first })
            var work: [PartWork] = []
            var forgotten: [Int] = []
            var keptBytes: Int64 = 0
            for (index, action) in actions.enumerated() {
                let number = index + 1
                switch action {
                case .keep: keptBytes += plan.size(of: number)
                case .verify, .send:
                    if sizes[number] != nil { forgotten.append(number) }
                    work.append(
                        Self.work(number, plan, source, candidate: action == .verify ? stored[number] : nil)
                    )
                }
            }
            do {
                try run.ledger.forgetParts(forgotten, of: record.number)
            } catch {
                throw run.failure(error)
            }
            let keptParts = plan.count - work.count
            let isFirstLook = transfer.state.withLock { state in
                state.recordedParts = keptParts
                state.phase = .sending
                return !state.listsAgain
            }
            transfer.partsDone.store(keptParts, ordering: .relaxed)
            transfer.bytesDone.store(keptBytes, ordering: .relaxed)
            // A second look finds what this run has sent itself.
            if isFirstLook { transfer.bytesSkipped.store(keptBytes, ordering: .relaxed) }
            run.emit(.resumed(record, parts: keptParts, bytes: keptBytes))
            if work.isEmpty {
                run.queue.add(completionOf: transfer)
            } else {
                run.queue.add(parts: work, of: transfer)
            }
        }
    }

    private func list(
        _ uploadID: String,
        _ transfer: Transfer,
        _ record: UploadRecord
    ) throws(UploadFailure) -> (Listing, [Int: StoredPart]) {
        let answer = try persist(transfer) { (connection) throws(S3Error) in
            try connection.listParts(transfer.job.destination, uploadID: uploadID)
        }
        switch answer {
        case .success(let listing, _):
            var newest: [Int: StoredPart] = [:]
            for part in listing.parts {
                let known = newest[part.number]?.lastModified?.millisecondsSince1970 ?? .min
                if (part.lastModified?.millisecondsSince1970 ?? 0) >= known { newest[part.number] = part }
            }
            let parts = newest.values.map { ListedPart(number: $0.number, size: $0.size, eTag: $0.eTag) }
            return (.parts(parts), newest)
        case .refused(let error, _):
            if error.isVanishedUpload { return (.noSuchUpload, [:]) }
            guard error.isMissingPermission || error.retryClass == .unsupported else { throw refusal(error, transfer) }
            run.emit(
                .notice(
                    id: record.id,
                    "The parts of \(transfer.name) can't be listed (\(error.shortReason)); the permission "
                        + "\(error.operation.permission) is missing. Going on by the ledger alone."
                )
            )
            return (.unavailable, [:])
        }
    }

    // MARK: One request

    private func putFile(_ source: SourceFile, _ transfer: Transfer, _ record: UploadRecord) throws(UploadFailure) {
        let slice = FileSlice(file: source.file, offset: 0, length: source.identity.size)
        let proof = try put(slice, transfer, record) { () throws(UploadFailure) in try source.checkUnchanged() }
        try source.checkStillInPlace()
        run.completed(transfer, record, proof)
    }

    /// Sends an object in one request and proves it.
    func put(
        _ slice: FileSlice,
        _ transfer: Transfer,
        _ record: UploadRecord,
        check: () throws(UploadFailure) -> Void
    ) throws(UploadFailure) -> ObjectProof {
        transfer.enter(.sending)
        var onlyIfAbsent = record.upload.onlyIfAbsent
        if onlyIfAbsent, let head = try presentObject(transfer) {
            // It may be this very upload, whose answer an earlier run did not live to hear.
            guard head.metadata[UploadToken.metadataName] == record.token,
                let proof = try ownObject(size: slice.length, record, transfer)
            else { throw .exists(transfer.name) }
            return proof
        }
        let attributes = run.attributes(of: record)
        while true {
            try check()
            let protection = transfer.protection
            let answer = try send(slice, of: transfer) { (connection, proof, options) throws(S3Error) in
                try connection.putObject(
                    transfer.job.destination,
                    body: slice.length == 0 ? .none : .file(slice),
                    proof: proof,
                    attributes: attributes,
                    onlyIfAbsent: onlyIfAbsent,
                    transfer: options
                )
            }
            switch answer {
            case .success(let body, _):
                try check()
                transfer.enter(.completing)
                if !protection.isConfirmed { run.learn(transfer.protection, transfer) }
                if record.upload.onlyIfAbsent && !onlyIfAbsent {
                    run.emit(.noCondition(record, transfer))
                }
                let whole = WholeChecksum(body.digest, transfer.protection)
                let mine = ObjectProof(
                    eTag: body.stored.eTag,
                    versionID: body.stored.versionID,
                    checksumAlgorithm: whole.algorithm.rawValue,
                    checksumType: ChecksumType.fullObject.rawValue,
                    checksumValue: whole.value
                )
                let proven =
                    body.isProven && body.stored.eTag != nil
                    ? mine : try confirm(body.stored, mine, size: slice.length, record, transfer)
                transfer.bytesInFlight.subtract(body.bytesInFlight, ordering: .relaxed)
                transfer.bytesDone.add(slice.length, ordering: .relaxed)
                return proven
            case .refused(let error, _):
                if error.retryClass == .reconcile, onlyIfAbsent {
                    // Even the first 412 that is heard may answer a repetition: libcurl sends a request again by itself
                    // when a warm connection closes without an answer. The object tells whose it is.
                    guard let proof = try ownObject(size: slice.length, record, transfer) else {
                        throw .exists(transfer.name)
                    }
                    return proof
                } else if error.retryClass == .unsupported, onlyIfAbsent {
                    onlyIfAbsent = false
                } else if let lower = run.lowerRung(protection, after: error, record) {
                    // Without the condition it was refused as well, so that was not the reason.
                    onlyIfAbsent = record.upload.onlyIfAbsent
                    transfer.use(Negotiated(protection: lower, wholeObject: nil))
                } else {
                    throw refusal(error, transfer)
                }
            }
        }
    }
}

/// The checksum of an object that went in one request.
struct WholeChecksum {
    var algorithm: ChecksumAlgorithm
    var value: String

    init(_ digest: SliceDigest, _ protection: Protection) {
        if protection.checksumAlgorithm == .sha256, let sha256 = digest.sha256 {
            algorithm = .sha256
            value = Base64.encode(sha256)
        } else {
            algorithm = digest.crc.algorithm
            value = digest.crc.base64
        }
    }
}

extension UploadEvent {
    static func noCondition(_ record: UploadRecord, _ transfer: Transfer) -> UploadEvent {
        .notice(
            id: record.id,
            "This store can't write on condition; --no-overwrite rests on a look at \(transfer.name) just before."
        )
    }
}

extension UploadFailure {
    static func exists(_ object: String) -> UploadFailure {
        UploadFailure(.exists, "\(object) exists and may not be replaced (--no-overwrite). Nothing was changed.")
    }
}

extension S3Error {
    /// 404 for an upload ID. Stores differ in the code they give it.
    var isVanishedUpload: Bool {
        code == "NoSuchUpload" || (status == 404 && code != "NoSuchBucket")
    }

    var isMissingPermission: Bool { status == 403 && retryClass == .fatal }
}
