import MulePlan
import MuleS3
import MuleSources
import MuleSystem
import MuleUpload

/// Runs the checks that a run makes before it sends anything. Contacts no store or other service.
struct ConfigurationTrial {
    private let reading: Configuration.Reading
    private let environment: [String: String]
    private let session: Session

    init(_ reading: Configuration.Reading, arguments: Arguments, environment: [String: String], console: Console) {
        self.reading = reading
        self.environment = environment
        session = Session(arguments, environment: environment, configuration: reading.configuration, console: console)
    }

    private var configuration: Configuration { reading.configuration }

    /// Each finding once, at its first position: a mistake in the general options affects all jobs.
    var findings: [Finding] {
        var said: Set<String> = []
        return (log + objects + stores + jobs).filter { finding in
            let message = finding.message.split(separator: ": ", maxSplits: 1).last.map(String.init)
            return said.insert(message ?? finding.message).inserted
        }
    }

    private func trying(_ names: [String], _ step: () throws(CommandFailure) -> Void) -> [Finding] {
        do {
            try step()
            return []
        } catch {
            return [reading.problem(names, error.message)]
        }
    }

    private var log: [Finding] {
        guard let named = configuration.logFile else { return [] }
        return trying(["logFile"]) { () throws(CommandFailure) in try Session.checkLog(named, environment: environment)
        }
    }

    private var objects: [Finding] {
        trying(["object"]) { () throws(CommandFailure) in _ = try session.attributes(warns: false) }
    }

    /// Checks store options in the configuration, regardless of this process's variables.
    private var stores: [Finding] {
        var all: [(names: [String], own: StoreOptions)] = [([], configuration.store)]
        all += configuration.buckets.sorted { $0.key < $1.key }.map { (["buckets", $0.key], $0.value) }
        all += configuration.jobs.sorted { $0.key < $1.key }.map { (["jobs", $0.key], $0.value.store) }
        let plain = session.withoutVariablesOfStores
        var profiles: [String: [Finding]] = [:]
        return all.flatMap { names, own in
            var findings: [Finding] = []
            let hasEndpoint =
                (own.endpointURL ?? configuration.store.endpointURL) != nil
                || (own.provider ?? configuration.store.provider)?.profile.endpoints.isEmpty == false
            // Without an endpoint here, the environment or a profile may set one that follows other rules.
            if names.first == "buckets", hasEndpoint, let bucket = names.last {
                findings += trying(names) { () throws(CommandFailure) in _ = try plain.plan(forBucket: bucket) }
            } else if names.isEmpty, own.endpointURL != nil {
                findings += trying(["endpointURL"]) { () throws(CommandFailure) in _ = try Session.endpoint(own) }
            }
            if names.first != "buckets", let provider = own.provider, own.endpointURL == nil,
                !provider.profile.endpoints.isEmpty
            {
                findings += trying(names + ["provider"]) { () throws(CommandFailure) in
                    _ = try Session.located(own.over(configuration.store))
                }
            }
            if let size = own.partSize {
                findings += trying(names + ["partSize"]) { () throws(CommandFailure) in try Session.checkPartSize(size)
                }
            }
            if own.caBundle != nil {
                findings += trying(names + ["caBundle"]) { () throws(CommandFailure) in _ = try plain.caBundle(own) }
            }
            if own.clientCertificate ?? own.clientKey != nil {
                let key = own.clientCertificate == nil ? "clientKey" : "clientCertificate"
                findings += trying(names + [key]) { () throws(CommandFailure) in
                    _ = try plain.clientCertificate(own.over(configuration.store))
                }
            }
            if let profile = own.profile {
                // Read once for each profile.
                let known =
                    profiles[profile]
                    ?? trying(names + ["profile"]) { () throws(CommandFailure) in
                        _ = try plain.awsEnvironment(profile: nil, configured: profile)
                    }
                profiles[profile] = known
                findings += known
            }
            return findings
        }
    }

    /// Settings that jobs take from the environment because the configuration lacks them, as a sentence; nil if none. A
    /// service has its own environment.
    var variables: String? {
        var used: [(key: String, variable: String)] = []
        for options in configuration.jobs.values {
            guard let bucket = options.destination?.bucket else { continue }
            let serving = session.serving(options, cancellation: session.cancellation)
            let known = session.arguments.store.over(serving.configuration.store(forBucket: bucket))
            used += serving.variablesOfStores(besides: known).filter { new in !used.contains { $0.key == new.key } }
        }
        guard !used.isEmpty else { return nil }
        used.sort { $0.key < $1.key }
        return "Taken from the environment of this shell: "
            + used.map { "\($0.key) (\($0.variable))" }.joined(separator: ", ")
            + ". cron and systemd have their own environment: write these into the configuration, or set them there "
            + "too."
    }

    /// Problems that appear only when all settings of a job are combined.
    private var jobs: [Finding] {
        var stores: [String: [StoreOptions: [Finding]]] = [:]
        return configuration.jobs.sorted { $0.key < $1.key }.flatMap { name, options in
            let serving = session.serving(options, cancellation: session.cancellation)
            let names = ["jobs", name]
            var findings = trying(names + ["object"]) { () throws(CommandFailure) in
                let bucket = options.destination?.bucket ?? ""
                _ = try serving.attributes(for: serving.configuration.store(forBucket: bucket), warns: false)
            }
            guard let bucket = options.destination?.bucket else { return findings }
            let store = serving.configuration.store(forBucket: bucket)
            let known =
                stores[bucket]?[store]
                ?? trying(names) { () throws(CommandFailure) in
                    _ = try serving.plan(forBucket: bucket)
                }
            stores[bucket, default: [:]][store] = known
            findings += known
            return findings
        }
    }
}
