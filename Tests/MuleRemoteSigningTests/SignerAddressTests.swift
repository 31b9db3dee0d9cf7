import Testing

@testable import MuleRemoteSigning

struct SignerAddressTests {
    @Test(arguments: [
        ("https://Sign.Example.org/", "https://sign.example.org"), ("HTTPS://h:8443/a/b//", "https://h:8443/a/b"),
        ("http://127.0.0.1:8900", "http://127.0.0.1:8900"), ("http://localhost/x.php", "http://localhost/x.php"),
        ("http://[::1]:9", "http://[::1]:9"),
    ])
    func `an address is https, or of this machine`(_ text: String, _ normal: String) throws {
        #expect(try SignerAddress(text).text == normal)
    }

    @Test(arguments: [
        "http://sign.example.org", "http://127.0.0.1.example.org", "http://localhost.example.org", "http://10.0.0.1",
        "http://[::2]", "http://127.1",
    ])
    func `a token does not travel in the clear`(_ text: String) {
        #expect(throws: SignerAddress.Problem.notEncrypted) { try SignerAddress(text) }
    }

    @Test(arguments: [
        "", "sign.example.org", "ftp://x", "https://", "https:///x", "https://user:pass@host", "https://h?q",
        "https://h/#f",
        "https://h/ x", "https://h/\u{e9}", "https://:80",
    ])
    func `what is no address of a signer is refused`(_ text: String) {
        #expect(throws: SignerAddress.Problem.notURL) { try SignerAddress(text) }
    }

    @Test func `a token does not show`() throws {
        let token = try #require(SignerToken(Array("hush-hush\r\n".utf8)))
        #expect(token.text == "hush-hush")
        var dumped = ""
        dump(token, to: &dumped)
        #expect(!"\(token) \(String(reflecting: token)) \(dumped)".contains("hush"))
        for bad in ["", "\n", "a b", "a\nb", "\u{e9}", "a\u{0}"] { #expect(SignerToken(Array(bad.utf8)) == nil) }
    }
}
