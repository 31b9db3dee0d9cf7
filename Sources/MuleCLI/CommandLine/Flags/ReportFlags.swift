// Options of reports and checks.

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
            "Runs that started within this time, such as 12h or 30d. Default: 24h."
        ),
        .value(
            "job",
            "NAME",
            .selection,
            [.report],
            sets: \.jobName,
            reading: OptionValue.text,
            value: .job,
            readsEnvironment: false,
            "Only the runs of this job."
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
        .on("files", .selection, [.report], sets: \.files, negation: "no-files", "Add a line for each file."),
        .choice(
            "format",
            .selection,
            [.report],
            sets: \.format,
            readsEnvironment: false,
            "The format of the output; json is the same as --json. Default: text."
        ),
        .path(
            "html",
            .selection,
            [.report],
            sets: \.html,
            readsEnvironment: false,
            "Write a page for a browser to this file (- for standard output): days as a calendar, bytes and "
                + "throughput, file sizes, runs, and what needs action. It is one file without scripts. Covers 84 "
                + "days unless --since is given."
        ),
    ]

    static let checks: [Flag] = [
        .pathOrNone(
            "ledger",
            .checks,
            doctor,
            sets: \.ledger,
            alone: \.ledgerAlone,
            "Check the ledger in this file. Without FILE, at the end of the line or before another option, check only "
                + "the default ledger."
        ),
        .on(
            "write",
            .checks,
            doctor,
            sets: \.write,
            "Also start an upload in BUCKET, send a part of 12 bytes, and abort it. No object is created."
        ),
        .path(
            "export",
            .checks,
            doctor,
            sets: \.export,
            readsEnvironment: false,
            "Instead of checking, write all uploads with their parts to this new file (- for standard output), one "
                + "JSON object per line. From a damaged ledger, what can still be read."
        ),
        .path(
            "import",
            .checks,
            doctor,
            sets: \.importFrom,
            readsEnvironment: false,
            "Instead of checking, import a file that --export wrote (- for standard input), all or nothing. Uploads "
                + "that already exist are skipped."
        ),
    ]
}
