import MuleCredentials
import MuleJSON
import MulePlan
import MuleSources
import MuleSystem

/// The answers to `mule config init`, and the configuration file made from them.
struct ConfigAnswers {
    struct Job {
        var name: String
        var source: String
        var destination: String
        /// Nil for the default, which is to keep the file.
        var after: String?
    }

    var store = StoreOptions()
    /// Whether the keys come from this shell's variables.
    var usesVariables = false
    var bucket: String?
    var job: Job?

    /// The configuration file, indented by two spaces, with the answers only.
    var document: String {
        var members = [("endpointURL", store.endpointURL), ("region", store.region), ("profile", store.profile)]
            .compactMap { name, value in value.map { (name, JSONValue.string($0).line) } }
        if let job {
            let keys = [("source", job.source), ("destination", job.destination), ("after", job.after)]
                .compactMap { name, value in value.map { (name, JSONValue.string($0).line) } }
            members.append(("jobs", Self.object([(job.name, Self.object(keys, indent: 4))], indent: 2)))
        }
        return Self.object(members, indent: 0) + "\n"
    }

    private static func object(_ members: [(name: String, value: String)], indent: Int) -> String {
        guard !members.isEmpty else { return "{}" }
        let margin = String(repeating: " ", count: indent)
        let lines = members.map { "\(margin)  \(JSONValue.string($0.name).line): \($0.value)" }
        return "{\n" + lines.joined(separator: ",\n") + "\n\(margin)}"
    }

    // MARK: Variables

    /// The environment without the variables that the answers replace: an estimate of what cron and systemd provide.
    func environment(below environment: [String: String]) -> [String: String] {
        var names = [
            "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3",
        ]
        if !usesVariables { names += ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] }
        return environment.filter { !names.contains($0.key) }
    }

    /// Variables that make a run in this shell differ from the file, and variables that a job without this shell lacks.
    func findings(about environment: [String: String]) -> [Finding] {
        func variable(_ names: String...) -> (name: String, value: String)? {
            names.lazy.compactMap { name in environment[name].flatMap { $0.isEmpty ? nil : (name, $0) } }.first
        }
        var findings: [Finding] = []
        func compare(_ key: String, _ own: String?, found: (name: String, value: String)?) {
            guard let found, found.value != own else { return }
            findings.append(
                .warning(
                    "configuration",
                    "\(key): in this shell \(found.name) is set, and takes precedence over the file. Unset it to use "
                        + "the file."
                )
            )
        }
        compare(
            "endpointURL",
            store.endpointURL,
            found: variable("MULE_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        )
        compare("region", store.region, found: variable("MULE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"))
        if usesVariables {
            if job != nil {
                findings.append(
                    .warning(
                        "credentials",
                        "cron and systemd do not have this shell's AWS_ACCESS_KEY_ID. Write the keys into a profile "
                            + "(aws configure --profile NAME) and its name into the file as \"profile\"."
                    )
                )
            }
        } else {
            compare("profile", store.profile, found: variable("MULE_PROFILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"))
            compare("profile", nil, found: variable("AWS_ACCESS_KEY_ID"))
        }
        return findings
    }
}

/// The questions of `mule config init`. Answers are parsed like the configuration file.
struct ConfigInterview {
    let questions: Questions
    let arguments: Arguments
    let environment: [String: String]

    private typealias Default = Questions.Default

    func answers() throws(CommandFailure) -> ConfigAnswers {
        var answers = ConfigAnswers()
        let settings = awsSettings
        answers.store.endpointURL = try endpoint(settings.endpointURL)
        let region = settings.region.flatMap { try? OptionValue.region($0) } ?? "us-east-1"
        answers.store.region = try questions.ask("Region", default: Default(shown: region, value: region)) {
            text throws(BadAnswer) in
            try Self.checked("region", text, rows: ConfigurationKey<StoreOptions>.rows, root: StoreOptions())
        }
        (answers.store.profile, answers.usesVariables) = try profile()
        answers.bucket = try questions.ask("Bucket to test", default: Default(shown: "none", value: nil)) {
            text throws(BadAnswer) in try bucket(text, at: answers.store)
        }
        let source = try questions.ask(
            "Directory to archive every night",
            default: Default<String?>(shown: "none", value: nil)
        ) { text throws(BadAnswer) in
            try Self.checked("source", text, rows: ConfigurationKey<JobOptions>.rows, root: JobOptions())
        }
        if let source { answers.job = try job(source, answers) }
        return answers
    }

    /// The store's settings from the AWS configuration and the environment.
    private var awsSettings: StoreSettings {
        do {
            return try AWSEnvironment(profile: nil, environment: environment).settings
        } catch {
            questions.console.error(TextSafety.displayName(error.reason))
            // A wrong AWS_PROFILE does not affect the other variables.
            let others = environment.filter { !["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].contains($0.key) }
            return (try? AWSEnvironment(profile: nil, environment: others))?.settings
                ?? StoreSettings(ignoresConfiguredEndpoints: false)
        }
    }

    // MARK: The store

    private func endpoint(_ known: String?) throws(CommandFailure) -> String? {
        func check(_ text: String) throws(BadAnswer) -> String? {
            let url = try Self.checked(
                "endpointURL",
                text,
                rows: ConfigurationKey<StoreOptions>.rows,
                root: StoreOptions()
            )
            var options = StoreOptions()
            options.endpointURL = url
            do throws(CommandFailure) { _ = try Session.endpoint(options) } catch { throw BadAnswer(error.message) }
            return url
        }
        let amazon = "Amazon S3"
        let usable = known.flatMap { try? check($0) }
        return try questions.ask("Endpoint URL", default: Default(shown: usable ?? amazon, value: usable)) {
            text throws(BadAnswer) in text.lowercased() == amazon.lowercased() ? nil : try check(text)
        }
    }

    private static let variables = "environment"

    /// - Returns: the profile, nil for none; and whether the keys come from the environment.
    private func profile() throws(CommandFailure) -> (String?, Bool) {
        let names = (try? SharedConfiguration.load(environment: environment).profileNames) ?? []
        let hasVariables = environment["AWS_ACCESS_KEY_ID"]?.isEmpty == false
        let named = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].lazy.compactMap { environment[$0] }.first {
            names.contains($0)
        }
        if names.isEmpty, !hasVariables {
            questions.console.note(
                "No AWS profile and no AWS_ACCESS_KEY_ID found. Unless this machine has a role,\n"
                    + "create a profile: aws configure --profile NAME, or write ~/.aws/credentials (mode 0600):\n"
                    + "  [default]\n  aws_access_key_id = ...\n  aws_secret_access_key = ..."
            )
        } else if !names.isEmpty {
            let shown = names.prefix(20).map { TextSafety.displayName($0) }.joined(separator: ", ")
            questions.console.note("Profiles: \(shown)\(names.count > 20 ? " and \(names.count - 20) more" : "")")
        }
        let standard: Default<(String?, Bool)>
        if hasVariables {
            standard = Default(shown: Self.variables, value: (nil, true))
        } else if let named {
            standard = Default(shown: named, value: (named, false))
        } else if names.contains("default") {
            // It is used without being named.
            standard = Default(shown: "default", value: (nil, false))
        } else if names.count == 1 {
            standard = Default(shown: names[0], value: (names[0], false))
        } else {
            standard = Default(shown: "none", value: (nil, false))
        }
        return try questions.ask("Profile with the credentials", default: standard) { text throws(BadAnswer) in
            let isKnown = (try? SharedConfiguration.load(environment: environment).profile(text)) != nil
            if text == Self.variables, !isKnown {
                guard hasVariables else { throw BadAnswer("AWS_ACCESS_KEY_ID is not set in this shell") }
                return (nil, true)
            }
            let name = try Self.checked(
                "profile",
                text,
                rows: ConfigurationKey<StoreOptions>.rows,
                root: StoreOptions()
            )
            do throws(AWSEnvironmentError) {
                _ = try AWSEnvironment(profile: name, environment: environment)
            } catch {
                var why = error.reason
                if case .unknownProfile(var unknown) = error {
                    unknown.origin = "this answer"
                    why = unknown.reason
                    if let near = Suggestion.nearest(of: name, in: unknown.known) {
                        why += "; did you mean \"\(near)\"?"
                    }
                }
                throw BadAnswer(TextSafety.displayName(why))
            }
            return (name, false)
        }
    }

    private func bucket(_ text: String, at store: StoreOptions) throws(BadAnswer) -> String {
        let shown = TextSafety.displayName(text)
        guard let bucket = try? Destination(parsing: Array(text.utf8)).bucket else {
            throw BadAnswer("\"\(shown)\" is not a bucket name")
        }
        try check(bucket, at: store)
        return bucket
    }

    private func check(_ bucket: String, at store: StoreOptions) throws(BadAnswer) {
        let problem: String?
        do throws(CommandFailure) {
            problem = Session.problem(bucket, at: try Session.endpoint(store), store)
        } catch {
            problem = error.message
        }
        if let problem { throw BadAnswer(problem) }
    }

    // MARK: The job

    private func job(_ source: String, _ answers: ConfigAnswers) throws(CommandFailure) -> ConfigAnswers.Job {
        let standard = answers.bucket.map { "\($0)/{host}/{relpath}" }
        let destination = try questions.ask(
            standard == nil ? "Destination (such as BUCKET/{host}/{relpath})" : "Destination",
            default: standard.map { Default(shown: $0, value: $0) }
        ) { text throws(BadAnswer) in
            let members: [String: JSONValue] = ["source": .string(source), "destination": .string(text)]
            var objections: [ConfigurationObjection] = []
            let job = ConfigurationKey<JobOptions>.job(.object(members), .document, &objections)
            if let first = objections.first { throw BadAnswer(first) }
            if let bucket = job.destination?.bucket { try check(bucket, at: answers.store) }
            return text
        }
        let after = try questions.ask(
            "After the upload (keep, move:DIR, delete-after:7d)",
            default: Default<String?>(shown: "keep", value: nil)
        ) { text throws(BadAnswer) in
            try Self.checked("after", text, rows: ConfigurationKey<JobOptions>.rows, root: JobOptions())
        }
        let name = try questions.ask("Name of the job", default: Default(shown: "nightly", value: "nightly")) {
            text throws(BadAnswer) in
            do throws(OptionValueError) { try OptionValue.checkJobName(text) } catch { throw BadAnswer(error.why) }
            return text
        }
        return ConfigAnswers.Job(name: name, source: source, destination: destination, after: after)
    }

    /// The text, if it is valid for this key of the configuration.
    private static func checked<Root>(
        _ key: String,
        _ text: String,
        rows: [ConfigurationKey<Root>],
        root: Root
    ) throws(BadAnswer) -> String {
        var root = root
        var objections: [ConfigurationObjection] = []
        ConfigurationKey.read(.object([key: .string(text)]), rows, into: &root, trail: .document, &objections)
        if let first = objections.first { throw BadAnswer(first) }
        return text
    }
}

extension BadAnswer {
    fileprivate init(_ objection: ConfigurationObjection) {
        switch objection.problem {
        case .badValue(_, let why): self.init(why)
        case .unknownKey(let path, let hint): self.init("unknown key \(path)\(hint)")
        case .missing, .unreadable, .syntax: self.init("it cannot be read")
        }
    }
}
