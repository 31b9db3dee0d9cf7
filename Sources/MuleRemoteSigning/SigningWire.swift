// The call and the answer of `POST /v1/sign`, and the comparison of the two.

import MuleJSON
import MulePlan
import MuleSigning

/// A request that a signer is asked to sign.
struct SigningRequest: Sendable {
    let action: RequestAction
    let method: String
    /// The headers to be signed besides `host`, names in lower case, and `content-length` for the signer to judge.
    let headers: [String: String]
    /// The value of `x-amz-content-sha256`.
    let payloadHash: String

    init(_ request: SignableRequest, _ action: RequestAction) {
        self.action = action
        method = request.method
        payloadHash = request.payload.headerValue
        var headers = ["x-amz-content-sha256": payloadHash]
        for header in request.headers {
            let name = header.name.lowercased()
            guard name == "content-type" || name == "content-md5" || name.hasPrefix("x-amz-") else { continue }
            headers[name] = headers[name].map { $0 + "," + header.value } ?? header.value
        }
        if action.length > 0 { headers["content-length"] = String(action.length) }
        self.headers = headers
    }

    /// For messages.
    var name: String {
        let object = action.key.map { "\(action.bucket)/\($0.string)" } ?? action.bucket
        return "\(action.operation) of \(object)" + (action.part.map { ", part \($0)" } ?? "")
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "operation": .string(action.operation), "bucket": .string(action.bucket), "method": .string(method),
            "url": .string(action.url), "headers": .object(headers.mapValues { .string($0) }),
        ]
        if let key = action.key { members["key"] = .string(key.string) }
        if let part = action.part { members["part"] = .int(Int64(part)) }
        if let uploadID = action.uploadID { members["uploadID"] = .string(uploadID) }
        return .object(members)
    }
}

enum SigningWire {
    /// Most requests in a call.
    static let mostRequests = 64

    /// What is wrong with an answer, in words that follow on "The signer".
    enum Problem: Error, Hashable, Sendable {
        /// It cannot be read.
        case unreadable(String)
        /// It can, and is not for what was asked.
        case untrusted(String)
    }

    typealias Headers = [(name: String, value: String)]

    static func call(_ requests: [SigningRequest]) -> [UInt8] {
        let document: JSONValue = ["requests": .array(requests.map(\.json))]
        return Array(document.line.utf8)
    }

    /// The headers that sign the requests, in their order. Everything else in the answer is ignored.
    static func read(_ answer: [UInt8], for requests: [SigningRequest]) throws(Problem) -> [Headers] {
        let value: JSONValue
        do { value = try JSONReader.read(answer) } catch {
            throw .unreadable("sent an answer that is not JSON (line \(error.line), column \(error.column))")
        }
        guard case .object(let members) = value else { throw .unreadable("sent an answer that is not an object") }
        let date = try time("date", members)
        let until = try time("until", members)
        guard case .array(let entries)? = members["signed"] else {
            throw .unreadable("sent an answer without \"signed\"")
        }
        guard entries.count == requests.count else {
            throw .untrusted("answered \(requests.count) requests with \(entries.count) signatures")
        }
        guard until > date else { throw .untrusted("sent signatures that have expired") }
        var signed: [Headers] = []
        for (entry, request) in zip(entries, requests) { signed.append(try headers(entry, request, date: date)) }
        return signed
    }

    private static func time(_ name: String, _ members: [String: JSONValue]) throws(Problem) -> UTCTime {
        guard case .string(let text)? = members[name], let time = UTCTime(iso8601: text) else {
            throw .unreadable("sent an answer without a \"\(name)\" such as 2026-11-30T12:00:00Z")
        }
        return time
    }

    private static let allowed: Set<String> = [
        "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token",
    ]
    /// Milliseconds. A store refuses a signature that is older, or dated that far in the future.
    private static let longestAge: Int64 = 900_000

    private static func headers(
        _ entry: JSONValue,
        _ request: SigningRequest,
        date: UTCTime
    ) throws(Problem) -> Headers {
        guard case .object(let members) = entry, case .string(let method)? = members["method"],
            case .string(let url)? = members["url"], case .object(let values)? = members["headers"]
        else { throw .unreadable("sent a signature without \"method\", \"url\" and \"headers\"") }
        guard method.utf8.elementsEqual(request.method.utf8) else {
            throw .untrusted("was asked for \(request.method) and signed another method")
        }
        guard url.utf8.elementsEqual(request.action.url.utf8) else {
            throw .untrusted("was asked to sign \(request.name) and signed another URL")
        }
        var headers: [String: String] = [:]
        for (name, value) in values {
            let name = name.lowercased()
            guard allowed.contains(name) else { throw .untrusted("adds a header that does not belong to a signature") }
            guard case .string(let text) = value, (1...8192).contains(text.utf8.count),
                text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }), headers.updateValue(text, forKey: name) == nil
            else { throw .unreadable("sent a header that cannot be one") }
        }
        guard let authorization = headers["authorization"], authorization.hasPrefix("AWS4-HMAC-SHA256 ") else {
            throw .unreadable("sent no Signature Version 4")
        }
        guard headers["x-amz-content-sha256"] == request.payloadHash else {
            throw .untrusted("signed another body than it was asked for")
        }
        guard let signedAt = headers["x-amz-date"].flatMap(UTCTime.init(basic:)) else {
            throw .unreadable("sent no x-amz-date")
        }
        guard abs(signedAt.millisecondsSince1970 - date.millisecondsSince1970) <= longestAge else {
            throw .untrusted("sent a signature that is not of now")
        }
        return headers.map { ($0.key, $0.value) }
    }
}
