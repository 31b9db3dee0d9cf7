package import MulePlan

/// An access key with its secret. Printing, interpolating or dumping the value shows neither secret nor session token.
package struct Credentials: Sendable {
    package let accessKeyID: String
    package let secretAccessKey: String
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
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
    }
}

extension Credentials: Equatable {
    /// As bytes: `String ==` treats two spellings of an accent as equal.
    package static func == (left: Credentials, right: Credentials) -> Bool {
        left.accessKeyID.utf8.elementsEqual(right.accessKeyID.utf8)
            && left.secretAccessKey.utf8.elementsEqual(right.secretAccessKey.utf8)
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
