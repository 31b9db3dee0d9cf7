extension Command {
    package var page: CommandPage {
        switch self {
        case .upload: .upload
        case .resume: .resume
        case .status: .status
        case .abort: .abort
        case .adopt: .adopt
        case .verify: .verify
        case .archive: .archive
        case .report: .report
        case .clean: .clean
        case .doctor: .doctor
        case .config: .config
        }
    }
}

extension CommandPage {
    fileprivate static let upload = CommandPage(
        synopsis: "[options] SOURCE... DESTINATION",
        summary: "send files; carries on by itself where an earlier run stopped",
        description: [
            "Sends files to a bucket. Large files go in parts, and each part that the store has confirmed is on "
                + "record: after a crash, a reboot or a lost network, run the same command again and only the rest is "
                + "sent.",
            "SOURCE is a file, a directory with --recursive, or - for standard input. DESTINATION is bucket/key or "
                + "s3://bucket/key. One that ends in / is a prefix under which the source's name is appended; several "
                + "sources need one.",
            "--include, --exclude, ages, sizes and --symlinks choose among the files below a directory; what is named itself, "
                + "as SOURCE or in a list, is always sent. With --files-from there is no SOURCE. A listed name keeps its path behind the prefix, without a leading / "
                + "or ./; one with .. in it is refused, and one that is missing does not stop the others.",
            "With --stdin-command there is no SOURCE: mule runs the command and sends what it prints. Better than a pipe, "
                + "because mule sees how it ends: if it fails, there is no object. Interrupted? Run the same command, or the "
                + "same pipe, again: the stream is read from its start, and parts that the store has and that are the same are "
                + "not sent again.",
            "A file that was delivered before, and that the store still has, is not sent again. An object that is "
                + "already there under the same name is replaced unless --no-overwrite is given.",
        ],
        examples: [
            .init(line: "mule upload db.dump backups/2026/db.dump", about: "Send one file. Interrupted? Run it again."),
            .init(
                line: "mule upload -r --storage-class GLACIER run-17/ s3://lab-archive/run-17/",
                about: "Send a directory to an archive tier."
            ),
            .init(
                line:
                    "mule upload -r --exclude '*.tmp' --exclude cache/ --min-age 10m --order oldest spool/ backups/spool/",
                about: "Choose among the files of a directory."
            ),
            .init(
                line: "find . -name '*.raw' -print0 | mule upload --files-from0 - lab-archive/raw/",
                about: "Let another program choose."
            ),
            .init(
                line: "mule upload -j 4 --limit-rate 20MB/s big.tar backups/",
                about: "Leave room on the line for others."
            ),
            .init(
                line: "mule upload --expected-size 200GiB --stdin-command ./dump.sh backups/mydb.sql",
                about: "Send what another program prints, if it ends well."
            ),
        ],
        problem: { typed in
            if let problem = selectionProblem(typed) { return problem }
            let stdin = Array("-".utf8)
            if typed.stdinCommand != nil, typed.operands.count != 1 {
                return typed.operands.isEmpty
                    ? "upload needs a DESTINATION for what the command prints, as bucket/key"
                    : "--stdin-command takes the place of SOURCE: write only the DESTINATION, as bucket/key"
            }
            if typed.expectedSize != nil, typed.stdinCommand == nil, !typed.operands.contains(stdin) {
                return "--expected-size is for - and --stdin-command: the size of a file is known"
            }
            return switch typed.operands.count {
            case _ where typed.stdinCommand != nil: nil
            case 1 where typed.filesFrom != nil || typed.filesFrom0 != nil: nil
            case 0: "upload needs at least one SOURCE and a DESTINATION, such as \"mule upload db.dump backups/\""
            case 1:
                "upload needs a DESTINATION too: only \"\(TextSafety.displayName(typed.operands[0]))\" was given. "
                    + "Write it behind the source, as bucket/key or bucket/"
            default: nil
            }
        }
    )

    private static func selectionProblem(_ typed: Typed) -> String? {
        let lists = [("--files-from", typed.filesFrom), ("--files-from0", typed.filesFrom0)].filter { $0.1 != nil }
        if lists.count > 1 { return "--files-from and --files-from0 do not go together" }
        if let (name, list) = lists.first {
            let sources = typed.operands.dropLast()
            if list == [UInt8(ascii: "-")], sources.contains([UInt8(ascii: "-")]) {
                return "standard input can't be both the list of \(name) and a SOURCE"
            }
            if typed.operands.isEmpty { return "\(name) needs a DESTINATION: bucket/ or bucket/prefix/" }
            if let source = sources.first {
                return "\(name) names all that is sent; leave out the SOURCE \"\(TextSafety.displayName(source))\""
            }
        }
        guard !typed.recursive else { return nil }
        let options = typed.selection
        let useless = [
            ("--include", !options.include.isEmpty), ("--exclude", !options.exclude.isEmpty),
            ("--min-age", options.minimumAge != nil), ("--max-age", options.maximumAge != nil),
            ("--min-size", options.minimumSize != nil), ("--max-size", options.maximumSize != nil),
            ("--symlinks", options.symlinks != nil),
        ].first { $0.1 }
        return useless.map { "\($0.0) chooses among the files below a directory, which are sent with --recursive only" }
    }

    fileprivate static let resume = CommandPage(
        synopsis: "[options] [ID...]",
        summary: "carry on with all pending uploads, or with these",
        description: [
            "Carries on with every pending upload in the ledger, or with those whose IDs are given (\"mule status\" "
                + "lists them). Each goes where it was going, in parts of the same size; only the missing parts are "
                + "sent.",
            "An upload whose source has changed since is not mixed with the old bytes: it is left as it is, and the "
                + "message says what changed. One that another process is carrying is skipped. A stream can't be carried on from "
                + "here: run the command that sent it again.",
        ],
        examples: [
            .init(line: "mule resume", about: "After a reboot: finish all that is pending."),
            .init(line: "mule resume k3v9 m2x7", about: "Finish two of them."),
            .init(
                line: "mule resume --quiet --stall-limit 1h",
                about: "For cron: says nothing unless something is wrong, and is patient with the network."
            ),
        ],
        problem: { _ in nil }
    )

    fileprivate static let status = CommandPage(
        synopsis: "[options] [ID...]",
        summary: "list pending uploads, with --all the finished ones too",
        description: [
            "Lists the uploads that the ledger knows to be pending: ID, state, how much the store has, source and "
                + "destination. It sends nothing and does not ask the store.",
            "With --remote it asks: for each upload what the store holds of it, which costs money until it is completed or "
                + "given up, and then for each of their buckets which uploads it has that this ledger does not know. "
                + "BUCKET/ or BUCKET/PREFIX among the IDs asks about other places.",
            "States: pending (waits for a run), active (a live process carries it), done, failed, aborted, and unknown "
                + "(the store's last answer was lost; the last error says how to check).",
        ],
        examples: [
            .init(line: "mule status", about: "What is left to do?"),
            .init(line: "mule status --all k3v9", about: "What became of this one?"),
            .init(line: "mule status --remote lab-archive/", about: "What lies unfinished in this bucket?"),
            .init(
                line: "mule status --json | jq -r 'select(.lastError) | .source'",
                about: "For scripts: one JSON object per upload."
            ),
        ],
        problem: { typed in
            guard !typed.remote, let place = typed.operands.first(where: { $0.contains(UInt8(ascii: "/")) }) else {
                return nil
            }
            return "\"\(TextSafety.displayName(place))\" names a bucket, about which only --remote asks"
        }
    )

    fileprivate static let abort = CommandPage(
        synopsis: "[options] ID...|--all",
        summary: "give up pending uploads and remove their parts at the store",
        description: [
            "Gives up the uploads with these IDs: their parts are removed at the store, which bills for them until "
                + "then, and the ledger records them as aborted. Finished objects and your own files are not touched.",
            "This cannot be undone; sending the file again starts from nothing. An upload that another process is "
                + "carrying is left alone.",
            "Where the store does not exist any more, or its address was wrong, --forget removes the uploads with these IDs "
                + "from the ledger alone.",
        ],
        examples: [
            .init(line: "mule status", about: "Find the ID first."),
            .init(line: "mule abort k3v9", about: "Give up one upload."),
            .init(line: "mule abort --forget k3v9", about: "Forget one whose store cannot be reached any more."),
            .init(line: "mule abort --all", about: "Give up every pending upload in this ledger."),
        ],
        problem: { typed in
            switch (typed.operands.isEmpty, typed.all) {
            case (true, false): "abort needs the IDs of the uploads to give up (\"mule status\" lists them), or --all"
            case (false, true): "abort takes IDs or --all, not both"
            case (true, true) where typed.forget: "--forget needs the IDs of the uploads: it does not take --all"
            default: nil
            }
        }
    )

    fileprivate static let adopt = CommandPage(
        synopsis: "[options] FILE BUCKET/KEY",
        summary: "take over an upload that exists only at the store, and finish it",
        description: [
            "For an upload that this ledger does not know: the ledger was lost, or another machine or another program began "
                + "it. Lists the unfinished uploads of BUCKET/KEY, compares their parts with FILE by size and checksum, "
                + "takes over the one whose parts are the file's, and carries it to its end like resume: only the missing "
                + "parts are sent.",
            "Every part must hold the file's bytes, and all parts must be of one size but the last. Of several such uploads "
                + "the one with the most bytes is taken, then the newest; the others are named and left as they are. An "
                + "upload that does not fit is left alone, with the reason.",
            "What the object carries besides its bytes (metadata, storage class, ...) was fixed by whoever began the upload. "
                + "BUCKET/KEY that ends in / is a prefix under which the file's name is appended.",
        ],
        examples: [
            .init(line: "mule adopt db.dump backups/2026/db.dump", about: "The ledger is lost; the parts are not."),
            .init(
                line: "mule adopt -j 4 db.dump s3://backups/2026/",
                about: "Below a prefix, under the file's name, with four requests in flight."
            ),
            .init(
                line: "mule adopt --no-overwrite --json db.dump backups/2026/db.dump",
                about: "For scripts, and never in place of an object that is there."
            ),
        ],
        problem: { typed in
            typed.operands.count == 2
                ? nil : "adopt needs a FILE and its object, such as \"mule adopt db.dump backups/db.dump\""
        }
    )

    fileprivate static let verify = CommandPage(
        synopsis: "[options] [FILE BUCKET/KEY]",
        summary: "prove that an object equals a file, without downloading it",
        description: [
            "Reads the file and compares it with what the store shows of the object: its size, then the first of these that "
                + "there is: the checksum of the whole object; the checksum of its parts' checksums (the parts' sizes come "
                + "from GetObjectAttributes, else from the ledger); the MD5 that is its ETag; the ETag of a multipart "
                + "object, computed again from the parts' MD5s; the checksum of its upload in the ledger, where token and "
                + "ETag show that the object is still that upload's. The result says which one it was.",
            "The status is 0 for proven and 6 for anything else: the object differs, there is none, or the store shows "
                + "nothing that proves it (an ETag alone never proves a difference). --download then compares the bytes.",
            "BUCKET/KEY that ends in / is a prefix under which the file's name is appended.",
            "With --receipt no file is read: everything that the receipts of archive jobs call archived is looked up where it was "
                + "archived (--endpoint-url and --region go first), and size, checksum, ETag and version are compared. The "
                + "checksum proves an object, else its ETag, which the store would not have kept for other bytes. What is not "
                + "proven has a line, with -v everything; the status is 0 when all are proven, 2 when a line is none of a "
                + "receipt.",
        ],
        examples: [
            .init(
                line: "mule verify db.dump backups/2026/db.dump",
                about: "Is the object the file? The status is 0 only when that is proven."
            ),
            .init(line: "mule verify db.dump backups/2026/", about: "The same below a prefix, under the file's name."),
            .init(
                line: "mule verify --download db.dump backups/2026/db.dump",
                about: "Read the object and compare every byte."
            ),
            .init(
                line: "mule verify --receipt nightly-20261121T030000Z-17.jsonl",
                about: "Is everything that a run has archived still there, and the same?"
            ),
        ],
        problem: { typed in
            guard typed.receipts.isEmpty else {
                if !typed.operands.isEmpty { return "--receipt stands in place of a FILE and its object" }
                return typed.download ? "--download reads an object for a FILE, and with --receipt there is none" : nil
            }
            return typed.operands.count == 2
                ? nil : "verify needs a FILE and its object, such as \"mule verify db.dump backups/db.dump\""
        }
    )

    fileprivate static let archive = CommandPage(
        synopsis: "[options] [JOB...]",
        summary: "run the batch jobs of the configuration; made for cron",
        description: [
            "Sends what is new in the directory of each JOB, all jobs when none is named, and then keeps, moves or deletes each "
                + "file: only when the store has confirmed every byte of it and the ledger has that on disk, and only if it is "
                + "still the file that was sent. With --source and --to it runs one job that stands on the command line.",
            "What earlier runs have left goes first. A file that is archived and unchanged is known by the ledger, and the "
                + "bucket is not listed. An object that is there already is never replaced unless the job allows it. A file "
                + "that fails for good in three runs (--quarantine-after) is left alone until it changes; the status still says "
                + "so, the messages do not.",
            "One run at a time for each job: another one leaves at once with status 11, or waits (--wait). At the border of its "
                + "window (--window, --until, --max-duration, --max-bytes) a run stops with status 10, and the next goes on from there. "
                + "Whatever kills it, the same command again sends at most what was in flight.",
            "With --dry-run nothing is sent; the status is the one that a run would end with, as far as that is known before it.",
        ],
        examples: [
            .init(line: "mule archive -q", about: "For cron: all jobs, silent unless something is wrong."),
            .init(line: "mule archive --dry-run -v nightly", about: "What would it do? Each file with its key."),
            .init(line: "mule archive --wait 45m nightly", about: "One job, after the run that may still be going on."),
            .init(
                line: "mule archive --source /srv/dumps --to backups/{host}/{date}/ --after move:/srv/done",
                about: "A job without a configuration."
            ),
            .init(
                line: "mule archive --source spool --to lab/raw/ --min-age 10m --after delete-after:7d --until 06:00",
                about: "Leave young files alone, delete a week after the proof, stop in the morning."
            ),
        ],
        problem: { typed in
            let isOneOff = typed.job.source != nil || typed.job.destination != nil
            if isOneOff, typed.job.source == nil || typed.job.destination == nil {
                return "--source and --to go together"
            }
            if isOneOff, !typed.operands.isEmpty { return "a JOB of the configuration has its own --source and --to" }
            return nil
        }
    )

    fileprivate static let report = CommandPage(
        synopsis: "[options]",
        summary: "what the jobs of mule archive have done",
        description: [
            "Lists the runs of the last 24 hours (--since) by what the ledger knows, the newest last: number, begin, how long it "
                + "took, exit status with its meaning in a word, job, and what became of how many files. A run without an end "
                + "is running, or was killed. --files adds a line for each file with its object, size and checksum, --run N "
                + "shows one run with its files.",
            "Below the runs stands what needs somebody: files that are left alone after failing too often or that failed in "
                + "their last run, archived files that could not be moved or deleted, uploads begun more than a day ago.",
            "--format json prints an object a line: events run, file and attention. --format csv prints one table (RFC 4180): "
                + "the runs, or with --files or --run the files. A text in it that a spreadsheet would take for a formula has "
                + "an apostrophe before it.",
            "No store is asked, and the exit status is that of the report, not of the runs.",
        ],
        examples: [
            .init(line: "mule report", about: "What happened last night?"),
            .init(line: "mule report --since 7d --job nightly", about: "One job, a week of it."),
            .init(line: "mule report --run 17", about: "Which files were in run 17, and what are their checksums?"),
            .init(line: "mule report --since 30d --files --format csv", about: "Every file of a month, as a table."),
        ],
        problem: { typed in
            if let operand = typed.operands.first {
                return "report takes no operands; --job \(TextSafety.displayName(operand)) shows one job"
            }
            if typed.runNumber != nil, typed.since != nil {
                return "--run shows one run, whenever it was; leave out --since"
            }
            if typed.json, let format = typed.format, format != .json {
                return "--json and --format \(format.rawValue) do not go together"
            }
            return nil
        }
    )

    fileprivate static let clean = CommandPage(
        synopsis: "[options] [BUCKET[/PREFIX]...]",
        summary: "remove this ledger's own stale uploads at the store",
        description: [
            "Gives up the pending uploads of this ledger that have made no progress for a week (--older-than), as \"mule "
                + "abort\" does, and finishes what was to be given up before. Then it lists the buckets that the ledger "
                + "has lately used and removes what the ledger takes for done or given up, but the store still has. With "
                + "BUCKET or BUCKET/PREFIX only there. What another process carries is left alone.",
            "Uploads that this ledger does not know, of a lost ledger or of another tool, are shown and left alone. With "
                + "--all-initiators they are removed too, whoever began them: the bucket must be named, they are listed "
                + "first, and it takes a yes on the terminal, or --yes. Their age counts from their last part, as far as "
                + "parts may be listed.",
            "What could not be removed is remembered and tried again by the next run.",
        ],
        examples: [
            .init(line: "mule clean --dry-run", about: "What would be removed?"),
            .init(line: "mule clean --quiet --older-than 30d", about: "For cron: silent unless something fails."),
            .init(
                line: "mule clean --all-initiators lab-archive/raw/",
                about: "Everything that lies unfinished below a prefix, after a list and a question."
            ),
        ],
        problem: { typed in
            typed.allInitiators && typed.operands.isEmpty
                ? "--all-initiators needs the bucket by name: \"mule clean --all-initiators BUCKET\"" : nil
        }
    )

    fileprivate static let doctor = CommandPage(
        synopsis: "[options] [BUCKET]",
        summary: "check the ledger, credentials, and a bucket",
        description: [
            "Looks at everything an upload needs and prints a line for each check: ok, warning or problem, what was seen, "
                + "and what to do. The ledger: its file's modes, the disk, every page and row. Credentials: whether there "
                + "are any. With a BUCKET also the store: bucket and region, the clock, and what these credentials may do.",
            "It changes nothing, neither here nor at the store, unless --write or --import is given. The exit status is 0 "
                + "when there is no problem, else that of the first one: 12 for the ledger, 5 for credentials, 4 for "
                + "the store, 75 for the network.",
            "A ledger that is damaged: write down what can be read with --export, move it aside, and take that in again with "
                + "--import. Import only what you trust: \"mule resume\" sends the files that stand there to the stores "
                + "that stand there.",
        ],
        examples: [
            .init(line: "mule doctor", about: "Is everything in order on this machine?"),
            .init(line: "mule doctor --write backups", about: "May these credentials upload to the bucket?"),
            .init(line: "mule doctor --ledger", about: "Check the ledger alone."),
            .init(
                line: "mule doctor --export uploads.jsonl",
                about: "Take the uploads to another machine; --import takes them in there."
            ),
        ],
        problem: { typed in
            switch typed.operands.count {
            case 0 where typed.write: return "--write needs the BUCKET to try it in"
            case 2...: return "doctor checks one BUCKET at a time"
            default: break
            }
            if typed.export != nil, typed.importFrom != nil { return "--export and --import do not go together" }
            guard typed.export != nil || typed.importFrom != nil || typed.ledgerAlone else { return nil }
            return typed.operands.isEmpty
                ? nil : "a BUCKET is not checked with --export, --import, or --ledger without a FILE"
        }
    )

    fileprivate static let config = CommandPage(
        synopsis: "[options] check [FILE]",
        summary: "check the configuration file",
        description: [
            "Reads the configuration, or FILE, and prints a line for everything that is wrong with it, with its line and "
                + "column: keys that there are not, values that can't be used, jobs that lack something.",
            "Warnings are for what can be used and is hardly meant: a source that is not there, two jobs of one directory, an "
                + "address without encryption. A job that moves files to where it finds them, or would archive mule's own "
                + "ledger, is a problem. Nothing is sent, and no store is asked; \"mule doctor\" does that.",
            "The status is 0 when there is no problem, else 2.",
        ],
        examples: [
            .init(line: "mule config check", about: "Is the configuration in order?"),
            .init(line: "mule config check config.json.new", about: "And the one that is to take its place?"),
            .init(
                line: "mule config check --json | jq -r 'select(.state == \"problem\") | .message'",
                about: "For scripts: one JSON object per finding."
            ),
        ],
        problem: { typed in
            guard let word = typed.operands.first else {
                return "config needs to be told what to do: \"mule config check\""
            }
            guard word == Array("check".utf8) else {
                return
                    "\"\(TextSafety.displayName(word))\" is nothing that config can do; there is \"mule config check\""
            }
            return typed.operands.count > 2 ? "config check reads one FILE at a time" : nil
        }
    )
}
