/// The ledger's tables: as a script for a new ledger, and as an ordered list of migrations. A released step never
/// changes: a ledger of any age is migrated by the steps it has not run. `PRAGMA user_version` counts them.
enum Schema {
    /// "mule" in ASCII; SQLite's field by which programs recognize their files.
    static let applicationID: Int32 = 0x6D75_6C65

    static var version: Int { steps.count }

    /// Names of all tables and indexes.
    static var objects: Set<String> {
        var names: Set<String> = []
        for line in tables.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "CREATE" { names.insert(String(words[2])) }
        }
        return names
    }

    /// Makes an empty database a ledger.
    static let script = """
        \(tables)
        PRAGMA user_version = \(steps.count);
        """

    /// What the steps end with, in the order in which they create it: SQLite's choice between equal indexes depends on
    /// it.
    private static let tables = """
        CREATE TABLE uploads (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL,
            source BLOB,
            device INTEGER, inode INTEGER, size INTEGER, modified INTEGER,
            endpoint TEXT NOT NULL, region TEXT NOT NULL, addressing TEXT NOT NULL,
            profile TEXT, ca_bundle TEXT,
            bucket TEXT NOT NULL, key BLOB NOT NULL,
            attributes TEXT NOT NULL,
            only_if_absent INTEGER NOT NULL,
            checksum TEXT NOT NULL, payload_signing TEXT NOT NULL,
            part_size INTEGER, part_count INTEGER,
            token TEXT NOT NULL,
            create_attempted_at INTEGER,
            upload_id TEXT,
            integrity TEXT,
            abort_date TEXT,
            abort_requested INTEGER NOT NULL DEFAULT 0,
            parts_done INTEGER NOT NULL DEFAULT 0,
            bytes_done INTEGER NOT NULL DEFAULT 0,
            bytes_sent INTEGER NOT NULL DEFAULT 0,
            etag TEXT, version_id TEXT,
            checksum_algorithm TEXT, checksum_type TEXT, checksum_value TEXT,
            last_error TEXT,
            created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
            changing TEXT NOT NULL DEFAULT 'refuse', change_time INTEGER,
            client_certificate TEXT, client_key TEXT, signer TEXT, signer_protocol TEXT,
            sse_c TEXT, if_match TEXT,
            complete_attempted_at INTEGER
        );
        CREATE INDEX uploads_by_source ON uploads (source, bucket, key);
        CREATE TABLE parts (
            upload INTEGER NOT NULL, number INTEGER NOT NULL,
            size INTEGER NOT NULL, etag TEXT NOT NULL,
            crc BLOB NOT NULL, digest BLOB,
            PRIMARY KEY (upload, number)
        ) WITHOUT ROWID;
        CREATE TABLE facts (
            endpoint TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, expires_at INTEGER NOT NULL,
            PRIMARY KEY (endpoint, name)
        ) WITHOUT ROWID;
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            quarantine_after INTEGER NOT NULL DEFAULT 3,
            past_archived INTEGER NOT NULL DEFAULT 0, past_bytes INTEGER NOT NULL DEFAULT 0,
            past_failures INTEGER NOT NULL DEFAULT 0, past_success INTEGER,
            told TEXT, told_at INTEGER
        );
        CREATE TABLE items (
            job INTEGER NOT NULL, source BLOB NOT NULL,
            upload INTEGER,
            state TEXT NOT NULL,
            action TEXT, target BLOB, due_at INTEGER,
            attempts INTEGER NOT NULL DEFAULT 0,
            failures INTEGER NOT NULL DEFAULT 0, error_kind TEXT, last_error TEXT,
            run INTEGER NOT NULL,
            shared_key BLOB,
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (job, source)
        ) WITHOUT ROWID;
        CREATE INDEX items_open ON items (job, source) WHERE state != 'settled';
        CREATE INDEX items_by_upload ON items (upload);
        CREATE TABLE runs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            job INTEGER NOT NULL,
            started_at INTEGER NOT NULL, ended_at INTEGER,
            status INTEGER, error TEXT,
            found INTEGER NOT NULL DEFAULT 0, unchanged INTEGER NOT NULL DEFAULT 0,
            archived INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
            bytes_sent INTEGER NOT NULL DEFAULT 0, bytes_skipped INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0, quarantined INTEGER NOT NULL DEFAULT 0,
            unfinished INTEGER NOT NULL DEFAULT 0,
            acted INTEGER NOT NULL DEFAULT 0, actions_failed INTEGER NOT NULL DEFAULT 0,
            receipted INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX runs_by_job ON runs (job, number);
        CREATE TABLE receipts (
            run INTEGER NOT NULL, number INTEGER NOT NULL,
            upload INTEGER, source BLOB, bucket TEXT, key BLOB,
            result TEXT NOT NULL, kind TEXT, message TEXT,
            attempts INTEGER NOT NULL,
            bytes_sent INTEGER NOT NULL, bytes_skipped INTEGER NOT NULL,
            started_at INTEGER, ended_at INTEGER NOT NULL,
            action TEXT, target BLOB, action_error TEXT,
            PRIMARY KEY (run, number)
        ) WITHOUT ROWID;
        CREATE TABLE notices (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            job INTEGER NOT NULL, run INTEGER NOT NULL,
            hook TEXT NOT NULL, body TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0, last_error TEXT,
            due_at INTEGER NOT NULL, created_at INTEGER NOT NULL
        );
        CREATE TABLE job_places (
            job INTEGER NOT NULL, role TEXT NOT NULL, path BLOB NOT NULL,
            device INTEGER NOT NULL, file_system INTEGER NOT NULL,
            PRIMARY KEY (job, role, path)
        ) WITHOUT ROWID;
        CREATE INDEX uploads_unfinished ON uploads (number) WHERE state NOT IN ('done', 'aborted');
        CREATE INDEX uploads_unwanted ON uploads (number)
            WHERE state NOT IN ('done', 'aborted') AND (abort_requested OR state = 'failed');
        CREATE INDEX uploads_by_upload_id ON uploads (upload_id) WHERE upload_id IS NOT NULL;
        CREATE INDEX uploads_by_token ON uploads (token);
        CREATE INDEX items_by_key ON items (job, shared_key, state, run) WHERE shared_key IS NOT NULL;
        CREATE INDEX items_failed ON items (job, source) WHERE failures > 0;
        CREATE INDEX notices_by_job ON notices (job, number);
        """

    static let steps: [String] = [
        """
        CREATE TABLE uploads (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL,
            source BLOB,
            device INTEGER, inode INTEGER, size INTEGER, modified INTEGER,
            endpoint TEXT NOT NULL, region TEXT NOT NULL, addressing TEXT NOT NULL,
            profile TEXT, ca_bundle TEXT,
            bucket TEXT NOT NULL, key BLOB NOT NULL,
            attributes TEXT NOT NULL,
            only_if_absent INTEGER NOT NULL,
            checksum TEXT NOT NULL, payload_signing TEXT NOT NULL,
            part_size INTEGER, part_count INTEGER,
            token TEXT NOT NULL,
            create_attempted_at INTEGER,
            upload_id TEXT,
            integrity TEXT,
            abort_date TEXT,
            abort_requested INTEGER NOT NULL DEFAULT 0,
            parts_done INTEGER NOT NULL DEFAULT 0,
            bytes_done INTEGER NOT NULL DEFAULT 0,
            bytes_sent INTEGER NOT NULL DEFAULT 0,
            etag TEXT, version_id TEXT,
            checksum_algorithm TEXT, checksum_type TEXT, checksum_value TEXT,
            last_error TEXT,
            created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
        );
        CREATE INDEX uploads_unfinished ON uploads (state) WHERE state NOT IN ('done', 'aborted');
        CREATE INDEX uploads_by_source ON uploads (source, bucket, key);
        CREATE TABLE parts (
            upload INTEGER NOT NULL, number INTEGER NOT NULL,
            size INTEGER NOT NULL, etag TEXT NOT NULL,
            crc BLOB NOT NULL, digest BLOB,
            PRIMARY KEY (upload, number)
        ) WITHOUT ROWID;
        CREATE TABLE facts (
            endpoint TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, expires_at INTEGER NOT NULL,
            PRIMARY KEY (endpoint, name)
        ) WITHOUT ROWID;
        """,
        """
        ALTER TABLE uploads ADD COLUMN changing TEXT NOT NULL DEFAULT 'refuse';
        """,
        """
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            quarantine_after INTEGER NOT NULL DEFAULT 3,
            past_archived INTEGER NOT NULL DEFAULT 0, past_bytes INTEGER NOT NULL DEFAULT 0,
            past_failures INTEGER NOT NULL DEFAULT 0, past_success INTEGER,
            told TEXT, told_at INTEGER
        );
        CREATE TABLE items (
            job INTEGER NOT NULL, source BLOB NOT NULL,
            upload INTEGER,
            state TEXT NOT NULL,
            action TEXT, target BLOB, due_at INTEGER,
            attempts INTEGER NOT NULL DEFAULT 0,
            failures INTEGER NOT NULL DEFAULT 0, error_kind TEXT, last_error TEXT,
            run INTEGER NOT NULL,
            shared_key BLOB,
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (job, source)
        ) WITHOUT ROWID;
        CREATE INDEX items_open ON items (job, source) WHERE state != 'settled';
        CREATE INDEX items_by_upload ON items (upload);
        CREATE INDEX items_by_key ON items (job, shared_key) WHERE shared_key IS NOT NULL;
        CREATE TABLE runs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            job INTEGER NOT NULL,
            started_at INTEGER NOT NULL, ended_at INTEGER,
            status INTEGER, error TEXT,
            found INTEGER NOT NULL DEFAULT 0, unchanged INTEGER NOT NULL DEFAULT 0,
            archived INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
            bytes_sent INTEGER NOT NULL DEFAULT 0, bytes_skipped INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0, quarantined INTEGER NOT NULL DEFAULT 0,
            unfinished INTEGER NOT NULL DEFAULT 0,
            acted INTEGER NOT NULL DEFAULT 0, actions_failed INTEGER NOT NULL DEFAULT 0,
            receipted INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX runs_by_job ON runs (job, number);
        CREATE TABLE receipts (
            run INTEGER NOT NULL, number INTEGER NOT NULL,
            upload INTEGER, source BLOB, bucket TEXT, key BLOB,
            result TEXT NOT NULL, kind TEXT, message TEXT,
            attempts INTEGER NOT NULL,
            bytes_sent INTEGER NOT NULL, bytes_skipped INTEGER NOT NULL,
            started_at INTEGER, ended_at INTEGER NOT NULL,
            action TEXT, target BLOB, action_error TEXT,
            PRIMARY KEY (run, number)
        ) WITHOUT ROWID;
        CREATE TABLE notices (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            job INTEGER NOT NULL, run INTEGER NOT NULL,
            hook TEXT NOT NULL, body TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0, last_error TEXT,
            due_at INTEGER NOT NULL, created_at INTEGER NOT NULL
        );
        """,
        """
        CREATE TABLE job_places (
            job INTEGER NOT NULL, role TEXT NOT NULL, path BLOB NOT NULL,
            device INTEGER NOT NULL, file_system INTEGER NOT NULL,
            PRIMARY KEY (job, role, path)
        ) WITHOUT ROWID;
        """,
        """
        ALTER TABLE uploads ADD COLUMN change_time INTEGER;
        """,
        // Every statement that a run repeats uses an index, however many finished rows there are.
        """
        DROP INDEX uploads_unfinished;
        CREATE INDEX uploads_unfinished ON uploads (number) WHERE state NOT IN ('done', 'aborted');
        CREATE INDEX uploads_unwanted ON uploads (number)
            WHERE state NOT IN ('done', 'aborted') AND (abort_requested OR state = 'failed');
        CREATE INDEX uploads_by_upload_id ON uploads (upload_id) WHERE upload_id IS NOT NULL;
        CREATE INDEX uploads_by_token ON uploads (token);
        DROP INDEX items_by_key;
        CREATE INDEX items_by_key ON items (job, shared_key, state, run) WHERE shared_key IS NOT NULL;
        CREATE INDEX items_failed ON items (job, source) WHERE failures > 0;
        CREATE INDEX notices_by_job ON notices (job, number);
        """,
        """
        ALTER TABLE uploads ADD COLUMN client_certificate TEXT;
        ALTER TABLE uploads ADD COLUMN client_key TEXT;
        """,
        """
        ALTER TABLE uploads ADD COLUMN signer TEXT;
        ALTER TABLE uploads ADD COLUMN signer_protocol TEXT;
        """,
        """
        ALTER TABLE uploads ADD COLUMN sse_c TEXT;
        ALTER TABLE uploads ADD COLUMN if_match TEXT;
        """,
        """
        ALTER TABLE uploads ADD COLUMN complete_attempted_at INTEGER;
        """,
    ]
}
