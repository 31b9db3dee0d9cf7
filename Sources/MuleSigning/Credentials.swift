import MuleDigest
package import MulePlan

/// An access key with its secret or a signing key. Printing, interpolating or dumping the value shows neither these nor
/// the session token.
package struct Credentials: Sendable {
    /// What signatures are made with.
    package enum Key: Sendable {
        /// The secret access key: for any day, region and service.
        case secret(String)
        /// A key that was derived from it, for one day, region and service.
        case signing(SigningKey)
    }

    package let accessKeyID: String
    package let key: Key
    /// Part of temporary credentials.
    package let sessionToken: String?
    /// When temporary credentials expire, if known.
    package let expiration: UTCTime?

    package init(
        accessKeyID: String,
        secretAccessKey: String,
        sessionToken: String? = nil,
        expiration: UTCTime? = nil
    ) {
        self.accessKeyID = accessKeyID
        key = .secret(secretAccessKey)
        self.sessionToken = sessionToken
        self.expiration = expiration
    }

    package init(accessKeyID: String, signingKey: SigningKey, sessionToken: String? = nil) {
        self.accessKeyID = accessKeyID
        key = .signing(signingKey)
        self.sessionToken = sessionToken
        expiration = nil
    }

    /// Nil where a signing key is all that is known.
    package var secretAccessKey: String? { if case .secret(let secret) = key { secret } else { nil } }

    /// Nil for what can sign on any day.
    package var signingKey: SigningKey? { if case .signing(let key) = key { key } else { nil } }

    /// Whether signatures by both are the same, but for the token, which has no part in the key.
    func hasSameKey(as other: Credentials) -> Bool {
        guard isSame(accessKeyID, other.accessKeyID) else { return false }
        return switch (key, other.key) {
        case (.secret(let mine), .secret(let theirs)): isSame(mine, theirs)
        case (.signing(let mine), .signing(let theirs)): mine == theirs
        case (.secret, .signing), (.signing, .secret): false
        }
    }
}

/// A key that signs requests of one day to one service in one region (kSigning of Signature Version 4). It is given to
/// hosts that must not hold the secret key, which cannot be computed from it.
/// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
package struct SigningKey: Sendable, Equatable {
    /// 32 bytes.
    let bytes: [UInt8]
    /// The UTC day as a credential scope has it: `20261130`.
    package let date: String
    package let region: String
    package let service: String

    /// - Parameter hex: 64 hexadecimal digits.
    /// - Returns: nil for a key or a day that is none.
    package init?(hex: String, date: String, region: String, service: String = "s3") {
        guard let bytes = Hex.decode(hex), bytes.count == 32, UTCTime(basicDate: date) != nil else { return nil }
        self.bytes = bytes
        self.date = date
        self.region = region
        self.service = service
    }

    /// The moment closest to a time at which the key signs.
    func moment(closestTo time: UTCTime) -> UTCTime {
        guard let start = UTCTime(basicDate: date) else { return time }
        return min(max(time, start), start.adding(milliseconds: 86_399_000))
    }
}

extension SigningKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SigningKey(\(date)/\(region)/\(service))" }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(self, children: ["date": date, "region": region], displayStyle: .struct)
    }
}

extension Credentials: Equatable {
    /// As bytes: `String ==` treats two spellings of an accent as equal.
    package static func == (left: Credentials, right: Credentials) -> Bool {
        left.hasSameKey(as: right)
            && left.sessionToken.map { Array($0.utf8) } == right.sessionToken.map { Array($0.utf8) }
            && left.expiration == right.expiration
    }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String {
        let end = expiration.map { ", expires \($0.iso8601)" } ?? ""
        return "Credentials(\(accessKeyID)\(sessionToken == nil ? "" : ", temporary")\(end))"
    }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(self, children: ["accessKeyID": accessKeyID, "isTemporary": sessionToken != nil], displayStyle: .struct)
    }
}
