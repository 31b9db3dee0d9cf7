import MuleLedger
import MuleSigning
import MuleSystem
import MuleUpload
import TestSupport
import Testing

@testable import MuleCredentials

@Suite("Credentials that end in the middle of a run")
struct CredentialRenewalTests {
    private static let keys = [1, 2, 3].map {
        FakeCredentials(accessKey: "KEY\($0)", secretKey: "secret\($0)", sessionToken: "token\($0)")
    }
    private let fetches = Monitor(0)

    /// Hands out the first key, then the second, and so on.
    private func provider(failing: CredentialsUnavailable? = nil) -> RefreshingCredentials {
        let context = CredentialContext(environment: [:], cancellation: Cancellation(), notice: { _ in })
        return RefreshingCredentials(context) { [fetches] () throws(CredentialsUnavailable) in
            let number = fetches.withLock { count in
                count += 1
                return count
            }
            if number > 1, let failing { throw failing }
            let key = Self.keys[min(number, Self.keys.count) - 1]
            return Credentials(
                accessKeyID: key.accessKey,
                secretAccessKey: key.secretKey,
                sessionToken: key.sessionToken
            )
        }
    }

    /// From the moment when so many bytes of a part have come, requests with the first key are refused.
    private func harness(_ provider: RefreshingCredentials, accepted: [FakeCredentials] = keys) throws -> EngineHarness
    {
        let hasEnded = Monitor(false)
        let harness = try EngineHarness(credentials: accepted, provider: provider)
        harness.server.onBodyBytes(.uploadPart, part: 3, after: 1000) { _ in hasEnded.update { $0 = true } }
        harness.server.add(
            .on(
                nil,
                times: .max,
                where: { request in
                    hasEnded.withLock { $0 } && request.header("authorization")?.contains("Credential=KEY1/") == true
                },
                .status(400, code: "ExpiredToken", message: "The provided token has expired.")
            )
        )
        return harness
    }

    @Test
    func `are renewed once for all workers, and every part arrives`() throws {
        let harness = try harness(provider())
        let outcome = try harness.upload(harness.file(size: 12 * EngineHarness.partSize))
        #expect(outcome.failure == nil)
        #expect(outcome.completed.count == 1)
        #expect(fetches.withLock { $0 } == 2)
        #expect(harness.server.object(key: "key") != nil)
        #expect(harness.server.violations.isEmpty)
    }

    @Test
    func `and cannot be renewed stop the run, resumable, with both reasons`() throws {
        let harness = try harness(provider(failing: CredentialsUnavailable(reason: "the login is over")))
        let outcome = try harness.upload(harness.file(size: 12 * EngineHarness.partSize))
        let failure = try #require(outcome.failure)
        #expect(failure.kind == .credentials)
        #expect(failure.isResumable)
        #expect(failure.message.contains("ExpiredToken"))
        #expect(failure.message.contains("the login is over"))
        #expect(try harness.ledger.unfinished().count == 1)
    }

    @Test
    func `and are renewed with some that the store refuses too stop the run after one renewal`() throws {
        let harness = try EngineHarness(credentials: Self.keys, provider: provider())
        harness.server.add(.on(nil, times: .max, .status(400, code: "ExpiredToken")))
        let outcome = try harness.upload(harness.file())
        #expect(outcome.failure?.kind == .credentials)
        #expect(outcome.failure?.isResumable == true)
        #expect(fetches.withLock { $0 } == 2)
        #expect(harness.server.requests.count == 2)
    }

    @Test
    func `and whose service does not answer for a while are waited for`() throws {
        let attempts = Monitor(0)
        let context = CredentialContext(environment: [:], cancellation: Cancellation(), notice: { _ in })
        let provider = RefreshingCredentials(context) { () throws(CredentialsUnavailable) in
            let number = attempts.withLock { count in
                count += 1
                return count
            }
            if number == 2 { throw CredentialsUnavailable(reason: "no answer", isTransient: true) }
            let key = Self.keys[number == 1 ? 0 : 1]
            return Credentials(
                accessKeyID: key.accessKey,
                secretAccessKey: key.secretKey,
                sessionToken: key.sessionToken
            )
        }
        let harness = try harness(provider)
        let outcome = try harness.upload(harness.file(size: 12 * EngineHarness.partSize))
        #expect(outcome.failure == nil)
        #expect(outcome.completed.count == 1)
        #expect(attempts.withLock { $0 } == 3)
    }
}
