// Which files are sent, and in what order.

extension FlagTable {
    /// None of them has a variable: one that somebody has forgotten would leave files out.
    static let files: [Flag] = [
        .list(
            "include",
            "GLOB",
            .selection,
            filing,
            adds: \.selection.include,
            reading: OptionValue.pattern,
            "Below a SOURCE that is a directory, send only what one of these patterns matches, as in .gitignore: *.log at any "
                + "depth, /*.log at the top, logs/ with all in it, a/**/b."
        ),
        .list(
            "exclude",
            "GLOB",
            .selection,
            filing,
            adds: \.selection.exclude,
            reading: OptionValue.rule,
            "Leave out what this pattern matches; with ! before it, what it matches is not left out. The last one that matches "
                + "decides. A directory that is left out is not gone into."
        ),
        .value(
            "min-age",
            "DURATION",
            .selection,
            filing,
            sets: \.selection.minimumAge,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Only files that have not changed for this long, such as 90s, 12h or 7d."
        ),
        .value(
            "max-age",
            "DURATION",
            .selection,
            filing,
            sets: \.selection.maximumAge,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Only files that have changed within this time."
        ),
        .value(
            "min-size",
            "SIZE",
            .selection,
            filing,
            sets: \.selection.minimumSize,
            reading: OptionValue.length,
            readsEnvironment: false,
            "Only files of this size or more; 1 leaves out empty ones."
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
        .value(
            "symlinks",
            "WHAT",
            .selection,
            filing,
            sets: \.selection.symlinks,
            reading: OptionValue.choice,
            readsEnvironment: false,
            "Symbolic links below a directory: files follows those to files and reports others, follow also goes into "
                + "directories, skip leaves all out, report follows none. Default: files."
        ),
        .value(
            "order",
            "WHICH",
            .selection,
            filing,
            sets: \.selection.order,
            reading: OptionValue.choice,
            readsEnvironment: false,
            "Which files are sent first: name, oldest, newest, smallest or largest. Default: name, which begins to send while "
                + "the rest is looked for."
        ),
        .path(
            "files-from",
            .selection,
            upload,
            sets: \.filesFrom,
            readsEnvironment: false,
            "Send the files named in this list, one a line, - for standard input, in place of any SOURCE. The path as it is "
                + "listed goes behind the prefix."
        ),
        .path(
            "files-from0",
            .selection,
            upload,
            sets: \.filesFrom0,
            readsEnvironment: false,
            "The same with a NUL behind each name, as find -print0 writes them."
        ),
    ]

    static let selection: [Flag] = [
        .on("all", .selection, [.status], sets: \.all, "List finished, failed and aborted uploads too."),
        .on("all", .selection, [.abort], sets: \.all, "Give up every pending upload in the ledger."),
        .on(
            "forget",
            .selection,
            [.abort],
            sets: \.forget,
            "Remove uploads from the ledger without asking the store, where it cannot be reached any more. Parts that it may have "
                + "stay there and cost storage."
        ),
        .on(
            "remote",
            .selection,
            [.status],
            sets: \.remote,
            negation: "no-remote",
            "Ask the stores what they hold, and what they have open that the ledger does not know."
        ),
        .value(
            "older-than",
            "AGE",
            .selection,
            [.clean],
            sets: \.olderThan,
            reading: OptionValue.age,
            "Only uploads without progress for this long, such as 12h or 30d; 0s is all that nobody carries. Default: 7d."
        ),
        .value(
            "history",
            "AGE",
            .selection,
            [.clean],
            sets: \.history,
            reading: OptionValue.age,
            readsEnvironment: false,
            "Instead, make the ledger forget runs, receipts and finished uploads that are older than this, such as 90d, as far as "
                + "no file that stands there unchanged needs them. Asks no store, unless --older-than or a BUCKET is given too."
        ),
        .on(
            "all-initiators",
            .selection,
            [.clean],
            sets: \.allInitiators,
            negation: "no-all-initiators",
            "Remove also what this ledger does not know, whoever began it, in the BUCKET that is named; asks first."
        ),
        .on("yes", letter: "y", .selection, [.clean], sets: \.yes, negation: "no-yes", "Do not ask."),
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
