import MulePlan
import TestSupport
import Testing

@Suite("Object addresses")
struct ObjectAddressTests {
    @Test(arguments: [
        ("bucket/key", "bucket", "key"), ("s3://bucket/key", "bucket", "key"), ("S3://bucket/key", "bucket", "key"),
        ("bucket/a/b/c", "bucket", "a/b/c"), ("bucket//key", "bucket", "/key"), ("bucket/a//b", "bucket", "a//b"),
        ("bucket/../x", "bucket", "../x"), ("bucket/./x", "bucket", "./x"), ("bucket/s3://x", "bucket", "s3://x"),
        ("My_Bucket.1/sp ace?#%2F", "My_Bucket.1", "sp ace?#%2F"), ("b/ü😀", "b", "ü😀"), ("s3/key", "s3", "key"),
    ]
    )
    func `bucket and key are read in all spellings`(text: String, bucket: String, key: String) throws {
        let address = ObjectAddress(bucket: bucket, key: ObjectKey(key))
        #expect(try Destination(parsing: Array(text.utf8)) == .object(address))
    }

    @Test(arguments: [
        ("bucket", "", "dir/file"), ("bucket/", "", "dir/file"), ("s3://bucket", "", "dir/file"),
        ("bucket/in/", "in/", "in/dir/file"), ("bucket//", "/", "/dir/file"),
    ]
    )
    func `a bucket alone, or a key that ends in a slash, is a prefix for the source's name`(
        text: String,
        prefix: String,
        key: String
    ) throws {
        let destination = try Destination(parsing: Array(text.utf8))
        #expect(destination == .prefix(ObjectAddress(bucket: "bucket", key: ObjectKey(prefix))))
        let address = destination.address(forName: Array("dir/file".utf8))
        #expect(address == ObjectAddress(bucket: "bucket", key: ObjectKey(key)))
    }

    @Test
    func `an exact key may end in a slash, an empty one is still a prefix`() throws {
        let folder = ObjectAddress(bucket: "bucket", key: ObjectKey("dir/"))
        #expect(try Destination(parsing: Array("bucket/dir/".utf8), exactKey: true) == .object(folder))
        let bucket = ObjectAddress(bucket: "bucket", key: ObjectKey(""))
        #expect(try Destination(parsing: Array("bucket/".utf8), exactKey: true) == .prefix(bucket))
    }

    @Test
    func `an object keeps its key whatever the source is called`() throws {
        let destination = try Destination(parsing: Array("bucket/key".utf8))
        #expect(destination.address(forName: Array("file".utf8)).description == "bucket/key")
    }

    @Test(arguments: ["", "/", "/key", "s3://", "s3:///key"])
    func `a destination without a bucket is refused`(text: String) {
        #expect(throws: DestinationError.noBucket) { try Destination(parsing: Array(text.utf8)) }
    }

    @Test(arguments: [
        "a b", "a?b", "a#b", "a@b", "a:b", "a%b", "bü", "a\nb", "a\u{1B}[2J", "a\\b", "http:", "a\0b",
    ]
    )
    func `a bucket's name holds nothing that means something in a URL, a host or a terminal`(name: String) {
        #expect(throws: DestinationError.badBucket(name)) { try Destination(parsing: Array((name + "/key").utf8)) }
    }

    @Test
    func `every byte is tried in a bucket's name`() {
        let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/".utf8)
        for byte in UInt8.min...UInt8.max {
            let isTaken = (try? Destination(parsing: [UInt8(ascii: "b"), byte])) != nil
            #expect(isTaken == allowed.contains(byte), "byte \(byte)")
        }
    }

    @Test
    func `composed and decomposed accents are two keys`() {
        let (composed, decomposed) = (ObjectKey("\u{FC}"), ObjectKey("u\u{308}"))
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(composed.utf8 == [0xC3, 0xBC] && decomposed.utf8 == [0x75, 0xCC, 0x88])
    }
}

@Suite("UTF-8 repair")
struct UTF8RepairTests {
    @Test(
        arguments: [
            ([], ""), ([0x61], "a"), ([0xFF], "%FF"), ([0x61, 0x80, 0x62], "a%80b"), ([0xC3, 0xBC], "ü"),
            ([0xC3], "%C3"), ([0xC3, 0x41], "%C3A"), ([0xC0, 0xAF], "%C0%AF"), ([0xED, 0xA0, 0x80], "%ED%A0%80"),
            ([0xF0, 0x9F, 0x98, 0x80, 0xF0, 0x9F, 0x98], "😀%F0%9F%98"), ([0xF4, 0x90, 0x80, 0x80], "%F4%90%80%80"),
            ([0x25, 0x46, 0x46], "%FF"), ([0x0A, 0x00], "\n\0"),
        ] as [([UInt8], String)]
    )
    func `bytes that are not UTF-8 become %XX, all others stay`(bytes: [UInt8], text: String) {
        #expect(LossyUTF8.percentEscapingInvalid(bytes) == Array(text.utf8))
        #expect(Array(LossyUTF8.string(bytes).utf8) == Array(text.utf8))
        #expect(ObjectKey(bytes).utf8 == Array(text.utf8))
    }

    @Test(arguments: UInt64(1)...50)
    func `whatever the bytes, the result is UTF-8 and repairing it again changes nothing`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        // Many continuation and lead bytes, so that near misses come up.
        let bytes = (0..<64).map { _ in
            Bool.random(using: &random) ? UInt8.random(in: 0x70...0xFF, using: &random) : 0x41
        }
        let repaired = LossyUTF8.percentEscapingInvalid(bytes)
        #expect(String(validating: repaired, as: UTF8.self) != nil)
        #expect(LossyUTF8.percentEscapingInvalid(repaired) == repaired)
    }
}
