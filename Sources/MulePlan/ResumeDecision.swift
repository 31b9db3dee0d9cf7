/// What the ledger knows of a finished part.
package struct RecordedPart: Hashable, Sendable {
    package var number: Int
    package var size: Int64
    package var eTag: String
    /// Base64 of the checksum that the store was given with it; nil where it was given none.
    package var checksum: String?

    package init(number: Int, size: Int64, eTag: String, checksum: String? = nil) {
        self.number = number
        self.size = size
        self.eTag = eTag
        self.checksum = checksum
    }
}

/// What the store lists of a part.
package struct ListedPart: Hashable, Sendable {
    package var number: Int
    package var size: Int64
    package var eTag: String
    /// Milliseconds since 1970, 0 when the store does not say.
    package var lastModified: Int64
    /// Of the same algorithm as the recorded one, in base64; nil when the store lists none.
    package var checksum: String?

    package init(number: Int, size: Int64, eTag: String, lastModified: Int64 = 0, checksum: String? = nil) {
        self.number = number
        self.size = size
        self.eTag = eTag
        self.lastModified = lastModified
        self.checksum = checksum
    }

    /// Whether this is the part that was recorded: an ETag alone is a name that stores give, no proof of the bytes.
    package func isSame(as recorded: RecordedPart) -> Bool {
        guard eTag == recorded.eTag else { return false }
        guard let checksum, let known = recorded.checksum else { return true }
        return checksum == known
    }
}

/// What the store answered when it was asked for an upload's parts.
package enum Listing: Hashable, Sendable {
    case parts([ListedPart])
    /// 404 NoSuchUpload: completed, aborted or expired.
    case noSuchUpload
    /// The permission s3:ListMultipartUploadParts is missing, or the store can't list.
    case unavailable
}

/// What is to be done with one part.
package enum PartAction: Hashable, Sendable {
    /// Recorded and listed alike: finished.
    case keep
    /// Something lies at the store under this number that may be the file's bytes: read them and compare.
    case verify
    case send
}

/// How a pending upload goes on. Decided from facts alone, so that every case can be tested.
package enum ResumeDecision: Hashable, Sendable {
    /// One action for each part, the first one for part 1.
    case proceed([PartAction])
    /// The store no longer knows the upload ID: only the object itself can tell whether it was completed.
    case reconcile

    /// - Parameters:
    ///   - recorded: parts whose rows are committed. The file's bytes are known to be theirs.
    ///   - listing: what the store holds of this upload ID. Entries in any order; for a number listed twice the one
    ///     modified last counts.
    ///   - numbers: the parts to decide on; the first action is then for the first of them. Nil for all.
    package static func decide(
        plan: PartPlan,
        recorded: [RecordedPart],
        listing: Listing,
        numbers: ClosedRange<Int>? = nil
    ) -> ResumeDecision {
        let numbers = numbers?.clamped(to: 1...plan.count) ?? 1...plan.count
        var byNumber: [Int: RecordedPart] = [:]
        for part in recorded where numbers.contains(part.number) && part.size == plan.size(of: part.number) {
            byNumber[part.number] = part
        }
        switch listing {
        case .noSuchUpload:
            return .reconcile
        case .unavailable:
            // Without a list the committed rows are all there is; Complete names their ETags, so the store itself
            // checks them.
            return .proceed(numbers.map { byNumber[$0] == nil ? .send : .keep })
        case .parts(let parts):
            var listed: [Int: ListedPart] = [:]
            for part in parts where part.lastModified >= listed[part.number]?.lastModified ?? .min {
                listed[part.number] = part
            }
            return .proceed(
                numbers.map { number in
                    guard let there = listed[number], there.size == plan.size(of: number) else { return .send }
                    guard let row = byNumber[number], there.isSame(as: row) else { return .verify }
                    return .keep
                }
            )
        }
    }
}
