/// The ledger's record of a finished part.
package struct RecordedPart: Hashable, Sendable {
    package var number: Int
    package var size: Int64
    package var eTag: String
    /// Base64 of the checksum that was sent to the store; nil if none was.
    package var checksum: String?

    package init(number: Int, size: Int64, eTag: String, checksum: String? = nil) {
        self.number = number
        self.size = size
        self.eTag = eTag
        self.checksum = checksum
    }
}

/// A part as the store lists it.
package struct ListedPart: Hashable, Sendable {
    package var number: Int
    package var size: Int64
    package var eTag: String
    /// Milliseconds since 1970, 0 if the store does not say.
    package var lastModified: Int64
    /// Of the same algorithm as the recorded one, in base64; nil if the store lists none.
    package var checksum: String?

    package init(number: Int, size: Int64, eTag: String, lastModified: Int64 = 0, checksum: String? = nil) {
        self.number = number
        self.size = size
        self.eTag = eTag
        self.lastModified = lastModified
        self.checksum = checksum
    }

    /// Whether this is the recorded part. An ETag alone does not prove the bytes.
    package func isSame(as recorded: RecordedPart) -> Bool {
        guard eTag == recorded.eTag else { return false }
        guard let checksum, let known = recorded.checksum else { return true }
        return checksum == known
    }
}

/// The store's answer to a list of an upload's parts.
package enum Listing: Hashable, Sendable {
    case parts([ListedPart])
    /// 404 NoSuchUpload: completed, aborted or expired.
    case noSuchUpload
    /// The permission s3:ListMultipartUploadParts is missing, or the store cannot list parts.
    case unavailable
}

/// What to do with one part.
package enum PartAction: Hashable, Sendable {
    /// The record and the list agree: the part is finished.
    case keep
    /// The store has a part of this number that may be the file's bytes: read them and compare.
    case verify
    case send
}

/// How to resume an upload. Decided from facts only, so that every case can be tested.
package enum ResumeDecision: Hashable, Sendable {
    /// One action for each part, starting with part 1.
    case proceed([PartAction])
    /// The store no longer knows the upload ID: only the object shows whether it was completed.
    case reconcile

    /// - Parameters:
    ///   - recorded: parts whose rows are committed. They match the file's bytes.
    ///   - listing: what the store has for this upload ID, in any order. If a number is listed twice, the one
    ///     modified last counts.
    ///   - numbers: the parts to decide on; the first action is for the first of them. Nil for all.
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
            // Without a list, the committed rows are all that is known. Complete names their ETags, so the store checks
            // them.
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
