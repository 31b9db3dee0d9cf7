extension CommandPage {
    static let upload = CommandPage(
        synopsis: [
            "[options] SOURCE... DESTINATION", "[options] --stdin-command COMMAND DESTINATION",
            "[options] --url-file FILE SOURCE",
        ],
        summary: "upload files; resumes an interrupted upload",
        description: [
            "Uploads files to a bucket. Large files are sent in parts, and mule records each part that the store has "
                + "confirmed: after a crash, a reboot or a lost network, run the same command again, and only the "
                + "missing parts are sent.",
            "SOURCE is a file, a directory with --recursive, or - for standard input. DESTINATION is bucket/key or "
                + "s3://bucket/key. If it ends in /, it is a prefix, and mule appends the source's name; several "
                + "sources need a prefix.",
            "--include, --exclude, ages, sizes and --symlinks select files below a directory; a file that is named "
                + "itself, as SOURCE or in a list, is always sent. With --files-from there is no SOURCE. A listed "
                + "name keeps its path below the prefix, without a leading / or ./. A name with .. in it is refused, "
                + "and a missing file does not stop the others.",
            "With --stdin-command there is no SOURCE: mule runs COMMAND and uploads its output. This is safer than a "
                + "pipe, because mule sees how COMMAND exits: if it fails, no object is created. After an "
                + "interruption run the same command, or the same pipe, again: mule reads the stream from its start "
                + "and sends only parts that the store does not have.",
            "A file that was uploaded before, and that the store still has, is not sent again. An existing object of "
                + "the same name is replaced, unless --no-overwrite is given.",
            "With --url-file there is no DESTINATION and no credentials: mule sends one file of at most 5 GiB in one "
                + "request to a presigned URL or a temp URL (\"mule presign\" prints them). It refuses a file that cannot "
                + "arrive before the URL ends. Nothing is recorded and nothing can be resumed: the same command sends the "
                + "whole file again, with a new URL.",
        ],
        details: [
            "With --url-file the object is proven by an ETag that is the file's MD5, or by a checksum in the answer; otherwise "
                + "the exit status is 6, \"sent, not proven\". The URL ends at its own date (X-Amz-Expires, "
                + "temp_url_expires): a file that --limit-rate makes too slow is refused before anything is sent, and the "
                + "transfer stops with 2 as soon as the measured rate shows that it would end too late. Headers that the "
                + "URL has signed are sent (If-None-Match, Content-MD5), or must be given as options (--content-type, "
                + "--metadata, ...); \"object\" of the configuration is not used. The URL is shown without its query."
        ],
        operands: .file,
        common: [
            "recursive": "upload every file below a directory",
            "exclude": "skip files that match a pattern",
            "part-size": "bytes in each part, such as 64MiB",
            "concurrency": "requests in flight",
            "limit-rate": "bytes per second, such as 20MB/s",
            "no-overwrite": "do not replace an existing object",
            "endpoint-url": "the store, if it is not AWS",
            "profile": "the profile of the AWS configuration",
        ],
        examples: [
            .init(line: "mule upload db.dump backups/2026/db.dump", about: "Upload a file. Interrupted? Run it again."),
            .init(
                line: "mule upload -r --storage-class GLACIER run-17/ s3://lab-archive/run-17/",
                about: "Upload a directory to an archive storage class."
            ),
            .init(
                line: "mule upload -j 4 --limit-rate 20MB/s big.tar backups/",
                about: "Leave bandwidth for others."
            ),
            .init(
                line:
                    "mule upload -r --exclude '*.tmp' --exclude cache/ --min-age 10m --order oldest spool/ "
                    + "backups/spool/",
                about: "Select files of a directory."
            ),
            .init(
                line: "find . -name '*.raw' -print0 | mule upload --files-from0 - lab-archive/raw/",
                about: "Let another program select the files."
            ),
            .init(
                line: "mule upload --expected-size 200GiB --stdin-command ./dump.sh backups/mydb.sql",
                about: "Upload the output of a program, if it succeeds."
            ),
        ],
        problem: { arguments in
            if arguments.urlFile != nil { return urlProblem(arguments) }
            if let problem = selectionProblem(arguments) { return problem }
            let stdin = Array("-".utf8)
            if arguments.dryRun, arguments.stdinCommand != nil || arguments.operands.contains(stdin) {
                return "--dry-run does not work for a stream: what it has is known only at its end"
            }
            if arguments.stdinCommand != nil, arguments.operands.count != 1 {
                return arguments.operands.isEmpty
                    ? "upload needs a DESTINATION for the command's output, as bucket/key"
                    : "--stdin-command replaces SOURCE: write only the DESTINATION, as bucket/key"
            }
            if arguments.expectedSize != nil, arguments.stdinCommand == nil, !arguments.operands.contains(stdin) {
                return "--expected-size is for - and --stdin-command: the size of a file is known"
            }
            if arguments.ifMatch != nil, arguments.noOverwrite {
                return "--if-match replaces an object, which --no-overwrite forbids: write one of them"
            }
            return switch arguments.operands.count {
            case _ where arguments.stdinCommand != nil: nil
            case 1 where arguments.filesFrom != nil || arguments.filesFrom0 != nil: nil
            case 0: "upload needs at least one SOURCE and a DESTINATION, such as \"mule upload db.dump backups/\""
            case 1:
                "missing DESTINATION after \"\(TextSafety.displayName(arguments.operands[0]))\": write bucket/key or "
                    + "bucket/"
            default: nil
            }
        }
    )

    /// Options that one request to a URL cannot honour.
    private static func urlProblem(_ arguments: Arguments) -> String? {
        let useless = [
            ("--recursive", arguments.recursive), ("--files-from", arguments.filesFrom != nil),
            ("--files-from0", arguments.filesFrom0 != nil), ("--stdin-command", arguments.stdinCommand != nil),
            ("--expected-size", arguments.expectedSize != nil), ("--exact-key", arguments.exactKey),
            ("--dry-run", arguments.dryRun), ("--restart", arguments.restart),
            ("--settle", arguments.source.settle != nil),
            ("--changing", arguments.source.changing != nil), ("--checksum", arguments.store.checksum != nil),
        ].first { $0.1 }
        if let useless { return "\(useless.0) and --url-file cannot be combined" }
        if arguments.noOverwrite {
            return
                "--no-overwrite and --url-file cannot be combined: the URL decides (\"mule presign put --if-absent\")"
        }
        switch arguments.operands.count {
        case 0: return "upload --url-file needs one SOURCE, a file"
        case 1: break
        default: return "--url-file replaces DESTINATION: write one SOURCE"
        }
        return arguments.operands[0] == [UInt8(ascii: "-")]
            ? "--url-file needs a file: the length of a stream is not known before it is sent" : nil
    }

    private static func selectionProblem(_ arguments: Arguments) -> String? {
        let lists = [("--files-from", arguments.filesFrom), ("--files-from0", arguments.filesFrom0)].filter {
            $0.1 != nil
        }
        if lists.count > 1 { return "--files-from and --files-from0 cannot be combined" }
        if let (name, list) = lists.first {
            let sources = arguments.operands.dropLast()
            if list == [UInt8(ascii: "-")], sources.contains([UInt8(ascii: "-")]) {
                return "standard input cannot be both the list of \(name) and a SOURCE"
            }
            if arguments.operands.isEmpty { return "\(name) needs a DESTINATION: bucket/ or bucket/prefix/" }
            if let source = sources.first {
                return "\(name) names all files to send; remove the SOURCE \"\(TextSafety.displayName(source))\""
            }
        }
        guard !arguments.recursive else { return nil }
        let options = arguments.selection
        let useless = [
            ("--include", !options.include.isEmpty), ("--exclude", !options.exclude.isEmpty),
            ("--min-age", options.minimumAge != nil), ("--max-age", options.maximumAge != nil),
            ("--min-size", options.minimumSize != nil), ("--max-size", options.maximumSize != nil),
            ("--symlinks", options.symlinks != nil),
        ].first { $0.1 }
        return useless.map { "\($0.0) selects files below a directory; add --recursive" }
    }
}
