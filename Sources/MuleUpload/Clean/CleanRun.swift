// Finds and removes stale uploads, and uploads that are closed in the ledger but still open at the store.

package import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSystem

/// An upload at the store that is removed, or reported as removable.
package struct StaleUpload: Sendable {
    package enum Origin: Sendable {
        /// Unfinished in this ledger.
        case own(UploadRecord)
        /// Closed in this ledger, but still open at the store.
        case leftover(UploadRecord)
        /// Unknown to this ledger.
        case unknown
    }

    package var origin: Origin
    package var address: ObjectAddress
    /// Nil if the upload was never created, or if that is unknown.
    package var uploadID: String?
    package var initiated: UTCTime?
    package var initiator: String?
    /// What the store holds of it; nil without permission to ask.
    package var parts: Int?
    package var bytes: Int64?

    package var record: UploadRecord? {
        switch origin {
        case .own(let record), .leftover(let record): record
        case .unknown: nil
        }
    }
}

package enum CleanEvent: Sendable {
    /// Would be removed.
    case stale(StaleUpload)
    case removed(StaleUpload)
    /// Just as old, but unknown to this ledger: not removed.
    case skipped(StaleUpload)
    /// Not removed. If this ledger has the upload, the failure is recorded.
    case failed(StaleUpload, UploadFailure)
    /// A store or bucket that could not be queried.
    case unreachable(String, UploadFailure)
    case notice(String)
}

/// Totals of a run.
package struct CleanSummary: Sendable {
    /// Removed, or removable.
    package var uploads = 0
    /// What the store held of them, where permissions allow asking.
    package var bytes: Int64 = 0
    package var skipped = 0
    /// Too recent, and unknown to the ledger.
    package var younger = 0
    /// As old, but started by other users: neither shown nor removed.
    package var ofOthers = 0
    package var failures: [UploadFailure] = []
}

package final class CleanRun {
    package struct Rules: Sendable {
        /// Milliseconds since 1970. Uploads with progress since then stay.
        package var cutoff: Int64
        /// Whether uploads that this ledger does not know are removed too.
        package var takesAll: Bool
        /// Whether to remove uploads, or only report them.
        package var removes: Bool
        /// Whether the cutoff depends on the current time.
        package var dependsOnAge: Bool

        package init(cutoff: Int64, takesAll: Bool, removes: Bool, dependsOnAge: Bool = true) {
            self.cutoff = cutoff
            self.takesAll = takesAll
            self.removes = removes
            self.dependsOnAge = dependsOnAge
        }
    }

    private let ledger: Ledger
    private let rules: Rules
    private let remoteUploads: RemoteUploads
    private let cancellation: Cancellation
    private let onEvent: (CleanEvent) -> Void
    private var unreachable = StoreFailures<StoreAddress>()
    package private(set) var summary = CleanSummary()

    /// - Parameter onEvent: called on the thread that runs.
    package init(
        ledger: Ledger,
        settings: RunSettings,
        rules: Rules,
        cancellation: Cancellation,
        onNotice: @escaping @Sendable (UploadEvent) -> Void,
        onEvent: @escaping (CleanEvent) -> Void
    ) {
        self.ledger = ledger
        self.rules = rules
        self.cancellation = cancellation
        self.onEvent = onEvent
        remoteUploads = RemoteUploads(
            ledger: ledger,
            settings: settings,
            cancellation: cancellation,
            onEvent: onNotice
        )
    }

    // MARK: Uploads in the ledger

    /// Handles the ledger's uploads that are unfinished and old, or whose abort was requested.
    ///
    /// - Parameters:
    ///   - wanted: selects the uploads.
    ///   - service: returns the store of a row.
    package func sweepLedger(
        _ wanted: (UploadRecord) -> Bool,
        service: (UploadRecord) throws(UploadFailure) -> S3Service
    ) throws(LedgerError) {
        var last: Int64 = 0
        while !cancellation.isCancelled {
            let batch = try ledger.stale(before: rules.cutoff, after: last, limit: 200)
            guard let end = batch.last else { return }
            for record in batch where isStale(record) && wanted(record) && !cancellation.isCancelled {
                let bucket = record.upload.destination.bucket
                guard unreachable.failure(of: record.upload.store, bucket) == nil else { continue }
                var stale = StaleUpload(own: record)
                do throws(UploadFailure) {
                    let service = try service(record)
                    if !record.abortRequested { try checkClock(of: service, bucket: stale.address.bucket) }
                    try clean(&stale, record, service: service)
                } catch {
                    fail(stale, error, at: record.upload.store)
                }
            }
            last = end.number
        }
    }

    private func isStale(_ record: UploadRecord) -> Bool {
        record.isOpen && (record.abortRequested || record.updatedAt < rules.cutoff)
    }

    private func clean(_ stale: inout StaleUpload, _ record: UploadRecord, service: S3Service) throws(UploadFailure) {
        guard rules.removes else {
            if ledger.isActive(record) { return }
            let holding = try remoteUploads.holding(of: record, service)
            if !record.abortRequested, isYoung(holding, service) { return }
            if let holding { stale.measure(holding) }
            return tell(.stale(stale), stale)
        }
        // If another process is uploading it, it is not stale, and that is no failure.
        guard let (current, lease) = try claim(record.number), isStale(current) else { return }
        let holding = try remoteUploads.holding(of: current, service)
        if !current.abortRequested, isYoung(holding, service) { return }
        // Recorded before anything is removed, so that an interrupted run leaves the request.
        let wanted = try ledger.reporting { ledger throws(LedgerError) in try ledger.requestAbort(current) }
        if let holding { stale.measure(holding) }
        switch try AbortRun(remoteUploads).abort(wanted, lease, service: service) {
        case .aborted: tell(.removed(stale), stale)
        case .wasDone:
            let name = wanted.upload.destination.description
            onEvent(
                .notice("\(wanted.id) was already completed, and only the answer was lost: \(name) stays as it is.")
            )
        }
    }

    private func claim(_ number: Int64) throws(UploadFailure) -> (UploadRecord, Lease)? {
        try ledger.reporting { ledger throws(LedgerError) in try ledger.claim(number) }
    }

    // MARK: Uploads at the store

    /// Handles uploads that the store lists at a place and that are not open in the ledger.
    ///
    /// Removes a page's uploads only after fetching the next page: the next page starts after the last upload of this
    /// one, which must still exist then.
    ///
    /// - Parameter isNamed: whether the user named this place, so that failing to list it is an error.
    package func sweep(_ place: StorePlace, isNamed: Bool) {
        guard isReachable(place) else { return }
        var waiting: [StaleUpload] = []
        var marker: UploadMarker?
        repeat {
            var found: [StaleUpload] = []
            do throws(UploadFailure) {
                let page = try remoteUploads.page(of: place, after: marker)
                marker = page.next
                try checkClock(of: place.service, bucket: place.bucket)
                found = page.uploads.compactMap { candidate($0, place) }
            } catch {
                marker = nil
                cannotList(place, error, isNamed: isNamed)
            }
            remove(waiting, place)
            waiting = found
        } while marker != nil && !cancellation.isCancelled && isReachable(place)
        remove(waiting, place)
    }

    private func cannotList(_ place: StorePlace, _ failure: UploadFailure, isNamed: Bool) {
        if failure.s3Code == "NoSuchBucket" && !isNamed { return }
        if isNamed || failure.kind != .store {
            note(failure, at: place.address, place.bucket)
            if failure.kind != .interrupted { onEvent(.unreachable(place.bucket, failure)) }
        } else {
            onEvent(.notice("Cannot list other unfinished uploads in \(place.bucket). \(failure.message)"))
        }
    }

    /// The upload to handle; nil if there is nothing to do, after counting or reporting it.
    private func candidate(_ listed: ListedUpload, _ place: StorePlace) -> StaleUpload? {
        var stale = StaleUpload(
            origin: .unknown,
            address: listed.address,
            uploadID: listed.upload.uploadID,
            initiated: listed.upload.initiated,
            initiator: listed.upload.initiator
        )
        switch listed.standing {
        case .open: return nil
        case .over(let record):
            stale.origin = .leftover(record)
            return stale
        case .unknown(let isOwn):
            // Without a start date from the store, the upload's age is unknown.
            guard let initiated = stale.initiated, isOld(initiated, place.service) else {
                summary.younger += 1
                return nil
            }
            if rules.takesAll { return stale }
            if isOwn == false {
                summary.ofOthers += 1
            } else {
                summary.skipped += 1
                onEvent(.skipped(stale))
            }
            return nil
        }
    }

    private func remove(_ uploads: [StaleUpload], _ place: StorePlace) {
        for upload in uploads where !cancellation.isCancelled && isReachable(place) {
            var upload = upload
            do throws(UploadFailure) {
                try clean(&upload, place)
            } catch {
                fail(upload, error, at: place.address)
            }
        }
    }

    private func clean(_ stale: inout StaleUpload, _ place: StorePlace) throws(UploadFailure) {
        guard let uploadID = stale.uploadID else { return }
        var lease: Lease?
        if case .leftover(let record) = stale.origin {
            guard let (current, held) = try claim(record.number), !current.isOpen else { return }
            lease = held
        }
        defer { withExtendedLifetime(lease) {} }
        let holding = try remoteUploads.holding(of: uploadID, at: stale.address, place.service)
        if case .gone = holding { return }
        // A recent part shows that the upload is active, whenever it was started.
        if case .unknown = stale.origin, isYoung(holding, place.service) { return }
        stale.measure(holding)
        guard rules.removes else { return tell(.stale(stale), stale) }
        switch try remoteUploads.remote.abort(uploadID, at: stale.address, place.service, id: stale.record?.id) {
        case .removed: tell(.removed(stale), stale)
        case .refused(let error): throw .refused(error, sending: stale.address.description)
        }
    }

    // MARK: Clocks

    /// - Throws: if this clock and the store's differ so much that ages cannot be trusted.
    private func checkClock(of service: S3Service, bucket: String) throws(UploadFailure) {
        guard rules.dependsOnAge else { return }
        if var doubt = ClockComparison.doubt(
            now: ledger.now(),
            store: try remoteUploads.clock(of: service, bucket: bucket)
        ) {
            doubt.scope = .store
            throw doubt
        }
    }

    /// Whether a part is recent by the store's own dates: then the upload is active, even if the clock that wrote the
    /// row was wrong.
    private func isYoung(_ holding: RemoteState?, _ service: S3Service) -> Bool {
        guard rules.dependsOnAge, case .parts(let listing)? = holding else { return false }
        return listing.parts.contains { $0.lastModified.map { !isOld($0, service) } ?? false }
    }

    private func isOld(_ time: UTCTime, _ service: S3Service) -> Bool {
        time.millisecondsSince1970 - service.clockDifference < rules.cutoff
    }

    // MARK: Totals

    private func tell(_ event: CleanEvent, _ stale: StaleUpload) {
        summary.uploads += 1
        summary.bytes += stale.bytes ?? 0
        onEvent(event)
    }

    private func fail(_ stale: StaleUpload, _ failure: UploadFailure, at address: StoreAddress) {
        note(failure, at: address, stale.address.bucket)
        if failure.kind != .interrupted { onEvent(.failed(stale, failure)) }
    }

    /// Records the failure. A failure that affects the whole store or bucket ends the work there.
    private func note(_ failure: UploadFailure, at address: StoreAddress, _ bucket: String) {
        summary.failures.append(failure)
        unreachable.note(failure, of: address, bucket)
    }

    private func isReachable(_ place: StorePlace) -> Bool {
        unreachable.failure(of: place.address, place.bucket) == nil
    }
}

extension StaleUpload {
    fileprivate init(own record: UploadRecord) {
        origin = .own(record)
        address = record.upload.destination
        uploadID = record.uploadID
        initiated = UTCTime(millisecondsSince1970: record.createdAt)
    }

    fileprivate mutating func measure(_ holding: RemoteState) {
        switch holding {
        case .parts(let listing):
            let newest = listing.newest.values
            parts = newest.count
            bytes = newest.reduce(0) { $0 + $1.size }
            initiator = initiator ?? listing.initiator
        case .gone: (parts, bytes) = (0, 0)
        case .hidden: break
        }
    }
}
