import MuleSigning

/// A way to credentials that AWS's tools know and mule does not go. Its place in the order of sources is where a real
/// source will stand; until then it says what to do instead, rather than sign as someone else.
struct UnsupportedSource: CredentialSource {
    /// How people call it.
    enum Way: String {
        case login = "a login of the console"
    }

    let way: Way
    /// The setting or variable that asks for it; nil when nothing does.
    let trigger: String?
    /// Who asks, as the beginning of a sentence.
    let asker: String
    let advice: ExportAdvice

    /// Asked for by the first of the profile's settings that is there.
    init(_ way: Way, settings: [String], of profile: Profile?, advice: ExportAdvice) {
        self.way = way
        trigger = settings.first { profile?[$0] != nil }
        asker = "the profile \"\(profile?.name ?? "")\""
        self.advice = advice
    }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let trigger else { return nil }
        throw CredentialsUnavailable(
            reason: "\(asker) asks for \(way.rawValue) (\(trigger)), which this version of mule can't use;"
                + " \(advice.text)"
        )
    }
}

/// How to get credentials of any kind into mule: the AWS command line knows all the ways and prints what it found.
struct ExportAdvice {
    let selection: ProfileSelection

    var text: String {
        guard let name = selection.name else { return "run \(command("")) first" }
        let quoted = Self.shellWord(name)
        let first = "run \(command(" --profile \(quoted)")) first"
        guard selection.isExplicit else { return first }
        return "\(first), then mule with AWS_PROFILE=\(quoted) in place of --profile, for a profile named by a flag"
            + " outranks keys in the environment"
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
