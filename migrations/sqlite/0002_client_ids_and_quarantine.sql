-- Whose the client ids of a design are, and updates that a document could not take.

-- A client id belongs to whoever wrote under it first, for as long as the design exists, and until somebody has, to
-- whoever first announced it. No foreign key to `users`:
-- an account that goes must not give its ids away, and not everybody who edits has an account.
CREATE TABLE client_ids (
    design_id BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- A Yjs client id, below 2^53.
    client    INTEGER NOT NULL,
    -- NULL: the server wrote under it, once. Nobody may.
    user_id   BLOB,
    -- The log row that claimed it. NULL: announced, and nothing is written under it yet.
    seq       INTEGER,
    -- Set while `seq` is not: the newest of each user are kept.
    announced_at INTEGER,
    CHECK ((seq IS NULL) = (announced_at IS NOT NULL)),
    PRIMARY KEY (design_id, client)
) STRICT, WITHOUT ROWID;
-- Who reads the log on reads the claims of the same rows.
CREATE INDEX client_ids_by_seq ON client_ids (design_id, seq) WHERE seq IS NOT NULL;
-- What one user has announced in a design is counted.
CREATE INDEX client_ids_announced ON client_ids (design_id, user_id, announced_at) WHERE seq IS NULL;

-- Updates that passed every check and that the document still could not take. Payloads are large, hence rows by rowid.
CREATE TABLE quarantine (
    design_id  BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- SHA-256 of the update. This is what refuses it when it comes again, so it stays when the payload goes.
    hash       BLOB NOT NULL,
    -- Who sent it. No foreign key, as above.
    user_id    BLOB NOT NULL,
    -- JSON: the client ids under which it would have written something new.
    clients    TEXT NOT NULL,
    -- Size of the update in bytes.
    bytes      INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Yjs update v1 as it came. NULL: newer ones took its place.
    payload    BLOB,
    PRIMARY KEY (design_id, hash)
) STRICT;

-- What is in the logs already. One statement each may do it, although it takes the write lock for as long as it runs
-- (rule 4): no version of this server has been released yet, and no log has been folded, so that row 1 is always there.

-- Row 1 creates the design. The server wrote it under an id of its own: the third of the variable-length integers at
-- the beginning of an update (how many clients: 1; how many structs; the client), seven bits to a byte, lowest first.
INSERT INTO client_ids (design_id, client, user_id, seq)
WITH RECURSIVE
    place (at) AS (VALUES (2) UNION ALL SELECT at + 1 FROM place WHERE at < 16),
    start AS MATERIALIZED (
        SELECT design_id, hex(substr(payload, 1, 16)) AS digits FROM design_updates
        WHERE seq = 1 AND substr(payload, 1, 1) = x'01'
    ),
    byte AS (
        SELECT design_id, at,
               16 * instr('123456789ABCDEF', substr(digits, 2 * at - 1, 1))
                   + instr('123456789ABCDEF', substr(digits, 2 * at, 1)) AS value
        FROM start, place WHERE 2 * at <= length(digits)
    ),
    -- An integer ends with the first byte below 128.
    part AS (
        SELECT design_id, at, value,
               count(*) FILTER (WHERE value < 128) OVER (
                   PARTITION BY design_id ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
               ) AS integers_before
        FROM byte
    ),
    client AS (
        SELECT design_id, value, row_number() OVER (PARTITION BY design_id ORDER BY at) - 1 AS place
        FROM part WHERE integers_before = 1
    )
SELECT design_id, sum((value & 127) << (7 * place)), NULL, 1 FROM client GROUP BY design_id;

-- All later rows name their authors. The first of them who wrote under an id has it.
INSERT INTO client_ids (design_id, client, user_id, seq)
SELECT design_id, client, user_id, seq FROM (
    SELECT logged.design_id, logged.seq,
           unhex(author.value ->> 'user', '-') AS user_id,
           wrote.value ->> 'client' AS client,
           row_number() OVER (
               PARTITION BY logged.design_id, wrote.value ->> 'client'
               ORDER BY logged.seq, wrote.value ->> 'start', author.key
           ) AS nth
    FROM design_updates AS logged, json_each(logged.authors) AS author, json_each(author.value, '$.wrote') AS wrote
)
WHERE nth = 1
ON CONFLICT (design_id, client) DO NOTHING;
