import MuleCredentials
import MulePlan
import MuleSigning
import MuleSystem
import TestSupport
import Testing

@Suite("A credential process")
struct CredentialProcessTests {
    private let directory = ScratchDirectory()
    private let notices = Monitor<[String]>([])

    /// The credentials that the command gives, or the sentence that says why it gives none.
    private func answer(_ command: String, cancellation: Cancellation = Cancellation()) throws -> Result<
        Credentials, CredentialsUnavailable
    > {
        let fixture = try SharedFilesFixture(
            config: "[profile p]\ncredential_process = \(command)\n",
            variables: ["COLOUR": "grey"]
        )
        let found = try fixture.awsEnvironment(profile: "p")
        do throws(CredentialsUnavailable) {
            let provider = try found.credentialsProvider(cancellation: cancellation) { [notices] notice in
                notices.withLock { $0.append(notice) }
            }
            return .success(try provider.credentials())
        } catch {
            return .failure(error)
        }
    }

    private func script(_ lines: String) throws -> String {
        "/bin/sh \(try directory.write(lines, to: "keys.sh"))"
    }

    private func reason(_ command: String) throws -> String {
        switch try answer(command) {
        case .success(let credentials): credentials.description
        case .failure(let error): error.reason
        }
    }

    private static let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

    @Test
    func `gives keys, token and end, and is run with the words of its line and the variables of the run`() throws {
        let command = try script(
            """
            echo "{\\"Version\\": 1, \\"AccessKeyId\\": \\"$1-$COLOUR\\", \\"SecretAccessKey\\": \\"$2\\","
            echo "\\"SessionToken\\": \\"T\\", \\"Expiration\\": \\"2126-11-20T23:56:00+01:00\\", \\"AccountId\\": \\"1\\"}"
            """
        )
        let credentials = try answer(command + #" A 'b c' "$HOME;x""#).get()
        #expect(
            credentials
                == Credentials(
                    accessKeyID: "A-grey",
                    secretAccessKey: "b c",
                    sessionToken: "T",
                    expiration: UTCTime(iso8601: "2126-11-20T22:56:00Z")
                )
        )
    }

    @Test(arguments: [
        ("", "printed nothing"),
        ("%", "printed something that is not JSON (line 1, column 1)"),
        ("{\"%\": 1, \"%\": 2}", "printed something that is not JSON (line 1, column 49)"),
        ("[1]", "printed JSON that is not an object { }"),
        ("{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"%\"}", "printed JSON whose Version is not 1"),
        ("{\"Version\": 2, \"AccessKeyId\": \"A\"}", "printed JSON whose Version is not 1"),
        ("{\"Version\": 1, \"AccessKeyId\": \"A\"}", "printed JSON without SecretAccessKey"),
        (
            "{\"Version\": 1, \"AccessKeyId\": 7, \"SecretAccessKey\": \"%\"}",
            "printed a AccessKeyId that is not a string"
        ),
        (
            "{\"Version\": 1, \"AccessKeyId\": \"A\\n\", \"SecretAccessKey\": \"%\"}",
            "printed a AccessKeyId with a character that is not allowed in a key"
        ),
        (
            "{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"%\", \"Expiration\": \"soon\"}",
            "printed Expiration in a form other than 2026-11-20T23:56:00Z"
        ),
    ]
    )
    func `that prints something else is refused, and nothing of it is shown`(output: String, problem: String) throws {
        let command = try script("cat <<'END'\n\(output.replacing("%", with: Self.secret))\nEND\n")
        let reason = try reason(command)
        #expect(reason.hasPrefix("the credential_process of the profile \"p\" \(problem);"), "\(reason)")
        #expect(!reason.contains("wJalr"))
    }

    @Test
    func `that fails is quoted with what it says, but for keys, and the quote is not part of the failure`() throws {
        let command = try script("echo {}; echo 'token is over,' >&2; echo 'was \(Self.secret)!' >&2; exit 3")
        #expect(
            try reason(command)
                == "the credential_process of the profile \"p\" failed with exit status 3; run it by hand to see why"
        )
        #expect(
            notices.withLock { $0 }
                == ["the credential_process of the profile \"p\" says: token is over,; was [hidden]!"]
        )
    }

    @Test
    func `that says more than is kept shows no key that was cut in two`() throws {
        // 4096 bytes are kept: the last 12 of the key, a line feed, and the rest.
        let command = try script(
            "printf '%s\\n' \(Self.secret) >&2; head -c 4083 /dev/zero | tr '\\0' 'x' >&2; exit 1"
        )
        _ = try reason(command)
        #expect(notices.withLock { $0 }.first?.contains("EXAMPLEKEY") == false)
    }

    @Test
    func `that cannot be started, or whose line cannot be split, is told so`() throws {
        #expect(
            try reason("/no/such/program")
                == "the credential_process of the profile \"p\" cannot be started: No such file or directory; check "
                + "its path and its permissions"
        )
        #expect(
            try reason("/bin/sh 'x")
                == "the credential_process of the profile \"p\" cannot be split into words: a quote is not closed, or "
                + "it is empty"
        )
    }

    @Test
    func `that ends by a signal, or prints without end, is told so`() throws {
        #expect(try reason(try script("kill -9 $$")).contains("was killed by signal 9"))
        #expect(try reason(try script("exec cat /dev/zero")).contains("printed more than 64 KiB"))
    }

    @Test
    func `is run again when its credentials are refused, and not for every request`() throws {
        let command = try script(
            """
            echo run >> \(directory.path("runs"))
            n=$(wc -l < \(directory.path("runs")))
            echo "{\\"Version\\": 1, \\"AccessKeyId\\": \\"K$n\\", \\"SecretAccessKey\\": \\"s\\"}"
            """
        )
        let fixture = try SharedFilesFixture(config: "[default]\ncredential_process = \(command)\n")
        let provider = try fixture.awsEnvironment().credentialsProvider()
        for _ in 0..<3 { #expect(try provider.credentials().accessKeyID == "K1") }
        #expect(try provider.renew(refused: provider.credentials()))
        #expect(try provider.credentials().accessKeyID == "K2")
    }
}
