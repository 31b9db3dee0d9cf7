import MulePlan
import MuleSigning
import Testing

@Suite struct CredentialsTests {
    private let credentials = Credentials(
        accessKeyID: "AKIDEXAMPLE",
        secretAccessKey: "hidden-secret",
        sessionToken: "hidden-token",
        expiration: UTCTime(secondsSince1970: 1_795_218_960)
    )

    @Test func `no way of printing shows the secret or the token`() {
        var dumped = ""
        dump(credentials, to: &dumped)
        dump(["nested": Optional(credentials)], to: &dumped)
        let texts = [
            String(describing: credentials), String(reflecting: credentials), "\(credentials)", "\([credentials])",
            "\(Optional(credentials) as Any)", dumped,
        ]
        for text in texts {
            #expect(!text.contains("hidden"), "\(text)")
            #expect(text.contains("AKIDEXAMPLE"))
        }
        #expect(!Mirror(reflecting: credentials).children.contains { "\($0.value)".contains("hidden") })
    }

    @Test func `the description tells whether and how long they are temporary`() {
        #expect("\(credentials)" == "Credentials(AKIDEXAMPLE, temporary, expires 2026-11-20T23:56:00Z)")
        #expect("\(Credentials(accessKeyID: "AKID", secretAccessKey: "s"))" == "Credentials(AKID)")
    }

    @Test func `every field counts for equality`() {
        #expect(credentials == credentials)
        let others = [
            Credentials(accessKeyID: "A", secretAccessKey: "s"), Credentials(accessKeyID: "B", secretAccessKey: "s"),
            Credentials(accessKeyID: "A", secretAccessKey: "t"),
            Credentials(accessKeyID: "A", secretAccessKey: "s", sessionToken: ""),
            Credentials(accessKeyID: "A", secretAccessKey: "s", expiration: UTCTime(secondsSince1970: 0)),
        ]
        for (index, one) in others.enumerated() {
            for (position, other) in others.enumerated() { #expect((one == other) == (index == position)) }
        }
    }
}
