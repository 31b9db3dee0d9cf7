// What an archive job is.

extension FlagTable {
    static let job: [Flag] = [
        .path(
            "source",
            .job,
            archive,
            sets: \.job.source,
            readsEnvironment: false,
            "Archive this directory, without a JOB of the configuration; --to says where to."
        ),
        .value(
            "to",
            "DESTINATION",
            .job,
            archive,
            sets: \.job.destination,
            reading: OptionValue.template,
            readsEnvironment: false,
            "bucket/prefix/, below which paths stay as they are, or bucket/key with {host} {date} {yyyy} {mm} {dd} {relpath} {name} "
                + "{stem} {ext} {sha256} {uuid}; {date} is the day of the run's beginning in local time, {ext} has its dot."
        ),
        .value(
            "after",
            "ACTION",
            .job,
            archive,
            sets: \.job.after,
            reading: OptionValue.afterAction,
            readsEnvironment: false,
            "What becomes of a file when the store has confirmed its object: keep, move:DIR, delete, delete-after:7d. "
                + "Default: keep."
        ),
        .value(
            "overwrite",
            "WHETHER",
            .job,
            archive,
            sets: \.job.overwrite,
            reading: OptionValue.choice,
            readsEnvironment: false,
            "Whether an object that is there already may be replaced: never or allow. Default: never."
        ),
        .value(
            "until",
            "TIME",
            .job,
            archive,
            sets: \.job.until,
            reading: OptionValue.timeOfDay,
            readsEnvironment: false,
            "Stop at this time of day (local time), such as 06:00, with status 10; the next run goes on."
        ),
        .value(
            "window",
            "HH:MM-HH:MM",
            .job,
            archive,
            sets: \.job.window,
            reading: OptionValue.dayWindow,
            readsEnvironment: false,
            "Run only at this time of day (local time), such as 22:00-06:00: a run stops at its end with status 10, and one that is "
                + "started outside of it ends at once with 10."
        ),
        .value(
            "max-duration",
            "DURATION",
            .job,
            archive,
            sets: \.job.maximumDuration,
            reading: OptionValue.duration,
            readsEnvironment: false,
            "Stop after this long, with status 10."
        ),
        .value(
            "max-bytes",
            "SIZE",
            .job,
            archive,
            sets: \.job.maximumBytes,
            reading: OptionValue.length,
            readsEnvironment: false,
            "Stop when this many bytes have been sent, with status 10; what is under way then comes to its end."
        ),
        .value(
            "quarantine-after",
            "N",
            .job,
            archive,
            sets: \.job.quarantineAfter,
            reading: OptionValue.count,
            readsEnvironment: false,
            "Leave a file alone when it has failed for good in this many runs, until it changes. Default: 3."
        ),
        .path(
            "receipts",
            .job,
            archive,
            sets: \.job.receipts,
            readsEnvironment: false,
            "Write a receipt of each run that something became of into this directory: JSON Lines, one for the run and one for "
                + "each file."
        ),
        .path(
            "metrics",
            .job,
            archive,
            sets: \.job.metrics,
            readsEnvironment: false,
            "Keep the job's figures in this file, for Prometheus's textfile collector; its name should end in .prom."
        ),
        .on(
            "retry-quarantined",
            .job,
            archive,
            sets: \.retryQuarantined,
            negation: "no-retry-quarantined",
            "Try those files once more."
        ),
        .on(
            "dry-run",
            letter: "n",
            .job,
            archive,
            sets: \.dryRun,
            negation: "no-dry-run",
            "Say what a run would do, by the files, the ledger and no question to the store: with -v each file and its key, with "
                + "--limit-rate the time. Nothing is sent, written or moved."
        ),
        .value(
            "check",
            "WHERE",
            .job,
            archive,
            sets: \.check,
            reading: OptionValue.choice,
            readsEnvironment: false,
            "How a file is known to be archived: by the ledger, or remote, which asks the store for each object. Default: ledger."
        ),
        .value(
            "wait",
            "DURATION",
            .job,
            archive,
            sets: \.wait,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Wait this long for another run of the same job to end, in place of leaving at once with status 11."
        ),
    ]
}
