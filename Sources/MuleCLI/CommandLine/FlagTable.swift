/// Every flag that mule knows. Parsing, help and suggestions read this table; a new flag is a new row.
package enum FlagTable {
    /// In the order of help. Where two commands share a name, both rows take a value or neither does.
    package static let rows: [Flag] = job + transfer + proof + object + files + selection + report + checks + shared

    /// The rows that a command takes.
    package static func rows(for command: Command) -> [Flag] { rows.filter { $0.commands.contains(command) } }

    private static let every = Set(Command.allCases)
    private static let sending: Set<Command> = [.upload, .resume, .adopt, .archive]
    /// Those that make uploads of files they find.
    private static let filing: Set<Command> = [.upload, .archive]
    private static let archive: Set<Command> = [.archive]
    /// Those that work with the ledger or a store.
    private static let working = every.subtracting([.config])
    private static let upload: Set<Command> = [.upload]
    /// Those that name one object, or a prefix for it.
    private static let doctor: Set<Command> = [.doctor]
    private static let toObject: Set<Command> = [.upload, .adopt, .verify]

    private static let job: [Flag] = [
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

    private static let transfer: [Flag] = [
        .on(
            "recursive",
            letter: "r",
            .transfer,
            upload,
            sets: \.recursive,
            negation: "no-recursive",
            "Send every file below a SOURCE that is a directory."
        ),
        .value(
            "part-size",
            "SIZE",
            .transfer,
            filing,
            sets: \.store.partSize,
            reading: OptionValue.size,
            "Bytes in each part, such as 64MiB or 100MB, from 5MiB to 5GiB. Default: 8MiB, and more for files that would "
                + "not fit in 10,000 such parts."
        ),
        .command(
            "stdin-command",
            .transfer,
            upload,
            sets: \.stdinCommand,
            "Run this with /bin/sh and send what it prints, in place of a SOURCE. There is no object unless it ends with status "
                + "0. Not kept anywhere."
        ),
        .value(
            "expected-size",
            "SIZE",
            .transfer,
            upload,
            sets: \.expectedSize,
            reading: OptionValue.size,
            readsEnvironment: false,
            "About how long the stream of - or --stdin-command is, for the size of its parts and for progress. A longer or "
                + "shorter one is sent as well."
        ),
        .value(
            "multipart-threshold",
            "SIZE",
            .transfer,
            filing,
            sets: \.transfer.multipartThreshold,
            reading: OptionValue.size,
            "Send files larger than this in parts; others go in a single request. Default: 16MiB, or the part size where "
                + "that is given and smaller."
        ),
        .value(
            "concurrency",
            letter: "j",
            "N|auto",
            .transfer,
            sending,
            sets: \.transfer.concurrency,
            reading: OptionValue.concurrency,
            "Requests in flight at once, 1 to 256, over all files. Default: auto, which finds by trying how many the line has "
                + "use for, up to 64. Never more than there are open files and memory for."
        ),
        .value(
            "limit-rate",
            "RATE",
            .transfer,
            sending,
            sets: \.transfer.limitRate,
            reading: OptionValue.rate,
            "Send at most this many bytes per second over all requests, such as 500K or 20MB/s; off is no limit. A timetable in "
                + "local time changes it while mule runs: \"08:00-18:00 Mon-Fri=20MB/s, *=off\"."
        ),
        .value(
            "stall-limit",
            "DURATION",
            .transfer,
            sending.union([.verify]),
            sets: \.transfer.stallLimit,
            reading: OptionValue.duration,
            "Stop, resumable, after this long without any progress, such as 90s or 1h30m. Default: 15m."
        ),
        .value(
            "page-cache",
            "WHAT",
            .transfer,
            sending,
            sets: \.transfer.pageCache,
            reading: OptionValue.choice,
            "What becomes of the file's bytes in this machine's memory: keep them, or drop each part that was not there before "
                + "when it is sent, for other programs' sake. Default: keep."
        ),
        .value(
            "settle",
            "DURATION",
            .transfer,
            filing,
            sets: \.source.settle,
            reading: OptionValue.duration,
            "Send a file only when nobody has changed it for this long: wait for it, and refuse it if it changes meanwhile."
        ),
        .value(
            "changing",
            "WHAT",
            .transfer,
            filing,
            sets: \.source.changing,
            reading: OptionValue.choice,
            "What to do with a file that changes while it is sent: refuse it, or send the size first seen (snapshot-size), "
                + "for files that only grow. Default: refuse."
        ),
        .value(
            "checksum",
            "NAME",
            .transfer,
            filing,
            sets: \.store.checksum,
            reading: OptionValue.choice,
            "What the store checks the bytes against: auto, crc64nvme, crc32c, crc32, sha256, md5 or none. Default: "
                + "auto, the strongest that the store offers."
        ),
        .value(
            "payload-signing",
            "WHEN",
            .transfer,
            [.upload, .adopt, .archive],
            sets: \.store.payloadSigning,
            reading: OptionValue.choice,
            "Cover the bytes with the request's signature: auto, always or never. Default: auto, over plain HTTP only."
        ),
        .on(
            "no-overwrite",
            .transfer,
            [.upload, .adopt],
            sets: \.noOverwrite,
            negation: "overwrite",
            "Leave an object that already exists as it is, and exit with 7. The store decides, without a race."
        ),
        .on(
            "exact-key",
            .transfer,
            toObject,
            sets: \.exactKey,
            negation: "no-exact-key",
            "Take the destination for the object's whole name even if it ends in /."
        ),
        .on(
            "force",
            .transfer,
            upload,
            sets: \.force,
            negation: "no-force",
            "Send even what the ledger says was delivered and the store still has."
        ),
        .on(
            "restart",
            .transfer,
            upload,
            sets: \.restart,
            negation: "no-restart",
            "Give up a pending upload of this source, with its parts, and begin anew."
        ),
    ]

    private static let proof: [Flag] = [
        .on(
            "download",
            .transfer,
            [.verify],
            sets: \.download,
            negation: "no-download",
            "Read the whole object and compare its bytes with the file's, whatever else the store shows."
        ),
        .list(
            "receipt",
            "FILE",
            .transfer,
            [.verify],
            adds: \.receipts,
            reading: OptionValue.path,
            "In place of a FILE and its object: ask the store for everything that this receipt of an archive job, - for standard "
                + "input, calls archived, and compare. May stand several times."
        ),
        .value(
            "concurrency",
            letter: "j",
            "N|auto",
            .transfer,
            [.verify],
            sets: \.transfer.concurrency,
            reading: OptionValue.concurrency,
            "Objects of --receipt that are asked about at once, 1 to 256. Default: auto, which is 16."
        ),
    ]

    private static let object: [Flag] = [
        .value(
            "content-type",
            "TYPE",
            .object,
            filing,
            sets: \.object.contentType,
            reading: OptionValue.text,
            "The Content-Type that readers of the object are given."
        ),
        .value(
            "cache-control",
            "TEXT",
            .object,
            filing,
            sets: \.object.cacheControl,
            reading: OptionValue.text,
            "The object's Cache-Control header."
        ),
        .value(
            "content-disposition",
            "TEXT",
            .object,
            filing,
            sets: \.object.contentDisposition,
            reading: OptionValue.text,
            "The object's Content-Disposition header."
        ),
        .value(
            "content-encoding",
            "TEXT",
            .object,
            filing,
            sets: \.object.contentEncoding,
            reading: OptionValue.text,
            "The object's Content-Encoding header. The bytes are sent as they are."
        ),
        .value(
            "content-language",
            "TEXT",
            .object,
            filing,
            sets: \.object.contentLanguage,
            reading: OptionValue.text,
            "The object's Content-Language header."
        ),
        .pair(
            "metadata",
            "K=V",
            .object,
            filing,
            adds: \.object.metadata,
            reading: OptionValue.metadata,
            "User metadata (x-amz-meta-K)."
        ),
        .pair(
            "tag",
            "K=V",
            .object,
            filing,
            adds: \.object.tags,
            reading: OptionValue.tag,
            "An object tag."
        ),
        .value(
            "storage-class",
            "NAME",
            .object,
            filing,
            sets: \.object.storageClass,
            reading: OptionValue.text,
            "STANDARD, STANDARD_IA, GLACIER, DEEP_ARCHIVE, ... as the store calls it."
        ),
        .value(
            "acl",
            "NAME",
            .object,
            filing,
            sets: \.object.acl,
            reading: OptionValue.text,
            "A canned ACL, such as private or bucket-owner-full-control."
        ),
        .value(
            "sse",
            "NAME",
            .object,
            filing,
            sets: \.object.encryption,
            reading: OptionValue.choice,
            "Encryption at rest by the store: AES256 or aws:kms."
        ),
        .value(
            "sse-kms-key-id",
            "ID",
            .object,
            filing,
            sets: \.object.kmsKeyID,
            reading: OptionValue.text,
            "The KMS key for --sse aws:kms."
        ),
    ]

    /// None of them has a variable: one that somebody has forgotten would leave files out.
    private static let files: [Flag] = [
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

    private static let selection: [Flag] = [
        .on("all", .selection, [.status], sets: \.all, "List finished, failed and aborted uploads too."),
        .on("all", .selection, [.abort], sets: \.all, "Give up every pending upload in the ledger."),
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

    private static let report: [Flag] = [
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

    private static let checks: [Flag] = [
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

    private static let shared: [Flag] = [
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
