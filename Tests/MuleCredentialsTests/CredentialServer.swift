import MuleCredentials
import MuleSigning
import MuleSystem
import TestSupport

/// A service that hands out credentials, on a free port: what a test says to each request, and what was asked.
final class CredentialServer: Sendable {
    struct Request: Sendable {
        /// `POST /path?query`
        var line: String
        /// Lower-case names.
        var headers: [String: String]
        var body: String

        /// A parameter of a form.
        func form(_ name: String) -> String? {
            body.split(separator: "&").first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
        }
    }

    struct Answer: Sendable, ExpressibleByStringLiteral {
        var status = "200 OK"
        var body: String

        init(_ body: String, status: String = "200 OK") { (self.body, self.status) = (body, status) }
        init(stringLiteral value: String) { self.init(value) }
    }

    private let log = Monitor<[Request]>([])
    private let server: ScriptedServer

    /// - Parameter reply: nil never answers the request.
    init(_ reply: @escaping @Sendable (Request) -> Answer?) {
        server = ScriptedServer { [log] peer in
            while let head = peer.head() {
                let body = String(decoding: peer.body(Peer.contentLength(head) ?? 0), as: UTF8.self)
                let lines = head.split(separator: "\r\n").map(String.init)
                let pairs = lines.dropFirst().compactMap { line -> (String, String)? in
                    guard let colon = line.firstIndex(of: ":") else { return nil }
                    let value = line[line.index(after: colon)...].drop { $0 == " " }
                    return (line[..<colon].lowercased(), String(value))
                }
                let request = Request(
                    line: lines[0].replacing(" HTTP/1.1", with: ""),
                    headers: Dictionary(pairs) { $1 },
                    body: body
                )
                log.update { $0.append(request) }
                guard let answer = reply(request) else { return peer.waitForClose() }
                peer.answer(answer.body, status: answer.status)
            }
        }
    }

    var url: String { server.url }
    var requests: [Request] { log.withLock { $0 } }

    /// What the token service answers to an action.
    static func sts(_ action: String, id: String, expiration: String = "2126-11-20T23:56:00Z") -> Answer {
        Answer(
            """
            <\(action)Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><\(action)Result><Credentials>\
            <AccessKeyId>\(id)</AccessKeyId><SecretAccessKey>s/\(id)</SecretAccessKey>\
            <SessionToken>token-\(id)</SessionToken><Expiration>\(expiration)</Expiration></Credentials>\
            </\(action)Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></\(action)Response>
            """
        )
    }

    static func refusal(_ code: String, _ message: String, status: String = "403 Forbidden") -> Answer {
        Answer(
            "<ErrorResponse><Error><Type>Sender</Type><Code>\(code)</Code><Message>\(message)</Message></Error>"
                + "<RequestId>r</RequestId></ErrorResponse>",
            status: status
        )
    }

    /// What services on the machine itself answer.
    static func metadata(id: String) -> Answer {
        Answer(
            #"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"\#(id)","SecretAccessKey":"s","Token":"t-\#(id)","#
                + #""Expiration":"2126-11-20T23:56:00Z","LastUpdated":"2026-11-20T23:56:00Z"}"#
        )
    }
}

extension SharedFilesFixture {
    /// The provider, or the sentence that says why there is none.
    func resolved(profile: String? = nil) throws -> Result<any CredentialsProvider, CredentialsUnavailable> {
        let found = try awsEnvironment(profile: profile)
        do throws(CredentialsUnavailable) {
            return .success(try found.credentialsProvider())
        } catch {
            return .failure(error)
        }
    }
}
