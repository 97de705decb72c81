-- The first schema: designs, their logs and whose their client ids are, people, sessions and tickets. Rules for
-- changing it: ../README.md. U+0000 cannot be stored as text here: the server writes U+FFFD in its place.

CREATE TABLE users (
    id            UUID PRIMARY KEY,
    -- In lower case.
    email         TEXT NOT NULL UNIQUE,
    name          TEXT,
    -- A PHC string.
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL,
    is_active     BOOLEAN NOT NULL DEFAULT TRUE,
    created_at    TIMESTAMPTZ NOT NULL
);

CREATE TABLE designs (
    id          UUID PRIMARY KEY,
    name        TEXT NOT NULL,
    -- The name in lower case by Unicode's rules, which lower() follows in some locales only: what the filter searches.
    name_key    TEXT NOT NULL,
    description TEXT,
    -- One of the members with the role owner: the creator as long as that is so.
    owner_id    UUID NOT NULL REFERENCES users (id),
    created_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX designs_by_owner ON designs (owner_id);

-- What every append rewrites, kept narrow. `updated_at` stands here for that reason. No index but the key and room in
-- each page, so that a new version of a row stays in its page and touches no index. Whoever writes to a design's log
-- locks this row first, and the row in `designs` after it.
CREATE TABLE design_heads (
    design_id    UUID PRIMARY KEY REFERENCES designs (id) ON DELETE CASCADE,
    generation   BIGINT NOT NULL,
    epoch        BIGINT NOT NULL,
    head_seq     BIGINT NOT NULL,
    notice_seq   BIGINT NOT NULL DEFAULT 0,
    analysed_seq BIGINT NOT NULL DEFAULT 0,
    updated_at   TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);

-- The log: seq 1, 2, 3 ... of each design without gaps.
CREATE TABLE design_updates (
    design_id  UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    append_id  UUID NOT NULL UNIQUE,
    -- Yjs update v1.
    payload    BYTEA NOT NULL,
    -- [{"user", "wrote": [{"client", "start", "end"}], "deleted": [...]}]
    authors    JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (design_id, seq)
);

-- The append ids of rows that were folded into a snapshot and deleted, so that an append that is repeated even later
-- finds its seq. A row moves from `design_updates` to here in one transaction.
CREATE TABLE folded_appends (
    append_id UUID PRIMARY KEY,
    design_id UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    seq       BIGINT NOT NULL,
    -- When the row was deleted.
    folded_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX folded_appends_by_design ON folded_appends (design_id);
CREATE INDEX folded_appends_by_age ON folded_appends (folded_at);

-- The log folded up to `seq`.
CREATE TABLE design_snapshots (
    design_id  UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    -- Yjs update v1 of the whole document.
    payload    BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (design_id, seq)
);

-- A client id belongs to whoever wrote under it first, for as long as the design exists, and until somebody has, to
-- whoever first announced it. No foreign key to `users`: an account that goes must not give its ids away, and not
-- everybody who edits has an account.
CREATE TABLE client_ids (
    design_id    UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- A Yjs client id, below 2^53.
    client       BIGINT NOT NULL,
    -- NULL: the server wrote under it, once. Nobody may.
    user_id      UUID,
    -- The log row that claimed it. NULL: announced, and nothing is written under it yet.
    seq          BIGINT,
    -- Set while `seq` is not: the newest of each user are kept.
    announced_at TIMESTAMPTZ,
    CHECK ((seq IS NULL) = (announced_at IS NOT NULL)),
    PRIMARY KEY (design_id, client)
);
-- Who reads the log on reads the claims of the same rows.
CREATE INDEX client_ids_by_seq ON client_ids (design_id, seq) WHERE seq IS NOT NULL;
-- What one user has announced in a design is counted.
CREATE INDEX client_ids_announced ON client_ids (design_id, user_id, announced_at) WHERE seq IS NULL;

-- Updates that passed every check and that the document still could not take.
CREATE TABLE quarantine (
    design_id  UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- SHA-256 of the update. This is what refuses it when it comes again, so it stays when the payload goes.
    hash       BYTEA NOT NULL,
    -- In the order in which they came, within a design.
    nth        BIGINT GENERATED ALWAYS AS IDENTITY,
    -- Who sent it. No foreign key, as above.
    user_id    UUID NOT NULL,
    -- The client ids under which it would have written something new.
    clients    JSONB NOT NULL,
    -- Size of the update in bytes.
    bytes      BIGINT NOT NULL,
    reason     TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    -- Yjs update v1 as it came. NULL: newer ones took its place.
    payload    BYTEA,
    PRIMARY KEY (design_id, hash)
);

CREATE TABLE design_members (
    design_id UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    user_id   UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role      TEXT NOT NULL,
    added_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (design_id, user_id)
);
CREATE INDEX design_members_by_user ON design_members (user_id);

-- One login: the family of refresh tokens that descend from it.
CREATE TABLE sessions (
    id         UUID PRIMARY KEY,
    user_id    UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    -- When its newest refresh token expires.
    expires_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    -- SHA-256; the token itself is never stored.
    hash       BYTEA PRIMARY KEY,
    session_id UUID NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    -- Set when it was exchanged for the next one. Seen again after that, somebody holds a copy.
    spent_at   TIMESTAMPTZ,
    -- Hash of that next one. A page whose answer got lost may use its token again for a moment, as long as nobody used
    -- the one that it never saw. NULL: not spent yet.
    successor  BYTEA
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

CREATE TABLE tickets (
    -- SHA-256; the ticket itself is never stored.
    hash             BYTEA PRIMARY KEY,
    user_id          UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    design_id        UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    session_id       UUID NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    token_expires_at TIMESTAMPTZ NOT NULL,
    expires_at       TIMESTAMPTZ NOT NULL
);
CREATE INDEX tickets_by_design ON tickets (design_id);
CREATE INDEX tickets_by_session ON tickets (session_id);
CREATE INDEX tickets_by_user ON tickets (user_id);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

-- One row that the readiness check rewrites, so that a full disk or a read-only replica shows.
CREATE TABLE readiness (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    checked_at TIMESTAMPTZ NOT NULL
);
