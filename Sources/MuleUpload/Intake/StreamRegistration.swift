package import MuleLedger
package import MulePlan

/// A stream to upload to a destination, before the ledger is asked about it.
package struct StreamIntent: Sendable {
    package var source: StreamSource
    package var destination: ObjectAddress
    package var store: StoreAddress
    package var attributes: ObjectAttributes
    package var onlyIfAbsent: Bool
    package var integrity: IntegrityOptions
    /// What is known of the store besides what the ledger has learned.
    package var limits = StoreLimits.amazon
    /// The ETag that the object must have to be replaced; nil for any.
    package var ifMatch: String?
    /// Bytes per part; nil lets the plan choose.
    package var partSize: Int64?
    /// The approximate length, greater than 0; nil if unknown.
    package var expectedSize: Int64?
    /// Whether to abort a pending upload and start over.
    package var restart: Bool

    package init(
        source: StreamSource,
        destination: ObjectAddress,
        store: StoreAddress,
        attributes: ObjectAttributes,
        onlyIfAbsent: Bool,
        integrity: IntegrityOptions,
        partSize: Int64? = nil,
        expectedSize: Int64? = nil,
        restart: Bool = false
    ) {
        self.source = source
        self.destination = destination
        self.store = store
        self.attributes = attributes
        self.onlyIfAbsent = onlyIfAbsent
        self.integrity = integrity
        self.partSize = partSize
        self.expectedSize = expectedSize
        self.restart = restart
    }

    /// Checks that a store with the known limits allows a plan for it.
    ///
    /// - Throws: `usage` if not.
    package func check() throws(UploadFailure) {
        _ = try equalPartSize(limits.allowing(partSize: partSize))
    }

    /// The size of equal parts; nil if part sizes grow from the start.
    func equalPartSize(_ limits: StoreLimits) throws(UploadFailure) -> Int64? {
        do throws(PlanError) {
            if let partSize { _ = try PartSizing(partSize: partSize).method(size: partSize, limits: limits) }
            guard let expectedSize else { return partSize }
            return try StreamPlan(expectedSize: expectedSize, asked: partSize, limits: limits).equalPartSize
        } catch {
            throw UploadFailure(.usage, error.sentence(for: "The stream"))
        }
    }
}

extension Registration {
    /// Finds or creates the row of a stream. An unfinished upload with the same object options is resumed; the content
    /// of its parts shows whether they belong to this stream.
    ///
    /// - Returns: the entry, and notes for the user about other uploads.
    package func register(_ intent: StreamIntent) throws(LedgerError) -> (entry: Entry, notes: [String]) {
        let limits = try ledger.limits(of: intent.store.endpoint, intent.limits, asked: intent.partSize)
        var upload = NewUpload(
            source: nil,
            store: intent.store,
            destination: intent.destination,
            attributes: intent.attributes,
            onlyIfAbsent: intent.onlyIfAbsent,
            integrity: intent.integrity,
            partSize: nil,
            stream: intent.source,
            ifMatch: intent.ifMatch
        )
        do throws(UploadFailure) {
            upload.partSize = try intent.equalPartSize(limits)
        } catch {
            return (.refused(error), [])
        }
        let claim = try ledger.claimStream(upload) { open in
            // A row without an upload at the store can take any options.
            open.first { $0.mayHoldParts && (intent.restart || Self.isOneObject($0.upload, upload)) }
                ?? open.first { !$0.mayHoldParts }
        }
        var notes = claim.others.filter(\.mayHoldParts).map { record in
            "The pending upload \(record.id) to \(upload.destination) was started with other options and stays as it "
                + "is; \"mule abort \(record.id)\" removes its parts."
        }
        switch claim.claim {
        case .began(let record, let lease): return (.job(.claimed(record, lease), restartsAs: nil), notes)
        case .heldElsewhere(let record): return (.refused(.heldElsewhere(record)), [])
        case .taken, .doneBefore: fatalError("a stream is always sent")
        case .found(let record, let lease):
            if !record.mayHoldParts {
                // The same plan keeps its token, which identifies an object whose answer was lost.
                let planned = record.upload == upload ? record : try ledger.replan(record, as: upload)
                return (.job(.claimed(planned, lease), restartsAs: nil), notes)
            }
            if intent.restart { return (.job(.claimed(record, lease), restartsAs: upload), notes) }
            if record.upload.partSize != upload.partSize {
                let parts = record.upload.partSize.map { "parts of \(ByteSize.format($0))" } ?? "parts of growing size"
                notes.append(
                    "The pending upload \(record.id) was started with \(parts) and keeps them; --restart starts over."
                )
            }
            return (.job(.claimed(record, lease), restartsAs: nil), notes)
        }
    }

    /// Whether an upload can resume as another: the properties of its object were fixed when it was created.
    private static func isOneObject(_ first: NewUpload, _ second: NewUpload) -> Bool {
        first.attributes == second.attributes && first.onlyIfAbsent == second.onlyIfAbsent
            && first.integrity.checksumOption == second.integrity.checksumOption && first.ifMatch == second.ifMatch
            && first.store.customerKey == second.store.customerKey
    }
}
