import MulePlan
import MuleSigning
import MuleSystem
import TestSupport
import Testing

@testable import MuleCredentials

/// A place that hands out `KEY1`, `KEY2`, … each living for as long as the test says, or fails.
private final class Mint: Sendable {
    struct State: Sendable {
        var fetches = 0
        var life: Double? = 3600
        var failure: CredentialsUnavailable?
        var isOpen = true
        var waiting = 0
        var notices: [String] = []
    }

    let state = Monitor(State())
    let clock = TurnedClock()

    func provider() -> RefreshingCredentials {
        let context = clock.context { [state] notice in state.update { $0.notices.append(notice) } }
        return RefreshingCredentials(context) { [self] () throws(CredentialsUnavailable) in try coin() }
    }

    private func coin() throws(CredentialsUnavailable) -> Credentials {
        state.update { $0.waiting += 1 }
        let result: Result<Credentials, CredentialsUnavailable> = state.wait { state in
            guard state.isOpen else { return nil }
            state.waiting -= 1
            state.fetches += 1
            if let failure = state.failure { return .failure(failure) }
            let end = state.life.map { clock.time.adding(milliseconds: Int64($0 * 1000)) }
            return .success(
                Credentials(
                    accessKeyID: "KEY\(state.fetches)",
                    secretAccessKey: "s",
                    sessionToken: "t",
                    expiration: end
                )
            )
        }
        return try result.get()
    }

    var fetches: Int { state.withLock(\.fetches) }
    func fail(_ failure: CredentialsUnavailable?) { state.update { $0.failure = failure } }
    func setLife(_ life: Double?) { state.update { $0.life = life } }
    func close() { state.update { $0.isOpen = false } }
    func open() { state.update { $0.isOpen = true } }
    /// Waits until a caller waits at the closed door.
    func waitForCaller() { state.wait { $0.waiting > 0 ? () : nil } }
}

@Suite("Temporary credentials")
struct RefreshingCredentialsTests {
    private let mint = Mint()

    private func key(_ provider: RefreshingCredentials) -> String {
        do throws(CredentialsUnavailable) {
            return try provider.credentials().accessKeyID
        } catch {
            return error.reason
        }
    }

    @Test
    func `are fetched once, and again 15 minutes before they end`() {
        let provider = mint.provider()
        #expect(key(provider) == "KEY1")
        mint.clock.turn(seconds: 2699)
        #expect(key(provider) == "KEY1")
        mint.clock.turn(seconds: 1)
        #expect(key(provider) == "KEY2")
        #expect(mint.fetches == 2)
    }

    @Test
    func `that don't end are fetched once`() {
        mint.setLife(nil)
        let provider = mint.provider()
        #expect(key(provider) == "KEY1")
        mint.clock.turn(seconds: 1e6)
        #expect(key(provider) == "KEY1")
    }

    @Test
    func `that live for a quarter of an hour are not fetched for every request`() {
        mint.setLife(900)
        let provider = mint.provider()
        for _ in 0..<44 {
            #expect(key(provider) == "KEY1")
            mint.clock.turn(seconds: 10)
        }
        mint.clock.turn(seconds: 10)
        #expect(key(provider) == "KEY2")
    }

    @Test
    func `in the advisory window one fetches and the others go on with the old ones`() {
        let provider = mint.provider()
        #expect(key(provider) == "KEY1")
        mint.clock.turn(seconds: 2800)
        mint.close()
        let thread = startedThread("fetcher") { _ = try? provider.credentials() }
        mint.waitForCaller()
        let seen = Monitor<[String]>([])
        let others = startedThread("others") {
            for _ in 0..<3 {
                let key = key(provider)
                seen.update { $0.append(key) }
            }
        }
        seen.wait(until: .now().adding(seconds: 30)) { $0.count == 3 ? () : nil }
        #expect(seen.withLock { $0 } == ["KEY1", "KEY1", "KEY1"])
        mint.open()
        thread.join()
        others.join()
        #expect(key(provider) == "KEY2")
        #expect(mint.fetches == 2)
    }

    @Test(arguments: [0.0, 3100, 4000])
    func `in the mandatory window, and when there are none yet, all wait for one fetch`(after seconds: Double) {
        let provider = mint.provider()
        if seconds > 0 {
            #expect(key(provider) == "KEY1")
            mint.clock.turn(seconds: seconds)
        }
        mint.close()
        let seen = Monitor<[String]>([])
        let threads = (0..<8).map { number in
            startedThread("worker \(number)") {
                let key = try? provider.credentials().accessKeyID
                seen.update { $0.append(key ?? "none") }
            }
        }
        mint.waitForCaller()
        // No caller gets credentials while the fetch runs.
        let early = seen.wait(until: .now().adding(seconds: 0.2)) { $0.first }
        #expect(early == nil)
        mint.open()
        for thread in threads { thread.join() }
        #expect(Set(seen.withLock { $0 }) == [seconds > 0 ? "KEY2" : "KEY1"])
        #expect(mint.fetches == (seconds > 0 ? 2 : 1))
    }

    @Test
    func `that cannot be renewed are used to their end, tried again from time to time, and told of once`() {
        let provider = mint.provider()
        #expect(key(provider) == "KEY1")
        mint.fail(CredentialsUnavailable(reason: "STS sleeps"))
        mint.clock.turn(seconds: 2700)
        for _ in 0..<5 { #expect(key(provider) == "KEY1") }
        #expect(mint.fetches == 2)
        mint.clock.turn(seconds: 60)
        #expect(key(provider) == "KEY1")
        #expect(mint.fetches == 3)
        mint.clock.turn(seconds: 800)
        #expect(key(provider) == "KEY1")
        let notices = mint.state.withLock(\.notices)
        #expect(notices.count == 1)
        #expect(notices.first?.contains("STS sleeps") == true)
        mint.clock.turn(seconds: 40)
        #expect(key(provider) == "STS sleeps")
        mint.fail(nil)
        mint.clock.turn(seconds: 1)
        #expect(key(provider) == "KEY6")
    }

    @Test
    func `that could not be had a moment ago are not asked for by every worker`() {
        mint.fail(CredentialsUnavailable(reason: "no"))
        let provider = mint.provider()
        for _ in 0..<5 { #expect(key(provider) == "no") }
        #expect(mint.fetches == 1)
        mint.clock.turn(seconds: 1)
        #expect(key(provider) == "no")
        #expect(mint.fetches == 2)
    }

    @Test
    func `end with the wall clock when the machine has slept`() {
        let provider = mint.provider()
        #expect(key(provider) == "KEY1")
        mint.clock.setWall(forward: 7200)
        #expect(key(provider) == "KEY2")
    }

    @Test
    func `do not live longer when the wall clock is set back`() {
        let provider = mint.provider()
        #expect(key(provider) == "KEY1")
        mint.clock.setWall(forward: -86_400)
        mint.clock.turn(seconds: 2699)
        #expect(key(provider) == "KEY1")
        mint.clock.turn(seconds: 901)
        #expect(key(provider) == "KEY2")
    }

    @Test
    func `that have ended by this machine's clock when they come are left to the store to judge`() {
        mint.setLife(-1200)
        let provider = mint.provider()
        for _ in 0..<3 { #expect(key(provider) == "KEY1") }
        #expect(mint.fetches == 1)
    }

    @Test
    func `that the store refuses are renewed once for all, and not again before it has accepted the new ones`() throws {
        let provider = mint.provider()
        let first = try provider.credentials()
        mint.close()
        let threads = (0..<8).map { number in
            startedThread("worker \(number)") { #expect((try? provider.renew(refused: first)) == true) }
        }
        mint.waitForCaller()
        mint.open()
        for thread in threads { thread.join() }
        #expect(mint.fetches == 2)

        let second = try provider.credentials()
        #expect(second.accessKeyID == "KEY2")
        #expect(try provider.renew(refused: second) == false)
        #expect(try provider.renew(refused: first) == true)
        provider.noteAccepted()
        #expect(try provider.renew(refused: second) == true)
        #expect(key(provider) == "KEY3")
    }

    @Test
    func `that the store refuses and that cannot be renewed are the end, with the reason`() throws {
        let provider = mint.provider()
        let first = try provider.credentials()
        mint.fail(CredentialsUnavailable(reason: "gone"))
        #expect(throws: CredentialsUnavailable(reason: "gone")) { try provider.renew(refused: first) }
        #expect(key(provider) == "gone")
    }

    @Test
    func `are asked for at the start, and only what cannot succeed later is an error there`() throws {
        mint.fail(CredentialsUnavailable(reason: "unreachable", isTransient: true))
        _ = try mint.provider().fetched()
        mint.fail(CredentialsUnavailable(reason: "denied"))
        #expect(throws: CredentialsUnavailable(reason: "denied")) { try mint.provider().fetched() }
    }
}
