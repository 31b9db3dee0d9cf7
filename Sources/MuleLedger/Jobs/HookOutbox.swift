// What is still to be told to others, and what they have been told. No address is kept here: it may hold a secret.

import MuleSQLite

/// A report that somebody has not got yet.
package struct Notice: Hashable, Sendable {
    package var number: Int64
    package var run: Int64
    /// Which of the job's hooks is meant.
    package var hook: String
    package var body: String
    package var attempts: Int
    /// Milliseconds since 1970.
    package var createdAt: Int64
}

extension Ledger {
    /// Keeps a report until it is delivered.
    package func add(notice body: String, for hook: String, of run: JobRun) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "INSERT INTO notices (job, run, hook, body, due_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                [.integer(run.job), .integer(run.run), .text(hook), .text(body), .integer(now())]
            )
        }
    }

    /// Those of a job whose time has come, the oldest first.
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

    /// It was delivered, or is given up.
    package func remove(_ notice: Notice) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run("DELETE FROM notices WHERE number = ?", [.integer(notice.number)])
        }
    }

    /// It could not be delivered.
    ///
    /// - Parameter seconds: until the next try.
    package func putOff(_ notice: Notice, by seconds: Int64, _ error: String) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "UPDATE notices SET attempts = attempts + 1, last_error = ?, due_at = ? WHERE number = ?",
                [.text(error), .integer(now() + seconds * 1000), .integer(notice.number)]
            )
        }
    }

    /// What the last call of a job's failure hook was about, and when that was, in milliseconds since 1970; nil when the last
    /// run was in order.
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
