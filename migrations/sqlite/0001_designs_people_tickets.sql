-- The first schema: designs and their logs, people, sessions and tickets. Rules for changing it: ../README.md.
-- Ids are UUIDs as 16 bytes, big-endian. Times are microseconds since 1970-01-01 UTC.

CREATE TABLE users (
    id            BLOB PRIMARY KEY,
    -- In lower case.
    email         TEXT NOT NULL UNIQUE,
    name          TEXT,
    -- A PHC string.
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL,
    is_active     INTEGER NOT NULL DEFAULT 1,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE designs (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL,
    -- The name in lower case by Unicode's rules, which SQLite's own functions do not know: what the filter searches.
    name_key    TEXT NOT NULL,
    description TEXT,
    -- One of the members with the role owner: the creator as long as that is so.
    owner_id    BLOB NOT NULL REFERENCES users (id),
    created_at  INTEGER NOT NULL
) STRICT;

-- What every append rewrites, kept narrow. `updated_at` stands here for that reason.
CREATE TABLE design_heads (
    design_id    BLOB PRIMARY KEY REFERENCES designs (id) ON DELETE CASCADE,
    generation   INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    head_seq     INTEGER NOT NULL,
    notice_seq   INTEGER NOT NULL DEFAULT 0,
    analysed_seq INTEGER NOT NULL DEFAULT 0,
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The log: seq 1, 2, 3 ... of each design without gaps. Clustered by design, since a load reads one design's tail.
CREATE TABLE design_updates (
    design_id  BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    append_id  BLOB NOT NULL UNIQUE,
    -- Yjs update v1.
    payload    BLOB NOT NULL,
    -- JSON: [{"user", "wrote": [{"client", "start", "end"}], "deleted": [...]}]
    authors    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (design_id, seq)
) STRICT, WITHOUT ROWID;

-- The log folded up to `seq`. Payloads are large, hence rows by rowid.
CREATE TABLE design_snapshots (
    design_id  BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    -- Yjs update v1 of the whole document.
    payload    BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (design_id, seq)
) STRICT;

CREATE TABLE design_members (
    design_id BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    user_id   BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role      TEXT NOT NULL,
    added_at  INTEGER NOT NULL,
    PRIMARY KEY (design_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX design_members_by_user ON design_members (user_id);

-- One login: the family of refresh tokens that descend from it.
CREATE TABLE sessions (
    id         BLOB PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    -- When its newest refresh token expires.
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    -- SHA-256; the token itself is never stored.
    hash       BLOB PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- Set when it was exchanged for the next one. Seen again after that, somebody holds a copy.
    spent_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

CREATE TABLE tickets (
    -- SHA-256; the ticket itself is never stored.
    hash             BLOB PRIMARY KEY,
    user_id          BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    design_id        BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    session_id       BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    token_expires_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_by_design ON tickets (design_id);
CREATE INDEX tickets_by_session ON tickets (session_id);
CREATE INDEX tickets_by_user ON tickets (user_id);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

-- One row that the readiness check rewrites, so that a full disk shows.
CREATE TABLE readiness (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    checked_at INTEGER NOT NULL
) STRICT;
