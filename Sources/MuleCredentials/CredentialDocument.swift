import MuleJSON
import MulePlan
import MuleSigning

/// Temporary credentials in JSON, from a program or a service. No error quotes any of it.
struct CredentialDocument {
    private let members: [String: JSONValue]

    /// The names of the keys, the token and the expiration: they differ between services.
    struct Names {
        var accessKeyID = "AccessKeyId"
        var secretAccessKey = "SecretAccessKey"
        var sessionToken = "SessionToken"
        var expiration = "Expiration"
    }

    /// Why a document cannot be used, as the end of a sentence about its source.
    struct Unusable: Error {
        var reason: String
    }

    init(_ bytes: [UInt8]) throws(Unusable) {
        guard !bytes.allSatisfy({ $0 <= 0x20 }) else { throw Unusable(reason: "nothing") }
        let value: JSONValue
        do {
            value = try JSONReader.read(bytes)
        } catch {
            // The JSON reader's reason may quote the document.
            throw Unusable(reason: "something that is not JSON (line \(error.line), column \(error.column))")
        }
        guard case .object(let members) = value else { throw Unusable(reason: "JSON that is not an object { }") }
        self.members = members
    }

    private init(members: [String: JSONValue]) {
        self.members = members
    }

    subscript(name: String) -> JSONValue? { members[name] }

    /// The document with these members replaced.
    func replacing(_ others: [String: JSONValue]) -> JSONValue { .object(members.merging(others) { $1 }) }

    /// A text that exists and is not empty.
    func text(_ name: String) -> String? {
        guard case .string(let text)? = members[name], !text.isEmpty else { return nil }
        return text
    }

    /// The object with this name.
    func object(_ name: String) -> CredentialDocument? {
        guard case .object(let members)? = members[name] else { return nil }
        return CredentialDocument(members: members)
    }

    /// - Throws: If a key is missing, or a value is invalid.
    func credentials(_ names: Names = Names(), needsToken: Bool = false) throws(Unusable) -> Credentials {
        let id = try required(names.accessKeyID)
        let secret = try required(names.secretAccessKey)
        let token = needsToken ? try required(names.sessionToken) : try optional(names.sessionToken)
        for (name, text) in [(names.accessKeyID, id), (names.sessionToken, token ?? "")]
        where !StaticKeys.fitsIntoHeader(text) {
            throw Unusable(reason: "a \(name) with a character that is not allowed in a key")
        }
        return Credentials(
            accessKeyID: id,
            secretAccessKey: secret,
            sessionToken: token,
            expiration: try time(names.expiration)
        )
    }

    private func required(_ name: String) throws(Unusable) -> String {
        guard let text = try optional(name) else { throw Unusable(reason: "JSON without \(name)") }
        return text
    }

    private func optional(_ name: String) throws(Unusable) -> String? {
        switch members[name] {
        case nil, .null?: return nil
        case .string(let text)?: return text.isEmpty ? nil : text
        default: throw Unusable(reason: "a \(name) that is not a string")
        }
    }

    /// A text in RFC 3339 format, or milliseconds since 1970.
    private func time(_ name: String) throws(Unusable) -> UTCTime? {
        if case .int(let milliseconds)? = members[name] { return UTCTime(millisecondsSince1970: milliseconds) }
        guard let text = try optional(name) else { return nil }
        guard let time = UTCTime(rfc3339: text) else {
            throw Unusable(reason: "\(name) in a form other than 2026-11-20T23:56:00Z")
        }
        return time
    }
}
