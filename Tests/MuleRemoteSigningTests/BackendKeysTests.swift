import MuleDigest
import MulePlan
import MuleSigning
import MuleSystem
import Testing

@testable import MuleRemoteSigning

/// The key of a day: what a backend may answer, and when another one is asked for.
struct BackendKeysTests {
    private static func answer(
        _ date: String,
        bucket: String = "b",
        signature: String = String(repeating: "ab", count: 32),
        _ more: String = ""
    ) throws -> BackendAnswer {
        let text =
            #"{"date":"\#(date)","signature":"\#(signature)","access_key":"AKIA","region":"eu-west-1","bucket":"\#(bucket)","#
            + #""backup_key":4711,"content_type":"a/b"\#(more)}"#
        return try BackendAnswer(Array(text.utf8))
    }

    private static func time(_ text: String) -> UTCTime {
        UTCTime(iso8601: text) ?? UTCTime(secondsSince1970: 0)
    }

    private static let midnight = time("2026-12-01T00:00:00Z")

    /// Answers with the day of a clock that is so many seconds ahead, or with a fixed answer.
    private func keys(
        _ clock: Monitor<UTCTime>,
        ahead: Int64 = 0,
        fetches: Monitor<Int>,
        bucket: @escaping @Sendable (Int) -> String = { _ in "b" }
    ) -> BackendKeys {
        BackendKeys(
            now: { clock.withLock { $0 } },
            untrusted: { CredentialsUnavailable(reason: $0, kind: .untrusted) },
            fetch: { () throws(CredentialsUnavailable) in
                let count = fetches.update { count in
                    count += 1
                    return count
                }
                let time = clock.withLock { $0 }.adding(milliseconds: ahead * 1000)
                guard let answer = try? Self.answer(time.iso8601, bucket: bucket(count)) else {
                    throw CredentialsUnavailable(reason: "bad")
                }
                return answer
            }
        )
    }

    @Test(arguments: [
        "2026-11-30T23:59:58Z", "2026-11-30T23:59:58+00:00", "2026-11-30T23:59:58", "2026-11-30T23:59:58.123",
    ])
    func `an answer is read in the forms of all backends`(_ date: String) throws {
        let answer = try Self.answer(date, #","key":"k","upload_id":"u","chunks":[0,1]"#)
        #expect(answer.date == "20261130" && answer.bucket == "b" && answer.region == "eu-west-1")
        #expect(answer.backupKey == "4711")
        #expect(answer.known?.key == "k" && answer.known?.uploadID == "u")
        #expect(answer.credentials.signingKey?.date == "20261130")
        #expect(!"\(answer)".contains("abab"))
    }

    @Test func `a backend of the old protocol is told in one sentence`() {
        #expect {
            try BackendAnswer(Array(#"{"signature":"0cG8=","date":"Mon, 30 Nov 2026 12:00:00 GMT"}"#.utf8))
        } throws: { error in
            guard case .unreadable(let words)? = error as? SigningWire.Problem else { return false }
            return words.contains("Signature Version 2")
        }
    }

    @Test func `a key signs as the secret that it was derived from does`() throws {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        var key = Array("AWS4\(secret)".utf8)
        for step in ["20261130", "eu-west-1", "s3", "aws4_request"] {
            key = hmacSHA256(key: key, message: Array(step.utf8))
        }
        let day = try #require(SigningKey(hex: Hex.encode(key), date: "20261130", region: "eu-west-1"))
        let request = SignableRequest(
            method: "PUT",
            host: "s3.example.org",
            encodedPath: "/b/k",
            query: [QueryItem(name: "partNumber", value: "1")],
            headers: [("x-amz-meta-a", "b")],
            payload: .unsigned
        )
        // The region of the key counts.
        let signer = Signer(region: "us-east-1")
        let byKey = Credentials(accessKeyID: "AKIA", signingKey: day)
        let bySecret = Credentials(accessKeyID: "AKIA", secretAccessKey: secret)
        let time = Self.time("2026-11-30T12:00:00Z")
        let right = Signer(region: "eu-west-1").headers(for: request, credentials: bySecret, at: time)
        #expect(signer.headers(for: request, credentials: byKey, at: time).map(\.value) == right.map(\.value))
        // Just after its day a signature has its last second.
        let last = Signer(region: "eu-west-1").headers(
            for: request,
            credentials: bySecret,
            at: Self.time("2026-11-30T23:59:59Z")
        )
        let late = signer.headers(for: request, credentials: byKey, at: Self.midnight.adding(milliseconds: 90_000))
        #expect(late.map(\.value) == last.map(\.value))
        #expect(byKey != bySecret && !"\(byKey) \(String(reflecting: byKey))".contains(Hex.encode(key)))
    }

    @Test func `the key is asked for once a day, and again when the day changes`() throws {
        let clock = Monitor(Self.midnight.adding(milliseconds: -1000))
        let fetches = Monitor(0)
        let keys = keys(clock, fetches: fetches)
        for _ in 1...5 { #expect(try keys.credentials().signingKey?.date == "20261130") }
        clock.withLock { $0 = Self.midnight }
        // Within seconds of the first fetch the old key still serves.
        #expect(try keys.credentials().signingKey?.date == "20261130")
        #expect(fetches.withLock { $0 } == 1)
        clock.withLock { $0 = Self.midnight.adding(milliseconds: 3_600_000) }
        #expect(try keys.credentials().signingKey?.date == "20261201")
        #expect(fetches.withLock { $0 } == 2)
    }

    @Test func `a backend whose clock is a little behind serves, and one of another day is not trusted`() throws {
        let clock = Monitor(Self.midnight.adding(milliseconds: 60_000))
        let late = keys(clock, ahead: -120, fetches: Monitor(0))
        #expect(try late.credentials().signingKey?.date == "20261130")
        let wrong = keys(clock, ahead: -2 * 86_400, fetches: Monitor(0))
        #expect { try wrong.credentials() } throws: { ($0 as? CredentialsUnavailable)?.kind == .untrusted }
    }

    @Test func `a backend that names another bucket later is not trusted`() throws {
        let clock = Monitor(Self.midnight)
        let keys = keys(clock, fetches: Monitor(0)) { $0 == 1 ? "b" : "c" }
        #expect(try keys.place().bucket == "b")
        clock.withLock { $0 = Self.midnight.adding(milliseconds: 90_000_000) }
        #expect { try keys.place() } throws: { ($0 as? CredentialsUnavailable)?.kind == .untrusted }
    }

    @Test func `a refused key is asked for again once`() throws {
        let fetches = Monitor(0)
        let keys = keys(Monitor(Self.midnight), fetches: fetches)
        let first = try keys.credentials()
        #expect(try keys.renew(refused: first))
        #expect(fetches.withLock { $0 } == 2)
        #expect(try !keys.renew(refused: first))
        keys.noteAccepted()
        #expect(try keys.renew(refused: first))
        #expect(fetches.withLock { $0 } == 3)
    }

    @Test func `what goes to another bucket is not signed`() throws {
        let keys = keys(Monitor(Self.midnight), fetches: Monitor(0))
        let signer = BackendSigner(keys, region: "eu-west-1", host: "h")
        let request = SignableRequest(method: "PUT", host: "s3", encodedPath: "/c/k", payload: .unsigned)
        let action = RequestAction(operation: "PutObject", bucket: "c", key: ObjectKey("k"), url: "https://s3/c/k")
        #expect { try signer.sign(request, action, at: Self.midnight) } throws: {
            ($0 as? CredentialsUnavailable)?.kind == .untrusted
        }
    }
}
