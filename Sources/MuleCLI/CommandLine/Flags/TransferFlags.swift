// Options for sending and verifying bytes.

extension FlagTable {
    static let transfer: [Flag] = [
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
            "Bytes in each part, such as 64MiB or 100MB, from 5MiB to 5GiB. Default: 5MiB to 8MiB depending on the "
                + "file's size, and more for files that would need more than 10,000 parts."
        ),
        .path(
            "stdin-command",
            .transfer,
            upload,
            placeholder: "COMMAND",
            value: .command,
            sets: \.stdinCommand,
            readsEnvironment: false,
            "Run COMMAND with /bin/sh and upload its output instead of a SOURCE. No object is created unless it exits "
                + "with 0. The command line is never stored."
        ),
        .value(
            "expected-size",
            "SIZE",
            .transfer,
            upload,
            sets: \.expectedSize,
            reading: OptionValue.size,
            readsEnvironment: false,
            "The approximate length of the stream of - or --stdin-command, for the size of its parts and for "
                + "progress. A longer or shorter stream is sent as well."
        ),
        .value(
            "multipart-threshold",
            "SIZE",
            .transfer,
            filing,
            sets: \.transfer.multipartThreshold,
            reading: OptionValue.size,
            "Send files larger than this in parts, others in one request. Default: 16MiB, or the part size if that is "
                + "given and smaller."
        ),
        .value(
            "concurrency",
            letter: "j",
            "N|auto",
            .transfer,
            sending,
            sets: \.transfer.concurrency,
            reading: OptionValue.concurrency,
            value: .choice(["auto"]),
            "Requests in flight at once over all files, 1 to 256. Default: auto, which adapts to the connection, up "
                + "to 64, and with files of up to 256 KiB to a distant store up to 256; on a slow link it sends the "
                + "oldest parts first, so that a stop loses about ten seconds. A number is used on any link. Limited "
                + "by open files and memory."
        ),
        .value(
            "limit-rate",
            "RATE",
            .transfer,
            sending,
            sets: \.transfer.limitRate,
            reading: OptionValue.rate,
            "Send at most this many bytes per second over all requests, such as 500K or 20MB/s; off is no limit. A "
                + "timetable in local time changes the limit while mule runs: \"08:00-18:00 Mon-Fri=20MB/s, *=off\"."
        ),
        .value(
            "stall-limit",
            "DURATION",
            .transfer,
            sending.union([.verify]),
            sets: \.transfer.stallLimit,
            reading: OptionValue.duration,
            "Stop after this long without progress, such as 90s or 1h30m, and exit with 75. Default: 15m."
        ),
        .choice(
            "page-cache",
            .transfer,
            sending,
            sets: \.transfer.pageCache,
            "Whether sent bytes stay in this machine's page cache. drop removes each part that was not cached before, "
                + "so that other programs keep theirs. Default: keep."
        ),
        .value(
            "settle",
            "DURATION",
            .transfer,
            filing,
            sets: \.source.settle,
            reading: OptionValue.duration,
            "Send a file only if it did not change for this long: wait for that, and refuse the file if it changes "
                + "while mule waits."
        ),
        .choice(
            "changing",
            .transfer,
            filing,
            sets: \.source.changing,
            "What to do with a file that changes while it is sent: refuse it, or, for files that only grow, send the "
                + "size first seen (snapshot-size). Default: refuse."
        ),
        .choice(
            "checksum",
            .transfer,
            filing,
            sets: \.store.checksum,
            placeholder: "NAME",
            "The checksum that the store verifies: auto, crc64nvme, crc32c, crc32, sha256, md5 or none. Default: "
                + "auto, the strongest that the store supports."
        ),
        .choice(
            "payload-signing",
            .transfer,
            [.upload, .adopt, .archive],
            sets: \.store.payloadSigning,
            "Whether the request's signature covers the body. Default: auto, only over plain HTTP."
        ),
        .on(
            "no-overwrite",
            .transfer,
            [.upload, .adopt],
            sets: \.noOverwrite,
            negation: "overwrite",
            "Do not replace an existing object. Exits with 7, or with 0 if the object is proven to equal the file. "
                + "The store decides, so there is no race."
        ),
        .value(
            "if-match",
            "ETAG",
            .transfer,
            upload,
            sets: \.ifMatch,
            reading: OptionValue.eTag,
            readsEnvironment: false,
            "Replace the object only if it has this ETag; otherwise exit with 7 and the ETag that it has now."
        ),
        .on(
            "exact-key",
            .transfer,
            toObject,
            sets: \.exactKey,
            negation: "no-exact-key",
            "Use the destination as the whole key, even if it ends in /."
        ),
        .on(
            "dry-run",
            letter: "n",
            .transfer,
            upload,
            sets: \.dryRun,
            negation: "no-dry-run",
            "Show each file with its key and what would be sent, from the files and the ledger. The store is not "
                + "contacted, and nothing is sent or written."
        ),
        .on(
            "force",
            .transfer,
            upload,
            sets: \.force,
            negation: "no-force",
            "Send files again that were uploaded before and that the store still has."
        ),
        .on(
            "restart",
            .transfer,
            upload,
            sets: \.restart,
            negation: "no-restart",
            "Abort the pending upload of this source, with its parts, and start again."
        ),
    ]

    static let proof: [Flag] = [
        .on(
            "download",
            .transfer,
            [.verify],
            sets: \.download,
            negation: "no-download",
            "Download the whole object and compare its bytes with the file."
        ),
        .list(
            "receipt",
            "FILE",
            .transfer,
            [.verify],
            adds: \.receipts,
            reading: OptionValue.path,
            value: .file,
            "Verify every object listed in this archive receipt (- for standard input) instead of a FILE."
        ),
        .value(
            "concurrency",
            letter: "j",
            "N|auto",
            .transfer,
            [.verify],
            sets: \.transfer.concurrency,
            reading: OptionValue.concurrency,
            value: .choice(["auto"]),
            "How many objects of --receipt are checked at once, 1 to 256. Default: auto, which is 16."
        ),
    ]
}
