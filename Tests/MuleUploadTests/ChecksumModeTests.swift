import MuleDigest
import MuleS3
import Synchronization
import Testing

@testable import MuleUpload

/// The ladder, its words in the ledger, and what is remembered of a store.
@Suite struct ChecksumModeTests {
    private static let all: [ChecksumMode] =
        [.md5, .signedPayload, .none]
        + [ChecksumAlgorithm.crc64nvme, .crc32c, .crc32, .sha256].flatMap { algorithm in
            [ChecksumMode.checksum(algorithm, confirmed: false), .checksum(algorithm, confirmed: true)]
        }

    @Test(arguments: all)
    func `the ledgers word is read back`(checksumMode: ChecksumMode) {
        #expect(ChecksumMode(text: checksumMode.text) == checksumMode)
        for type in [ChecksumType.fullObject, .composite, nil] {
            let negotiated = NegotiatedIntegrity(checksumMode: checksumMode, wholeObject: type)
            #expect(NegotiatedIntegrity(text: negotiated.text) == negotiated)
        }
    }

    @Test func `every rung has its own word`() {
        #expect(Set(Self.all.map(\.text)).count == Self.all.count)
    }

    @Test(arguments: ["", "?", "CRC", "crc64nvme", "/FULL_OBJECT", "payload?"])
    func `other words are none`(text: String) {
        #expect(ChecksumMode(text: text) == nil)
        #expect(NegotiatedIntegrity(text: text) == nil)
    }

    @Test(
        arguments: [
            ("auto", ChecksumMode.checksum(.crc64nvme, confirmed: false)),
            ("crc64nvme", .checksum(.crc64nvme, confirmed: false)),
            ("crc32c", .checksum(.crc32c, confirmed: false)), ("crc32", .checksum(.crc32, confirmed: false)),
            ("sha256", .checksum(.sha256, confirmed: false)), ("md5", .md5), ("none", .none),
        ]
    )
    func `options name rungs`(option: String, checksumMode: ChecksumMode) {
        #expect(ChecksumMode(option: option) == checksumMode)
    }

    @Test func `an unknown option is none`() {
        #expect(ChecksumMode(option: "CRC32C") == nil)
        #expect(ChecksumMode(option: "") == nil)
    }

    @Test(arguments: all)
    func `the ladder ends in the signature and never in nothing`(checksumMode: ChecksumMode) {
        var rung = checksumMode
        var steps = 0
        while let next = rung.nextRung {
            rung = next
            steps += 1
            #expect(rung != .none)
        }
        #expect(steps <= 3)
        #expect(rung == (checksumMode == .none ? .none : .signedPayload))
    }

    @Test(arguments: all, [true, false])
    func `what is signed`(checksumMode: ChecksumMode, isEncrypted: Bool) {
        #expect(PayloadSigning.always.signs(isEncrypted: isEncrypted, checksumMode: checksumMode))
        #expect(!PayloadSigning.never.signs(isEncrypted: isEncrypted, checksumMode: checksumMode))
        let hasNothingElse = checksumMode == .none || checksumMode == .signedPayload
        #expect(
            PayloadSigning.auto.signs(isEncrypted: isEncrypted, checksumMode: checksumMode)
                == (hasNothingElse || !isEncrypted)
        )
    }

    @Test func `what is learned is saved once`() {
        let saved = Mutex<[String]>([])
        let facts = EndpointFacts(
            load: { $0 == "known" ? "MD5" : nil },
            save: { endpoint, value in
                saved.withLock { $0.append(endpoint + "=" + value) }
            }
        )
        #expect(facts.checksumMode(of: "known") == .md5)
        #expect(facts.checksumMode(of: "unknown") == .checksum(.crc64nvme, confirmed: false))
        facts.learn(.md5, of: "known")
        facts.learn(.md5, of: "unknown")
        facts.learn(.md5, of: "unknown")
        #expect(facts.checksumMode(of: "unknown") == .md5)
        #expect(saved.withLock { $0 } == ["unknown=MD5"])
    }

    @Test func `a fact that cannot be read is no fact`() {
        let facts = EndpointFacts(load: { _ in "rubbish" }, save: { _, _ in })
        #expect(facts.checksumMode(of: "any") == .checksum(.crc64nvme, confirmed: false))
    }
}
