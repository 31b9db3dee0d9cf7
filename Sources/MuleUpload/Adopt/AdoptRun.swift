// Adopts an upload that exists only at the store: compares its parts with the file by their checksums and records them
// as rows of this ledger. Sends and removes nothing.

import MuleDigest
package import MuleLedger
import MulePlan
package import MuleS3
package import MuleSystem
import MuleTransport

package struct AdoptRun {
    private let client: StoreClient
    private let ledger: Ledger
    /// How far the file has been read; restarts for each candidate.
    package let progress = ReadProgress()

    package init(ledger: Ledger, settings: RunSettings, cancellation: Cancellation) {
        self.ledger = ledger
        client = StoreClient(settings: settings, cancellation: cancellation, ledger: ledger)
    }

    /// Finds the upload whose parts match the file, and records it with its parts. If several match, takes the one with
    /// the most bytes, then the newest.
    ///
    /// - Parameters:
    ///   - intent: the plan comes from the parts found.
    ///   - uploadID: the only upload to check; nil for all that the store lists.
    ///   - onNotice: receives a sentence about each upload that is not adopted.
    /// - Returns: the row, ready to resume.
    package func adopt(
        _ intent: UploadIntent,
        uploadID: String? = nil,
        service: S3Service,
        onNotice: (String) -> Void
    ) throws(UploadFailure) -> (UploadRecord, Lease) {
        let source = try SourceFile.open(path: intent.path)
        let name = LossyUTF8.string(intent.path)
        guard source.size > 0 else {
            throw UploadFailure(
                .usage,
                "\(name) is empty, so there is no multipart upload of it. Upload it with \"mule upload\"."
            )
        }
        try refuseKnown(intent.upload(of: source), name)
        service.remember(regions: ledger.regions(of: service.endpoint.url))
        let found = try candidates(intent.destination, uploadID, service: service, onNotice: onNotice)
        guard !found.isEmpty else {
            throw UploadFailure(
                .store,
                "There is no unfinished upload of \(intent.destination) at \(service.endpoint.url) that is unknown to "
                    + "this ledger. Upload the file with \"mule upload\"."
            )
        }
        var adopted: (candidate: Candidate, match: Match)?
        var refused: [String] = []
        for candidate in found {
            if let adopted {
                onNotice(candidate.left(beside: adopted.candidate, intent.destination))
                continue
            }
            switch try compare(candidate, source, name: name, at: service.profile) {
            case .matches(let match): adopted = (candidate, match)
            case .refused(let reason): refused.append("\(candidate.name) is skipped: it \(reason).")
            }
        }
        guard let adopted else {
            let only = refused.count == 1 ? " \(refused.removeFirst())" : ""
            refused.forEach(onNotice)
            throw UploadFailure(
                .verification,
                "No unfinished upload of \(intent.destination) can be adopted for \(name).\(only) Upload the file with "
                    + "\"mule upload\"."
            )
        }
        refused.forEach(onNotice)
        return try record(adopted.candidate, adopted.match, intent: intent, source: source)
    }

    // MARK: Candidates

    /// Throws if the ledger already has the upload.
    private func refuseKnown(_ upload: NewUpload, _ name: String) throws(UploadFailure) {
        let known = try ledger.reporting { ledger throws(LedgerError) in try ledger.unfinished(like: upload) }
        guard let known, known.mayHoldParts else { return }
        if ledger.isActive(known) { throw .heldElsewhere(known) }
        throw UploadFailure(
            .usage,
            "The ledger already has an upload of \(name) to \(upload.destination): resume it with \"mule resume "
                + "\(known.id)\", or abort it with \"mule abort \(known.id)\"."
        )
    }

    /// The store's open uploads of the object that this ledger does not know, with their parts: most bytes first, then
    /// newest.
    private func candidates(
        _ address: ObjectAddress,
        _ uploadID: String?,
        service: S3Service,
        onNotice: (String) -> Void
    ) throws(UploadFailure) -> [Candidate] {
        let uploads: [OpenUpload]
        if let uploadID {
            uploads = [OpenUpload(key: address.key, uploadID: uploadID)]
        } else {
            let listed = try client.retrying(with: service) { (connection) throws(S3Error) in
                try connection.listMultipartUploads(of: address)
            }
            guard case .success(let found, _) = listed else {
                guard case .refused(let error, _) = listed else { return [] }
                throw .refused(error, sending: address.description)
            }
            uploads = found
        }
        let rows = try ledger.reporting { ledger throws(LedgerError) in
            try ledger.uploads(withUploadIDs: uploads.map(\.uploadID), in: address.bucket)
        }
        let unfinished = rows.filter { $0.state != .done && $0.state != .aborted }
        let known = Dictionary(unfinished.map { ($0.uploadID ?? "", $0) }) { first, _ in first }
        var candidates: [Candidate] = []
        for upload in uploads {
            if let record = known[upload.uploadID] {
                let source = record.upload.sourceName.map(LossyUTF8.string) ?? "standard input"
                onNotice("The ledger already has \(upload.uploadID) as \(record.id), the upload of \(source).")
                continue
            }
            let parts = try client.retrying(with: service) { (connection) throws(S3Error) in
                try connection.listParts(address, uploadID: upload.uploadID)
            }
            switch parts {
            case .success(let listing, _): candidates.append(Candidate(upload: upload, listing: listing))
            case .refused(let error, _):
                // Completed or aborted since it was listed.
                if error.isVanishedUpload { continue }
                guard error.isMissingPermission else { throw .refused(error, sending: address.description) }
                onNotice(
                    "\(upload.uploadID) is skipped: its parts cannot be listed (\(error.shortReason)); this needs "
                        + "\(error.operation.permission)."
                )
            }
        }
        return candidates.sorted { ($0.bytes, $0.initiated) > ($1.bytes, $1.initiated) }
    }

    struct Candidate {
        let upload: OpenUpload
        let listing: PartListing
        /// Sorted by number.
        let parts: [StoredPart]
        let bytes: Int64

        init(upload: OpenUpload, listing: PartListing) {
            self.upload = upload
            self.listing = listing
            parts = listing.newest.values.sorted { $0.number < $1.number }
            bytes = parts.reduce(0) { $0 &+ $1.size }
        }

        var initiated: Int64 { upload.initiated?.millisecondsSince1970 ?? 0 }

        /// The upload's name in messages.
        var name: String {
            "The upload \(upload.uploadID)" + (upload.initiated.map { " of \($0.iso8601)" } ?? "")
        }

        func left(beside other: Candidate, _ address: ObjectAddress) -> String {
            let reason = bytes == other.bytes ? "is older" : "has fewer bytes"
            return
                "\(name) stays at the store, which bills for its \(parts.count) parts: \(other.upload.uploadID) is "
                + "adopted, and this one \(reason). Once that one is completed, \"mule clean --all-initiators "
                + "\(address)\" removes it."
        }
    }

    // MARK: Comparing

    enum Comparison {
        case matches(Match)
        /// Completes a sentence that starts with "it".
        case refused(String)
    }

    /// What to record for a candidate that matches the file.
    struct Match {
        var plan: PartPlan
        var negotiated: NegotiatedIntegrity
        var rows: [PartRecord]
    }

    private func compare(
        _ candidate: Candidate,
        _ source: SourceFile,
        name: String,
        at profile: StoreProfile?
    ) throws(UploadFailure) -> Comparison {
        let negotiated: NegotiatedIntegrity
        switch ForeignIntegrity(candidate.listing, at: profile) {
        case .known(let known): negotiated = known
        case .foreign(let reason): return .refused(reason)
        }
        let plans: [PartPlan]
        let listed = candidate.parts.map { ListedPart(number: $0.number, size: $0.size, eTag: $0.eTag) }
        switch PartFit.of(listed, objectSize: source.size) {
        case .fits(let fitting): plans = fitting
        case .misfit(let reason): return .refused(reason)
        }
        let digests = FileDigests(
            file: source.file,
            name: name,
            cancellation: client.cancellation,
            progress: progress,
            stallTimer: client.stallTimer
        )
        var reason = ""
        for plan in plans {
            let rows: [PartRecord]
            switch try digestedRows(candidate, plan, negotiated: negotiated, source: source, digests: digests) {
            case .success(let equal): rows = equal
            case .failure(let difference):
                reason = difference.words
                continue
            }
            return .matches(Match(plan: plan, negotiated: negotiated, rows: rows))
        }
        return .refused(reason)
    }

    private struct Difference: Error {
        var words: String
    }

    /// The rows of all listed parts, if all of them hold the file's bytes.
    private func digestedRows(
        _ candidate: Candidate,
        _ plan: PartPlan,
        negotiated: NegotiatedIntegrity,
        source: SourceFile,
        digests: FileDigests
    ) throws(UploadFailure) -> Result<[PartRecord], Difference> {
        let crc = negotiated.checksumMode.wholeObjectCRC
        let proofs = candidate.parts.map { PartProof(of: $0, crc: crc) }
        var rows: [PartRecord] = []
        // First part first: an upload of another file is refused without reading all of this one.
        for range in [0..<1, 1..<candidate.parts.count] {
            let slices = candidate.parts[range].map { part in
                let bytes = plan.range(of: part.number)
                return FileSlice(
                    file: source.file,
                    offset: bytes.lowerBound,
                    length: bytes.upperBound - bytes.lowerBound
                )
            }
            let computed = try digests.digest(
                slices,
                crc: crc,
                withSHA256: negotiated.checksumMode.checksumAlgorithm == .sha256
                    || proofs[range].contains { $0.algorithm == .sha256 },
                withMD5: negotiated.checksumMode.sendsMD5 || proofs[range].contains { $0.algorithm == .md5 }
            )
            for (index, digest) in zip(range, computed) {
                let part = candidate.parts[index]
                if let words = proofs[index].difference(from: digest, part.number) {
                    return .failure(Difference(words: words))
                }
                rows.append(
                    PartRecord(
                        number: part.number,
                        size: part.size,
                        eTag: part.eTag,
                        crc: digest.crc.bytes,
                        digest: digest.sha256 ?? digest.md5
                    )
                )
            }
        }
        return .success(rows)
    }

    // MARK: Recording

    private func record(
        _ candidate: Candidate,
        _ match: Match,
        intent: UploadIntent,
        source: SourceFile
    ) throws(UploadFailure) -> (UploadRecord, Lease) {
        // The row must describe the file that was compared.
        try source.checkStillInPlace()
        let upload = intent.upload(of: source, partSize: match.plan.partSize)
        let claimed: UploadRecord
        let lease: Lease
        switch try ledger.reporting({ ledger throws(LedgerError) in try ledger.claim([upload]).first }) {
        case .began(let record, let taken): (claimed, lease) = (record, taken)
        case .found(let record, let taken):
            guard !record.mayHoldParts else { throw .heldElsewhere(record) }
            claimed = try ledger.reporting { ledger throws(LedgerError) in try ledger.replan(record, as: upload) }
            lease = taken
        case .heldElsewhere(let record)?: throw .heldElsewhere(record)
        // One upload was requested without `doneBefore`, so neither answer is possible.
        case .doneBefore, .taken, nil: fatalError("a claim without an answer")
        }
        let record = try ledger.reporting { ledger throws(LedgerError) in
            try ledger.recordAdopted(
                claimed,
                uploadID: candidate.upload.uploadID,
                negotiated: match.negotiated.text,
                abortDate: candidate.listing.abortDate,
                parts: match.rows
            )
        }
        return (record, lease)
    }
}

extension UploadIntent {
    /// The upload that this intent describes for an open file.
    fileprivate func upload(of source: SourceFile, partSize: Int64? = nil) -> NewUpload {
        NewUpload(
            source: source.identity,
            store: store,
            destination: destination,
            attributes: attributes,
            onlyIfAbsent: onlyIfAbsent,
            integrity: integrity,
            partSize: partSize,
            changing: changing
        )
    }
}
