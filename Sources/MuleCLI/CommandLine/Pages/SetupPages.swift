// The commands that check and set up.

extension CommandPage {
    static let doctor = CommandPage(
        synopsis: ["[options] [BUCKET]"],
        summary: "check the ledger, credentials, and a bucket",
        description: [
            "Checks everything that an upload needs, and prints a line for each check: ok, warning or problem, what was found, "
                + "and what to do. The ledger: its file's modes, the disk, every page and row. Configuration, profile, region and "
                + "endpoint: which are used, and where each comes from. Credentials: whether there are any. Without a BUCKET, "
                + "whether the endpoint answers; with one, bucket and region, the clock, and the permissions of these credentials.",
            "doctor changes nothing, here or at the store, unless --write or --import is given. Exits with 0 if there is no "
                + "problem, otherwise with the status of the first one: 12 for the ledger, 5 for credentials, 4 for the store, 75 "
                + "for the network.",
            "If a ledger is damaged, write what can be read with --export, move the ledger aside, and import the file with "
                + "--import. Import only files you trust: \"mule resume\" sends the files listed there to the stores listed there.",
        ],
        details: [
            "An export has all uploads with their parts, one JSON object per line, including what can still be read of a damaged "
                + "ledger (then the exit status is 12). An import is all or nothing and skips uploads that already exist: if a line is "
                + "invalid or conflicts with the ledger, mule names it, imports nothing and exits with 2."
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
        problem: { typed in
            switch typed.operands.count {
            case 0 where typed.write: return "--write needs the BUCKET to test"
            case 2...: return "doctor checks one BUCKET at a time"
            default: break
            }
            if typed.export != nil, typed.importFrom != nil { return "--export and --import cannot be combined" }
            guard typed.export != nil || typed.importFrom != nil || typed.ledgerAlone else { return nil }
            return typed.operands.isEmpty
                ? nil : "--export, --import, and --ledger without a FILE check no BUCKET"
        }
    )

    static let config = CommandPage(
        synopsis: ["[options] check [FILE]"],
        summary: "check the configuration file",
        description: [
            "Reads the configuration, or FILE, and prints a line for every error in it, with line and column: unknown keys, values "
                + "that cannot be used, jobs that lack a key.",
            "Warnings point out valid but probably unintended settings: a missing source, two jobs for one directory, an address "
                + "without encryption. A job that moves files into its own source, or that would archive mule's own ledger, is a "
                + "problem. No file is sent and no store is contacted; \"mule doctor\" does that.",
            "Exits with 0 if there is no problem, otherwise with 2.",
        ],
        details: [
            "Everything that a run would refuse before it sends is a problem too: an unknown profile, a part size that is not allowed, "
                + "a log file or CA bundle that cannot be opened, and, if hours or dates are used, a time zone that is not installed. "
                + "The last line names the AWS variables of this shell on which jobs rely because the configuration does not set "
                + "them: cron and systemd have others."
        ],
        operands: .choice(["check"]),
        common: [
            "json": "print findings as JSON"
        ],
        examples: [
            .init(line: "mule config check", about: "Is the configuration in order?"),
            .init(
                line: "mule config check config.json.new",
                about: "Check a file before it becomes the configuration."
            ),
            .init(
                line: "mule config check --json | jq -r 'select(.state == \"problem\") | .message'",
                about: "For scripts: one JSON object per finding."
            ),
        ],
        problem: { typed in
            guard let word = typed.operands.first else { return "config needs an action: \"mule config check\"" }
            guard word == Array("check".utf8) else {
                return "unknown action \"\(TextSafety.displayName(word))\"; there is \"mule config check\""
            }
            return typed.operands.count > 2 ? "config check reads one FILE at a time" : nil
        }
    )

    static let completion = CommandPage(
        synopsis: ["bash|zsh|fish"],
        summary: "print the completion script of a shell",
        description: [
            "Prints a script that makes the shell complete commands, options, their values, upload IDs, jobs and profiles. Packages "
                + "install it; without a package, load it in the shell's start file."
        ],
        operands: .choice(["bash", "zsh", "fish"]),
        common: [:],
        examples: [
            .init(line: "source <(mule completion bash)", about: "For bash, in ~/.bashrc."),
            .init(line: "source <(mule completion zsh)", about: "For zsh, in ~/.zshrc, after compinit."),
            .init(line: "mule completion fish > ~/.config/fish/completions/mule.fish", about: "For fish, once."),
        ],
        problem: { typed in
            guard typed.operands.count == 1 else { return "completion needs one shell: bash, zsh or fish" }
            let word = TextSafety.displayName(typed.operands[0])
            if CompletionRequest(rawValue: word) != nil { return nil }
            return "no completion for \"\(word)\"; there is bash, zsh and fish"
        }
    )
}
