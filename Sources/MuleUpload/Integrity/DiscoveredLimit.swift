// Limits learned from refusals: how they are reported, and how the ledger remembers them so that the next plan respects
// them. Stores differ (Storj wants parts of 64 MiB, Scaleway takes 1,000 parts, R2 wants equal parts, a proxy may limit
// bodies to 1 MiB), and few can be asked.

package import MuleLedger
package import MulePlan
import MuleS3

/// A limit shown by a refusal. Nil if the store does not name the value.
enum DiscoveredLimit: Hashable, Sendable {
    /// The minimum size of any part but the last, in bytes.
    case smallestPart(Int64?)
    /// The maximum size of one request, in bytes.
    case largestBody(Int64?)
    case largestObject(Int64?)
    case partCount(Int?)
    /// All parts but the last must have one size.
    case equalParts

    init?(_ error: S3Error) {
        guard case .answer(_, let code, let message) = error.cause else { return nil }
        let text = message.lowercased()
        switch (error.operation, code) {
        case (.completeMultipartUpload, "EntityTooSmall"), (.uploadPart, "EntityTooSmall"):
            self = .smallestPart(error.sizeAllowed)
        case (.uploadPart, "EntityTooLarge"), (.putObject, "EntityTooLarge"): self = .largestBody(error.sizeAllowed)
        case (.completeMultipartUpload, "EntityTooLarge"): self = .largestObject(error.sizeAllowed)
        case (.completeMultipartUpload, "InvalidPart")
        where text.contains("same length") || text.contains("same size"):
            self = .equalParts
        case (.uploadPart, "InvalidArgument"), (.uploadPart, "InvalidRequest"), (.uploadPart, "InvalidPartNumber"),
            (.uploadPart, "TooManyParts"):
            guard let part = error.part, code.contains("Part") || text.contains("part number") else { return nil }
            // For example: "Part number must be an integer between 1 and 1000, inclusive".
            let numbers = text.split { !$0.isNumber }.compactMap { Int($0) }
            self = .partCount(numbers.filter { $0 > 1 && $0 < part }.max())
        default: return nil
        }
    }
}

extension Ledger {
    /// The known limits of a store: those of its profile, or Amazon's, and what it has refused.
    ///
    /// - Parameters:
    ///   - profile: what is known of such stores.
    ///   - asked: the user's part size, which may be beyond what the profile says.
    package func limits(
        of endpoint: String,
        _ profile: StoreLimits = .amazon,
        asked: Int64? = nil
    ) throws(LedgerError) -> StoreLimits {
        var limits = profile.allowing(partSize: asked)
        if let size = try fact(LimitFact.smallestPart, of: endpoint).flatMap({ Int64($0) }) {
            limits.minimumPartSize = max(size, 1)
            limits.maximumPartSize = max(limits.maximumPartSize, limits.minimumPartSize)
        }
        if let size = try fact(LimitFact.largestBody, of: endpoint).flatMap({ Int64($0) }),
            size >= limits.minimumPartSize
        {
            limits.maximumPartSize = min(size, limits.maximumPartSize)
            limits.maximumPutSize = min(size, limits.maximumPutSize)
        }
        if let count = try fact(LimitFact.partCount, of: endpoint).flatMap({ Int($0) }) {
            limits.maximumPartCount = max(count, 1)
        }
        if try fact(LimitFact.equalParts, of: endpoint) != nil { limits.partsMustBeEqual = true }
        return limits
    }

    fileprivate func remember(_ limit: DiscoveredLimit, of endpoint: String) throws(LedgerError) {
        let fact: (name: String, value: String)? =
            switch limit {
            case .smallestPart(let size): size.map { (LimitFact.smallestPart, "\($0)") }
            case .largestBody(let size): size.map { (LimitFact.largestBody, "\($0)") }
            case .partCount(let count): count.map { (LimitFact.partCount, "\($0)") }
            case .equalParts: (LimitFact.equalParts, "yes")
            case .largestObject: nil
            }
        if let fact { try remember(fact.name, fact.value, of: endpoint, lifetime: LimitFact.lifetime) }
    }
}

/// Names of facts in the ledger.
private enum LimitFact {
    static let smallestPart = "smallest-part"
    static let largestBody = "largest-body"
    static let partCount = "part-count"
    static let equalParts = "equal-parts"
    /// Seconds. Limits are raised now and then, but learning one costs an upload.
    static let lifetime: Int64 = 90 * 86_400
}

extension Worker {
    /// The failure for a refusal that cannot be handled.
    func refusal(_ error: S3Error, _ transfer: Transfer) -> UploadFailure {
        guard let limit = DiscoveredLimit(error), let record = transfer.record else {
            return .refused(error, sending: transfer.name)
        }
        let endpoint = record.upload.store.endpoint
        // If the limit cannot be stored, a later run learns it again. A broken ledger fails at the next commit anyway.
        try? run.ledger.remember(limit, of: endpoint)
        let known = transfer.job.service.limits
        let limits = (try? run.ledger.limits(of: endpoint, known, asked: record.upload.partSize)) ?? known
        return UploadFailure(
            .store,
            "\(transfer.name): \(limit.reason(error)). \(limit.cure(record, limits)) The upload is not completed.",
            evidence: error
        )
    }
}

extension DiscoveredLimit {
    /// What the store refuses.
    fileprivate func reason(_ error: S3Error) -> String {
        switch self {
        case .smallestPart(let size):
            "the store refuses parts that are smaller than " + (size.map(ByteSize.format) ?? "it likes")
        case .largestBody(let size):
            "the store, or a proxy in front of it, does not accept a request of this size"
                + (size.map { ", \(ByteSize.format($0)) at most" } ?? "")
        case .largestObject(let size):
            "the object is larger than this store accepts" + (size.map { ", \(ByteSize.format($0)) at most" } ?? "")
        case .partCount(let count):
            "the store refuses part \(error.part ?? 0)"
                + (count.map { "; it accepts at most \($0) parts per upload" } ?? " because of its number")
        case .equalParts: "the store requires parts of equal size"
        }
    }

    /// How the user can fix it.
    fileprivate func cure(_ record: UploadRecord, _ limits: StoreLimits) -> String {
        // An upload in one request leaves nothing that a restart would have to abort.
        let again = record.upload.partSize == nil ? "Run the same command again" : "Run it again with --restart"
        guard let size = record.upload.source?.size else { return streamCure }
        let isKnown =
            switch self {
            case .smallestPart(let size): size != nil
            case .largestBody(let size): size.map { $0 >= limits.minimumPartSize } ?? false
            case .partCount(let count): count != nil
            case .equalParts: true
            case .largestObject: false
            }
        // Keep the requested part size if the limits allow it.
        let asked = record.upload.partSize.flatMap { size in
            (limits.minimumPartSize...limits.maximumPartSize).contains(size) ? size : nil
        }
        if isKnown, let method = try? PartSizing(partSize: asked).method(size: size, limits: limits) {
            switch method {
            case .put: return "\(again): the file is then sent in one request."
            case .multipart(let partSize):
                return "\(again): the file is then sent in parts of \(ByteSize.format(partSize))."
            }
        }
        switch self {
        case .smallestPart: return "\(again) and a larger --part-size, such as 64MiB."
        case .partCount: return "\(again) and a larger --part-size."
        case .equalParts: return "\(again)."
        case .largestObject: return "Split the file."
        case .largestBody:
            let partSize = record.upload.partSize ?? size
            return partSize > limits.minimumPartSize
                ? "\(again) and a smaller --part-size, such as \(limits.minimumPartSize >> 20)MiB."
                : "Parts cannot be smaller than \(ByteSize.format(limits.minimumPartSize)): raise the limit there "
                    + "(nginx: client_max_body_size)."
        }
    }

    private var streamCure: String {
        switch self {
        case .smallestPart(nil), .partCount(nil): "Upload it again with --restart and a larger --part-size."
        case .smallestPart, .partCount, .equalParts: "Upload it again; the parts then follow that limit."
        case .largestBody: "Upload it again with --restart and a smaller --part-size."
        case .largestObject: "Split the stream."
        }
    }
}
