import Glibc
import MuleJSON
import MulePlan
import MuleSigning
import MuleSystem
import MuleTransport
import TestSupport
import Testing

@testable import MuleRemoteSigning

/// Asking a signer over HTTP: calls that are shared, refusals, and answers of every kind.
struct RemoteSignerTests {
    private static let token = "token-that-must-not-show"

    private func signer(_ server: ScriptedServer, patience: Double = 3, apiKey: Bool = false) throws -> RemoteSigner {
        RemoteSigner(
            SignerClient(
                try SignerAddress(server.url),
                token: SignerToken(Array(Self.token.utf8)),
                sendsAPIKey: apiKey,
                transport: TransportSettings(userAgent: "mule-tests/1"),
                patience: patience,
                cancellation: Cancellation()
            )
        )
    }

    private static func sign(_ signer: RemoteSigner, _ key: String = "key") -> Result<
        RequestSignature, CredentialsUnavailable
    > {
        let request = SignableRequest(method: "PUT", host: "h", encodedPath: "/b/\(key)", payload: .unsigned)
        let action = RequestAction(operation: "PutObject", bucket: "b", key: ObjectKey(key), url: "https://h/b/\(key)")
        return Result { () throws(CredentialsUnavailable) in
            try signer.sign(request, action, at: UTCTime(secondsSince1970: 0))
        }
    }

    /// On a thread of its own: it blocks.
    private func sign(_ signer: RemoteSigner) async -> Result<RequestSignature, CredentialsUnavailable> {
        await withCheckedContinuation { continuation in
            DetachedThread.start { continuation.resume(returning: Self.sign(signer)) }
        }
    }

    /// What a signer answers that refuses keys with "bad" in their names.
    private static func answer(_ peer: Peer) -> Bool {
        guard let head = peer.head() else { return false }
        let body = peer.body(Peer.contentLength(head) ?? 0)
        guard case .object(let call)? = try? JSONReader.read(body), case .array(let requests)? = call["requests"] else {
            return false
        }
        var signed: [JSONValue] = []
        for case .object(let request) in requests {
            guard case .string(let url)? = request["url"] else { continue }
            if url.contains("bad") {
                peer.answer(#"{"detail":"not below in/"}"#, status: "403 Forbidden")
                return true
            }
            signed.append(
                SigningWireTests.entry(method: "PUT", url: url)
            )
        }
        peer.answer(String(decoding: SigningWireTests.answer(signed), as: UTF8.self))
        return true
    }

    @Test func `the token goes in headers and nowhere else`() async throws {
        let server = ScriptedServer { peer in while Self.answer(peer) {} }
        let signature = try await sign(try signer(server, apiKey: true)).get()
        #expect(signature.headers.count == 3)
        let head = try #require(server.heads.first?.lowercased())
        #expect(head.hasPrefix("post /v1/sign http/1.1"))
        #expect(head.contains("authorization: bearer \(Self.token)") && head.contains("x-api-key: \(Self.token)"))
        #expect(head.contains("content-type: application/json"))
        #expect(!server.bodies.contains { String(decoding: $0, as: UTF8.self).contains(Self.token) })
    }

    @Test func `workers that ask while calls are under way share the next one`() async throws {
        let gate = Monitor(false)
        let server = ScriptedServer { peer in
            gate.wait { $0 ? () : nil }
            while Self.answer(peer) {}
        }
        let signer = try signer(server, patience: 60)
        let count = 40
        let answers = Monitor<[(isBad: Bool, answer: Result<RequestSignature, CredentialsUnavailable>)]>([])
        for number in 1...count {
            DetachedThread.start {
                let isBad = number % 10 == 0
                let answer = Self.sign(signer, isBad ? "bad\(number)" : "k\(number)")
                answers.update { $0.append((isBad, answer)) }
            }
        }
        // Off the threads that all tests share: calls have a time limit.
        await withCheckedContinuation { continuation in
            DetachedThread.start {
                // Four calls hang, and all others wait.
                while server.connections < 4 || signer.waiting < count - 4 { usleep(2_000) }
                gate.update { $0 = true }
                answers.wait { $0.count == count ? () : nil }
                continuation.resume()
            }
        }
        for (isBad, answer) in answers.withLock({ $0 }) {
            switch answer {
            case .success: #expect(!isBad)
            case .failure(let failure): #expect(isBad && failure.kind == .refused, "\(failure)")
            }
        }
        let sizes = server.bodies.map {
            String(decoding: $0, as: UTF8.self).split(separator: "\"operation\"").count - 1
        }
        // A call with a refused request in it is asked again one by one.
        #expect(sizes.contains { $0 > 10 }, "\(sizes)")
    }

    private static let kinds: [(String, CredentialsUnavailable.Kind, Bool)] = [
        ("HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n", .credentials, false),
        ("HTTP/1.1 403 X\r\nContent-Length: 23\r\n\r\n{\"message\":\"Forbidden\"}", .credentials, false),
        ("HTTP/1.1 403 X\r\nContent-Length: 17\r\n\r\n{\"detail\":\"nope\"}", .refused, false),
        ("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", .unreadable, false),
        ("HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", .unreadable, false),
        ("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", .unreachable, true),
        ("HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", .unreachable, true),
        ("HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\nfoo", .unreadable, false),
        ("HTTP/1.1 200 X\r\nContent-Length: 300\r\n\r\nfoo", .unreachable, true),
        ("HTTP/1.1 200 X\r\nContent-Length: 99999999\r\n\r\n", .unreadable, false),
    ]

    @Test(arguments: kinds.indices)
    func `answers that sign nothing are told apart`(_ index: Int) async throws {
        let (text, kind, isTransient) = Self.kinds[index]
        let server = ScriptedServer { peer in
            while peer.request() != nil {
                peer.send(text)
                if text.contains("300") { return }
                if text.contains("9999") { while peer.send([UInt8](repeating: 0x20, count: 1 << 16)) {} }
            }
        }
        guard case .failure(let failure) = await sign(try signer(server)) else {
            Issue.record("signed")
            return
        }
        #expect(failure.kind == kind, "\(failure)")
        #expect(failure.isTransient == isTransient)
        #expect(failure.retryAfter == (text.contains("429") ? 7 : nil))
        #expect(server.connections == 1)
    }

    @Test func `a signer that is silent is not waited for`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            peer.waitForClose()
        }
        guard case .failure(let failure) = await sign(try signer(server)) else {
            Issue.record("signed")
            return
        }
        #expect(failure.kind == .unreachable && failure.isTransient)
    }

    @Test func `words of the signer are shown without the token and signatures`() async throws {
        let server = ScriptedServer { peer in
            peer.request()
            let long = String(repeating: "a1", count: 32)
            peer.answer(#"{"detail":"no\n\#(Self.token) for \#(long) here."}"#, status: "403 X")
        }
        guard case .failure(let failure) = await sign(try signer(server)) else {
            Issue.record("signed")
            return
        }
        #expect(failure.reason.contains("no [hidden] for [hidden] here. "), "\(failure.reason)")
    }

    @Test func `a refused signature is replaced once, and again after the store has accepted one`() async throws {
        let server = ScriptedServer { peer in while Self.answer(peer) {} }
        let signer = try signer(server)
        let first = try await sign(signer).get()
        #expect(try signer.renew(refused: first))
        // Another worker sees the same refusal later.
        #expect(try signer.renew(refused: first))
        let second = try await sign(signer).get()
        #expect(try !signer.renew(refused: second))
        signer.noteAccepted()
        #expect(try signer.renew(refused: second))
    }
}
