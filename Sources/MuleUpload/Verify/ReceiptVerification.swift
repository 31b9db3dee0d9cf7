// Proving that objects are still what is on record of them, without a file: by what the store shows of each.

import MuleDigest
package import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSystem

/// An object as it was when it was archived.
package struct ReceiptEntry: Sendable {
    /// The upload's ID; nil where nobody knows it.
    package var id: String?
    /// As it stands on record.
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

/// Any number of them, several at a time, each thread with connections of its own. Nothing is kept of those that are over.
package final class ReceiptVerification: Sendable {
    private let ledger: Ledger
    private let settings: RunSettings
    private let cancellation: Cancellation
    private let context: RetryContext
    private let failures = Monitor(StoreFailures<ObjectIdentifier>())
    /// Those that know which regions the ledger remembers.
    private let services = Monitor<Set<ObjectIdentifier>>([])

    /// - Parameter settings: its concurrency is that of the questions.
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

    /// Asks about one object after another until there are no more, or something stops the run. To be called once.
    ///
    /// - Parameters:
    ///   - next: the next object with its store, which must live as long as the run; nil at the end. Called from all threads.
    ///   - report: is told once of every object that was asked about, from any thread. A failure without a verdict says that
    ///     the question could not be put.
    /// - Returns: why not all were asked about: the run was stopped, or a store failed, whose other objects are passed over;
    ///   nil when all were.
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
                        if let outcome = judge(object, service, remote) { report(object, outcome) }
                    }
                }
            }
        } catch {
            // Those that have been started do the work of all.
            if pool.count == 0 { stop(.noThread(error)) }
        }
        pool.waitForAll()
        withExtendedLifetime(ticks) {}
        return failures.withLock { $0.first } ?? (cancellation.isCancelled ? .interrupted : nil)
    }

    /// Nil where the run was stopped before there was an answer.
    private func judge(
        _ object: ReceiptEntry,
        _ service: S3Service,
        _ remote: RemoteSteps
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

    /// Ends the run for a reason that every question shares.
    private func stop(_ reason: UploadFailure) {
        failures.withLock { $0.first = $0.first ?? reason }
        cancellation.cancel()
    }
}

extension RemoteSteps {
    /// - Throws: what kept the question from being put.
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
                        "GetObjectAttributes was refused (this needs "
                            + "\(error.operation.permission))"
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

/// What is on record of an object beside what its store shows.
///
/// Here an ETag that differs is a difference, unlike beside a file: both are the store's own words for the object, and it has
/// been written anew since.
private struct RecordComparison {
    /// In words.
    private(set) var differences: [String] = []
    var doubts: [String] = []
    private let recorded: ReceiptEntry
    private let isMultipart: Bool
    private var hasSize = false
    private var checksum: Verification.Proof?
    private var eTag: Verification.Proof?

    /// The strongest; nil without one. Nothing proves an object whose length nobody knows.
    var proof: Verification.Proof? { hasSize ? checksum ?? eTag : nil }

    init(_ recorded: ReceiptEntry, _ head: ObjectHead) {
        self.recorded = recorded
        isMultipart = head.object.eTag.flatMap(DigestETag.init)?.partCount != nil
        compare(size: head.size)
        // A store without versions shows none.
        compare("version", recorded.proof.versionID, head.object.versionID)
        compare("ETag", recorded.proof.eTag, head.object.eTag)
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

    private mutating func compare(_ what: String, _ mine: String?, _ theirs: String?) {
        guard let mine, let theirs, mine != theirs else { return }
        differences.append("its \(what) is \(theirs), recorded was \(mine)")
    }

    private mutating func compare(_ shown: [ChecksumAlgorithm: String], _ shownType: ChecksumType?) {
        guard let algorithm = recorded.proof.checksumAlgorithm.flatMap(ChecksumAlgorithm.init(rawValue:)),
            let value = recorded.proof.checksumValue, let text = shown[algorithm]
        else { return }
        // HEAD puts the number of parts behind a composite one, GetObjectAttributes does not.
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
