import MuleJSON
import MulePlan
import MuleSources

/// Every key of the configuration file; a new key is a new row here and in `config.example.json`. Those of "object" are
/// the rows of `ObjectHeader`.

extension ConfigurationKey<Configuration> {
    static let root: [Self] =
        ConfigurationKey<StoreOptions>.rows.map { $0.within(\.store) }
        + ConfigurationKey<TransferOptions>.rows.map { $0.within(\.transfer) }
        + ConfigurationKey<SourceOptions>.rows.map { $0.within(\.source) }
        + [
            .text("progress", \.progress, OptionValue.choice),
            .path("ledger", \.ledger),
            .path("logFile", \.logFile),
            .object(
                "object",
                \.object,
                ConfigurationKey<ObjectOptions>.rows,
                about: "What every object has besides its bytes; see the object keys."
            ),
            Self(
                name: "buckets",
                kind: "object",
                about:
                    "Settings for single buckets: the bucket's name, and an object with the store keys that differ "
                    + "from the general ones."
            ) { configuration, value, trail, objections in
                for (bucket, value) in members(of: value, trail, &objections) {
                    var options = StoreOptions()
                    ConfigurationKey<StoreOptions>.read(
                        value,
                        ConfigurationKey<StoreOptions>.rows,
                        into: &options,
                        trail: trail.then(bucket),
                        &objections
                    )
                    configuration.buckets[bucket] = options
                }
            },
            Self(
                name: "jobs",
                kind: "object",
                about:
                    "The jobs of \"mule archive\": the job's name, 1 to 100 of a-z, A-Z, 0-9, . _ and -, and an "
                    + "object with the job keys."
            ) { configuration, value, trail, objections in
                for (name, value) in members(of: value, trail, &objections) {
                    let trail = trail.then(name)
                    do throws(OptionValueError) { try OptionValue.checkJobName(name) } catch {
                        objections.append(ConfigurationObjection(trail, error.why))
                    }
                    configuration.jobs[name] = ConfigurationKey<JobOptions>.job(value, trail, &objections)
                }
            },
        ]
}

extension ConfigurationKey<StoreOptions> {
    static let rows: [Self] = [
        .text("provider", \.provider, OptionValue.choice),
        .text("endpointURL", \.endpointURL, OptionValue.endpointURL),
        .text("region", \.region, OptionValue.region),
        .text("profile", \.profile, OptionValue.text),
        .path("caBundle", \.caBundle),
        .path("clientCertificate", \.clientCertificate),
        .path("clientKey", \.clientKey),
        .text("addressing", \.addressing, OptionValue.choice),
        .setting("fips", \.fips),
        .setting("dualstack", \.dualStack),
        .setting("accelerate", \.accelerate),
        .quantity("partSize", \.partSize, OptionValue.size),
        .text("checksum", \.checksum, OptionValue.choice),
        .text("payloadSigning", \.payloadSigning, OptionValue.choice),
        .object(
            "signer",
            \.signer,
            ConfigurationKey<SignerOptions>.rows,
            about: "The service that signs requests instead of credentials of this host; see the signer keys."
        ),
    ]
}

extension ConfigurationKey<SignerOptions> {
    static let rows: [Self] = [
        .text("url", \.address, OptionValue.signerAddress, about: FlagTable.help(of: "signer")),
        .text(
            "protocol",
            \.signerProtocol,
            OptionValue.choice,
            about: FlagTable.help(of: "signer-protocol")
        ),
        .path("tokenFile", \.tokenFile, about: FlagTable.help(of: "signer-token-file")),
        .value(
            "apiKey",
            kind: "boolean",
            about: "If true, the token is sent as x-api-key too, for gateways that ask for it."
        ) { options, value, trail throws(ConfigurationObjection) in
            guard case .bool(let isOn) = value else {
                throw ConfigurationObjection(trail, "expected true or false, found \(value.kind)")
            }
            options.sendsAPIKey = isOn
        },
    ]
}

extension ConfigurationKey<TransferOptions> {
    static let rows: [Self] = [
        .quantity("multipartThreshold", \.multipartThreshold, OptionValue.size),
        .quantity("concurrency", \.concurrency, OptionValue.concurrency),
        .quantity("limitRate", \.limitRate, OptionValue.rate),
        .quantity("stallLimit", \.stallLimit, OptionValue.duration),
        .text("pageCache", \.pageCache, OptionValue.choice),
    ]
}

extension ConfigurationKey<SourceOptions> {
    static let rows: [Self] = [
        .quantity("settle", \.settle, OptionValue.duration),
        .text("changing", \.changing, OptionValue.choice),
    ]
}

extension ConfigurationKey<SelectionOptions> {
    static let rows: [Self] = [
        .list("include", \.include) { text throws(OptionValueError) in try OptionValue.pattern(Array(text.utf8)) },
        .list("exclude", \.exclude) { text throws(OptionValueError) in try OptionValue.rule(Array(text.utf8)) },
        .quantity("minAge", \.minimumAge, OptionValue.age),
        .quantity("maxAge", \.maximumAge, OptionValue.age),
        .quantity("minSize", \.minimumSize, OptionValue.length),
        .quantity("maxSize", \.maximumSize, OptionValue.length),
        .text("symlinks", \.symlinks, OptionValue.choice),
        .text("order", \.order, OptionValue.choice),
    ]
}

extension ConfigurationKey<ObjectOptions> {
    static let rows: [Self] = headers + [.path("sseCKeyFile", \.customerKeyFile)]

    private static let headers: [Self] = ObjectHeader.allCases.map { header in
        header.kind.holdsPairs
            ? .pairs(
                header.key,
                \.[pairs: header],
                { name, text throws(OptionValueError) in try OptionValue.pair(of: header, name: name, text: text) },
                about: header.keyHelp
            )
            : .text(
                header.key,
                \.[header],
                { text throws(OptionValueError) in try OptionValue.value(of: header, text) },
                about: header.keyHelp
            )
    }
}

extension ConfigurationKey<JobOptions> {
    static let rows: [Self] =
        [
            .path("source", \.source, about: "The directory to archive. Required."),
            .text("destination", \.destination, OptionValue.template, about: "Required. " + FlagTable.help(of: "to")),
            .text("after", \.after, OptionValue.afterAction),
            .text("overwrite", \.overwrite, OptionValue.choice),
            .text("until", \.until, OptionValue.timeOfDay),
            .text("window", \.window, OptionValue.dayWindow),
            .value(
                "requireMount",
                kind: "path or array of paths",
                about:
                    "What must exist before the run does anything: mount points, or files that mark the right disk. "
                    + "Otherwise the run exits with 3."
            ) { job, value, trail throws(ConfigurationObjection) in
                switch value {
                case .string: job.requiredMounts = [try path(value, trail)]
                case .array(let values):
                    var paths: [[UInt8]] = []
                    for (index, value) in values.enumerated() {
                        paths.append(try path(value, trail.then(String(index))))
                    }
                    job.requiredMounts = paths
                default:
                    throw ConfigurationObjection(
                        trail,
                        "expected a path in double quotes or an array [ ] of paths, found \(value.kind)"
                    )
                }
            },
            .quantity("maxDuration", \.maximumDuration, OptionValue.duration),
            .quantity("maxBytes", \.maximumBytes, OptionValue.size),
            .value("quarantineAfter", kind: "number") { job, value, trail throws(ConfigurationObjection) in
                guard case .int(let count) = value, let runs = Int(exactly: count), runs >= 1 else {
                    throw ConfigurationObjection(trail, "expected a whole number of runs, 1 or more")
                }
                job.quarantineAfter = runs
            },
            .path("receipts", \.receipts),
            .text(
                "receiptObject",
                \.receiptObject,
                OptionValue.prefix,
                about:
                    "Upload each receipt as an object below this bucket/ or bucket/prefix/. It never replaces an "
                    + "existing object."
            ),
            .path("metrics", \.metrics),
            .value(
                "onSuccess",
                kind: "string or array of strings",
                about:
                    "A program with its arguments as an array, or a web address, called after exit status 0 or 10 if "
                    + "a file was archived, moved or deleted. It receives the run as one JSON object, on standard "
                    + "input or as a POST."
            ) { job, value, trail throws(ConfigurationObjection) in
                job.onSuccess = try hook(value, trail)
            },
            .value(
                "onFailure",
                kind: "string or array of strings",
                about:
                    "The same after any other exit status except 11 and those of signals: if the status or the counts "
                    + "of failures differ from the last call, otherwise once a day."
            ) { job, value, trail throws(ConfigurationObjection) in
                job.onFailure = try hook(value, trail)
            },
            .object(
                "object",
                \.object,
                ConfigurationKey<ObjectOptions>.rows,
                about: "What the job's objects have besides their bytes; see the object keys."
            ),
        ]
        + ConfigurationKey<SelectionOptions>.rows.map { $0.within(\.selection) }
        + ConfigurationKey<SourceOptions>.rows.map { $0.within(\.changes) }
        + ConfigurationKey<StoreOptions>.rows.map { $0.within(\.store) }
        + ConfigurationKey<TransferOptions>.rows.map { $0.within(\.transfer) }

    /// A whole job, with its required keys.
    static func job(_ value: JSONValue, _ trail: ConfigurationPath, _ objections: inout [ConfigurationObjection])
        -> JobOptions
    {
        var job = JobOptions()
        let before = objections.count
        read(value, rows, into: &job, trail: trail, &objections)
        guard case .object(let members) = value else { return job }
        for key in ["source", "destination"] where members[key] == nil {
            objections.append(ConfigurationObjection(trail, "the job has no \(key)"))
        }
        // Keys that cannot be read are not checked further.
        guard objections.count == before else { return job }
        if let destination = job.destination, !destination.tellsFilesApart {
            let shown = TextSafety.displayName(destination.text)
            let why = "\"\(shown)\" is the same key for every file; end it with / or add {relpath} or {name}"
            objections.append(ConfigurationObjection(trail.then("destination"), why))
        }
        if let least = job.selection.minimumAge, let most = job.selection.maximumAge, least > most {
            objections.append(
                ConfigurationObjection(trail.then("minAge"), "it is larger than maxAge, so that no file matches")
            )
        }
        if let least = job.selection.minimumSize, let most = job.selection.maximumSize, least > most {
            objections.append(
                ConfigurationObjection(trail.then("minSize"), "it is larger than maxSize, so that no file matches")
            )
        }
        return job
    }

    /// A web address, or a program with its arguments.
    private static func hook(_ value: JSONValue, _ trail: ConfigurationPath) throws(ConfigurationObjection) -> Hook {
        switch value {
        case .string(let text): return .post(try reading(text, at: trail, OptionValue.hookURL))
        case .array(let values):
            var words: [String] = []
            for (index, value) in values.enumerated() {
                let trail = trail.then(String(index))
                let word = try string(value, trail)
                guard !word.utf8.contains(0) else {
                    throw ConfigurationObjection(trail, "an argument cannot contain a NUL character")
                }
                words.append(word)
            }
            guard let program = words.first else {
                throw ConfigurationObjection(trail, "expected a program and its arguments, found an empty array [ ]")
            }
            guard program.hasPrefix("/") else {
                let shown = TextSafety.displayName(Array(program.utf8))
                throw ConfigurationObjection(
                    trail.then("0"),
                    "\"\(shown)\" is not an absolute path, and PATH is not searched here"
                )
            }
            return .program(words)
        default:
            throw ConfigurationObjection(
                trail,
                "expected an array [ ] with a program and its arguments, or a URL, found \(value.kind)"
            )
        }
    }
}
