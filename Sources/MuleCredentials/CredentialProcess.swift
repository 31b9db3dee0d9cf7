import MuleJSON
import MuleSigning
import MuleSystem

/// `credential_process` of a profile: a program that prints credentials.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
///
/// It is run without a shell, and again before its credentials expire. Its output is never shown; if it fails, its
/// standard error goes to the terminal, without text that looks like a key.
struct CredentialProcess: CredentialSource {
    let profile: Profile?
    let context: CredentialContext
    var timeout = 60.0

    var origin: String { "credential_process of the profile \"\(profile?.name ?? "")\"" }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let profile, let command = profile["credential_process"] else { return nil }
        let name = "the credential_process of the profile \"\(profile.name)\""
        guard let words = shellWords(command), !words.isEmpty else {
            throw CredentialsUnavailable(
                reason: "\(name) cannot be split into words: a quote is not closed, or it is empty"
            )
        }
        let process = ChildProcess(words: words, environment: context.environment, timeout: timeout)
        return try RefreshingCredentials(context) { [context] () throws(CredentialsUnavailable) in
            try Self.fetch(process, name, context: context)
        }.fetched()
    }

    private static func fetch(
        _ process: ChildProcess,
        _ name: String,
        context: CredentialContext
    ) throws(CredentialsUnavailable) -> Credentials {
        let outcome: ChildProcess.Outcome
        do throws(SystemError) {
            outcome = try process.run(context.cancellation)
        } catch {
            throw CredentialsUnavailable(
                reason: "\(name) cannot be started: \(error.reason); check its path and its permissions"
            )
        }
        if let problem = problem(outcome.end, process) {
            let words = Redactor.masked(
                outcome.lastError,
                isCut: outcome.lastError.count >= ChildProcess.errorLimit
            )
            if !words.isEmpty { context.notice("\(name) says: \(words)") }
            throw CredentialsUnavailable(reason: "\(name) \(problem)", isTransient: outcome.end == .cancelled)
        }
        do throws(CredentialDocument.Unusable) {
            let document = try CredentialDocument(outcome.output)
            guard document["Version"] == .int(1) else {
                throw CredentialDocument.Unusable(reason: "JSON whose Version is not 1")
            }
            return try document.credentials()
        } catch {
            throw CredentialsUnavailable(
                reason:
                    "\(name) printed \(error.reason); it must print JSON with Version, AccessKeyId and SecretAccessKey"
            )
        }
    }

    /// Why there is no output; nil if there is.
    private static func problem(_ end: ChildProcess.End, _ process: ChildProcess) -> String? {
        switch end {
        case .exit(0): nil
        case .unknown: "ended for an unknown reason"
        case .exit(let status): "failed with exit status \(status); run it by hand to see why"
        case .signal(let number): "was killed by signal \(number); run it by hand to see why"
        case .timeout:
            "did not exit within \(Int(process.timeout)) s and was stopped; it has no terminal and cannot prompt for "
                + "anything"
        case .tooMuchOutput: "printed more than \(process.outputLimit >> 10) KiB, which is too much"
        case .cancelled: "was stopped"
        }
    }
}
