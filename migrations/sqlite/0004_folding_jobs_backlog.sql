-- Folding logs into snapshots, the jobs that do it, and blobs that their store did not take yet.

-- What the newest snapshot shows, for people who ask in SQL. The large ones stand last, so that a listing does not read
-- them.
ALTER TABLE designs ADD COLUMN folded_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE designs ADD COLUMN folded_at INTEGER;
-- JSON arrays.
ALTER TABLE designs ADD COLUMN nodes TEXT;
ALTER TABLE designs ADD COLUMN edges TEXT;

-- SHA-256 of the payload: the name of the blob that archives it.
ALTER TABLE design_snapshots ADD COLUMN hash BLOB;

-- Which blobs the log was archived in. A row of the log is deleted only when one of these covers it.
CREATE TABLE design_segments (
    design_id  BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    first_seq  INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    -- SHA-256 of its content: the name of the blob.
    hash       BLOB NOT NULL,
    -- Size of the blob as stored.
    bytes      INTEGER NOT NULL,
    -- Times of the first and of the last row in it.
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    CHECK (first_seq <= last_seq),
    PRIMARY KEY (design_id, first_seq)
) STRICT, WITHOUT ROWID;

-- Under which `seq` an append stood whose row is folded and deleted: it may still be repeated.
CREATE TABLE folded_appends (
    append_id BLOB PRIMARY KEY,
    design_id BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    folded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX folded_appends_by_design ON folded_appends (design_id);
CREATE INDEX folded_appends_by_age ON folded_appends (folded_at);

-- Work to be done, one row for each kind and design. No foreign key: the blobs of a deleted design are erased by one.
CREATE TABLE jobs (
    kind       TEXT NOT NULL,
    design_id  BLOB NOT NULL,
    -- From when on it may be claimed: while it waits, its time; while somebody holds it, the end of the lease.
    due_at     INTEGER NOT NULL,
    -- Whose it is: the pod's id, its 64 bits read as a signed number. NULL: nobody's.
    holder     INTEGER,
    -- The fencing token of the newest claim. NULL: never claimed.
    token      INTEGER,
    -- It was asked for again while somebody held it: when it is to run once more.
    again_at   INTEGER,
    -- Claims since the last that ended well.
    failures   INTEGER NOT NULL DEFAULT 0,
    -- Why the last one failed.
    reason     TEXT,
    created_at INTEGER NOT NULL,
    CHECK (holder IS NULL OR token IS NOT NULL),
    PRIMARY KEY (kind, design_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_time ON jobs (kind, due_at);

-- The last fencing token. Not in the job's row: a job that is done and asked for anew has another row, and its tokens
-- must still be larger than those before.
CREATE TABLE job_tokens (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO job_tokens (id, last) VALUES (1, 0);

-- Blobs as they will be stored. Payloads are large, hence rows by rowid; a higher one is a later one.
CREATE TABLE blob_backlog (
    id         INTEGER PRIMARY KEY,
    prefix     TEXT NOT NULL,
    -- SHA-256 of the plain content: the name of the blob under its prefix.
    hash       BLOB NOT NULL,
    -- NULL: it belongs to no design.
    design_id  BLOB REFERENCES designs (id) ON DELETE CASCADE,
    -- Size of the payload.
    bytes      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    payload    BLOB NOT NULL,
    UNIQUE (prefix, hash)
) STRICT;
CREATE INDEX blob_backlog_by_design ON blob_backlog (design_id);
-- How much waits, and since when, is told without reading a payload.
CREATE INDEX blob_backlog_sizes ON blob_backlog (created_at, bytes);
