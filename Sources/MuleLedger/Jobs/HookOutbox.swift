// Hook calls that are still to be delivered, and what was delivered last. URLs are not stored, because they may contain
// secrets.

import MuleSQLite

/// A report that is not delivered yet.
package struct Notice: Hashable, Sendable {
    package var number: Int64
    package var run: Int64
    /// Which of the job's hooks to call.
    package var hook: String
    package var body: String
    package var attempts: Int
    /// Milliseconds since 1970.
    package var createdAt: Int64
}

extension Ledger {
    /// Stores a report until it is delivered.
    package func add(notice body: String, for hook: String, of run: JobRun) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "INSERT INTO notices (job, run, hook, body, due_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                [.integer(run.job), .integer(run.run), .text(hook), .text(body), .integer(now())]
            )
        }
    }

    /// Due notices of a job, oldest first.
    package func dueNotices(of job: Int64, limit: Int) throws(LedgerError) -> [Notice] {
        try perform { database throws(SQLiteError) in
            try database.run(
                """
                SELECT number, run, hook, body, attempts, created_at FROM notices WHERE job = ? AND due_at <= ?
                ORDER BY number LIMIT ?
                """,
                [.integer(job), .integer(now()), .integer(Int64(limit))]
            ) { row in
                Notice(
                    number: row.integer(0),
                    run: row.integer(1),
                    hook: row.text(2),
                    body: row.text(3),
                    attempts: Int(row.integer(4)),
                    createdAt: row.integer(5)
                )
            }
        }
    }

    /// Removes a notice that was delivered or has failed permanently.
    package func remove(_ notice: Notice) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run("DELETE FROM notices WHERE number = ?", [.integer(notice.number)])
        }
    }

    /// Records a failed delivery.
    ///
    /// - Parameter seconds: time until the next attempt.
    package func putOff(_ notice: Notice, by seconds: Int64, _ error: String) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "UPDATE notices SET attempts = attempts + 1, last_error = ?, due_at = ? WHERE number = ?",
                [.text(error), .integer(now() + seconds * 1000), .integer(notice.number)]
            )
        }
    }

    /// What the last call of the job's failure hook reported, and when, in milliseconds since 1970; nil if the last run
    /// was fine.
    package func told(of job: Int64) throws(LedgerError) -> (what: String, at: Int64)? {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT told, told_at FROM jobs WHERE number = ? AND told IS NOT NULL",
                [.integer(job)]
            ) { Told(what: $0.text(0), at: $0.integer(1)) }.first
        }.map { ($0.what, $0.at) }
    }

    package func setTold(_ what: String?, of job: Int64) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "UPDATE jobs SET told = ?, told_at = ? WHERE number = ?",
                [SQLValue(what), .integer(now()), .integer(job)]
            )
        }
    }
}

private struct Told: Sendable {
    var what: String
    var at: Int64
}
