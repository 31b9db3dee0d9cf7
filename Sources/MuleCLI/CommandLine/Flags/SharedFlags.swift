// What every command takes, or nearly every one.

extension FlagTable {
    static let shared: [Flag] = [
        .path("config", .shared, every, sets: \.config, "Read this configuration file."),
        .path(
            "ledger",
            .shared,
            working.subtracting(doctor),
            sets: \.ledger,
            "Keep the record of uploads in this file."
        ),
        .path(
            "log-file",
            .shared,
            working,
            sets: \.logFile,
            "Add what is said to this file, with times: notes, errors, a line for each file that is sent. Standard error then has "
                + "errors alone, and SIGHUP opens the file anew in place of stopping mule."
        ),
        .value(
            "profile",
            "NAME",
            .shared,
            working,
            sets: \.store.profile,
            reading: OptionValue.text,
            "Take credentials and settings from this profile of the AWS configuration."
        ),
        .value(
            "region",
            "REGION",
            .shared,
            working,
            sets: \.store.region,
            reading: OptionValue.text,
            "The region of the bucket, such as eu-central-1."
        ),
        .value(
            "endpoint-url",
            "URL",
            .shared,
            working,
            sets: \.store.endpointURL,
            reading: OptionValue.endpointURL,
            "Speak to this S3-compatible store instead of AWS."
        ),
        .path("ca-bundle", .shared, working, sets: \.store.caBundle, "Trust the certificate authorities in this file."),
        .value(
            "addressing",
            "STYLE",
            .shared,
            working,
            sets: \.store.addressing,
            reading: OptionValue.choice,
            "Where the bucket's name goes: auto, path or virtual. Default: auto."
        ),
        .value(
            "progress",
            "STYLE",
            .shared,
            working,
            sets: \.progress,
            reading: OptionValue.choice,
            "auto, bar, plain (a line every 30 seconds) or none. Default: auto, a bar on a terminal, else plain."
        ),
        .on("json", .shared, every, sets: \.json, negation: "no-json", "Print results as JSON, one object per line."),
        .on("quiet", letter: "q", .shared, every, sets: \.quiet, negation: "no-quiet", "Show errors only."),
        .on(
            "verbose",
            letter: "v",
            .shared,
            every,
            sets: \.verbose,
            negation: "no-verbose",
            "Say more about what is done."
        ),
        .on("help", letter: "h", .shared, every, sets: \.wantsHelp, "Show this help."),
        .on("version", .shared, every, sets: \.wantsVersion, "Show the version."),
    ]
}
