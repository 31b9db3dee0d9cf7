import MuleSigning

/// A credential source that AWS's tools support and mule does not. It has its place in the order of sources, and tells
/// what to do instead of signing with other credentials.
struct UnsupportedSource: CredentialSource {
    /// Its name in messages.
    enum Way: String {
        case login = "a console login"
    }

    let way: Way
    /// The setting or variable that uses it; nil if none does.
    let trigger: String?
    /// What requires it, as the start of a sentence.
    let asker: String
    let advice: ExportAdvice

    /// Used if the profile has one of these settings; the first one counts.
    init(_ way: Way, settings: [String], of profile: Profile?, advice: ExportAdvice) {
        self.way = way
        trigger = settings.first { profile?[$0] != nil }
        asker = "the profile \"\(profile?.name ?? "")\""
        self.advice = advice
    }

    var origin: String { way.rawValue }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let trigger else { return nil }
        throw CredentialsUnavailable(
            reason: "\(asker) requires \(way.rawValue) (\(trigger)), which this version of mule does not support; "
                + "\(advice.text)"
        )
    }
}

/// How to pass any credentials to mule: the AWS command line supports all sources and prints the result.
struct ExportAdvice {
    let selection: ProfileSelection

    var text: String {
        guard let name = selection.name else { return "run \(command("")) first" }
        let quoted = Self.shellWord(name)
        let first = "run \(command(" --profile \(quoted)")) first"
        guard selection.isExplicit else { return first }
        return "\(first), then mule with AWS_PROFILE=\(quoted) instead of --profile, because --profile overrides keys "
            + "in the environment"
    }

    // Version 1 of the AWS command line has no export-credentials.
    private func command(_ option: String) -> String {
        "eval \"$(aws configure export-credentials\(option) --format env)\" (AWS CLI 2)"
    }

    static func shellWord(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_.@/+".utf8.contains(byte)
            }
        }
        if isPlain { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
