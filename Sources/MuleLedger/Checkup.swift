// Checks the whole ledger for `mule doctor`. Reads every page and is never part of a run.

import MuleSQLite

extension Ledger {
    package struct Checkup: Hashable, Sendable {
        /// What SQLite finds wrong, at most ten sentences.
        package var damage: [String] = []
        /// Names of unexpected and missing tables, indexes and triggers.
        package var foreignObjects: [String] = []
        package var missingObjects: [String] = []
        /// Parts without an upload, or whose upload is done or aborted.
        package var strayParts = 0
        /// IDs of uploads whose counters differ from their parts, the first ten.
        package var miscounted: [String] = []
        /// Counts of uploads by state.
        package var states: [String: Int] = [:]
        package var toBeAborted = 0
        package var active = 0
        /// Whether commits use a write-ahead log.
        package var usesLog = true
        package var schemaVersion = 0
    }

    /// Checks every page and row.
    package func checkup() throws(LedgerError) -> Checkup {
        var checkup = Checkup()
        var pending: [Int64] = []
        do throws(LedgerError) {
            try perform { database throws(SQLiteError) in
                checkup.damage = try database.run("PRAGMA integrity_check(10)") { $0.text(0) }.filter { $0 != "ok" }
                checkup.usesLog = try database.run("PRAGMA journal_mode") { $0.text(0) } == ["wal"]
                checkup.schemaVersion = Schema.version
                try compareObjects(&checkup, in: database)
                try count(&checkup, in: database)
                pending = try database.run("SELECT number FROM uploads WHERE state = 'pending'") { $0.integer(0) }
            }
            checkup.active = pending.count { isActive($0) }
        } catch {
            guard error.isDamage else { throw error }
            if checkup.damage.isEmpty { checkup.damage = [error.reason] }
        }
        return checkup
    }

    private func compareObjects(_ checkup: inout Checkup, in database: Database) throws(SQLiteError) {
        let expected = Schema.objects
        let names = try database.run("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'") { $0.text(0) }
        checkup.foreignObjects = names.filter { !expected.contains($0) }.sorted()
        checkup.missingObjects = expected.filter { !names.contains($0) }.sorted()
    }

    private func count(_ checkup: inout Checkup, in database: Database) throws(SQLiteError) {
        let states = try database.run("SELECT state, count(*) FROM uploads GROUP BY state") {
            ($0.text(0), Int($0.integer(1)))
        }
        checkup.states = Dictionary(states) { $0 + $1 }
        checkup.toBeAborted =
            try database.run(
                "SELECT count(*) FROM uploads WHERE abort_requested AND state NOT IN ('done', 'aborted')"
            ) { Int($0.integer(0)) }.first ?? 0
        checkup.strayParts =
            try database.run(
                """
                SELECT count(*) FROM parts
                WHERE upload NOT IN (SELECT number FROM uploads WHERE state NOT IN ('done', 'aborted'))
                """
            ) { Int($0.integer(0)) }.first ?? 0
        checkup.miscounted = try database.run(
            """
            SELECT id FROM uploads
            WHERE state NOT IN ('done', 'aborted') AND (
                parts_done <> (SELECT count(*) FROM parts WHERE upload = uploads.number)
                OR bytes_done <> (SELECT coalesce(sum(size), 0) FROM parts WHERE upload = uploads.number))
            LIMIT 10
            """
        ) { $0.text(0) }
    }
}
