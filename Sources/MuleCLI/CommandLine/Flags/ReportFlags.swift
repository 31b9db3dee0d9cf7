// What is listed, looked at and removed.

extension FlagTable {
    static let report: [Flag] = [
        .value(
            "since",
            "AGE",
            .selection,
            [.report],
            sets: \.since,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Runs that began within this time, such as 12h or 30d. Default: 24h."
        ),
        .value(
            "job",
            "NAME",
            .selection,
            [.report],
            sets: \.jobName,
            reading: OptionValue.text,
            readsEnvironment: false,
            "Only this job."
        ),
        .value(
            "run",
            "N",
            .selection,
            [.report],
            sets: \.runNumber,
            reading: OptionValue.count,
            readsEnvironment: false,
            "Only this run, with its files."
        ),
        .on("files", .selection, [.report], sets: \.files, negation: "no-files", "A line for each file, too."),
        .value(
            "format",
            "HOW",
            .selection,
            [.report],
            sets: \.format,
            reading: OptionValue.choice,
            readsEnvironment: false,
            "text, json (as --json) or csv. Default: text."
        ),
    ]

    static let checks: [Flag] = [
        .pathOrNone(
            "ledger",
            .checks,
            doctor,
            sets: \.ledger,
            alone: \.ledgerAlone,
            "Check the ledger in this file. Without a FILE, as the last word or before another option: check the usual "
                + "ledger, and nothing else."
        ),
        .on(
            "write",
            .checks,
            doctor,
            sets: \.write,
            "Also begin an upload in BUCKET, send a part of 12 bytes, and give it up. No object is made."
        ),
        .path(
            "export",
            .checks,
            doctor,
            sets: \.export,
            readsEnvironment: false,
            "Instead of checking, write all uploads with their parts to this new file, - for standard output, one JSON "
                + "object a line. Of a damaged ledger, what can still be read."
        ),
        .path(
            "import",
            .checks,
            doctor,
            sets: \.importFrom,
            readsEnvironment: false,
            "Instead of checking, take in what --export wrote, - for standard input: all of it or nothing. Uploads that "
                + "are there already are passed over."
        ),
    ]
}
