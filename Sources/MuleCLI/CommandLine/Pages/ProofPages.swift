// The commands that compare a file with an object.

extension CommandPage {
    static let adopt = CommandPage(
        synopsis: ["[options] FILE BUCKET/KEY"],
        summary: "adopt an upload that exists only at the store, and finish it",
        description: [
            "Adopts an upload that this ledger does not know, because the ledger was lost or another machine or "
                + "program started it. mule lists the unfinished uploads of BUCKET/KEY, compares their parts with "
                + "FILE by size and checksum, adopts the one that matches, and finishes it like resume: only missing "
                + "parts are sent.",
            "Every part must hold the file's bytes, and all parts but the last must have the same size. Of several "
                + "such uploads mule adopts the one with the most bytes, then the newest; it lists the others and "
                + "keeps them. It also keeps an upload that does not match, and says why.",
            "The object's metadata, storage class and headers were fixed when the upload was created. If BUCKET/KEY "
                + "ends in /, it is a prefix, and mule appends the file's name.",
        ],
        details: [
            "A part holds the file's bytes if its checksum, or an ETag that is its MD5, says so. Exit status 2 means "
                + "that the ledger already has the upload, 4 that there is none or that it may not be listed, 6 that "
                + "no upload has the file's parts."
        ],
        operands: .file,
        common: [
            "concurrency": "requests in flight",
            "no-overwrite": "do not replace an existing object",
            "json": "print events as JSON",
        ],
        examples: [
            .init(line: "mule adopt db.dump backups/2026/db.dump", about: "The ledger is lost; the parts are not."),
            .init(
                line: "mule adopt -j 4 db.dump s3://backups/2026/",
                about: "Below a prefix, under the file's name, with four requests in flight."
            ),
            .init(
                line: "mule adopt --no-overwrite --json db.dump backups/2026/db.dump",
                about: "For scripts, and without replacing an existing object."
            ),
        ],
        problem: { arguments in
            arguments.operands.count == 2
                ? nil : "adopt needs a FILE and its object, such as \"mule adopt db.dump backups/db.dump\""
        }
    )

    static let verify = CommandPage(
        synopsis: ["[options] FILE BUCKET/KEY", "[options] --receipt FILE..."],
        summary: "prove that an object equals a file, without downloading it",
        description: [
            "Reads the file and compares it with what the store shows of the object: its size, and the strongest "
                + "available proof of: the checksum of the whole object; the checksum of its parts' checksums (part "
                + "sizes come from GetObjectAttributes, the ledger or HEAD); the MD5 that is its ETag; the ETag of a "
                + "multipart object, computed from the parts' MD5s; the checksum of its upload in the ledger, if "
                + "token and ETag show that the object is still from that upload. The result names the proof.",
            "Exits with 0 if the object is proven, and with 6 otherwise: it differs, does not exist, or the store "
                + "shows nothing that proves it (an ETag that is not the file's MD5 proves nothing). --download "
                + "compares the bytes.",
            "If BUCKET/KEY ends in /, it is a prefix, and mule appends the file's name.",
            "With --receipt no file is read: mule asks the store about every object that the receipts of archive jobs "
                + "list as archived, and compares size, checksum, ETag and version ID. Objects that fail get a line, "
                + "with -v all do. Exits with 0 if all are proven, and with 2 if a line is not a receipt record.",
        ],
        details: [
            "A receipt may also be the output of \"mule report --run N --json\". mule looks for each object where it "
                + "was archived, by endpoint and region; --endpoint-url and --region take precedence; addressing, "
                + "credentials and certificate authorities come from this machine's configuration. mule does not "
                + "contact a store to which this ledger has never sent anything and no option points: name it with "
                + "--endpoint-url. Objects are proven by the checksum, or, if the store shows none of the same kind, "
                + "by the ETag. Files that the receipt lists as failed, or as archived before, are skipped. Each "
                + "object that is not proven is shown as differs, missing, unproven or not asked, and the last line "
                + "has the totals. Refused credentials and a lasting network failure stop the run."
        ],
        operands: .file,
        common: [
            "download": "download the object and compare its bytes",
            "receipt": "verify what a receipt lists",
            "concurrency": "objects of --receipt checked at once",
            "json": "print the result as JSON",
        ],
        examples: [
            .init(
                line: "mule verify db.dump backups/2026/db.dump",
                about: "Is the object equal to the file? Exits with 0 only if that is proven."
            ),
            .init(
                line: "mule verify --receipt nightly-20261121T030000Z-17.jsonl",
                about: "Is everything that a run archived still there and unchanged?"
            ),
            .init(
                line: "mule verify --download db.dump backups/2026/db.dump",
                about: "Download the object and compare every byte."
            ),
            .init(line: "mule verify db.dump backups/2026/", about: "Below a prefix, under the file's name."),
        ],
        problem: { arguments in
            guard arguments.receipts.isEmpty else {
                if !arguments.operands.isEmpty { return "--receipt replaces FILE and its object: remove the operands" }
                return arguments.download ? "--download needs a FILE; it cannot be combined with --receipt" : nil
            }
            return arguments.operands.count == 2
                ? nil : "verify needs a FILE and its object, such as \"mule verify db.dump backups/db.dump\""
        }
    )
}
