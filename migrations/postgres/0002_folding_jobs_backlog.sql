-- Folding logs into snapshots, the jobs that do it, and blobs that their store did not take yet. The append ids of rows
-- that are folded have their table since the first step.

-- What the newest snapshot shows, for people who ask in SQL. A new name is written beside the old version of its row as
-- long as there is room in its page, and then touches no index.
ALTER TABLE designs
    ADD COLUMN folded_seq BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN folded_at TIMESTAMPTZ,
    -- Arrays.
    ADD COLUMN nodes JSONB,
    ADD COLUMN edges JSONB,
    SET (fillfactor = 70);
-- No GIN index on them: with one, folding a design of 13,000 nodes took up to 3.75 s instead of 23 ms, and a new name
-- that finds no room in its page would enter every key anew, in a lane that many designs share. Whoever asks by
-- containment reads the table.

-- SHA-256 of the payload: the name of the blob that archives it.
ALTER TABLE design_snapshots ADD COLUMN hash BYTEA;

-- Which blobs the log was archived in. A row of the log is deleted only when one of these covers it.
CREATE TABLE design_segments (
    design_id  UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    first_seq  BIGINT NOT NULL,
    last_seq   BIGINT NOT NULL,
    -- SHA-256 of its content: the name of the blob.
    hash       BYTEA NOT NULL,
    -- Size of the blob as stored.
    bytes      BIGINT NOT NULL,
    -- Times of the first and of the last row in it.
    first_at   TIMESTAMPTZ NOT NULL,
    last_at    TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    CHECK (first_seq <= last_seq),
    PRIMARY KEY (design_id, first_seq)
);

-- Work to be done, one row for each kind and design. No foreign key: the blobs of a deleted design are erased by one.
CREATE TABLE jobs (
    kind       TEXT NOT NULL,
    design_id  UUID NOT NULL,
    -- From when on it may be claimed: while it waits, its time; while somebody holds it, the end of the lease.
    due_at     TIMESTAMPTZ NOT NULL,
    -- Whose it is: the pod's id, its 64 bits read as a signed number. NULL: nobody's.
    holder     BIGINT,
    -- The fencing token of the newest claim. NULL: never claimed.
    token      BIGINT,
    -- It was asked for again while somebody held it: when it is to run once more.
    again_at   TIMESTAMPTZ,
    -- Claims since the last that ended well.
    failures   BIGINT NOT NULL DEFAULT 0,
    -- Why the last one failed.
    reason     TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    CHECK (holder IS NULL OR token IS NOT NULL),
    PRIMARY KEY (kind, design_id)
);
CREATE INDEX jobs_by_time ON jobs (kind, due_at);

-- Fencing tokens. Not from the job's row: a job that is done and asked for anew has another row, and its tokens must
-- still be larger than those before.
CREATE SEQUENCE job_tokens;

-- Blobs as they will be stored; a higher id is a later one.
CREATE TABLE blob_backlog (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prefix     TEXT NOT NULL,
    -- SHA-256 of the plain content: the name of the blob under its prefix.
    hash       BYTEA NOT NULL,
    -- NULL: it belongs to no design.
    design_id  UUID REFERENCES designs (id) ON DELETE CASCADE,
    -- Size of the payload.
    bytes      BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    payload    BYTEA NOT NULL,
    UNIQUE (prefix, hash)
);
-- They are compressed already, and perhaps encrypted.
ALTER TABLE blob_backlog ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX blob_backlog_by_design ON blob_backlog (design_id);
