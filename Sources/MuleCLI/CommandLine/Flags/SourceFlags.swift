// Options that select and order files.

extension FlagTable {
    /// None has a variable: a forgotten one would omit files.
    static let files: [Flag] = [
        .list(
            "include",
            "GLOB",
            .selection,
            filing,
            adds: \.selection.include,
            reading: OptionValue.pattern,
            "Below a directory, send only what matches one of these patterns, as in .gitignore: *.log at any depth, "
                + "/*.log at the top, logs/ with everything in it, a/**/b."
        ),
        .list(
            "exclude",
            "GLOB",
            .selection,
            filing,
            adds: \.selection.exclude,
            reading: OptionValue.rule,
            "Exclude what matches this pattern; with ! before it, include it. The last pattern that matches decides. "
                + "Excluded directories are not entered."
        ),
        .value(
            "min-age",
            "DURATION",
            .selection,
            filing,
            sets: \.selection.minimumAge,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Only files that did not change for this long, such as 90s, 12h or 7d."
        ),
        .value(
            "max-age",
            "DURATION",
            .selection,
            filing,
            sets: \.selection.maximumAge,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Only files that changed within this time."
        ),
        .value(
            "min-size",
            "SIZE",
            .selection,
            filing,
            sets: \.selection.minimumSize,
            reading: OptionValue.length,
            readsEnvironment: false,
            "Only files of this size or more; 1 excludes empty files."
        ),
        .value(
            "max-size",
            "SIZE",
            .selection,
            filing,
            sets: \.selection.maximumSize,
            reading: OptionValue.length,
            readsEnvironment: false,
            "Only files of this size or less."
        ),
        .choice(
            "symlinks",
            .selection,
            filing,
            sets: \.selection.symlinks,
            readsEnvironment: false,
            "Symbolic links below a directory: files follows links to files and reports others; follow also enters "
                + "directories; skip ignores all links; report reports all. Default: files."
        ),
        .choice(
            "order",
            .selection,
            filing,
            sets: \.selection.order,
            placeholder: "ORDER",
            readsEnvironment: false,
            "Which files are sent first: name, oldest, newest, smallest or largest. Default: name, which starts to "
                + "send before all files are found."
        ),
        .path(
            "files-from",
            .selection,
            upload,
            sets: \.filesFrom,
            readsEnvironment: false,
            "Send the files named in this list instead of SOURCE, one per line (- for standard input). The path as "
                + "listed is appended to the prefix."
        ),
        .path(
            "files-from0",
            .selection,
            upload,
            sets: \.filesFrom0,
            readsEnvironment: false,
            "The same, with names that end in NUL, as find -print0 writes them."
        ),
    ]

    static let selection: [Flag] = [
        .on("all", .selection, [.status], sets: \.all, "List finished, failed and aborted uploads too."),
        .on("all", .selection, [.abort], sets: \.all, "Abort every pending upload in the ledger."),
        .on(
            "forget",
            .selection,
            [.abort],
            sets: \.forget,
            "Remove uploads from the ledger without contacting the store, if it cannot be reached any more. Parts "
                + "that it has stay there and cost storage."
        ),
        .on(
            "remote",
            .selection,
            [.status],
            sets: \.remote,
            negation: "no-remote",
            "Ask the stores what they have of each upload, and which unfinished uploads they have that the ledger "
                + "does not know."
        ),
        .on(
            "watch",
            letter: "w",
            .selection,
            [.status],
            sets: \.watch,
            negation: "no-watch",
            "Show the list again every two seconds, until Ctrl-C."
        ),
        .value(
            "older-than",
            "AGE",
            .selection,
            [.clean],
            sets: \.olderThan,
            reading: OptionValue.age,
            "Only uploads without progress for this long, such as 12h or 30d; 0s takes all that no process holds. "
                + "Default: 7d."
        ),
        .value(
            "history",
            "AGE",
            .selection,
            [.clean],
            sets: \.history,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Instead, delete runs, receipts and finished uploads older than this, such as 90d, from the ledger. "
                + "Records of files that still exist unchanged stay. No store is contacted, unless --older-than or a "
                + "BUCKET is given too."
        ),
        .on(
            "all-initiators",
            .selection,
            [.clean],
            sets: \.allInitiators,
            negation: "no-all-initiators",
            "Also remove uploads that this ledger does not know, of any program, in the named BUCKET. Asks first."
        ),
        .on("yes", letter: "y", .selection, [.clean], sets: \.yes, negation: "no-yes", "Do not ask for confirmation."),
        .on(
            "dry-run",
            letter: "n",
            .selection,
            [.clean],
            sets: \.dryRun,
            negation: "no-dry-run",
            "List what would be removed, and remove nothing."
        ),
    ]
}
