import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleUpload

/// The ladder, its words in the ledger, and what is remembered of a store.
@Suite struct ChecksumModeTests {
    private static let all: [ChecksumMode] =
        [.md5, .md5WithCRC32C, .signedPayload, .none]
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
        #expect(facts.checksumMode(of: "unknown") == nil)
        facts.learn(.md5, of: "known")
        facts.learn(.md5, of: "unknown")
        facts.learn(.md5, of: "unknown")
        #expect(facts.checksumMode(of: "unknown") == .md5)
        #expect(saved.withLock { $0 } == ["unknown=MD5"])
    }

    // MARK: Signed bodies

    @Test(arguments: all, [true, false])
    func `only an automatic Content-MD5 may be replaced by the signature`(checksumMode: ChecksumMode, isLocked: Bool) {
        func may(_ checksum: String, _ signing: String, encrypted: Bool, faster: Bool) -> Bool {
            IntegrityOptions(checksum: checksum, payloadSigning: signing)
                .maySignInsteadOfMD5(checksumMode, isEncrypted: encrypted, isLocked: isLocked, isHashFaster: faster)
        }
        let isReplaced =
            checksumMode.sendsMD5 || checksumMode == .checksum(.crc64nvme, confirmed: false)
            || checksumMode == .checksum(.sha256, confirmed: false)
        let isPossible = isReplaced && !isLocked
        for automatic in ["auto", IntegrityOptions.automaticFromMD5] {
            #expect(may(automatic, "auto", encrypted: false, faster: false) == isPossible)
            #expect(may(automatic, "auto", encrypted: true, faster: true) == isPossible)
            #expect(!may(automatic, "auto", encrypted: true, faster: false))
            #expect(may(automatic, "always", encrypted: true, faster: false) == isPossible)
            for encrypted in [true, false] { #expect(!may(automatic, "never", encrypted: encrypted, faster: true)) }
        }
        for chosen in ["md5", "crc32c", "none"] {
            for encrypted in [true, false] { #expect(!may(chosen, "always", encrypted: encrypted, faster: true)) }
        }
    }

    /// No body is sent without something that the store checks, unless the user said so.
    @Test(arguments: all, [true, false])
    func `what is omitted is replaced`(checksumMode: ChecksumMode, signs: Bool) {
        let normal = BodyDigests(checksumMode, signs: signs, omitsMD5: false)
        #expect(normal.md5 == checksumMode.sendsMD5)
        #expect(normal.signs == signs)
        let replaced = BodyDigests(checksumMode, signs: signs, omitsMD5: true)
        guard checksumMode.sendsMD5 else { return #expect(replaced == normal) }
        #expect(replaced.replacesMD5 && replaced.signs && replaced.sha256 && !replaced.md5)
        let digest = SliceDigest(crc: CRCDigest(checksumMode.wholeObjectCRC).checksum, sha256: sha256([]), md5: nil)
        let proof = checksumMode.proof(digest, signs: replaced.signs)
        #expect(proof.md5 == nil && proof.payload == .sha256(sha256([])))
    }

    @Test func `store is asked by one worker at a time, and its answer is saved`() {
        let saved = Mutex<[String]>([])
        let facts = SignedBodyFacts(
            load: { ["yes": "yes", "no": "no"][$0] },
            save: { endpoint, value in saved.withLock { $0.append(endpoint + "=" + value) } }
        )
        #expect(facts.comparesHash("yes") && !facts.mustAsk("yes"))
        #expect(!facts.comparesHash("no") && !facts.mustAsk("no"))
        for answer in [true, false] {
            let endpoint = "new \(answer)"
            #expect(!facts.comparesHash(endpoint))
            #expect(facts.mustAsk(endpoint))
            #expect(!facts.mustAsk(endpoint))
            facts.learn(answer, of: endpoint)
            #expect(facts.comparesHash(endpoint) == answer)
            #expect(!facts.mustAsk(endpoint))
        }
        #expect(saved.withLock { $0 } == ["new true=yes", "new false=no"])
    }

    @Test(arguments: [true, false]) func `who waits for the answer gets it`(answer: Bool) throws {
        let facts = SignedBodyFacts(load: { _ in nil }, save: { _, _ in })
        facts.waitForAnswer("store")
        #expect(facts.mustAsk("store"))
        let seen = Mutex<Bool?>(nil)
        let waiting = try Thread(name: "waits") {
            facts.waitForAnswer("store")
            seen.withLock { $0 = facts.comparesHash("store") }
        }
        sleep(until: Moment.now().adding(seconds: 0.05), Cancellation())
        #expect(seen.withLock { $0 } == nil)
        facts.learn(answer, of: "store")
        waiting.join()
        #expect(seen.withLock { $0 } == answer)
    }

    @Test func `store that answers unclearly is not asked endlessly`() {
        let saved = Mutex(0)
        let facts = SignedBodyFacts(load: { _ in nil }, save: { _, _ in saved.withLock { $0 += 1 } })
        for _ in 0..<SignedBodyFacts.mostQuestions {
            #expect(facts.mustAsk("store"))
            facts.learn(nil, of: "store")
        }
        #expect(!facts.mustAsk("store") && !facts.comparesHash("store"))
        #expect(saved.withLock { $0 } == 0)
    }

    @Test func `what the answers to a probe show`() {
        func answer(_ status: Int, _ code: String, _ message: String = "") -> S3Error {
            var error = S3Error(
                operation: .uploadPart,
                bucket: "bucket",
                key: nil,
                cause: .answer(status: status, code: code, message: message)
            )
            error.hasDocument = true
            return error
        }
        for code in ["XAmzContentSHA256Mismatch", "BadDigest", "XAmzContentChecksumMismatch"] {
            #expect(SignedBodyProbe.comparesHash(right: nil, wrong: answer(400, code)) == true)
        }
        #expect(SignedBodyProbe.comparesHash(right: nil, wrong: nil) == false)
        let unclear = [
            answer(403, "AccessDenied"), answer(403, "SignatureDoesNotMatch"), answer(503, "SlowDown"),
            answer(500, "InternalError"), answer(400, "InvalidArgument"), answer(404, "NoSuchUpload"),
        ]
        for error in unclear { #expect(SignedBodyProbe.comparesHash(right: nil, wrong: error) == nil) }
        // One that refuses everything does not compare.
        let mismatch = answer(400, "XAmzContentSHA256Mismatch")
        #expect(SignedBodyProbe.comparesHash(right: mismatch, wrong: mismatch) == nil)
        #expect(SignedBodyProbe.comparesHash(right: answer(503, "SlowDown"), wrong: nil) == nil)
        let demand = answer(400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required")
        #expect(SignedBodyProbe.comparesHash(right: demand, wrong: nil) == false)
    }

    @Test(arguments: ["key", "a b", "\u{e4}/\n", "k 1 2"]) func `upload of a probe is read back`(key: String) {
        let upload = ProbeUpload(ObjectAddress(bucket: "bucket", key: ObjectKey(key)), uploadID: "an ID/+=")
        #expect(ProbeUpload(text: upload.text) == upload)
        #expect(ProbeUpload(text: "") == nil)
        #expect(ProbeUpload(text: "bucket xyz id") == nil)
    }

    @Test func `what the store has shown goes before its profile`() {
        func first(_ fact: String?, _ provider: Provider?) -> ChecksumMode {
            let facts = EndpointFacts(load: { _ in fact }, save: { _, _ in })
            return IntegrityOptions(checksum: "auto", payloadSigning: "auto")
                .firstMode(remembered: facts.checksumMode(of: "any"), provider?.profile, isLocked: false)
        }
        #expect(first(nil, .gcs) == .md5WithCRC32C)
        #expect(first(nil, .minio) == .checksum(.crc64nvme, confirmed: false))
        #expect(first("CRC32C", .gcs) == .checksum(.crc32c, confirmed: true))
        #expect(first("payload", .gcs) == .signedPayload)
        #expect(first("MD5", .b2) == .md5)
        // Of an upload before the profile was known: the same on the wire.
        #expect(first("MD5", .gcs) == .md5WithCRC32C)
        #expect(first("MD5+CRC32C", nil) == .md5WithCRC32C)
    }

    @Test func `limits that the store has shown go before its profile, and a flag between them`() throws {
        let scratch = ScratchDirectory("mule-limits")
        let ledger = try Ledger(path: Array(scratch.path("ledger.sqlite").utf8))
        let storj = Provider.storj.profile.limits
        #expect(try ledger.limits(of: "s", storj).minimumPartSize == 64 << 20)
        #expect(try ledger.limits(of: "s", storj, asked: 16 << 20).minimumPartSize == 16 << 20)
        #expect(try ledger.limits(of: "s", storj, asked: 1 << 20).minimumPartSize == 5 << 20)
        try ledger.remember("smallest-part", "\(32 << 20)", of: "s", lifetime: 60)
        #expect(try ledger.limits(of: "s", storj).minimumPartSize == 32 << 20)
        // The store has refused smaller ones.
        #expect(try ledger.limits(of: "s", storj, asked: 16 << 20).minimumPartSize == 32 << 20)
        try ledger.remember("part-count", "2000", of: "s", lifetime: 60)
        #expect(try ledger.limits(of: "s", Provider.scaleway.profile.limits).maximumPartCount == 2_000)
        #expect(try ledger.limits(of: "s", Provider.r2.profile.limits).partsMustBeEqual)
    }

    @Test func `a fact that cannot be read is no fact`() {
        let facts = EndpointFacts(load: { _ in "rubbish" }, save: { _, _ in })
        #expect(facts.checksumMode(of: "any") == nil)
    }
}
