// The commands for batch jobs.

extension CommandPage {
    static let archive = CommandPage(
        synopsis: ["[options] [JOB...]"],
        summary: "run the batch jobs of the configuration; made for cron",
        description: [
            "Runs the named jobs, or all jobs of the configuration. A job uploads the new files of a directory, and "
                + "then keeps, moves or deletes each file: only after the store has confirmed every byte of it, the "
                + "ledger has that on disk, and the file is still the one that was sent. --source and --to run a job "
                + "without a configuration.",
            "Unfinished work of earlier runs goes first. The ledger knows archived, unchanged files; the bucket is "
                + "not listed. An existing object is never replaced unless the job allows it. A file that fails "
                + "permanently in three runs (--quarantine-after) is quarantined until it changes: it causes no "
                + "message, but it still affects the exit status.",
            "Only one run of a job is allowed at a time: a second one exits with 11 at once, or waits (--wait). At a "
                + "limit (--window, --until, --max-duration, --max-bytes) a run exits with 10, and the next run "
                + "resumes. After any kill the same command again sends at most what was in flight.",
            "With --dry-run nothing is sent; the exit status is that of a run, as far as it is known in advance.",
        ],
        details: [
            "mule does not follow links to move or delete a file. A file that another process has open for writing "
                + "stays. A move replaces nothing: if a name is taken, a number is added. An existing object that is "
                + "proven to equal the file, as \"mule verify\" proves it, counts as archived.",
            "requireMount of a job in the configuration lists what must exist before the run does anything: mount "
                + "points, or files that mark the right disk. Otherwise the run exits with 3. Without it, a source "
                + "whose files are gone together with their file system is exit status 3 too, and files are not moved "
                + "to an empty directory on a different file system than before.",
            "--dry-run uses the files and the ledger, which it does not create. It shows how many files are new, "
                + "changed, pending, unchanged, still changing, quarantined or cannot be archived, with the bytes, "
                + "parts and requests, and an estimate of the memory; with --limit-rate the duration, with -v each "
                + "file with its key, with --json an object for each file and one for the job. With {sha256} in the "
                + "destination every file is read. The limits of a run are ignored.",
        ],
        operands: .job,
        common: [
            "source": "archive this directory, without a configuration",
            "to": "where its files go",
            "after": "keep, move:DIR, delete or delete-after:AGE",
            "dry-run": "show what a run would do",
            "window": "run only at this time of day",
            "wait": "wait for another run of the job",
            "limit-rate": "bytes per second, or a timetable",
            "quiet": "show only errors",
        ],
        examples: [
            .init(line: "mule archive -q", about: "For cron: all jobs, silent unless something is wrong."),
            .init(line: "mule archive --dry-run -v nightly", about: "What would it do? Shows each file with its key."),
            .init(
                line: "mule archive --source /srv/dumps --to backups/{host}/{date}/ --after move:/srv/done",
                about: "A job without a configuration."
            ),
            .init(line: "mule archive --wait 45m nightly", about: "One job, after a run that may still be active."),
            .init(
                line: "mule archive --source spool --to lab/raw/ --min-age 10m --after delete-after:7d --until 06:00",
                about: "Skip files younger than 10 minutes, delete files a week after the proof, stop in the morning."
            ),
        ],
        problem: { arguments in
            let isOneOff = arguments.job.source != nil || arguments.job.destination != nil
            if isOneOff, arguments.job.source == nil || arguments.job.destination == nil {
                return "--source and --to need each other"
            }
            if isOneOff, !arguments.operands.isEmpty {
                return "a JOB of the configuration has its own --source and --to"
            }
            return nil
        }
    )

    static let report = CommandPage(
        synopsis: ["[options]"],
        summary: "show what the jobs of mule archive did",
        description: [
            "Lists the runs of the last 24 hours (--since) from the ledger, the newest last: number, start, duration, "
                + "exit status with its meaning, job, and the number of files by result. A run without an end is "
                + "running, or was killed. --files adds a line for each file with its object, size and checksum; "
                + "--run N shows one run with its files.",
            "Below the runs it lists what needs action: quarantined files, files that failed in their last run, "
                + "archived files that could not be moved or deleted, and uploads started more than a day ago.",
            "--format json prints an object per line: the events run, file and attention. --format csv prints one "
                + "table (RFC 4180): the runs or, with --files or --run, the files. A text that a spreadsheet would "
                + "take for a formula gets a leading apostrophe.",
            "--html writes the same as a page with charts, for the last 84 days or --since.",
            "No store is contacted. The exit status is that of the report, not of the runs.",
        ],
        operands: .none,
        common: [
            "since": "runs within this time (24h)",
            "job": "runs of this job",
            "run": "one run with its files",
            "files": "a line for each file",
            "format": "the format of the output",
            "html": "write a page with charts to this file",
        ],
        examples: [
            .init(line: "mule report", about: "What happened last night?"),
            .init(line: "mule report --since 7d --job nightly", about: "A week of one job."),
            .init(line: "mule report --run 17", about: "Which files were in run 17, and what are their checksums?"),
            .init(line: "mule report --since 30d --files --format csv", about: "Every file of a month, as a table."),
            .init(line: "mule report --html report.html", about: "A page with charts of the last twelve weeks."),
        ],
        problem: { arguments in
            if let operand = arguments.operands.first {
                return "report takes no operands; --job \(TextSafety.displayName(operand)) shows one job"
            }
            if arguments.runNumber != nil, arguments.since != nil {
                return "--run shows one run of any age; remove --since"
            }
            if arguments.json, let format = arguments.format, format != .json {
                return "--json and --format \(format.rawValue) cannot be combined"
            }
            if arguments.html != nil,
                arguments.json || arguments.format != nil || arguments.files || arguments.runNumber != nil
            {
                return "--html cannot be combined with --json, --format, --files and --run"
            }
            return nil
        }
    )
}
