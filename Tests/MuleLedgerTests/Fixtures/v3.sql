-- A ledger of schema 3. Never edited: what a released mule has written must open for good.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1836412005;
BEGIN;
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
INSERT INTO uploads (number, id, state, source, device, inode, size, modified, endpoint, region, addressing, profile, ca_bundle, bucket, key, attributes, only_if_absent, checksum, payload_signing, part_size, part_count,
    token, create_attempted_at, upload_id, integrity, abort_date, abort_requested, parts_done, bytes_done, bytes_sent, etag, version_id, checksum_algorithm, checksum_type, checksum_value, last_error, created_at, updated_at)
VALUES
    (1, 'k3v9p', 'pending', X'2F646174612F64622E64756D70', -1, 131072, 1073741824, 1763683200123456789, 'https://s3.example.org', 'eu-central-1', 'auto', NULL, NULL, 'bucket', X'64622E64756D70', 'content-type: application/octet-stream'||char(10)||'x-amz-meta-colour: blue', 0, 'auto', 'auto', 8388608, 128, '0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f', 1763683200500, '2~abc', 'CRC64NVME', 'Sat, 22 Nov 2025 00:00:00 GMT', 0, 3, 25165824, 33554432, NULL, NULL, NULL, NULL, NULL, NULL, 1763683200000, 1763683290000),
    (2, 'a2b3c', 'done', X'2F646174612F70686F746F2E726177', 2049, 7, 67108864, 1700000000000000000, 'https://s3.example.org', 'eu-central-1', 'auto', NULL, NULL, 'bucket', X'70686F746F2E726177', '', 1, 'auto', 'auto', 8388608, 8, '1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e', 1763683201000, '2~def', 'CRC64NVME', NULL, 0, 8, 67108864, 67108864, '9b2cf535f27731c974343645a3985328-8', 'v1', 'CRC64NVME', 'FULL_OBJECT', 'rosUhgp5mIg=', NULL, 1763683200000, 1763683290000),
    (3, 't7u8w', 'pending', NULL, NULL, NULL, NULL, NULL, 'https://s3.example.org', 'eu-central-1', 'auto', 'backup', '/etc/ssl/ca.pem', 'bucket', X'73747265616D', '', 0, 'auto', 'auto', NULL, NULL, '2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d', NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 1763683200000, 1763683290000),
    (4, 'm4n5q', 'failed', X'2F64FF', 2049, 8, 3, -1, 'https://s3.example.org', 'eu-central-1', 'auto', NULL, NULL, 'bucket', X'75CC88', '', 0, 'auto', 'auto', NULL, NULL, '3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c', NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 'AccessDenied', 1763683200000, 1763683290000),
    (7, 'x9y2z', 'aborted', X'2F646174612F6F6C64', 2049, 9, 67108864, 0, 'https://s3.example.org', 'eu-central-1', 'auto', NULL, NULL, 'bucket', X'6F6C64', '', 0, 'auto', 'auto', 8388608, 8, '4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b', 1763683202000, '2~ghi', 'MD5', NULL, 1, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 1763683200000, 1763683290000);
INSERT INTO parts (upload, number, size, etag, crc, digest) VALUES
    (1, 1, 8388608, 'd41d8cd98f00b204e9800998ecf8427e', X'0102030405060708', NULL),
    (1, 2, 8388608, '0cc175b9c0f1b6a831c399e269772661', X'0000000000000000', NULL),
    (1, 4, 8388608, '92eb5ffee6ae2fec3ad71c777531578f', X'AE8B14860A799888', X'92EB5FFEE6AE2FEC3AD71C777531578F');
INSERT INTO facts (endpoint, name, value, expires_at) VALUES
    ('https://s3.example.org', 'checksum', 'CRC64NVME', 9000000000000);
ALTER TABLE uploads ADD COLUMN changing TEXT NOT NULL DEFAULT 'refuse';
UPDATE uploads SET changing = 'snapshot-size' WHERE number = 3;
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
INSERT INTO jobs (number, name, created_at, quarantine_after) VALUES (1, 'logs', 1763683200000, 2);
INSERT INTO runs (number, job, started_at, ended_at, status, archived) VALUES (1, 1, 1763683200000, 1763683260000, 0, 1);
INSERT INTO items (job, source, upload, state, attempts, failures, error_kind, last_error, run, shared_key, updated_at) VALUES
    (1, X'2F64FF', 4, 'pending', 2, 2, 'store', 'AccessDenied', 1, X'75CC88', 1763683200000),
    (1, X'2F646174612F6F6C64', 7, 'settled', 1, 0, NULL, NULL, 1, X'6F6C64', 1763683200000);
INSERT INTO receipts (run, number, upload, source, result, attempts, bytes_sent, bytes_skipped, ended_at) VALUES
    (1, 1, 7, X'2F646174612F6F6C64', 'archived', 1, 3, 0, 1763683200000);
PRAGMA user_version = 3;
COMMIT;
