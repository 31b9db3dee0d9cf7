// How bytes go out, and what proves that they arrived.

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
            "Bytes in each part, such as 64MiB or 100MB, from 5MiB to 5GiB. Default: 5MiB to 8MiB by the file's "
                + "size, and more for files that would not fit in 10,000 such parts."
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
            "Requests in flight at once, 1 to 256, over all files. Default: auto, which finds by trying how many the link "
                + "needs, up to 64, and sends the oldest parts first on a slow link, so that a stop loses about ten seconds. A number is "
                + "kept to on any link. Never more than there are open files and memory for."
        ),
        .value(
            "limit-rate",
            "RATE",
            .transfer,
            sending,
            sets: \.transfer.limitRate,
            reading: OptionValue.rate,
            "Send at most this many bytes per second over all requests, such as 500K or 20MB/s; off is no limit, and 0 is "
                + "refused. A timetable in local time changes it while mule runs: \"08:00-18:00 Mon-Fri=20MB/s, *=off\"."
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
            "Leave an object that already exists as it is, and exit with 7, or with 0 if it is proven to equal the file. The store "
                + "decides, without a race."
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

    static let proof: [Flag] = [
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
}
