// Exports and imports uploads.

import MulePlan
import MuleSQLite

extension Ledger {
    /// Counts of a walk over all uploads.
    package struct Walk: Hashable, Sendable {
        package var uploads = 0
        /// Numbers of uploads that could not be read, or not completely.
        package var damaged: [Int64] = []
    }

    /// Visits every upload with its parts, oldest first, in one snapshot. Holds one upload in memory.
    ///
    /// In a damaged file, looks up each upload by number and visits what can be read.
    ///
    /// - Parameter body: must not use this ledger; returns false to end the walk.
    package func forEachUpload(_ body: (ExportedUpload) -> Bool) throws(LedgerError) -> Walk {
        try perform { database throws(SQLiteError) in
            try database.execute("BEGIN")
            defer { try? database.execute("ROLLBACK") }
            var walk = Walk()
            var last: Int64 = 0
            do throws(SQLiteError) {
                while let number = try following(last, in: database) {
                    guard let upload = try upload(number, in: database, &walk) else { continue }
                    last = number
                    walk.uploads += 1
                    if !body(upload) { return walk }
                }
                return walk
            } catch {
                guard error.kind == .damaged else { throw error }
            }
            let highest = highestNumber(in: database, atLeast: last)
            for number in last + 1..<max(highest, last) + 1 {
                do throws(SQLiteError) {
                    guard let upload = try upload(number, in: database, &walk) else { continue }
                    walk.uploads += 1
                    if !body(upload) { return walk }
                } catch {
                    guard error.kind == .damaged else { throw error }
                    walk.damaged.append(number)
                }
            }
            return walk
        }
    }

    private func following(_ number: Int64, in database: Database) throws(SQLiteError) -> Int64? {
        try database.run("SELECT min(number) FROM uploads WHERE number > ?", [.integer(number)]) {
            $0.optionalInteger(0)
        }.first ?? nil
    }

    private func upload(
        _ number: Int64,
        in database: Database,
        _ walk: inout Walk
    ) throws(SQLiteError) -> ExportedUpload? {
        guard let record = try records(in: database, "WHERE number = ?", [.integer(number)]).first else { return nil }
        var parts: [PartRecord] = []
        do throws(SQLiteError) {
            parts = try self.parts(of: number, in: database)
        } catch {
            guard error.kind == .damaged else { throw error }
            walk.damaged.append(number)
            // Parts without a record are compared with what the store lists.
            for part in 1...StoreLimits.amazon.maximumPartCount {
                if let found = try? self.part(part, of: number, in: database) { parts.append(found) }
            }
        }
        return ExportedUpload(record: record, parts: parts)
    }

    /// The highest number in any of three places, each of which may be damaged.
    private func highestNumber(in database: Database, atLeast least: Int64) -> Int64 {
        let places = [
            "SELECT seq FROM sqlite_sequence WHERE name = 'uploads'", "SELECT max(number) FROM uploads",
            "SELECT max(upload) FROM parts",
        ]
        let found = places.compactMap { sql in
            try? database.run(sql, [], read: { $0.optionalInteger(0) ?? 0 }).first
        }
        // Ignore a damaged, very high number, because the walk counts up to it.
        return max(found.filter { $0 <= least + 10_000_000 }.max() ?? 0, least)
    }

    // MARK: Import

    /// The next step of an import.
    package enum ImportStep: Sendable {
        /// - Parameter line: the upload's line, for messages.
        case upload(ExportedUpload, line: Int)
        case end
        /// Abort without changes.
        case stop
    }

    package enum ImportResult: Hashable, Sendable {
        case done(added: Int, identical: Int)
        /// An upload conflicts with the ledger; nothing was changed.
        case conflict(ExportProblem)
        case stopped
    }

    /// Imports all uploads or none. Skips uploads that already exist with the same content.
    ///
    /// - Parameter next: returns one upload after another; must not use this ledger.
    package func importUploads(_ next: () -> ImportStep) throws(LedgerError) -> ImportResult {
        var refused: ImportResult?
        do throws(LedgerError) {
            return try transaction { database throws(SQLiteError) in
                var (added, identical) = (0, 0)
                while true {
                    switch next() {
                    case .end: return .done(added: added, identical: identical)
                    case .stop:
                        refused = .stopped
                        throw SQLiteError(code: 4, message: "stopped", statement: "import")  // SQLITE_ABORT
                    case .upload(let upload, let line):
                        if try isThere(upload, in: database) {
                            identical += 1
                        } else if let reason = try whatHinders(upload.record, in: database) {
                            refused = .conflict(ExportProblem(line: line, reason: reason))
                            throw SQLiteError(code: 4, message: reason, statement: "import")
                        } else {
                            try insert(upload, in: database)
                            added += 1
                        }
                    }
                }
            }
        } catch {
            if let refused { return refused }
            throw error
        }
    }

    private func isThere(_ upload: ExportedUpload, in database: Database) throws(SQLiteError) -> Bool {
        guard var record = try records(in: database, "WHERE id = ?", [.text(upload.record.id)]).first else {
            return false
        }
        let parts = try parts(of: record.number, in: database)
        record.number = upload.record.number
        return ExportedUpload(record: record, parts: parts) == upload
    }

    private func whatHinders(_ record: UploadRecord, in database: Database) throws(SQLiteError) -> String? {
        func isTaken(_ column: String, _ value: String) throws(SQLiteError) -> Bool {
            try !database.run("SELECT 1 FROM uploads WHERE \(column) = ?", [.text(value)], read: { _ in }).isEmpty
        }
        if try isTaken("id", record.id) {
            return "the upload \(record.id) already exists, and differs"
        }
        if let uploadID = record.uploadID, try isTaken("upload_id", uploadID) {
            return "another upload already has the upload ID of \(record.id)"
        }
        return nil
    }

    private func insert(_ exported: ExportedUpload, in database: Database) throws(SQLiteError) {
        guard let number = try insert(exported.record.upload, id: exported.record.id, in: database)?.number else {
            throw SQLiteError(code: 1, message: "two uploads with the same name", statement: "import")
        }
        try store(exported.record, as: number, in: database)
        for part in exported.parts { try insert(part, of: number, in: database) }
    }
}

extension LedgerError {
    var isDamage: Bool { if case .damaged = self { true } else { false } }
}
