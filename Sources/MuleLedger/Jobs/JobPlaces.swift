// File systems on which a job has found its files, so that an unmounted disk is not mistaken for an empty one.

import MuleSQLite

/// A directory of a job and its file system.
package struct JobPlace: Hashable, Sendable {
    package enum Role: String, Sendable {
        /// Files were found there: the job's source, or another file system mounted below it.
        case source
        /// Files were moved there.
        case target
    }

    package var role: Role
    package var path: [UInt8]
    package var device: UInt64
    /// The file system's own ID; 0 if it has none.
    package var fileSystem: UInt64

    package init(role: Role, path: [UInt8], device: UInt64, fileSystem: UInt64) {
        self.role = role
        self.path = path
        self.device = device
        self.fileSystem = fileSystem
    }
}

extension Ledger {
    package func places(of job: Int64, _ role: JobPlace.Role) throws(LedgerError) -> [JobPlace] {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT path, device, file_system FROM job_places WHERE job = ? AND role = ? ORDER BY path",
                [.integer(job), .text(role.rawValue)]
            ) { row in
                JobPlace(
                    role: role,
                    path: row.blob(0),
                    device: UInt64(bitPattern: row.integer(1)),
                    fileSystem: UInt64(bitPattern: row.integer(2))
                )
            }
        }
    }

    package func record(_ places: [JobPlace], of job: Int64) throws(LedgerError) {
        guard !places.isEmpty else { return }
        try transaction { database throws(SQLiteError) in
            for place in places {
                try database.run(
                    "INSERT OR REPLACE INTO job_places (job, role, path, device, file_system) VALUES (?, ?, ?, ?, ?)",
                    [
                        .integer(job), .text(place.role.rawValue), .blob(place.path),
                        .integer(Int64(bitPattern: place.device)), .integer(Int64(bitPattern: place.fileSystem)),
                    ]
                )
            }
        }
    }

    /// Files below a directory that should still exist: earlier runs processed them and did not move or delete them.
    /// Sorted by path, starting after `source`.
    package func keptFiles(
        before run: JobRun,
        below directory: [UInt8],
        after source: [UInt8]?,
        limit: Int
    ) throws(LedgerError) -> [[UInt8]] {
        let slash = UInt8(ascii: "/")
        let prefix = directory == [slash] ? directory : directory + [slash]
        return try perform { database throws(SQLiteError) in
            try database.run(
                """
                SELECT source FROM items
                WHERE job = ? AND source > ? AND source < ? AND upload IS NOT NULL AND run != ?
                    AND NOT (state = 'settled' AND action IS NOT NULL)
                ORDER BY source LIMIT ?
                """,
                [
                    .integer(run.job), .blob(source ?? prefix), .blob(prefix.dropLast() + [slash + 1]),
                    .integer(run.run), .integer(Int64(limit)),
                ]
            ) { $0.blob(0) }
        }
    }

    /// Whether the job has successful runs, and all of them found files.
    package func hasAlwaysFoundFiles(job: Int64) throws(LedgerError) -> Bool {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT count(*) > 0 AND min(found) > 0 FROM runs WHERE job = ? AND status = 0",
                [.integer(job)]
            ) { $0.integer(0) != 0 }.first ?? false
        }
    }
}
