// Queries a store about uploads that no process is working on: what it holds of them, and which other uploads it has.

package import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSystem

/// A bucket at a store, or a prefix in it.
package struct StorePlace: Sendable {
    package var address: StoreAddress
    package var service: S3Service
    package var bucket: String
    /// Empty for the whole bucket.
    package var prefix: ObjectKey

    package init(address: StoreAddress, service: S3Service, bucket: String, prefix: ObjectKey) {
        self.address = address
        self.service = service
        self.bucket = bucket
        self.prefix = prefix
    }

    package func holds(_ object: ObjectAddress) -> Bool {
        object.bucket == bucket && object.key.utf8.starts(with: prefix.utf8)
    }
}

/// What a store holds of one upload.
package enum RemoteState: Sendable {
    case parts(PartListing)
    /// The store does not know the upload (any more).
    case gone
    /// Asking is not permitted; the failure names the permission.
    case hidden(UploadFailure)
}

/// An upload that a store lists, with its state in this ledger.
package struct ListedUpload: Sendable {
    package enum LedgerState: Sendable {
        /// Unfinished in the ledger.
        case open(UploadRecord)
        /// Done or aborted in the ledger.
        case over(UploadRecord)
        /// Unknown to the ledger. `isOwn`: whether the user whose credentials mule uses started it; nil if unknown.
        case unknown(isOwn: Bool?)
    }

    package var upload: OpenUpload
    package var address: ObjectAddress
    package var standing: LedgerState
}

/// Stops retrying after the time that a person would wait, which is shorter than for a transfer.
package final class RemoteUploads {
    let remote: RemoteSteps
    private var client: StoreClient { remote.client }
    private var ledger: Ledger { remote.ledger }
    /// The initiator names that stores use for this user, as far as this ledger's own uploads show them.
    private var ownNames: [StoreAddress: Set<String>] = [:]

    /// Seconds without an answer after which a store counts as unreachable.
    package static let patience = 60.0

    package init(
        ledger: Ledger,
        settings: RunSettings,
        cancellation: Cancellation,
        patience: Double = RemoteUploads.patience,
        onEvent: @escaping @Sendable (UploadEvent) -> Void = { _ in }
    ) {
        var settings = settings
        settings.stallLimit = min(settings.stallLimit, patience)
        let client = StoreClient(settings: settings, cancellation: cancellation, ledger: ledger)
        remote = RemoteSteps(client: client, ledger: ledger, emit: onEvent)
    }

    /// Call before requests to a store.
    func prepare(_ service: S3Service) {
        service.remember(regions: ledger.regions(of: service.endpoint.url))
        // The last answer may be long ago, for example while the user decided.
        client.stallTimer.noteProgress()
    }

    /// The store's clock. Asks for the bucket if no answer has had a date yet; a refusal has one as well.
    package func clock(of service: S3Service, bucket: String) throws(UploadFailure) -> StoreClock {
        if service.toldTime == nil {
            _ = try ask(service) { (connection) throws(S3Error) in try connection.headBucket(bucket) }
        }
        return service.clock
    }

    /// What the store holds of an upload.
    package func holding(
        of uploadID: String,
        at address: ObjectAddress,
        _ service: S3Service
    ) throws(UploadFailure) -> RemoteState {
        let answer = try ask(service) { (connection) throws(S3Error) in
            try connection.listParts(address, uploadID: uploadID)
        }
        switch answer {
        case .success(let listing, _): return .parts(listing)
        case .refused(let error, _):
            if error.leavesNothing { return .gone }
            let failure = UploadFailure.refused(error, sending: address.description)
            guard error.mayNotBeAsked else { throw failure }
            return .hidden(failure)
        }
    }

    /// The same for an upload of this ledger; learns the initiator name of this user. Nil if nothing was created yet.
    package func holding(of record: UploadRecord, _ service: S3Service) throws(UploadFailure) -> RemoteState? {
        guard let uploadID = record.uploadID else { return nil }
        let holding = try holding(of: uploadID, at: record.upload.destination, service)
        if case .parts(let listing) = holding { learn(listing.initiator, record.upload.store) }
        return holding
    }

    /// One page of the open uploads at a place, with their states in the ledger.
    package func page(
        of place: StorePlace,
        after marker: UploadMarker?
    ) throws(UploadFailure) -> (uploads: [ListedUpload], next: UploadMarker?) {
        if marker == nil { try learnName(at: place) }
        let answer = try ask(place.service) { (connection) throws(S3Error) in
            try connection.listMultipartUploads(of: place.bucket, prefix: place.prefix, after: marker)
        }
        switch answer {
        case .refused(let error, _): throw .refused(error, sending: place.bucket)
        case .success(let page, _): return (try judge(page.uploads, place), page.next)
        }
    }

    private func ask<Result>(
        _ service: S3Service,
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        prepare(service)
        return try client.retrying(with: service, request)
    }

    // MARK: Owners of uploads

    /// Learns the initiator name of this user from this ledger's open uploads at the place.
    private func learnName(at place: StorePlace) throws(UploadFailure) {
        guard ownNames[place.address] == nil else { return }
        let records = try ledger.reporting { ledger throws(LedgerError) in
            try ledger.created(in: place.bucket, at: place.address, limit: 3)
        }
        for record in records where ownNames[place.address] == nil {
            guard case .parts(let listing)? = try holding(of: record, place.service) else { continue }
            learn(listing.initiator, place.address)
        }
    }

    private func learn(_ initiator: String?, _ address: StoreAddress) {
        guard let initiator else { return }
        ownNames[address, default: []].insert(initiator)
    }

    private func judge(_ uploads: [OpenUpload], _ place: StorePlace) throws(UploadFailure) -> [ListedUpload] {
        let records = try ledger.reporting { ledger throws(LedgerError) in
            try ledger.uploads(withUploadIDs: uploads.map(\.uploadID), in: place.bucket)
        }
        let known = Dictionary(grouping: records) { $0.uploadID ?? "" }
        let rows = uploads.map { upload in
            (known[upload.uploadID] ?? []).filter {
                $0.upload.destination.key == upload.key && isOf($0, upload, place: place)
            }
        }
        for (upload, records) in zip(uploads, rows) where !records.isEmpty { learn(upload.initiator, place.address) }
        let names = ownNames[place.address]
        return zip(uploads, rows).map { upload, records in
            let standing: ListedUpload.LedgerState
            if let open = records.first(where: \.isOpen) {
                standing = .open(open)
            } else if let last = records.last {
                standing = .over(last)
            } else {
                let isOwn = names.flatMap { names in upload.initiator.map(names.contains) }
                standing = .unknown(isOwn: isOwn)
            }
            return ListedUpload(
                upload: upload,
                address: ObjectAddress(bucket: place.bucket, key: upload.key),
                standing: standing
            )
        }
    }

    /// Whether the upload is the row's, and not another with the same ID: some stores count from 1 after each restart.
    /// A row that is still open always matches.
    private func isOf(_ record: UploadRecord, _ upload: OpenUpload, place: StorePlace) -> Bool {
        if record.isOpen { return true }
        guard let initiated = upload.initiated?.millisecondsSince1970 else { return false }
        let local = initiated - place.service.clockDifference
        return (record.createdAt - Self.window...record.updatedAt + Self.window).contains(local)
    }

    /// Milliseconds by which the times of a row and of the store may differ.
    private static let window: Int64 = 120_000
}
