import MuleDigest

/// Which digests of a body the answer will need; everything else is left uncomputed.
struct DigestNeeds: Sendable {
    var md5 = false
    var sha256 = false
    var checksum: ChecksumAlgorithm?

    var isEmpty: Bool { !md5 && !sha256 && checksum == nil }
}

/// A body as received, with the digests that were asked for.
struct ReceivedBody: Sendable {
    var count: Int64 = 0
    /// nil when bodies are discarded.
    var content: FakeBytes?
    var md5: [UInt8]?
    var sha256: [UInt8]?
    var checksum: Checksum?
}

/// Digests of a body while it arrives. Used by one connection's thread.
final class BodyDigests {
    private let needs: DigestNeeds
    private var md5 = MessageDigest(.md5)
    private var sha256 = MessageDigest(.sha256)
    private var crc: CRCDigest?

    init(_ needs: DigestNeeds) {
        var needs = needs
        switch needs.checksum {
        case .sha256: needs.sha256 = true
        case .md5: needs.md5 = true
        case let algorithm: crc = algorithm.flatMap { CRCAlgorithm($0) }.map { CRCDigest($0) }
        }
        self.needs = needs
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        if needs.md5 { md5.update(bytes) }
        if needs.sha256 { sha256.update(bytes) }
        crc?.update(bytes)
    }

    /// Fills in the digests.
    func finish(_ body: inout ReceivedBody) {
        if needs.md5 { body.md5 = md5.finish() }
        if needs.sha256 { body.sha256 = sha256.finish() }
        switch needs.checksum {
        case .md5: body.checksum = body.md5.map { Checksum(algorithm: .md5, bytes: $0) }
        case .sha256: body.checksum = body.sha256.map { Checksum(algorithm: .sha256, bytes: $0) }
        default: body.checksum = crc?.checksum
        }
    }

    /// The digest of some bytes in one go.
    static func checksum(_ algorithm: ChecksumAlgorithm, of bytes: [UInt8]) -> Checksum? {
        var needs = DigestNeeds()
        needs.checksum = algorithm
        let digests = BodyDigests(needs)
        bytes.withUnsafeBytes { digests.update($0) }
        var body = ReceivedBody()
        digests.finish(&body)
        return body.checksum
    }
}
