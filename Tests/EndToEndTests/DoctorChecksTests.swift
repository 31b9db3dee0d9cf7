import Glibc
import MuleDigest
import TestSupport
import Testing

/// What `mule doctor BUCKET` says about the credentials, the connection and the bucket. Each check can fail.
@Suite struct DoctorChecksTests {
    private func finding(_ check: String, _ outcome: CommandOutcome) throws -> (state: String, text: String) {
        let line = try #require(outcome.objects.first { $0["check"]?.text == check }, "\(outcome.out) \(outcome.err)")
        return (
            line["state"]?.text ?? "", (line["message"]?.text ?? "") + (line["cure"]?.text.map { " | " + $0 } ?? "")
        )
    }

    /// The finding about a bucket of a store with this profile.
    private func finding(
        _ check: String,
        _ options: [String] = [],
        at place: String = "bucket",
        _ change: (inout FakeProfile) -> Void = { _ in }
    ) throws -> (state: String, text: String) {
        var profile = FakeProfile.aws()
        change(&profile)
        let store = FakeS3(profile)
        defer { withExtendedLifetime(store) {} }
        let outcome = try MuleRun(store).run(["doctor", "--json"] + options + [place])
        #expect(outcome.exitCode == 0, "\(outcome.out)")
        return try finding(check, outcome)
    }

    private static func rule(_ days: Int, prefix: String = "", status: String = "Enabled") -> FakeXML {
        FakeXML(
            "Rule",
            children: [
                FakeXML("ID", "tidy"), FakeXML("Filter", children: [FakeXML("Prefix", prefix)]),
                FakeXML("Status", status),
                FakeXML("AbortIncompleteMultipartUpload", children: [FakeXML("DaysAfterInitiation", "\(days)")]),
            ]
        )
    }

    // MARK: The bucket

    @Test func `a rule that aborts unfinished uploads is named, and none, a narrow or a short one is warned of`() throws
    {
        func lifecycle(_ rules: [FakeXML]?) throws -> (state: String, text: String) {
            try finding("bucket.lifecycle") { $0.lifecycle = rules }
        }
        let good = try lifecycle([Self.rule(7)])
        #expect(good.state == "ok" && good.text == "The rule \"tidy\" aborts unfinished uploads after 7 days.")
        for rules in [nil, [], [Self.rule(7, status: "Disabled")]] {
            let none = try lifecycle(rules)
            #expect(none.state == "warning" && none.text.contains("| \"mule policy lifecycle bucket\""), "\(none)")
        }
        let narrow = try lifecycle([Self.rule(7, prefix: "a/"), Self.rule(9, prefix: "b/")])
        #expect(narrow.state == "warning" && narrow.text.contains("\"a/\", \"b/\""), "\(narrow)")
        let short = try lifecycle([Self.rule(7), Self.rule(1, prefix: "a/")])
        #expect(short.state == "warning" && short.text.contains("after 1 day:"), "\(short)")
        func below(_ place: String, _ rules: [FakeXML]) throws -> String {
            try finding("bucket.lifecycle", at: place) { $0.lifecycle = rules }.text
        }
        let rules = [Self.rule(7, prefix: "a/"), Self.rule(1, prefix: "b/c/")]
        #expect(try below("bucket/a/deep/", rules).hasSuffix("after 7 days."))
        #expect(try below("bucket/b/", rules).contains("after 1 day:"))
        #expect(
            try below("bucket/b/d/", rules).hasPrefix("No lifecycle rule aborts unfinished uploads below bucket/b/d/")
        )
        let unknown = try finding("bucket.lifecycle") { $0.knowsSettings = false }
        #expect(unknown.state == "warning" && unknown.text.contains("no lifecycle rules"), "\(unknown)")
        #expect(unknown.text.contains("mule clean"))
    }

    @Test func `a default lock is told, and is known to the upload that is tried`() throws {
        let lock = FakeXML(
            "Rule",
            children: [
                FakeXML("DefaultRetention", children: [FakeXML("Mode", "COMPLIANCE"), FakeXML("Days", "30")])
            ]
        )
        func locked(_ profile: inout FakeProfile) {
            profile.objectLock = [FakeXML("ObjectLockEnabled", "Enabled"), lock]
            profile.demandsBodyDigest = true
        }
        let told = try finding("bucket.object-lock") { locked(&$0) }
        #expect(told.state == "ok" && told.text.contains("locked for 30 days (COMPLIANCE)"), "\(told)")
        #expect(try finding("bucket.object-lock").text == "New objects are not locked by default.")
        #expect(try finding("bucket.object-lock") { $0.knowsSettings = false }.text == "This store has no Object Lock.")
        let checksum = try finding("checksum", ["--write"]) {
            locked(&$0)
            $0.checksums = .ignored
        }
        #expect(checksum.text.hasPrefix("Content-MD5"), "\(checksum)")
    }

    @Test func `a permission that only doctor needs is named, and is no problem`() throws {
        let checks: [(FakeOperation, String, String)] = [
            (.getLifecycle, "bucket.lifecycle", "s3:GetLifecycleConfiguration"),
            (.getObjectLock, "bucket.object-lock", "s3:GetBucketObjectLockConfiguration"),
            (.getVersioning, "permissions.delete", "s3:GetBucketVersioning"),
            (.listBuckets, "identity", "s3:ListAllMyBuckets"),
        ]
        for (operation, check, permission) in checks {
            let found = try finding(check) { $0.denied = [operation] }
            #expect(
                found.state == "ok" && found.text.hasPrefix("Not checked: \(permission) is not granted"),
                "\(found)"
            )
        }
    }

    // MARK: Rights

    @Test func `rights to delete are found by a request that can delete nothing`() throws {
        for mayDelete in [true, false] {
            var profile = FakeProfile.aws()
            if !mayDelete { profile.denied = [.deleteObject] }
            let store = FakeS3(profile)
            let mule = MuleRun(store)
            #expect(try mule.run("upload", mule.file(parts: 1), "bucket/key").exitCode == 0)
            let found = try finding("permissions.delete", mule.run("doctor", "--json", "bucket"))
            #expect(found.state == (mayDelete ? "warning" : "ok"), "\(found)")
            #expect(found.text.contains(mayDelete ? "may delete objects" : "may not delete objects"))
            #expect(!mayDelete || found.text.contains("| \"mule policy iam bucket\""))
            let requests = store.requests(.deleteObject)
            #expect(!requests.isEmpty && requests.allSatisfy { $0.keyText.hasPrefix("mule-doctor-") })
            #expect(requests.first?.header("if-match") == "*", "which fails for an object that does not exist")
            #expect(!mayDelete || requests.count == 1)
            #expect(store.object(key: "key") != nil)
        }
    }

    @Test func `where a delete marker could stay, nothing is asked`() throws {
        for hidesVersioning in [true, false] {
            var profile = FakeProfile.aws()
            profile.hasVersions = true
            if hidesVersioning { profile.denied = [.getVersioning] }
            let store = FakeS3(profile)
            let found = try finding("permissions.delete", MuleRun(store).run("doctor", "--json", "bucket"))
            #expect(found.state == "ok" && found.text.hasPrefix("Not checked: "), "\(found)")
            #expect(store.requests(.deleteObject).isEmpty)
        }
    }

    // MARK: Who it is

    @Test func `the source and the end of the credentials are named`() throws {
        let store = FakeS3()
        defer { withExtendedLifetime(store) {} }
        var mule = MuleRun(store)
        #expect(
            try finding("credentials", mule.run("doctor", "--json", "bucket")).text
                .hasSuffix("from AWS_ACCESS_KEY_ID, which does not expire.")
        )
        let keys = store.credentials
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] { mule.environment[name] = nil }
        try mule.home.write(
            "[default]\naws_access_key_id = \(keys.accessKey)\naws_secret_access_key = \(keys.secretKey)\n",
            to: ".aws/credentials"
        )
        let file = try finding("credentials", mule.run("doctor", "--json", "bucket"))
        #expect(file.text.contains("from the profile \"default\" in \(mule.home.path(".aws/credentials"))"), "\(file)")
        let script = try mule.home.write(
            "#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"\(keys.accessKey)\", \"SecretAccessKey\": "
                + "\"\(keys.secretKey)\", \"Expiration\": \"2048-01-01T00:00:00Z\"}'\n",
            to: "keys"
        )
        chmod(script, 0o755)
        try mule.home.write("[profile p]\ncredential_process = \(script)\n", to: ".aws/config")
        let process = try finding("credentials", mule.run("doctor", "--json", "--profile", "p", "bucket"))
        #expect(process.text.contains("from credential_process of the profile \"p\""), "\(process)")
        #expect(process.text.contains("valid until 2048-01-01"))
        #expect(!process.text.contains(keys.secretKey))
    }

    @Test func `a token service says who it is, and warns of the root user; another store names the owner`() throws {
        let owner = try finding("identity")
        #expect(owner.state == "ok" && owner.text == "owner, as ListBuckets says.")
        for (name, state) in [("user/camera", "ok"), ("root", "warning")] {
            let service = ScriptedServer { peer in
                while let head = peer.head() {
                    _ = peer.body(Peer.contentLength(head) ?? 0)
                    peer.answer(
                        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:\(name)</Arn>"
                            + "<UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult>"
                            + "</GetCallerIdentityResponse>"
                    )
                }
            }
            let store = FakeS3()
            defer { withExtendedLifetime(store) {} }
            var mule = MuleRun(store)
            mule.environment["AWS_ENDPOINT_URL_STS"] = service.url
            let found = try finding("identity", mule.run("doctor", "--json", "bucket"))
            #expect(found.state == state, "\(found)")
            #expect(found.text.hasPrefix("arn:aws:iam::123456789012:\(name), account 123456789012."))
            #expect(service.heads.contains { $0.contains("/us-east-1/sts/aws4_request") }, "\(service.heads)")
        }
        let store = FakeS3()
        defer { withExtendedLifetime(store) {} }
        var mule = MuleRun(store)
        mule.environment["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:9"
        let outcome = try mule.run("doctor", "--json", "bucket")
        #expect(outcome.exitCode == 0, "uploads need no token service")
        #expect(try finding("identity", outcome).state == "warning")
    }

    // MARK: The way

    @Test func `the certificate is shown, and one that ends soon is warned of`() throws {
        for (kind, state) in [(TLSServer.Kind.plain, "ok"), (.expiresSoon, "warning")] {
            let server = try TLSServer(kind)
            var mule = MuleRun(FakeS3())
            mule.environment["AWS_ENDPOINT_URL"] = server.url
            mule.environment["AWS_ENDPOINT_URL_S3"] = server.url
            mule.environment["AWS_CA_BUNDLE"] = server.certificate
            let found = try finding("tls", mule.run("doctor", "--json"))
            #expect(found.state == state, "\(found)")
            #expect(found.text.hasPrefix("TLSv1.3, certificate by mule tests, valid until "), "\(found)")
            #expect(kind == .plain || (found.text.contains("(9 days)") && found.text.contains("renew the certificate")))
        }
        #expect(try finding("tls").text == "Not encrypted; the endpoint is on this machine.")
    }

    // MARK: The checksum

    @Test func `the checksum is that of the last uploads, or is found with --write`() throws {
        for (checksums, name) in [
            (FakeProfile.Checksums.enforced, "CRC64NVME"), (.ignored, "Content-MD5"),
            (.refused(status: 400, code: "InvalidArgument"), "Content-MD5"),
            (.refused(status: 400, code: "InvalidRequest", algorithms: [.crc64nvme]), "CRC32C"),
        ] {
            var profile = FakeProfile.aws()
            profile.checksums = checksums
            let store = FakeS3(profile)
            let mule = MuleRun(store)
            let before = try finding("checksum", mule.run("doctor", "--json", "bucket"))
            #expect(before.text.hasPrefix("Not known") && before.text.contains("| \"mule doctor --write bucket\""))
            let found = try finding("checksum", mule.run("doctor", "--json", "--write", "bucket"))
            #expect(found.text.hasPrefix("\(name): the store accepts it"), "\(found)")
            #expect(store.uploads.isEmpty && store.count(.putObject) + store.count(.complete) == 0)
            #expect(try mule.uploadInParts(mule.file(parts: 2)).run().exitCode == 0)
            let after = try finding("checksum", mule.run("doctor", "--json", "bucket"))
            #expect(after.text == "\(name), as the last uploads to this endpoint have shown.", "the same as of uploads")
        }
    }

    @Test func `a store that refuses the checksum of a part after Create promised one gets another upload`() throws {
        let store = FakeS3()
        store.add(
            .on(.uploadPart, times: 1, .status(400, code: "InvalidRequest", message: "x-amz-checksum is not supported"))
        )
        let found = try finding("checksum", MuleRun(store).run("doctor", "--json", "--write", "bucket"))
        #expect(found.text.hasPrefix("CRC32C"), "\(found)")
        #expect(store.requests(.create).count == 2 && store.uploads.isEmpty)
    }

    @Test func `a store whose ETags prove nothing is asked again with Content-MD5`() throws {
        var profile = FakeProfile.aws()
        profile.checksums = .ignored
        profile.eTagStyle = .random
        let store = FakeS3(profile)
        let found = try finding("checksum", MuleRun(store).run("doctor", "--json", "--write", "bucket"))
        #expect(found.text.hasPrefix("Content-MD5"), "\(found)")
        #expect(store.requests(.uploadPart).last?.header("content-md5") != nil)
    }

    @Test func `a signature is the last that is tried, and a lock does not allow it`() throws {
        for isLocked in [false, true] {
            var profile = FakeProfile.aws()
            if isLocked {
                let retention = FakeXML("DefaultRetention", children: [FakeXML("Mode", "GOVERNANCE")])
                profile.objectLock = [FakeXML("Rule", children: [retention])]
            }
            let store = FakeS3(profile)
            for operation in [FakeOperation.create, .uploadPart] {
                store.add(
                    .on(
                        operation,
                        times: 99,
                        .custom { request in
                            let hasDigest = request.headers.contains {
                                $0.name.hasPrefix("x-amz-checksum") || $0.name == "content-md5"
                            }
                            return hasDigest ? FakeReply(501) : nil
                        }
                    )
                )
            }
            let outcome = try MuleRun(store).run("doctor", "--json", "--write", "bucket")
            #expect(outcome.exitCode == (isLocked ? 4 : 0), "\(outcome.out)")
            let check = isLocked ? "permissions.write" : "checksum"
            let found = try finding(check, outcome)
            #expect(isLocked ? found.state == "problem" : found.text.hasPrefix("A signed SHA-256"), "\(found)")
            #expect(store.uploads.isEmpty)
        }
    }

    @Test func `with a prefix, everything is asked below it`() throws {
        let store = FakeS3()
        let outcome = try MuleRun(store).run("doctor", "--json", "--write", "bucket/in/2026/")
        #expect(outcome.exitCode == 0, "\(outcome.out)")
        let keys = store.requests.map(\.keyText).filter { !$0.isEmpty }
        #expect(keys.count > 4 && keys.allSatisfy { $0.hasPrefix("in/2026/mule-doctor-") }, "\(keys)")
        let lists = store.requests(.listUploads)
        #expect(!lists.isEmpty && lists.allSatisfy { $0.parameter("prefix")?.hasPrefix("in/2026/") == true })
    }

    @Test func `with a customer key, only requests about objects have it`() throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        let key = try mule.home.write(String(repeating: "k", count: 32), to: "key")
        let outcome = try mule.run("doctor", "--json", "--write", "--sse-c-key-file", key, "bucket")
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        let name = "x-amz-server-side-encryption-customer-key"
        #expect(store.requests(.uploadPart).contains { $0.header(name) != nil })
        #expect(store.violations.isEmpty, "\(store.violations)")
    }
}
