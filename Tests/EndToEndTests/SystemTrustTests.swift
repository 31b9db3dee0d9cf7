import TestSupport
import Testing

/// Servers' certificates are verified against the system's authorities unless a bundle is named.
///
/// The system's bundle is replaced in a mount namespace, which the kernel must allow.
@Suite struct SystemTrustTests {
    private static let bundle: String? = {
        let made = try? TestCommand("/usr/bin/env", ["curl-config", "--ca"], home: "/").run()
        guard let path = made?.lines.first, path.hasPrefix("/") else { return nil }
        let mounted = try? TestCommand("/usr/bin/env", ["unshare", "-rm", "mount", "--bind", path, path], home: "/")
            .run()
        return mounted?.exitCode == 0 ? path : nil
    }()

    /// With a proxy that is reached over TLS libcurl reads the bundles by itself.
    @Test(
        .enabled(if: bundle != nil, "the system's bundle can't be replaced for one process"),
        arguments: [[:], ["all_proxy": "https://127.0.0.1:1", "no_proxy": "*"]]
    )
    func `systems authorities are trusted`(proxies: [String: String]) throws {
        let server = try TLSServer()
        let home = ScratchDirectory()
        var environment = [
            "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
        ]
        environment.merge(proxies) { $1 }
        var command = TestCommand.mule(["doctor", "bucket"], home: home, environment: environment)
        let refused = try command.run()
        #expect(refused.out.contains("certificate is not trusted") || refused.err.contains("certificate"), "\(refused)")

        command.arguments =
            ["-rm", "sh", "-c", "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"", server.certificate]
            .map { Array($0.utf8) } + [Array(try #require(Self.bundle).utf8), Array(command.executable.utf8)]
            + command.arguments
        command.executable = "/usr/bin/unshare"
        let accepted = try command.run()
        #expect(accepted.out.contains("TLSv1") && !accepted.out.contains("not trusted"), "\(accepted)")

        // A named bundle replaces the system's.
        let other = try TLSServer()
        command.environment["AWS_CA_BUNDLE"] = other.certificate
        let named = try command.run()
        #expect(named.out.contains("certificate is not trusted") || named.err.contains("certificate"), "\(named)")
    }
}
