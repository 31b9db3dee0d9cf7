import MuleCredentials
import MuleSigning
import MuleSystem
import TestSupport
import Testing

@Suite("The role of a container")
struct ContainerCredentialsTests {
    private let directory = ScratchDirectory()

    private func variables(_ server: CredentialServer) -> [String: String] {
        ["AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/v1/credentials?id=1"]
    }

    @Test
    func `comes from the service that the variables name, with the token of a file that is read each time`() throws {
        let server = CredentialServer { CredentialServer.metadata(id: $0.headers["authorization"] ?? "none") }
        var variables = variables(server)
        #expect(try SharedFilesFixture(variables: variables).resolved().get().credentials().accessKeyID == "none")
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "of-the-variable"
        let direct = try SharedFilesFixture(variables: variables).resolved().get()
        #expect(try direct.credentials().accessKeyID == "of-the-variable")

        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = try directory.write("first\n", to: "token")
        let provider = try SharedFilesFixture(variables: variables).resolved().get()
        let first = try provider.credentials()
        #expect(first.accessKeyID == "first")
        #expect(first.sessionToken == "t-first")
        try directory.write("second", to: "token")
        #expect(try provider.renew(refused: first))
        #expect(try provider.credentials().accessKeyID == "second")
        #expect(server.requests.last?.line == "GET /v1/credentials?id=1")
    }

    @Test(arguments: ["http://10.0.0.1/x", "http://127.evil.org/"]
    )
    func `is not asked for over plain HTTP on another machine`(url: String) throws {
        let fixture = try SharedFilesFixture(variables: ["AWS_CONTAINER_CREDENTIALS_FULL_URI": url])
        let error = #expect(throws: CredentialsUnavailable.self) { try fixture.resolved().get() }
        #expect(error?.reason.contains("use https:// for other machines") == true)
    }

    @Test
    func `is named by a relative path that cannot lead elsewhere`() throws {
        let fixture = try SharedFilesFixture(variables: ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": ".evil.org/x"])
        let error = #expect(throws: CredentialsUnavailable.self) { try fixture.resolved().get() }
        #expect(
            error?.reason
                == "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not the URL of a service: "
                + "\"http://169.254.170.2.evil.org/x\""
        )
    }

    @Test
    func `is asked for again when the service is in trouble, and not when it refuses or answers junk`() throws {
        func result(_ answer: CredentialServer.Answer) throws -> CredentialsUnavailable? {
            let server = CredentialServer { _ in answer }
            switch try SharedFilesFixture(variables: variables(server)).resolved() {
            case .success(let provider):
                return #expect(throws: CredentialsUnavailable.self) { try provider.credentials() }
            case .failure(let error): return error
            }
        }
        #expect(try result(.init("", status: "500 No"))?.isTransient == true)
        let refusal = try result(.init(#"{"code":"x","message":"SECRET"}"#, status: "403 No"))
        #expect(refusal?.isTransient == false)
        #expect(refusal?.reason.hasSuffix("refused (HTTP 403)") == true)
        #expect(
            try result("SECRET")?.reason.hasSuffix("answered something that is not JSON (line 1, column 1)") == true
        )
    }

    @Test
    func `is not asked for with a token that would end its header`() throws {
        let server = CredentialServer { _ in "" }
        var variables = variables(server)
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "a\r\nx: y"
        let error = #expect(throws: CredentialsUnavailable.self) {
            try SharedFilesFixture(variables: variables).resolved().get()
        }
        #expect(error?.reason.contains("a line break or another character") == true)
        #expect(server.requests.isEmpty)
    }
}

@Suite("The role of an EC2 instance")
struct InstanceMetadataTests {
    private static let roles = "/latest/meta-data/iam/security-credentials/"

    /// A service of version 2, with a role called `my-role`.
    private static func answer(_ request: CredentialServer.Request) -> CredentialServer.Answer? {
        if request.line == "PUT /latest/api/token" {
            let ttl = request.headers["x-aws-ec2-metadata-token-ttl-seconds"]
            return ttl == "21600" ? "the-token==" : .init("", status: "400 Bad Request")
        }
        guard request.headers["x-aws-ec2-metadata-token"] == "the-token==" else { return .init("", status: "401 No") }
        switch request.line {
        case "GET \(roles)": return "my-role"
        case "GET \(roles)my-role": return CredentialServer.metadata(id: "INSTANCE")
        default: return .init("", status: "404 Not Found")
        }
    }

    private func signer(
        _ server: CredentialServer,
        _ variables: [String: String] = [:],
        config: String? = nil
    ) throws -> String {
        let own = [
            "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url,
            // Long enough for a machine that is busy with other things.
            "AWS_METADATA_SERVICE_TIMEOUT": "30",
        ]
        let fixture = try SharedFilesFixture(config: config, variables: own.merging(variables) { $1 })
        switch try fixture.resolved() {
        case .success(let provider): return try provider.credentials().accessKeyID
        case .failure(let error): return error.reason
        }
    }

    @Test
    func `is found with a token, past the proxies of the environment`() throws {
        let server = CredentialServer(Self.answer)
        #expect(try signer(server, config: "[default]\nregion=r\n") == "INSTANCE")
        #expect(server.requests.count == 3)
    }

    @Test(arguments: ["403 No", "404 No", "500 No"])
    func `is not looked for without a token when the service refuses one`(status: String) throws {
        let server = CredentialServer { $0.line.hasPrefix("PUT") ? .init("", status: status) : "my-role" }
        let sentence = try signer(server)
        #expect(sentence.contains("no credentials found: looked for AWS_ACCESS_KEY_ID"))
        #expect(sentence.contains("refused (HTTP \(status.prefix(3)))"))
        #expect(server.requests.count == 1)
    }

    @Test
    func `is looked for without a token when that is allowed in so many words`() throws {
        let server = CredentialServer { request in
            switch request.line {
            case "GET \(Self.roles)": "my-role"
            case "GET \(Self.roles)my-role": CredentialServer.metadata(id: "VERSION1")
            default: .init("", status: "403 No")
            }
        }
        #expect(try signer(server, ["AWS_EC2_METADATA_V1_DISABLED": "false"]) == "VERSION1")
    }

    @Test
    func `is not waited for when the service does not answer`() throws {
        let server = CredentialServer { _ in nil }
        let began = Moment.now()
        let sentence = try signer(server, ["AWS_METADATA_SERVICE_TIMEOUT": "0.1"])
        // A request to a store is waited for longer than this.
        #expect(Moment.now().seconds(since: began) < 30)
        #expect(sentence.contains("did not answer"))
        #expect(server.requests.count <= 1)
    }

    @Test
    func `is not looked for where that is switched off`() throws {
        let server = CredentialServer(Self.answer)
        #expect(try signer(server, ["AWS_EC2_METADATA_DISABLED": "True"]).contains("AWS_EC2_METADATA_DISABLED is set"))
        #expect(server.requests.isEmpty)
    }

    @Test
    func `is no one's when the instance has none, or it cannot be used`() throws {
        let none = CredentialServer { request in
            request.line == "GET \(Self.roles)" ? .init("", status: "404 Not Found") : Self.answer(request)
        }
        #expect(try signer(none).contains("the instance has no role"))
        let failed = CredentialServer { request in
            request.line.hasSuffix("my-role") ? #"{"Code":"AssumeRoleUnauthorizedAccess"}"# : Self.answer(request)
        }
        #expect(try signer(failed).contains("answered AssumeRoleUnauthorizedAccess for the role my-role"))
    }

    @Test
    func `signs for a profile's role`() throws {
        let metadata = CredentialServer(Self.answer)
        let sts = CredentialServer { request in
            CredentialServer.sts(
                "AssumeRole",
                id: request.headers["authorization"]?.contains("Credential=INSTANCE/") == true ? "ROLE" : "WRONG"
            )
        }
        let config = "[default]\nrole_arn=arn:x\ncredential_source=Ec2InstanceMetadata\n"
        #expect(try signer(metadata, ["AWS_ENDPOINT_URL_STS": sts.url], config: config) == "ROLE")
    }
}
