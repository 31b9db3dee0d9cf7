import MuleSigning
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleCredentials

@Suite("Keys of a profile, while they are in use")
struct ReloadedCredentialsTests {
    private let clock = TurnedClock()
    private let fixture: SharedFilesFixture
    private let provider: any CredentialsProvider

    init() throws {
        fixture = try SharedFilesFixture(credentials: Self.text("FIRST"))
        let configuration = try fixture.configuration()
        let source = ProfileKeys(configuration: configuration, profile: "default", file: .credentials, now: clock.now)
        provider = try #require(try source.provider())
    }

    private static func text(_ id: String) -> String {
        "[default]\naws_access_key_id=\(id)\naws_secret_access_key=s\n"
    }

    private func write(_ text: String) throws { try fixture.directory.write(text, to: ".aws/credentials") }

    private func signer() throws -> String { try provider.credentials().accessKeyID }

    @Test
    func `stay the same between two looks, and are replaced at the next`() throws {
        try write(Self.text("THE-SECOND"))
        #expect(try signer() == "FIRST")
        clock.turn(seconds: 4.9)
        #expect(try signer() == "FIRST")
        clock.turn(seconds: 0.1)
        #expect(try signer() == "THE-SECOND")
        #expect(try signer() == "THE-SECOND")
    }

    @Test(arguments: ["", "[default]\naws_access_key_id=HALF", "nonsense", "[other]\naws_access_key_id=X"]
    )
    func `stay in place when the file holds nothing usable, until it does`(_ content: String) throws {
        try write(content)
        clock.turn(seconds: 5)
        #expect(try signer() == "FIRST")
        try write(Self.text("THE-SECOND"))
        clock.turn(seconds: 5)
        #expect(try signer() == "THE-SECOND")
    }

    @Test
    func `are not read again while the files are unchanged`() throws {
        let reads = Mutex(0)
        let first = Credentials(accessKeyID: "FIRST", secretAccessKey: "s")
        let reloaded = ReloadedCredentials(
            first,
            files: [nil],
            look: { [nil] },
            reload: {
                reads.withLock { $0 += 1 }
                return nil
            },
            now: clock.now
        )
        for _ in 0..<10 {
            clock.turn(seconds: 5)
            #expect(try reloaded.credentials() == first)
        }
        #expect(reads.withLock { $0 } == 0)
    }

    @Test
    func `are looked at by one worker only, while the others go on with the old ones`() throws {
        let first = Credentials(accessKeyID: "FIRST", secretAccessKey: "s")
        let looks = Mutex(0)
        let inner = Mutex<ReloadedCredentials?>(nil)
        let seen = Mutex<[String]>([])
        let reloaded = ReloadedCredentials(
            first,
            files: [],
            look: {
                looks.withLock { $0 += 1 }
                // Another worker asks in the middle of the look: it neither waits nor looks as well.
                let worker = inner.withLock { $0 }
                if let id = try? worker?.credentials().accessKeyID { seen.withLock { $0.append(id) } }
                return [nil]
            },
            reload: { Credentials(accessKeyID: "SECOND", secretAccessKey: "s") },
            now: clock.now
        )
        inner.withLock { $0 = reloaded }
        clock.turn(seconds: 5)
        #expect(try reloaded.credentials().accessKeyID == "SECOND")
        #expect(looks.withLock { $0 } == 1)
        #expect(seen.withLock { $0 } == ["FIRST"])
        inner.withLock { $0 = nil }
    }
}
