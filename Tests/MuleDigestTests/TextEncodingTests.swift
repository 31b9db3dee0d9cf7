import MuleDigest
import Testing

@Suite struct TextEncodingTests {
    // RFC 4648 section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `base64 yields and reads the values of RFC 4648`(text: String, base64: String) {
        #expect(Base64.encode(Array(text.utf8)) == base64)
        #expect(Base64.decode(base64) == Array(text.utf8))
    }

    @Test func `base64 uses the whole alphabet and reads it back`() {
        let bytes: [UInt8] = (0..<64).flatMap { (index: UInt32) -> [UInt8] in
            let bits = index << 18 | (63 - index) << 12 | index << 6 | (63 - index)
            return [UInt8(bits >> 16), UInt8(bits >> 8 & 255), UInt8(bits & 255)]
        }
        let text = Base64.encode(bytes)
        #expect(Set(text.utf8).count == 64)
        #expect(text.hasPrefix("A/A/B+B+"))
        #expect(Base64.decode(text) == bytes)
    }

    @Test(arguments: 0...100)
    func `both encodings are read back for every length`(length: Int) {
        var random = SeededGenerator(seed: UInt64(length))
        let bytes = random.bytes(length)
        #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        #expect(Hex.decode(Hex.encode(bytes)) == bytes)
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zg===", "====", "=", "Z===", "Zh==", "Zm9=", "Zm9v\n", " Zm9v", "Zm-v", "Zm_v", "Zg==Zg==",
        "Zm9vZg=v", "Zm9\u{e9}",
    ])
    func `base64 refuses every other spelling`(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func `hex is written in lower case and read in either`() {
        #expect(Hex.encode([0x00, 0x1F, 0xAB, 0xFF]) == "001fabff")
        #expect(Hex.decode("001FabFF") == [0x00, 0x1F, 0xAB, 0xFF])
        #expect(Hex.decode("") == [])
    }

    @Test(arguments: ["0", "abc", "0g", "0x00", " 00", "00 ", "\u{ff10}0"])
    func `hex refuses odd lengths and other characters`(text: String) {
        #expect(Hex.decode(text) == nil)
    }
}
