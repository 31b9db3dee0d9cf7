import TestSupport
import Testing

/// Temp URLs against OpenStack Swift, which takes every form of them, and none that was changed.
@Suite(.serialized) struct TempURLTests {
    private let server: RealServer
    private let mule: MuleRun
    private let key: String

    init() throws {
        server = try RealServer.start(.swift)
        mule = MuleRun(server)
        key = try mule.home.write("a key + more\n", to: "key")
    }

    private var account: String { server.endpoint + "/v1/AUTH_mule" }

    private static let forms: [[String]] = [
        [], ["--digest", "sha256"], ["--digest", "sha512"], ["--digest", "sha1"], ["--prefix", "run 1"],
        ["--ip-range", "127.0.0.0/8"], ["--ip-range", "127.0.0.1", "--prefix", "run", "--digest", "sha512"],
    ]

    @Test func `Swift takes every form, and none with one character changed`() throws {
        try prepare()
        var lines: [String] = []
        for (number, form) in Self.forms.enumerated() {
            // A name with characters that a URL escapes, given raw and escaped.
            let name = number % 2 == 0 ? "run%201/%C3%BC+\(number)" : "run 1/ü+\(number)"
            for method in ["put", "get"] {
                let command = ["presign", "swift", method, "\(account)/temp/\(name)", "--key-file", key] + form
                let outcome = try mule.run(command)
                #expect(outcome.exitCode == 0 && outcome.lines.count == 1, "\(outcome.err)")
                lines.append("\(method.uppercased()) \(outcome.lines[0])")
            }
        }
        let script = """
            import re, sys, urllib.parse, urllib.request, urllib.error
            def ask(method, url):
                body = b'content' if method == 'PUT' else None
                try:
                    with urllib.request.urlopen(urllib.request.Request(url, body, method=method)) as answer:
                        answer.read()
                        return answer.status
                except urllib.error.HTTPError as error:
                    return error.code
            changed = 0
            for line in open(sys.argv[1]):
                method, url = line.split()
                status = ask(method, url)
                assert status in (200, 201), (status, line)
                path, query = url.split('?')
                items = query.split('&')
                for number, item in enumerate(items):
                    name, value = item.split('=', 1)
                    at = len(value) // 2
                    # Another digit or letter, as likely in this place.
                    other = '1' if value[at] != '1' else '2'
                    urls = items[:number] + [name + '=' + value[:at] + other + value[at + 1:]] + items[number + 1:]
                    status = ask(method, path + '?' + '&'.join(urls))
                    assert status in (400, 401), (status, item, line)
                    changed += 1
                beyond = path.replace('/temp/', '/temp/x')
                assert ask(method, beyond + '?' + query) == 401, line
                if method == 'GET':
                    assert ask('PUT', url) == 401, line
            print(changed)
            """
        let outcome = try python(script, try mule.home.write(lines.joined(separator: "\n"), to: "urls"))
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.lines.first.flatMap { Int($0) }.map { $0 >= 2 * Self.forms.count * 2 } == true)
    }

    @Test func `a file is sent to a temp URL and proven`() throws {
        try prepare()
        let file = try mule.file(parts: 2)
        let url = try mule.run("presign", "swift", "put", "\(account)/temp/sent", "--key-file", key)
        let path = try mule.home.write(url.out, to: "url")
        let sent = try mule.run("upload", file, "--url-file", path, "--json", "-v")
        #expect(sent.exitCode == 0, "\(sent.err)")
        #expect(sent.event("completed")?["destination"]?.text == "\(account)/temp/sent")
        #expect(!sent.err.contains("temp_url"), "\(sent.err)")
        let get = try mule.run(
            "presign",
            "swift",
            "get",
            "\(account)/temp/sent",
            "--key-file",
            key,
            "--filename",
            "ü 1"
        )
        let script = """
            import sys, urllib.request
            answer = urllib.request.urlopen(open(sys.argv[1]).read().strip())
            assert answer.read() == open(sys.argv[2], 'rb').read()
            print(answer.headers['Content-Disposition'])
            """
        let read = try python(script, try mule.home.write(get.out, to: "get"), file)
        #expect(read.out.contains("%C3%BC%201"), "\(read.out)\(read.err)")
        let wrong = try mule.home.write(url.out.replacing("temp_url_sig=", with: "temp_url_sig=0"), to: "wrong")
        let refused = try mule.run("upload", file, "--url-file", wrong)
        #expect(refused.exitCode == 5, "\(refused.err)")
        let ended = url.out.replacing(/temp_url_expires=\d+/, with: "temp_url_expires=2020-01-01T00:00:00Z")
        #expect(try mule.run("upload", file, "--url-file", try mule.home.write(ended, to: "ended")).exitCode == 2)
    }

    @Test(arguments: [
        (["https://h/v1/a/c"], "is a container"), (["https://h/v1/a"], "is not an object of Swift"),
        (["h/v1/a/c/o"], "must start with"), (["https://h/v1/a/c/o?x=1"], "must have no query"),
        (["https://h/v1/a/c/o", "--prefix", "p"], "does not start with"),
        (["https://h/v1/a/c/o", "--ip-range", "10.0.0.1/8"], "is not an IP address"),
    ])
    func `mistakes are refused`(words: [String], why: String) throws {
        let outcome = try mule.run(["presign", "swift", "put"] + words + ["--key-file", key])
        #expect(outcome.exitCode == 2 && outcome.out.isEmpty)
        #expect(outcome.explains(why), "\(outcome.err)")
    }

    /// Sets the account's key, and makes the container.
    private func prepare() throws {
        let script = """
            import sys, urllib.request
            endpoint, user, secret, account = sys.argv[1:]
            def ask(method, url, **headers):
                headers = {name.replace('_', '-'): value for name, value in headers.items()}
                return urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers))
            token = ask('GET', endpoint + '/auth/v1.0', X_Auth_User=user, X_Auth_Key=secret).headers['X-Auth-Token']
            ask('POST', account, X_Auth_Token=token, X_Account_Meta_Temp_URL_Key='a key + more')
            ask('PUT', account + '/temp', X_Auth_Token=token)
            """
        let outcome = try python(script, server.endpoint, server.accessKey, server.secretKey, account)
        try #require(outcome.exitCode == 0, "\(outcome.err)")
    }

    private func python(_ script: String, _ arguments: String...) throws -> CommandOutcome {
        try TestCommand("/usr/bin/env", ["python3", "-c", script] + arguments, home: mule.home.path).run()
    }
}
