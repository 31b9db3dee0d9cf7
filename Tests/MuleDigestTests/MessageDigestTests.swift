import MuleDigest
import Testing

@Suite struct MessageDigestTests {
    // FIPS 180-4's examples, as NIST publishes them.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            String(repeating: "a", count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ])
    func `SHA-256 yields the published values`(text: String, hex: String) {
        #expect(Hex.encode(sha256(text.utf8)) == hex)
        #expect(Hex.encode(sha256(Array(text.utf8))) == hex)
    }

    // RFC 1321 appendix A.5.
    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
    ])
    func `MD5 yields the values of RFC 1321`(text: String, hex: String) {
        var digest = MessageDigest(.md5)
        Array(text.utf8).withUnsafeBytes { digest.update($0) }
        #expect(Hex.encode(digest.finish()) == hex)
    }

    @Test(arguments: MessageDigest.Kind.allCases)
    func `the value does not depend on the pieces, and the digest can be used again`(kind: MessageDigest.Kind) {
        var random = SeededGenerator(seed: 7)
        let bytes = random.bytes(200)
        var digest = MessageDigest(kind)
        bytes.withUnsafeBytes { digest.update($0) }
        let whole = digest.finish()
        for split in 0...bytes.count {
            bytes.withUnsafeBytes { bytes in
                digest.update(UnsafeRawBufferPointer(rebasing: bytes[..<split]))
                digest.update(UnsafeRawBufferPointer(rebasing: bytes[split...]))
            }
            #expect(digest.finish() == whole, "split at \(split)")
        }
        #expect(whole.count == kind.checksumAlgorithm.byteCount)
    }

    @Test(arguments: MessageDigest.Kind.allCases)
    func `a finished digest starts from nothing`(kind: MessageDigest.Kind) {
        var digest = MessageDigest(kind)
        let empty = digest.finish()
        Array("some".utf8).withUnsafeBytes { digest.update($0) }
        #expect(digest.finish() != empty)
        #expect(digest.finish() == empty)
    }

    @Test func `digests on many threads do not disturb each other`() async {
        let values = await withTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<16 { group.addTask { sha256("mule".utf8) } }
            return await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
        }
        #expect(values == [sha256("mule".utf8)])
    }

    @Test func `bytes that are not contiguous are digested all the same`() {
        #expect(sha256("abc".utf8.lazy.map { $0 }) == sha256("abc".utf8))
    }

    // RFC 4231.
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            [UInt8](1...25), [UInt8](repeating: 0xCD, count: 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
        ([], [], "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"),
    ])
    func `HMAC yields the values of RFC 4231, and takes empty keys and messages`(
        key: [UInt8],
        message: [UInt8],
        hex: String
    ) {
        #expect(Hex.encode(hmacSHA256(key: key, message: message)) == hex)
    }
}
