import MuleLedger
import MulePlan
import MuleSystem

/// The ledger on a given disk: each commit waits for it.
struct LedgerMeasures {
    private static let partSize: Int64 = 8 << 20
    private static let finished = 100_000
    private static let pending = 1_000
    private static let partsOfPending = 100

    /// An empty directory.
    var directory: String

    func all() throws(LedgerError) -> [Measure] {
        let large = path("large.sqlite")
        let seconds = try Self.fill(large)
        let setting = "\(Self.finished) finished and \(Self.pending) pending uploads"
        print("A ledger of \(setting) was made in \(Table.text(seconds)) s.")
        return [
            try commits(1, name: "ledger commits, 1 part each", unit: "per second"),
            try commits(64, name: "ledger commits, 64 parts each", unit: "per second"),
            Measure(name: "unfinished and their leases (\(setting))", unit: "ms") { try Self.look(large) },
        ]
    }

    private func path(_ name: String) -> [UInt8] { Array("\(directory)/\(name)".utf8) }

    private func commits(_ batch: Int, name: String, unit: String) throws(LedgerError) -> Measure {
        let ledger = try Ledger(path: path("commits-\(batch).sqlite"))
        var round = 0
        return Measure(name: name, unit: unit) {
            round += 1
            guard case .began(let record, let lease) = try ledger.claim([Self.upload(round)]).first else { return 0 }
            var next = 1
            let rate = try Measure.rate(1, during: 0.5) {
                try ledger.commit((next..<next + batch).map { Self.part($0, of: record) })
                next += batch
            }
            withExtendedLifetime(lease) {}
            return rate
        }
    }

    /// Milliseconds of the first step of `mule status` and `mule resume`.
    private static func look(_ path: [UInt8]) throws(LedgerError) -> Double {
        let start = Moment.now()
        let ledger = try Ledger(path: path)
        var cursor = try UploadCursor(ledger, .unfinished)
        var (count, active) = (0, 0)
        while case let records = try cursor.next(), !records.isEmpty {
            count += records.count
            active += records.count { ledger.isActive($0) }
        }
        precondition((count, active) == (pending, 0), "the ledger is not the one that was made")
        return Moment.now().seconds(since: start) * 1000
    }

    private static func fill(_ path: [UInt8]) throws(LedgerError) -> Double {
        let start = Moment.now()
        let ledger = try Ledger(path: path)
        let batch = 1_000
        for first in stride(from: 0, to: finished + pending, by: batch) {
            let claims = try ledger.claim((first..<first + batch).map(upload))
            let records = claims.compactMap { if case .began(let record, _) = $0 { record } else { nil } }
            if first < finished {
                let proof = ObjectProof(eTag: "d41d8cd98f00b204e9800998ecf8427e-100", checksumAlgorithm: "CRC64NVME")
                try ledger.commit(
                    records.map {
                        let outcome = Ledger.Outcome.done(proof, size: 100 * partSize, partCount: 100)
                        return .upload(Ledger.FinishedUpload(upload: $0.number, outcome: outcome, bytesSent: 0))
                    }
                )
            } else {
                for record in records { try ledger.commit((1...partsOfPending).map { part($0, of: record) }) }
            }
        }
        return Moment.now().seconds(since: start)
    }

    private static func upload(_ number: Int) -> NewUpload {
        NewUpload(
            source: SourceIdentity(
                path: Array("/srv/backups/host-17/archive/file-\(number).tar.zst".utf8),
                device: 2049,
                inode: UInt64(number),
                size: 100 * partSize,
                modificationTime: 1_763_683_200_000_000_000
            ),
            store: StoreAddress(
                endpoint: "https://s3.eu-central-1.amazonaws.com",
                region: "eu-central-1",
                addressing: "virtual",
                profile: nil,
                caBundle: nil
            ),
            destination: ObjectAddress(bucket: "backups", key: ObjectKey("host-17/archive/file-\(number).tar.zst")),
            attributes: ObjectAttributes(),
            onlyIfAbsent: false,
            integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto"),
            partSize: partSize
        )
    }

    private static func part(_ number: Int, of record: UploadRecord) -> Ledger.Entry {
        let part = PartRecord(
            number: number,
            size: partSize,
            eTag: "d41d8cd98f00b204e9800998ecf8427e",
            crc: [0xAE, 0x8B, 0x14, 0x86, 0x0A, 0x79, 0x98, 0x88],
            digest: nil
        )
        return .part(Ledger.FinishedPart(upload: record.number, part: part, bytesSent: partSize))
    }
}
