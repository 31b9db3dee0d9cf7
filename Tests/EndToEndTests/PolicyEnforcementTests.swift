import TestSupport
import Testing

/// `mule policy`, with the enforcement of moto's IAM.
@Suite(.serialized) struct PolicyEnforcementTests {
    @Test func `an upload with the policy works and resumes, and a delete is refused`() throws {
        let server = try RealServer.start(.moto)
        var mule = MuleRun(server)
        let uploads = try policy(mule, "iam", server.bucket)
        let limited = try policy(mule, "iam", "--for", "server", "\(server.bucket)/in/")
        let keys = try enforce(server, policies: ["uploads": uploads, "limited": limited], home: mule.home)

        mule.use(try #require(keys["uploads"]))
        let file = try mule.file(parts: 5)
        let options = ["--limit-rate", "10MB/s", "-v"]
        let killed = try mule.start(
            ["upload", "-j", "2"] + MuleRun.inParts + options + [file, "\(server.bucket)/killed"]
        )
        killed.waitForText("UploadPart")
        killed.signal(9)
        _ = killed.wait()
        let resumed = try mule.run("resume", "--json")
        #expect(resumed.exitCode == 0, "\(resumed.err)")
        #expect((resumed.event("completed")?["bytesSkipped"]?.integer ?? 0) > 0)
        let proven = try mule.run("verify", "--download", file, "\(server.bucket)/killed")
        #expect(proven.exitCode == 0, "\(proven.err)")
        #expect(try deletion(of: "killed", server, try #require(keys["uploads"]), mule.home) == "403")

        mule.environment["AWS_ENDPOINT_URL_STS"] = server.endpoint
        let doctor = try mule.run("doctor", "--json", server.bucket)
        #expect(doctor.exitCode == 0, "\(doctor.out)")
        func message(_ check: String) -> String {
            doctor.objects.first { $0["check"]?.text == check }?["message"]?.text ?? ""
        }
        #expect(message("bucket.lifecycle") == "Not checked: s3:GetLifecycleConfiguration is not granted.")
        #expect(message("permissions.delete").hasPrefix("Not checked: s3:GetBucketVersioning is not granted"))
        #expect(!doctor.out.contains("\"problem\""), "\(doctor.out)")

        mule.use(try #require(keys["limited"]))
        let small = try mule.file(parts: 1, "small")
        #expect(try mule.run("upload", small, "\(server.bucket)/in/small").exitCode == 0)
        let beyond = try mule.run("upload", small, "\(server.bucket)/other")
        #expect(beyond.exitCode == 4)
        #expect(beyond.explains("This needs s3:PutObject"), "\(beyond.err)")
        #expect(try deletion(of: "in/small", server, try #require(keys["limited"]), mule.home) == "403")
    }

    private func policy(_ mule: MuleRun, _ words: String...) throws -> String {
        let outcome = try mule.run(["policy"] + words)
        #expect(outcome.exitCode == 0 && outcome.messages.isEmpty, "\(outcome.err)")
        return outcome.out
    }

    /// Creates a user for each policy, and from then on moto refuses what no policy allows.
    ///
    /// - Returns: access key and secret key by the user's name.
    private func enforce(
        _ server: RealServer,
        policies: [String: String],
        home: ScratchDirectory
    ) throws -> [String: [String]] {
        let script = """
            import sys, re, urllib.parse, urllib.request
            endpoint, *pairs = sys.argv[1:]
            def post(path, body, **headers):
                headers = {name.replace('_', '-'): value for name, value in headers.items()}
                return urllib.request.urlopen(urllib.request.Request(endpoint + path, body, headers)).read().decode()
            # moto knows the service by the scope.
            scope = 'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0'
            def iam(action, **parameters):
                form = urllib.parse.urlencode({'Action': action, 'Version': '2010-05-08', **parameters}).encode()
                return post('/', form, Authorization=scope)
            for name, policy in zip(pairs[::2], pairs[1::2]):
                iam('CreateUser', UserName=name)
                iam('PutUserPolicy', UserName=name, PolicyName='mule', PolicyDocument=policy)
                answer = iam('CreateAccessKey', UserName=name)
                key, secret = (re.search(f'<{tag}>(.*?)</{tag}>', answer)[1] for tag in ('AccessKeyId', 'SecretAccessKey'))
                print(name, key, secret)
            post('/moto-api/reset-auth', b'0', Content_Type='text/plain')
            """
        let pairs = policies.flatMap { [$0.key, $0.value] }
        let outcome = try TestCommand(
            "/usr/bin/env",
            ["python3", "-c", script, server.endpoint] + pairs,
            home: home.path
        ).run()
        try #require(outcome.exitCode == 0, "\(outcome.err)")
        let words = outcome.lines.map { $0.split(separator: " ").map(String.init) }
        return Dictionary(uniqueKeysWithValues: words.map { ($0[0], [$0[1], $0[2]]) })
    }

    /// The status of a DELETE with these keys.
    private func deletion(
        of key: String,
        _ server: RealServer,
        _ keys: [String],
        _ home: ScratchDirectory
    ) throws -> String? {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        let script = """
            import sys
            sys.dont_write_bytecode = True
            folder, endpoint, bucket, key, access, secret = sys.argv[1:]
            sys.path.insert(0, folder)
            from s3client import Store
            print(Store(endpoint, access, secret).request('DELETE', f'/{bucket}/{key}').status)
            """
        let arguments = [tests + "/Servers", server.endpoint, server.bucket, key] + keys
        let outcome = try TestCommand("/usr/bin/env", ["python3", "-c", script] + arguments, home: home.path).run()
        try #require(outcome.exitCode == 0, "\(outcome.err)")
        return outcome.lines.first
    }
}

extension MuleRun {
    fileprivate mutating func use(_ keys: [String]) {
        (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) = (keys[0], keys[1])
    }
}
