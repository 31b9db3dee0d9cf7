// The commands for uploads in the ledger.

extension CommandPage {
    static let resume = CommandPage(
        synopsis: ["[options] [ID...]"],
        summary: "resume all pending uploads, or those with these IDs",
        description: [
            "Resumes every pending upload in the ledger, or those whose IDs are given (\"mule status\" lists them), "
                + "without the options of the first run: each continues to its destination with its part size, and "
                + "only missing parts are sent.",
            "If the source of an upload has changed, the upload stays as it is, and the message says what changed. An "
                + "upload that another process holds is skipped. A stream cannot be resumed here: run the command "
                + "that sent it again.",
        ],
        operands: .uploadID,
        common: [
            "concurrency": "requests in flight",
            "limit-rate": "bytes per second, such as 20MB/s",
            "stall-limit": "stop after this long without progress",
            "quiet": "show only errors",
            "json": "print events as JSON",
        ],
        examples: [
            .init(line: "mule resume", about: "After a reboot: finish all pending uploads."),
            .init(line: "mule resume k3v9 m2x7", about: "Finish two of them."),
            .init(
                line: "mule resume --quiet --stall-limit 1h",
                about: "For cron: silent unless something is wrong, and patient with the network."
            ),
        ],
        problem: { _ in nil }
    )

    static let status = CommandPage(
        synopsis: ["[options] [ID...]"],
        summary: "list pending uploads; with --all, finished ones too",
        description: [
            "Lists the pending uploads in the ledger: ID, state, how much the store has, source and destination. It "
                + "does not contact the store.",
            "With --remote mule asks the stores: what they have of each upload, which costs money until it is "
                + "completed or aborted, and then, bucket by bucket, which unfinished uploads this ledger does not "
                + "know. BUCKET/ or BUCKET/PREFIX among the IDs asks about other places.",
            "States: pending (waits for a run), active (a running process holds it), done, failed, aborted, and "
                + "unknown (the store's last answer was lost; the last error says how to check).",
        ],
        operands: .uploadID,
        common: [
            "all": "list finished uploads too",
            "remote": "ask the stores",
            "watch": "show the list again every two seconds",
            "json": "print JSON, one object per upload",
        ],
        examples: [
            .init(line: "mule status", about: "What is unfinished?"),
            .init(line: "mule status --all k3v9", about: "What happened to this upload?"),
            .init(line: "mule status --watch", about: "How far are the runs on this machine?"),
            .init(line: "mule status --remote lab-archive/", about: "Which unfinished uploads does this bucket have?"),
            .init(
                line: "mule status --json | jq -r 'select(.lastError) | .source'",
                about: "For scripts: one JSON object per upload."
            ),
        ],
        problem: { arguments in
            if arguments.watch, arguments.remote { return "--watch and --remote cannot be combined" }
            guard !arguments.remote, let place = arguments.operands.first(where: { $0.contains(UInt8(ascii: "/")) })
            else {
                return nil
            }
            return "\"\(TextSafety.displayName(place))\" is a bucket: add --remote to ask the store about it"
        }
    )

    static let abort = CommandPage(
        synopsis: ["[options] ID...", "[options] --all"],
        summary: "abort pending uploads and remove their parts at the store",
        description: [
            "Aborts the uploads with these IDs: mule removes their parts at the store, which charges for them until "
                + "then, and records the uploads as aborted. Finished objects and your files stay unchanged.",
            "This cannot be undone; sending the file again starts from zero. An upload that another process holds is "
                + "skipped.",
            "If the store does not exist any more, or its address was wrong, --forget removes the uploads with these "
                + "IDs from the ledger without contacting the store.",
        ],
        operands: .uploadID,
        common: [
            "all": "abort every pending upload",
            "forget": "remove it from the ledger without contacting the store",
        ],
        examples: [
            .init(line: "mule status", about: "Find the ID first."),
            .init(line: "mule abort k3v9", about: "Abort one upload."),
            .init(line: "mule abort --forget k3v9", about: "Forget an upload whose store cannot be reached any more."),
            .init(line: "mule abort --all", about: "Abort every pending upload in this ledger."),
        ],
        problem: { arguments in
            switch (arguments.operands.isEmpty, arguments.all) {
            case (true, false): "abort needs the IDs of uploads (\"mule status\" lists them), or --all"
            case (false, true): "abort takes IDs or --all, not both"
            case (true, true) where arguments.forget: "--forget needs the IDs of the uploads: it does not take --all"
            default: nil
            }
        }
    )

    static let clean = CommandPage(
        synopsis: ["[options] [BUCKET[/PREFIX]...]"],
        summary: "abort this ledger's stale uploads",
        description: [
            "Aborts the pending uploads of this ledger that made no progress for a week (--older-than), and retries "
                + "aborts that failed before. Then it lists the buckets that this ledger used lately, and removes "
                + "uploads that are done or aborted in the ledger but still exist at the store. With BUCKET or "
                + "BUCKET/PREFIX it does so only there. Uploads that another process holds are skipped.",
            "Uploads that this ledger does not know, from a lost ledger or another program, are listed and kept. "
                + "--all-initiators removes them too, in the named BUCKET: mule lists them first and asks for "
                + "confirmation on the terminal, unless --yes is given. Their age counts from their last part, if "
                + "parts may be listed.",
            "What could not be removed is recorded, and the next run retries it.",
        ],
        details: [
            "Without a terminal and without --yes, --all-initiators only prints the list and exits with 2.",
            "--history removes old records from the ledger: runs with their receipts (the last run of each job "
                + "stays), undelivered notices, finished uploads, and a job's records of files that are gone. The "
                + "record of a file that still exists unchanged stays, because otherwise the file would be sent "
                + "again; so does that of a file whose directory is on a different device than the file was, because "
                + "its disk may not be mounted. Counters of the metrics continue.",
        ],
        operands: .text,
        common: [
            "older-than": "without progress for this long (7d)",
            "dry-run": "list only",
            "all-initiators": "uploads of other programs too",
            "history": "delete old records from the ledger instead",
            "quiet": "show only errors",
        ],
        examples: [
            .init(line: "mule clean --dry-run", about: "What would be removed?"),
            .init(line: "mule clean --quiet --older-than 30d", about: "For cron: silent unless something fails."),
            .init(
                line: "mule clean --all-initiators lab-archive/raw/",
                about: "All unfinished uploads below a prefix, after a list and a confirmation."
            ),
        ],
        problem: { arguments in
            arguments.allInitiators && arguments.operands.isEmpty
                ? "--all-initiators needs the name of the bucket: \"mule clean --all-initiators BUCKET\"" : nil
        }
    )
}
