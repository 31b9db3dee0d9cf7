import MulePlan
import MuleS3
import Testing

@Suite("Endpoints")
struct EndpointTests {
    @Test(arguments: [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"), ("https://s3.example.com", "https://s3.example.com"),
        ("HTTPS://S3.Example.COM/", "https://s3.example.com"), ("https://h:443", "https://h"),
        ("http://h:80/", "http://h"), ("http://h:443", "http://h:443"), ("https://h:80", "https://h:80"),
        ("https://h/base/path//", "https://h/base/path"), ("https://h/a b", "https://h/a%20b"),
        ("http://[::1]:9000", "http://[::1]:9000"), ("http://a_b-c.d", "http://a_b-c.d"),
        ("http://[0:0:0:0:0:0:0:1]:9000", "http://[::1]:9000"),
        ("http://[2001:0DB8::0001]", "http://[2001:db8::1]"),
        ("http://h:09000", "http://h:9000"), ("http://h:0080", "http://h"),
        ("http://127.1:9000", "http://127.0.0.1:9000"),
        ("https://h/a%20b/%c3%a4%2Fx%", "https://h/a%20b/%C3%A4%2Fx%25"),
    ]
    )
    func `what people type is read`(text: String, url: String) throws {
        let endpoint = try Endpoint(url: text, region: "r")
        #expect(endpoint.url == url)
        #expect(endpoint.isEncrypted == url.hasPrefix("https"))
        #expect(endpoint.addressing == .path)
        #expect(endpoint.region == "r")
    }

    @Test(arguments: ["", "h", "h:9000", "ftp://h", "//h", "http:/h"]
    )
    func `a URL without a scheme that we speak is refused`(text: String) {
        #expect(throws: EndpointError.noScheme(text)) { try Endpoint(url: text, region: "r") }
    }

    @Test(arguments: [
        "http://", "http:///path", "http://:80", "https://:443/", "http://:9000", "http://user:secret@h",
        "http://user@h", "http://a b", "http://h?x=y",
        "http://h/p?x=y", "http://h/p#f", "http://h\r\nx-a: b", "http://hö", "http://h%41",
    ]
    )
    func `so is a host that holds more than a host: a password would end in logs and the ledger`(text: String) {
        #expect(throws: EndpointError.badHost(text)) { try Endpoint(url: text, region: "r") }
    }

    @Test(arguments: [
        "http://h:", "http://h:0", "http://h:99999", "http://h:65536", "http://h:9000x", "http://[::1]:",
        "http://h:9:9",
    ]
    )
    func `a port that is none is refused`(text: String) {
        #expect(throws: EndpointError.badPort(text)) { try Endpoint(url: text, region: "r") }
    }

    @Test(arguments: ["http://[::g]", "http://[1.2.3.4]", "http://1.2.3.999"]
    )
    func `what looks like an address and is none is refused`(text: String) {
        #expect(throws: EndpointError.badHost(text)) { try Endpoint(url: text, region: "r") }
    }

    @Test(arguments: ["http://127.0.0.1:9000", "https://[::1]", "http://10.1"]
    )
    func `no bucket goes in front of an address`(text: String) {
        #expect(throws: EndpointError.addressWithoutNames(text)) {
            try Endpoint(url: text, region: "r", addressing: .virtual)
        }
    }

    @Test
    func `an endpoint that holds the bucket already is known, and one that only looks like it is not`() throws {
        func place(_ url: String, _ bucket: String) throws -> Endpoint.BucketPlace? {
            try Endpoint(url: url, region: "r").place(of: bucket)
        }
        #expect(try place("https://h/photos", "photos") == .path)
        #expect(try place("https://h/base/photos/", "photos") == .path)
        #expect(try place("https://photos.s3.example.org:9000", "photos") == .host)
        #expect(try place("https://my.photos.s3.example.org", "my.photos") == .host)
        #expect(try place("https://h/photos/base", "photos") == nil)
        #expect(try place("http://minio:9000", "minio") == nil)
        #expect(try place("https://photos2.s3.example.org", "photos") == nil)
        #expect(try place("http://10.0.0.1", "10") == nil)
    }

    @Test
    func `Amazon's own endpoint goes by region and partition`() {
        let endpoint = Endpoint.amazon(region: "eu-central-1")
        #expect(endpoint.url == "https://s3.eu-central-1.amazonaws.com")
        #expect(endpoint.addressing == .virtual)
        #expect(Endpoint.amazon(region: "cn-north-1").host == "s3.cn-north-1.amazonaws.com.cn")
        #expect(Endpoint.amazon(region: "us-east-1", addressing: .path).addressing == .path)
    }

    private func target(
        _ url: String,
        _ addressing: Addressing,
        bucket: String = "bucket",
        key: String? = "a/b"
    ) throws -> String {
        let endpoint = try Endpoint(url: url, region: "r", addressing: addressing)
        let target = endpoint.target(bucket: bucket, key: key.map { ObjectKey($0) })
        return target.host + " " + target.path
    }

    @Test
    func `a bucket stands in the path or in the host`() throws {
        #expect(try target("http://h:9000", .auto) == "h:9000 /bucket/a/b")
        #expect(try target("http://h:9000", .path) == "h:9000 /bucket/a/b")
        #expect(try target("http://h:9000", .virtual) == "bucket.h:9000 /a/b")
        #expect(try target("https://h/base/", .path) == "h /base/bucket/a/b")
        #expect(try target("https://h/base", .virtual) == "bucket.h /base/a/b")
        let amazon = Endpoint.amazon(region: "us-east-1").target(bucket: "bucket", key: ObjectKey("k"))
        #expect(amazon == (host: "bucket.s3.us-east-1.amazonaws.com", path: "/k"))
    }

    @Test
    func `a bucket alone has no key in its path`() throws {
        #expect(try target("http://h", .path, key: nil) == "h /bucket")
        #expect(try target("http://h", .virtual, key: nil) == "bucket.h /")
    }

    @Test
    func `a bucket with a dot goes into the path where a certificate is checked`() throws {
        #expect(try target("https://h", .virtual, bucket: "a.b") == "h /a.b/a/b")
        #expect(try target("http://h", .virtual, bucket: "a.b") == "a.b.h /a/b")
        #expect(Endpoint.amazon(region: "us-east-1").target(bucket: "a.b", key: nil).path == "/a.b")
    }

    @Test(arguments: [
        ("a//b", "a//b"), ("./x", "./x"), ("../x", "../x"), ("a+b", "a%2Bb"), ("a=b", "a%3Db"), ("%2F", "%252F"),
        ("sp ace", "sp%20ace"), ("/lead", "/lead"), ("trail/", "trail/"), ("\u{FC}", "%C3%BC"),
        ("u\u{308}", "u%CC%88"), ("😀", "%F0%9F%98%80"), ("~-._", "~-._"), ("", ""),
        ("a@b:c?d#e", "a%40b%3Ac%3Fd%23e"),
    ]
    )
    func `keys are encoded once, and never tidied up`(key: String, path: String) throws {
        #expect(try target("http://h", .path, key: key) == "h /bucket/" + path)
    }
}
