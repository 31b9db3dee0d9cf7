package import MuleDigest
import MuleS3
import MuleSigning
import MuleSystem

/// What the store checks the bytes against. The modes form a ladder, which an upload descends until the store supports
/// one.
package enum ChecksumMode: Hashable, Sendable {
    /// An `x-amz-checksum-…` header on every body. Confirmed once the store has shown that it knows the header; until
    /// then each answer is checked for another proof.
    case checksum(ChecksumAlgorithm, confirmed: Bool)
    /// `Content-MD5` on every body.
    case md5
    /// The same for a store that shows the whole object's CRC-32C (Google), which is recorded for each part.
    case md5WithCRC32C
    /// Only the signature over the payload's SHA-256.
    case signedPayload
    /// Disabled by the user.
    case none

    /// The mode for a value of `--checksum`; nil if unknown.
    package init?(option: String) {
        switch option {
        case "auto", "crc64nvme": self = .checksum(.crc64nvme, confirmed: false)
        case "crc32c": self = .checksum(.crc32c, confirmed: false)
        case "crc32": self = .checksum(.crc32, confirmed: false)
        case "sha256": self = .checksum(.sha256, confirmed: false)
        case "md5": self = .md5
        case "none": self = .none
        default: return nil
        }
    }

    /// The form stored in the ledger.
    package var text: String {
        switch self {
        case .checksum(let algorithm, let confirmed): algorithm.rawValue + (confirmed ? "" : "?")
        case .md5: "MD5"
        case .md5WithCRC32C: "MD5+CRC32C"
        case .signedPayload: "payload"
        case .none: "none"
        }
    }

    package init?(text: String) {
        switch text {
        case "MD5": self = .md5
        case "MD5+CRC32C": self = .md5WithCRC32C
        case "payload": self = .signedPayload
        case "none": self = .none
        default:
            let isConfirmed = !text.hasSuffix("?")
            guard let algorithm = ChecksumAlgorithm(rawValue: isConfirmed ? text : String(text.dropLast())) else {
                return nil
            }
            self = .checksum(algorithm, confirmed: isConfirmed)
        }
    }

    /// The name in messages.
    package var words: String {
        switch self {
        case .checksum(let algorithm, _): algorithm.rawValue
        case .md5, .md5WithCRC32C: "Content-MD5"
        case .signedPayload: "a signed SHA-256"
        case .none: "no checksum"
        }
    }

    /// The next mode to try if the store refuses this one; nil at the end of the ladder.
    package var nextRung: ChecksumMode? {
        switch self {
        case .checksum(.crc64nvme, _): .checksum(.crc32c, confirmed: false)
        case .checksum: .md5
        case .md5, .md5WithCRC32C: .signedPayload
        case .signedPayload, .none: nil
        }
    }

    package var checksumAlgorithm: ChecksumAlgorithm? {
        if case .checksum(let algorithm, _) = self { algorithm } else { nil }
    }

    /// Whether bodies have a `Content-MD5`.
    package var sendsMD5: Bool { self == .md5 || self == .md5WithCRC32C }

    /// Whether bodies have a `Content-MD5`, or those of the same upload may get one because the store ignores the
    /// checksum header.
    var mayNeedMD5: Bool {
        if case .checksum(_, confirmed: false) = self { return wholeObjectCRC == Self.md5.wholeObjectCRC }
        return sendsMD5
    }

    /// The mode at a store of this profile: what is sent is the same.
    func fitting(_ profile: StoreProfile?) -> ChecksumMode {
        profile?.firstRung == .md5WithCRC32C && self == .md5 ? .md5WithCRC32C : self
    }

    package var isConfirmed: Bool {
        if case .checksum(_, let confirmed) = self { confirmed } else { false }
    }

    /// The CRC that is stored for every part; the CRC of the whole object is combined from these.
    package var wholeObjectCRC: CRCAlgorithm {
        switch self {
        case .checksum(.crc32c, _), .md5WithCRC32C: .crc32c
        case .checksum(.crc32, _): .crc32
        default: .crc64nvme
        }
    }
}

/// What Create and the store's answers have settled for one upload, in the form that the ledger stores.
package struct NegotiatedIntegrity: Hashable, Sendable {
    var checksumMode: ChecksumMode
    /// The checksum type that the store promised for the whole object; nil if it promised none.
    var wholeObject: ChecksumType?

    package var text: String { checksumMode.text + (wholeObject.map { "/" + $0.rawValue } ?? "") }

    init(checksumMode: ChecksumMode, wholeObject: ChecksumType?) {
        self.checksumMode = checksumMode
        self.wholeObject = wholeObject
    }

    package init?(text: String) {
        let words = text.split(separator: "/", maxSplits: 1).map(String.init)
        guard let first = words.first, let checksumMode = ChecksumMode(text: first) else { return nil }
        self.checksumMode = checksumMode
        wholeObject = words.count > 1 ? ChecksumType(rawValue: words[1]) : nil
    }
}

/// When the signature covers the payload's SHA-256.
package enum PayloadSigning: String, Sendable, CaseIterable {
    case auto, always, never

    /// TLS protects the bytes in transit, and a checksum header lets the store check them. Without either, only the
    /// signature does.
    func signs(isEncrypted: Bool, checksumMode: ChecksumMode) -> Bool {
        switch self {
        case .always: return true
        case .never: return false
        case .auto:
            switch checksumMode {
            case .checksum, .md5, .md5WithCRC32C: return !isEncrypted
            case .signedPayload, .none: return true
            }
        }
    }
}
