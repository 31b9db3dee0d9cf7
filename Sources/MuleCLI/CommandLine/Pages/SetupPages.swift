// The commands that check and set up.

extension CommandPage {
    static let doctor = CommandPage(
        synopsis: ["[options] [BUCKET[/PREFIX/]]"],
        summary: "check the ledger, credentials, and a bucket",
        description: [
            "Checks everything that an upload needs, and prints a line for each check: ok, warning or problem, what "
                + "was found, and what to do. The ledger: its file's modes, the disk, every page and row. "
                + "Configuration, profile, region and endpoint: which are used, and where each comes from. "
                + "Credentials: where they come from, and when they expire. Without a BUCKET, whether the endpoint "
                + "answers; with one, bucket and region, the certificate, the clock, who the credentials belong to "
                + "and what they permit, including what they should not: deleting. And what the bucket is set to do: "
                + "abort unfinished uploads, lock objects. --write finds the checksum that the store accepts. "
                + "It checks below PREFIX; use it if the credentials are limited to one.",
            "doctor changes nothing, here or at the store, unless --write or --import is given. Whether the "
                + "credentials may delete is found by asking to delete an object that does not exist. Exits with 0 if there "
                + "is no problem, otherwise with the status of the first one: 12 for the ledger, 5 for credentials, 4 "
                + "for the store, 75 for the network.",
            "If a ledger is damaged, write what can be read with --export, move the ledger aside, and import the file "
                + "with --import. Import only files you trust: \"mule resume\" sends the files listed there to the "
                + "stores listed there.",
        ],
        details: [
            "An export has all uploads with their parts, one JSON object per line, including what can still be read "
                + "of a damaged ledger (then the exit status is 12). An import is all or nothing and skips uploads "
                + "that already exist: if a line is invalid or conflicts with the ledger, mule names it, imports "
                + "nothing and exits with 2."
        ],
        operands: .text,
        common: [
            "write": "also upload and abort a test part",
            "ledger": "check this ledger",
            "export": "write the uploads to a file",
            "import": "import such a file",
            "json": "print findings as JSON",
        ],
        examples: [
            .init(line: "mule doctor", about: "Is everything in order on this machine?"),
            .init(line: "mule doctor --write backups", about: "May these credentials upload to the bucket?"),
            .init(line: "mule doctor --ledger", about: "Check only the ledger."),
            .init(
                line: "mule doctor --export uploads.jsonl",
                about: "Move the uploads to another machine; --import imports them there."
            ),
        ],
        problem: { arguments in
            switch arguments.operands.count {
            case 0 where arguments.write: return "--write needs the BUCKET to test"
            case 2...: return "doctor checks one BUCKET at a time"
            default: break
            }
            if arguments.export != nil, arguments.importFrom != nil {
                return "--export and --import cannot be combined"
            }
            guard arguments.export != nil || arguments.importFrom != nil || arguments.ledgerAlone else { return nil }
            return arguments.operands.isEmpty
                ? nil : "--export, --import, and --ledger without a FILE check no BUCKET"
        }
    )

    static let config = CommandPage(
        synopsis: ["[options] check|init [FILE]"],
        summary: "check or create the configuration file",
        description: [
            "\"mule config check\" reads the configuration, or FILE, and prints a line for every error in it, with "
                + "line and column: unknown keys, values that cannot be used, jobs that lack a key.",
            "Warnings point out valid but probably unintended settings: a missing source, two jobs for one directory, "
                + "an address without encryption. A job that moves files into its own source, or that would archive "
                + "mule's own ledger, is a problem. No file is sent and no store is contacted; \"mule doctor\" does "
                + "that. Exits with 0 if there is no problem, otherwise with 2.",
            "\"mule config init\" asks for the endpoint, the region, the AWS profile with the credentials, a bucket "
                + "and a job, tests the answers as \"mule config check\" and \"mule doctor\" do, without changing "
                + "anything at the store, and writes the configuration, or FILE, with mode 0600. It asks for no "
                + "secret and replaces no file. It writes the file even if the tests find a problem, and exits with "
                + "the status of the first one, 0 if there is none.",
        ],
        details: [
            "Everything that a run would refuse before it sends is a problem too: an unknown profile, a part size "
                + "that is not allowed, a log file or CA bundle that cannot be opened, and, if hours or dates are "
                + "used, a time zone that is not installed. The last line names the AWS variables of this shell on "
                + "which jobs rely because the configuration does not set them: cron and systemd have others.",
            "\"mule config init\" reads its answers from standard input, one per line; an empty line or the end of "
                + "the input takes the default. The lines are: endpoint URL, region, profile (\"environment\" for the "
                + "AWS variables), bucket to test, directory to archive; and with a directory: destination, what to "
                + "do with a file afterwards, name of the job. On a terminal a wrong answer is explained and the "
                + "question repeated, up to three times; otherwise the status is 2 and nothing is written. The tests "
                + "ignore AWS_REGION, AWS_ENDPOINT_URL and AWS_PROFILE of this shell: the answers replace them.",
        ],
        operands: .choice(["check", "init"]),
        common: [
            "json": "print findings as JSON"
        ],
        examples: [
            .init(line: "mule config check", about: "Is the configuration in order?"),
            .init(line: "mule config init", about: "Create the configuration, and test it."),
            .init(
                line: "mule config check config.json.new",
                about: "Check a file before it becomes the configuration."
            ),
            .init(
                line: "mule config check --json | jq -r 'select(.state == \"problem\") | .message'",
                about: "For scripts: one JSON object per finding."
            ),
        ],
        problem: { arguments in
            let both = "\"mule config check\" and \"mule config init\""
            guard let word = arguments.operands.first else { return "config needs an action; there are \(both)" }
            let action = TextSafety.displayName(word)
            guard ["check", "init"].contains(action) else { return "unknown action \"\(action)\"; there are \(both)" }
            guard arguments.operands.count > 2 else { return nil }
            return "config \(action) \(action == "check" ? "reads" : "writes") one FILE at a time"
        }
    )

    static let completion = CommandPage(
        synopsis: ["bash|zsh|fish"],
        summary: "print the completion script of a shell",
        description: [
            "Prints a script that makes the shell complete commands, options, their values, upload IDs, jobs and "
                + "profiles. Packages install it; without a package, load it in the shell's start file."
        ],
        operands: .choice(["bash", "zsh", "fish"]),
        common: [:],
        examples: [
            .init(line: "source <(mule completion bash)", about: "For bash, in ~/.bashrc."),
            .init(line: "source <(mule completion zsh)", about: "For zsh, in ~/.zshrc, after compinit."),
            .init(line: "mule completion fish > ~/.config/fish/completions/mule.fish", about: "For fish, once."),
        ],
        problem: { arguments in
            guard arguments.operands.count == 1 else { return "completion needs one shell: bash, zsh or fish" }
            let word = TextSafety.displayName(arguments.operands[0])
            if CompletionRequest(rawValue: word) != nil { return nil }
            return "no completion for \"\(word)\"; there is bash, zsh and fish"
        }
    )
}
