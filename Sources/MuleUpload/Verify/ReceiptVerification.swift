// Proves without a file that objects still match their records, from what the store shows of each.

import MuleDigest
package import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSystem

/// An object as it was archived.
package struct ReceiptEntry: Sendable {
    /// The upload's ID; nil if unknown.
    package var id: String?
    /// As recorded.
    package var source: [UInt8]
    package var address: ObjectAddress
    /// In bytes.
    package var size: Int64?
    package var proof: ObjectProof

    package init(id: String?, source: [UInt8], address: ObjectAddress, size: Int64?, proof: ObjectProof) {
        self.id = id
        self.source = source
        self.address = address
        self.size = size
        self.proof = proof
    }
}

/// Verifies any number of objects, several at a time, with connections per thread. Keeps nothing of finished ones.
package final class ReceiptVerification: Sendable {
    private let ledger: Ledger
    private let settings: RunSettings
    private let cancellation: Cancellation
    private let context: RetryContext
    private let failures = Monitor(StoreFailures<ObjectIdentifier>())
    /// Services that have loaded the regions in the ledger.
    private let services = Monitor<Set<ObjectIdentifier>>([])

    /// - Parameter settings: the concurrency is the number of threads.
    package init(ledger: Ledger, settings: RunSettings, cancellation: Cancellation) {
        self.ledger = ledger
        self.settings = settings
        self.cancellation = cancellation
        context = RetryContext(
            settings: settings,
            stallTimer: StallTimer(limit: settings.stallLimit),
            cancellation: cancellation,
            ledger: ledger
        )
    }

    /// Verifies objects until there are no more, or something stops the run. Call once.
    ///
    /// - Parameters:
    ///   - next: returns the next object with its store, which must live as long as the run; nil at the end. Called
    ///     from all threads.
    ///   - report: called once per verified object, on any thread. A failure without a verdict means that the check
    ///     could not be made.
    /// - Returns: why some objects were not verified: the run was stopped, or a store failed and its other objects were
    ///   skipped; nil if all were.
    package func run(
        next: @escaping @Sendable () -> (object: ReceiptEntry, service: S3Service)?,
        report: @escaping @Sendable (ReceiptEntry, Result<Verification, VerifyFailure>) -> Void
    ) -> UploadFailure? {
        let ticks = context.stallTimer.startTicking()
        let pool = WorkerPool()
        do throws(SystemError) {
            for _ in 0..<settings.concurrency {
                try pool.start { [self] in
                    let client = StoreClient(context)
                    let remote = RemoteSteps(client: client, ledger: ledger, emit: { _ in })
                    while !cancellation.isCancelled, let (object, service) = next() {
                        if let outcome = judge(object, service, remote: remote) { report(object, outcome) }
                    }
                }
            }
        } catch {
            // The started threads do all the work.
            if pool.count == 0 { stop(.noThread(error)) }
        }
        pool.waitForAll()
        withExtendedLifetime(ticks) {}
        return failures.withLock { $0.first } ?? (cancellation.isCancelled ? .interrupted : nil)
    }

    /// Nil if the run was stopped before there was an answer.
    private func judge(
        _ object: ReceiptEntry,
        _ service: S3Service,
        remote: RemoteSteps
    ) -> Result<Verification, VerifyFailure>? {
        if failures.withLock({ $0.failure(of: ObjectIdentifier(service), object.address.bucket) != nil }) { return nil }
        let isNew = services.withLock { $0.insert(ObjectIdentifier(service)).inserted }
        if isNew { service.remember(regions: ledger.regions(of: service.endpoint.url)) }
        do throws(UploadFailure) {
            return try remote.compare(object, service)
        } catch {
            if error.kind == .interrupted { return nil }
            switch error.scope {
            case .transfer: break
            case .bucket, .store:
                _ = failures.withLock { $0.add(error, of: ObjectIdentifier(service), object.address.bucket) }
            case .run: stop(error)
            }
            return .failure(VerifyFailure(error))
        }
    }

    /// Stops the run for a reason that affects every object.
    private func stop(_ reason: UploadFailure) {
        failures.withLock { $0.first = $0.first ?? reason }
        cancellation.cancel()
    }
}

extension RemoteSteps {
    /// - Throws: what prevented the check.
    fileprivate func compare(
        _ object: ReceiptEntry,
        _ service: S3Service
    ) throws(UploadFailure) -> Result<Verification, VerifyFailure> {
        guard let head = try look(at: object.address, service) else {
            return .failure(VerifyFailure(.missing, "The object \(object.address) does not exist."))
        }
        var comparison = RecordComparison(object, head)
        if comparison.differences.isEmpty, comparison.proof == nil {
            switch try attributes(of: object.address, head, service) {
            case .success(let answer?): comparison.add(answer)
            case .success(nil): break
            case .failure(let error):
                if error.isMissingPermission {
                    comparison.doubts.append(
                        "GetObjectAttributes was refused (this needs \(error.operation.permission))"
                    )
                }
            }
        }
        guard comparison.differences.isEmpty else {
            return .failure(
                VerifyFailure(
                    .differs,
                    "\(object.address) differs from the record: \(comparison.differences.joined(separator: "; "))."
                )
            )
        }
        guard let proof = comparison.proof, let size = object.size else {
            let doubts = comparison.doubts.isEmpty ? ["the store shows nothing to compare with"] : comparison.doubts
            return .failure(
                VerifyFailure(
                    .unproven,
                    "Cannot prove that \(object.address) still matches the record: \(doubts.joined(separator: "; "))."
                )
            )
        }
        return .success(
            Verification(
                source: object.source,
                destination: object.address,
                size: size,
                eTag: head.object.eTag,
                versionID: head.object.versionID,
                proof: proof
            )
        )
    }
}

/// Compares the record of an object with what its store shows.
///
/// Unlike in a comparison with a file, a different ETag is a difference: both come from the store, so the object was
/// written again since.
private struct RecordComparison {
    /// As phrases for a message.
    private(set) var differences: [String] = []
    var doubts: [String] = []
    private let recorded: ReceiptEntry
    private let isMultipart: Bool
    private var hasSize = false
    private var checksum: Verification.Proof?
    private var eTag: Verification.Proof?

    /// The strongest proof, if any. Without a known size, nothing proves an object.
    var proof: Verification.Proof? { hasSize ? checksum ?? eTag : nil }

    init(_ recorded: ReceiptEntry, _ head: ObjectHead) {
        self.recorded = recorded
        isMultipart = head.object.eTag.flatMap(DigestETag.init)?.partCount != nil
        compare(size: head.size)
        // A store without versioning shows none.
        compare("version", recorded.proof.versionID, theirs: head.object.versionID)
        compare("ETag", recorded.proof.eTag, theirs: head.object.eTag)
        if let mine = recorded.proof.eTag, mine == head.object.eTag, !mine.isEmpty {
            eTag = Verification.Proof(kind: .recordedETag, value: mine)
        }
        compare(head.object.checksums, head.object.checksumType)
        if recorded.size == nil { doubts.append("the record has no size") }
        if recorded.proof.checksumValue == nil, recorded.proof.eTag == nil {
            doubts.append("the record has neither a checksum nor an ETag")
        }
    }

    mutating func add(_ answer: ObjectAttributesAnswer) {
        if !hasSize { compare(size: answer.size) }
        compare(answer.checksums, answer.checksumType)
    }

    private mutating func compare(size: Int64?) {
        guard let mine = recorded.size, let theirs = size else { return }
        hasSize = mine == theirs
        if !hasSize { differences.append("it has \(theirs) bytes, recorded were \(mine)") }
    }

    private mutating func compare(_ what: String, _ mine: String?, theirs: String?) {
        guard let mine, let theirs, mine != theirs else { return }
        differences.append("its \(what) is \(theirs), recorded was \(mine)")
    }

    private mutating func compare(_ shown: [ChecksumAlgorithm: String], _ shownType: ChecksumType?) {
        guard let algorithm = recorded.proof.checksumAlgorithm.flatMap(ChecksumAlgorithm.init(rawValue:)),
            let value = recorded.proof.checksumValue, let text = shown[algorithm]
        else { return }
        // HEAD appends the number of parts to a composite checksum, GetObjectAttributes does not.
        let mine = Value(value, recorded.proof.checksumType.flatMap(ChecksumType.init(rawValue:)))
        let theirs = Value(text, shownType)
        if let one = mine.type, let other = theirs.type, one != other {
            doubts.append("its \(algorithm.rawValue) is \(other.rawValue), recorded was \(one.rawValue)")
        } else if mine.digest == theirs.digest, mine.parts == nil || theirs.parts == nil || mine.parts == theirs.parts {
            let isComposite = (theirs.type ?? mine.type) == .composite
            checksum = Verification.Proof(
                kind: isComposite ? .compositeChecksum : .fullObjectChecksum,
                algorithm: algorithm.rawValue,
                value: text
            )
        } else if theirs.type != nil && mine.type != nil || algorithm == .crc64nvme || !isMultipart {
            differences.append("its \(algorithm.rawValue) is \(text), recorded was \(value)")
        } else {
            // Some stores show a value without its type.
            doubts.append("its \(algorithm.rawValue) is \(text), which may be of the whole object or of its parts")
        }
    }

    private struct Value {
        var digest: Substring
        var parts: Int?
        var type: ChecksumType?

        init(_ text: String, _ type: ChecksumType?) {
            let words = text.split(separator: "-", maxSplits: 1)
            digest = words.first ?? ""
            parts = words.count > 1 ? Int(words[1]) : nil
            self.type = parts != nil ? .composite : type
        }
    }
}
