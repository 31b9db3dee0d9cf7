// Options that define an archive job.

extension FlagTable {
    static let job: [Flag] = [
        .path(
            "source",
            .job,
            archive,
            placeholder: "DIRECTORY",
            value: .directory,
            sets: \.job.source,
            readsEnvironment: false,
            "Archive this directory instead of the jobs of the configuration. Needs --to."
        ),
        .value(
            "to",
            "DESTINATION",
            .job,
            archive,
            sets: \.job.destination,
            reading: OptionValue.template,
            readsEnvironment: false,
            "Where the files go: bucket/prefix/ keeps the paths below the directory; bucket/key may use {host} {date} "
                + "{yyyy} {mm} {dd} {relpath} {name} {stem} {ext} {sha256} {uuid}. {date} is the day on which the run "
                + "started, in local time; {ext} includes the dot."
        ),
        .value(
            "after",
            "ACTION",
            .job,
            archive,
            sets: \.job.after,
            reading: OptionValue.afterAction,
            value: .choice(["keep", "delete"]),
            readsEnvironment: false,
            "What to do with a file once the store has confirmed its object: keep, move:DIR, delete, or "
                + "delete-after:AGE such as delete-after:7d. Default: keep."
        ),
        .choice(
            "overwrite",
            .job,
            archive,
            sets: \.job.overwrite,
            readsEnvironment: false,
            "Whether an existing object may be replaced. Default: never."
        ),
        .value(
            "until",
            "HH:MM",
            .job,
            archive,
            sets: \.job.until,
            reading: OptionValue.timeOfDay,
            readsEnvironment: false,
            "Stop at this time of day (local time), such as 06:00, and exit with 10. The next run resumes."
        ),
        .value(
            "window",
            "HH:MM-HH:MM",
            .job,
            archive,
            sets: \.job.window,
            reading: OptionValue.dayWindow,
            readsEnvironment: false,
            "Run only at this time of day (local time), such as 22:00-06:00. At its end, and when started outside of "
                + "it, mule exits with 10."
        ),
        .value(
            "max-duration",
            "DURATION",
            .job,
            archive,
            sets: \.job.maximumDuration,
            reading: OptionValue.duration,
            readsEnvironment: false,
            "Stop after this long, and exit with 10."
        ),
        .value(
            "max-bytes",
            "SIZE",
            .job,
            archive,
            sets: \.job.maximumBytes,
            reading: OptionValue.length,
            readsEnvironment: false,
            "Start nothing more once this many bytes were sent, finish the requests in flight, and exit with 10."
        ),
        .value(
            "quarantine-after",
            "N",
            .job,
            archive,
            sets: \.job.quarantineAfter,
            reading: OptionValue.count,
            readsEnvironment: false,
            "Quarantine a file that failed permanently in this many runs: skip it until it changes. Default: 3."
        ),
        .path(
            "receipts",
            .job,
            archive,
            placeholder: "DIRECTORY",
            value: .directory,
            sets: \.job.receipts,
            readsEnvironment: false,
            "Write a receipt of each run that changed anything to this directory: JSON Lines, one for the run and one "
                + "for each file."
        ),
        .path(
            "metrics",
            .job,
            archive,
            sets: \.job.metrics,
            readsEnvironment: false,
            "Write the job's metrics to this file, for the textfile collector of Prometheus. Its name should end in "
                + ".prom."
        ),
        .on(
            "retry-quarantined",
            .job,
            archive,
            sets: \.retryQuarantined,
            negation: "no-retry-quarantined",
            "Retry quarantined files once."
        ),
        .on(
            "dry-run",
            letter: "n",
            .job,
            archive,
            sets: \.dryRun,
            negation: "no-dry-run",
            "Show what a run would do, without contacting the store: with -v each file and its key, with --limit-rate "
                + "the duration. Nothing is sent, written or moved."
        ),
        .choice(
            "check",
            .job,
            archive,
            sets: \.check,
            readsEnvironment: false,
            "How mule knows that a file is archived: from the ledger, or by asking the store about each object "
                + "(remote). Default: ledger."
        ),
        .value(
            "wait",
            "DURATION",
            .job,
            archive,
            sets: \.wait,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Wait this long for another run of the same job to end, instead of exiting at once with 11."
        ),
    ]
}
