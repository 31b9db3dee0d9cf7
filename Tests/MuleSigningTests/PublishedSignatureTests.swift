import MulePlan
import MuleSigning
import Testing

/// The worked examples of the S3 API Reference, "Signature Calculations for the Authorization Header: Transferring
/// Payload in a Single Chunk" and "Authenticating Requests: Using Query Parameters".
@Suite struct S3ReferenceTests {
    private let signer = Signer(region: "us-east-1")
    private let time = UTCTime(secondsSince1970: 1_369_353_600)
    private let host = "examplebucket.s3.amazonaws.com"
    private let credentials = Credentials(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    )

    @Test(arguments: [
        (
            "GET", "/test.txt", [(name: "Range", value: "bytes=0-9")],
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
        (
            "PUT", "/test$file.text",
            [
                (name: "Date", value: "Fri, 24 May 2013 00:00:00 GMT"),
                (name: "x-amz-storage-class", value: "REDUCED_REDUNDANCY"),
            ],
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        ),
    ])
    func `GET Object and PUT Object, which sign Range and Date too`(
        method: String,
        path: String,
        headers: [(name: String, value: String)],
        payloadHash: String,
        signedHeaders: String,
        signature: String
    ) {
        let request = CanonicalRequest(
            method: method,
            encodedPath: URIEncoding.path(path.utf8),
            encodedQuery: "",
            headers: headers + [
                (name: "Host", value: host), (name: "x-amz-content-sha256", value: payloadHash),
                (name: "x-amz-date", value: time.basic),
            ],
            payloadHash: payloadHash
        )
        #expect(request.signedHeaders == signedHeaders)
        #expect(signer.signature(of: request, credentials: credentials, at: time) == signature)
    }

    @Test(arguments: [
        (
            [QueryItem(name: "lifecycle")],
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        ),
        (
            [QueryItem(name: "prefix", value: "J"), QueryItem(name: "max-keys", value: "2")],
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        ),
    ])
    func `GET Bucket Lifecycle and List Objects`(query: [QueryItem], signature: String) {
        let request = SignableRequest(method: "GET", host: host, encodedPath: "/", query: query, payload: .empty)
        let headers = signer.headers(for: request, credentials: credentials, at: time)
        #expect(headers.map(\.name) == ["x-amz-date", "x-amz-content-sha256", "authorization"])
        #expect(headers.first?.value == "20130524T000000Z")
        #expect(
            headers.last?.value
                == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                + "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=\(signature)"
        )
    }

    @Test func `presigned GET Object`() {
        let request = SignableRequest(method: "GET", host: host, encodedPath: "/test.txt", payload: .unsigned)
        let query = signer.presignedQuery(for: request, credentials: credentials, at: time, expiresSeconds: 86_400)
        #expect(
            query == "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                + "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        )
    }
}

/// The AWS Signature Version 4 test suite (awslabs/aws-c-auth, tests/aws-signing-test-suite): the cases without path
/// normalisation, as in S3.
@Suite struct SigV4TestSuiteTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        var method = "GET"
        var path = "/"
        var query: [QueryItem] = []
        var headers: [(name: String, value: String)] = []
        let signature: String
        var testDescription: String { name }
    }

    static let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    static let cases = [
        Case(name: "get-vanilla", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        Case(
            name: "post-vanilla",
            method: "POST",
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        ),
        Case(
            name: "get-vanilla-with-session-token",
            headers: [
                (
                    name: "X-Amz-Security-Token",
                    value: "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
                )
            ],
            signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
        ),
        Case(
            name: "get-utf8",
            path: "/\u{1234}",
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"
        ),
        Case(
            name: "get-unreserved",
            path: "/\(unreserved)",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"
        ),
        Case(
            name: "get-space-unnormalized",
            path: "/example space/",
            signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"
        ),
        Case(
            name: "get-slashes-unnormalized",
            path: "//example//",
            signature: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"
        ),
        Case(
            name: "get-slash-dot-slash-unnormalized",
            path: "/./",
            signature: "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145"
        ),
        Case(
            name: "get-slash-pointless-dot-unnormalized",
            path: "/./example",
            signature: "beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff"
        ),
        Case(
            name: "get-relative-unnormalized",
            path: "/example/..",
            signature: "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"
        ),
        Case(
            name: "get-relative-relative-unnormalized",
            path: "/example1/example2/../..",
            signature: "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b"
        ),
        Case(
            name: "get-vanilla-query-order-key-case",
            query: [QueryItem(name: "Param2", value: "value2"), QueryItem(name: "Param1", value: "value1")],
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        ),
        Case(
            name: "get-vanilla-empty-query-key",
            query: [QueryItem(name: "Param1", value: "value1")],
            signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"
        ),
        Case(
            name: "get-vanilla-query-order-encoded",
            query: [
                QueryItem(name: "Param-3", value: "Value3"), QueryItem(name: "Param", value: "Value2"),
                QueryItem(name: "\u{1234}", value: "Value1"),
            ],
            signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"
        ),
        Case(
            name: "get-vanilla-query-unreserved",
            query: [QueryItem(name: unreserved, value: unreserved)],
            signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"
        ),
        Case(
            name: "get-vanilla-utf8-query",
            query: [QueryItem(name: "\u{1234}", value: "bar")],
            signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"
        ),
        Case(
            name: "get-header-key-duplicate",
            headers: ["value2", "value2", "value1"].map { (name: "My-Header1", value: $0) },
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"
        ),
        Case(
            name: "get-header-value-order",
            headers: ["value4", "value1", "value3", "value2"].map { (name: "My-Header1", value: $0) },
            signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"
        ),
        Case(
            name: "get-header-value-trim",
            headers: [(name: "My-Header1", value: " value1"), (name: "My-Header2", value: " \"a   b   c\"")],
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
        ),
    ]

    @Test(arguments: cases)
    func `the signature is the published one`(example: Case) {
        let time = UTCTime(secondsSince1970: 1_440_938_160)
        let request = SignableRequest(
            method: example.method,
            host: "example.amazonaws.com",
            encodedPath: URIEncoding.path(example.path.utf8),
            query: example.query,
            payload: .empty
        )
        let canonical = CanonicalRequest(
            method: request.method,
            encodedPath: request.encodedPath,
            encodedQuery: request.encodedQuery,
            headers: example.headers + [(name: "Host", value: request.host), (name: "X-Amz-Date", value: time.basic)],
            payloadHash: request.payload.headerValue
        )
        let signature = Signer(region: "us-east-1", service: "service").signature(
            of: canonical,
            credentials: Credentials(
                accessKeyID: "AKIDEXAMPLE",
                secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
            ),
            at: time
        )
        #expect(signature == example.signature)
    }
}

/// Google's scheme has the same steps under other names. The value is that of the tests of lua-resty-gcs-signature.
@Suite struct GoogleSignatureTests {
    @Test func `Google's signature is the published one`() {
        let request = SignableRequest(
            method: "GET",
            host: "example.com",
            encodedPath: "/foo/bar",
            payload: .unsigned,
            scheme: .google
        )
        let headers = Signer(region: "auto").headers(
            for: request,
            credentials: Credentials(accessKeyID: "XXXXX", secretAccessKey: "YYYYY"),
            at: UTCTime(secondsSince1970: 1_732_156_539)
        )
        #expect(headers.map(\.name) == ["x-goog-date", "x-goog-content-sha256", "authorization"])
        #expect(headers[0].value == "20241121T023539Z" && headers[1].value == "UNSIGNED-PAYLOAD")
        #expect(
            headers[2].value
                == "GOOG4-HMAC-SHA256 Credential=XXXXX/20241121/auto/storage/goog4_request, "
                + "SignedHeaders=host;x-goog-content-sha256;x-goog-date, "
                + "Signature=528346f587a0b46433f92d583f3148b88a5117bf26131f328553789feb433028"
        )
    }
}
