import MulePlan
import MuleSigning

/// The three texts of static credentials, with the names that users know.
struct StaticKeys {
    /// A text with the name of its variable or setting, for errors.
    struct Field {
        var name: String
        var value: String?
    }

    var accessKeyID: Field
    var secretAccessKey: Field
    var sessionToken: Field
    /// The source, as the start of a sentence: "the environment".
    var place: String
    var expiration: UTCTime?

    /// The credentials; nil if both keys are missing.
    ///
    /// - Throws: If one of the two is missing, or one is invalid. The message has the field's name, never its value.
    func credentials() throws(CredentialsUnavailable) -> Credentials? {
        switch (accessKeyID.value, secretAccessKey.value) {
        case (nil, nil):
            return nil
        case (_?, nil):
            throw missing(secretAccessKey, beside: accessKeyID)
        case (nil, _?):
            throw missing(accessKeyID, beside: secretAccessKey)
        case (let id?, let secret?):
            try check(accessKeyID, Self.fitsIntoHeader)
            try check(sessionToken, Self.fitsIntoHeader)
            // Other stores accept any text here; only obvious mistakes are refused.
            try check(secretAccessKey) { text in
                text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } && !text.contains(" #") && !text.contains(" ;")
            }
            return Credentials(
                accessKeyID: id,
                secretAccessKey: secret,
                sessionToken: sessionToken.value,
                expiration: expiration
            )
        }
    }

    /// Access key and session token are sent in headers unchanged.
    static func fitsIntoHeader(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }

    private static func isQuoted(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count > 1, first == text.utf8.last else { return false }
        return first == UInt8(ascii: "\"") || first == UInt8(ascii: "'")
    }

    private func missing(_ field: Field, beside other: Field) -> CredentialsUnavailable {
        CredentialsUnavailable(
            reason: "\(place) has \(other.name), but not \(field.name); set both, or remove \(other.name)"
        )
    }

    private func check(_ field: Field, _ isPossible: (String) -> Bool) throws(CredentialsUnavailable) {
        guard let value = field.value else { return }
        // AWS's files and `docker --env-file` keep quotes, and the store would only say that the key is unknown.
        if Self.isQuoted(value) {
            throw CredentialsUnavailable(
                reason: "\(place) has \(field.name) in quotes, which would be part of the value; remove them"
            )
        }
        guard !isPossible(value) else { return }
        throw CredentialsUnavailable(
            reason: "\(place) has \(field.name) with a space, a line break or another character that is not allowed in "
                + "a key; copy it again, without quotes and without a comment after it"
        )
    }
}
