import MuleSigning
import Testing

@Suite struct URIEncodingTests {
    @Test(arguments: [
        ("a//b", "a//b"), ("./x", "./x"), ("../x", "../x"), ("a+b", "a%2Bb"), ("a=b", "a%3Db"),
        ("a@b:c", "a%40b%3Ac"), ("sp ace", "sp%20ace"), ("\u{fc}", "%C3%BC"), ("u\u{308}", "u%CC%88"),
        ("%2F", "%252F"), ("/leading", "/leading"), ("trailing/", "trailing/"), ("\u{1F40E}", "%F0%9F%90%8E"),
        ("a\u{0}b\n", "a%00b%0A"), ("", ""), ("~-._", "~-._"), ("a?b#c&d", "a%3Fb%23c%26d"),
        ("'()*!$", "%27%28%29%2A%21%24"),
    ])
    func `a path keeps its slashes and is encoded once`(key: String, encoded: String) {
        #expect(Array(URIEncoding.path(key.utf8).utf8) == Array(encoded.utf8))
    }

    @Test(arguments: [
        ("2~a/b+c=", "2~a%2Fb%2Bc%3D"), ("a b", "a%20b"), ("a%b", "a%25b"), ("\u{e9}", "%C3%A9"), ("", ""),
    ])
    func `a query component has its slashes encoded too`(value: String, encoded: String) {
        #expect(URIEncoding.component(value.utf8) == encoded)
    }

    @Test func `every byte is encoded unless it is unreserved`() {
        let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        for byte in UInt8.min...UInt8.max {
            let encoded = Array(URIEncoding.component([byte]).utf8)
            if unreserved.contains(byte) {
                #expect(encoded == [byte])
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                #expect(encoded == Array((byte < 16 ? "%0" : "%").utf8) + Array(digits.utf8))
            }
        }
    }

    @Test(arguments: [
        ([QueryItem(name: "uploads")], "uploads="),
        (
            [QueryItem(name: "uploadId", value: "a/b+c="), QueryItem(name: "partNumber", value: "10")],
            "partNumber=10&uploadId=a%2Fb%2Bc%3D"
        ),
        (
            [
                QueryItem(name: "a-b", value: "1"), QueryItem(name: "a", value: "z"), QueryItem(name: "a", value: "B"),
                QueryItem(name: "A", value: "2"),
            ],
            "A=2&a=B&a=z&a-b=1"
        ),
        ([], ""),
    ])
    func `a query is sorted by encoded name, then value`(query: [QueryItem], encoded: String) {
        let request = SignableRequest(method: "GET", host: "h", encodedPath: "/", query: query, payload: .empty)
        #expect(request.encodedQuery == encoded)
    }
}
