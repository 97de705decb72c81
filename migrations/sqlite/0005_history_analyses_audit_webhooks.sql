-- Tables that stand ready for what comes next: versions and share links, analyses, the audit log, webhooks, and what
-- calls of language models may cost.
-- People who go leave their rows behind without their name, except in the audit log, which is kept for its time as it is.

-- Snapshots that people see.
CREATE TABLE design_versions (
    design_id    BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- 1, 2, 3 ... of each design.
    number       INTEGER NOT NULL,
    -- The log up to here.
    seq          INTEGER NOT NULL,
    -- manual, or why the server made it.
    kind         TEXT NOT NULL,
    name         TEXT,
    -- SHA-256 of the snapshot: the name of its blob.
    hash         BLOB NOT NULL,
    -- Size of the snapshot.
    bytes        INTEGER NOT NULL,
    content_hash BLOB NOT NULL,
    node_count   INTEGER NOT NULL,
    edge_count   INTEGER NOT NULL,
    created_by   BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (design_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX design_versions_by_user ON design_versions (created_by);

CREATE TABLE share_links (
    id         BLOB PRIMARY KEY,
    design_id  BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- SHA-256 of the secret in the link.
    hash       BLOB NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    -- Whose the edits are that come through it. Not in `users`.
    guest_id   BLOB NOT NULL UNIQUE,
    name       TEXT,
    created_by BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX share_links_by_design ON share_links (design_id);
CREATE INDEX share_links_by_user ON share_links (created_by);

-- What the rules say of a design: once for each meaning and each set of rules.
CREATE TABLE analyses (
    id                BLOB PRIMARY KEY,
    design_id         BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- Of what rules can see.
    semantic_hash     BLOB NOT NULL,
    ruleset_version   TEXT NOT NULL,
    -- Of the whole design as it was then, and its place in the log.
    content_hash      BLOB NOT NULL,
    seq               INTEGER NOT NULL,
    -- A Yjs state vector: which edits it has seen.
    state_vector      BLOB NOT NULL,
    -- 0.0 to 10.0.
    security_score    REAL NOT NULL,
    grade             TEXT NOT NULL,
    -- Known attributes among all, 0 to 1.
    coverage          REAL NOT NULL,
    -- Of the worst finding. NULL: there is none.
    severity          TEXT,
    findings_count    INTEGER NOT NULL,
    -- [{"rule_id", "fingerprint", "severity", "confidence", "elements": [...], ...}]
    issues            TEXT NOT NULL,
    execution_time_ms INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    CHECK (security_score BETWEEN 0 AND 10),
    UNIQUE (design_id, semantic_hash, ruleset_version)
) STRICT;

-- What a language model says of the same, perhaps later: once for each meaning and each way of asking.
CREATE TABLE advice (
    id             BLOB PRIMARY KEY,
    design_id      BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    semantic_hash  BLOB NOT NULL,
    -- SHA-256 of what the model is shown, and of prompt, schema, provider, model and privacy level.
    ai_key         BLOB NOT NULL,
    -- done, refused, truncated, failed.
    status         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    model          TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    content_hash   BLOB NOT NULL,
    summary        TEXT,
    findings       TEXT NOT NULL,
    -- Tokens, as the provider counts them.
    usage          TEXT NOT NULL,
    -- Millionths of a US dollar.
    cost_micros    INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    UNIQUE (design_id, semantic_hash, ai_key)
) STRICT;

-- What people decided about a finding. It survives edits that do not concern its elements.
CREATE TABLE triage (
    design_id   BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- SHA-256 of rule and elements.
    fingerprint BLOB NOT NULL,
    -- accepted, false_positive.
    decision    TEXT NOT NULL,
    note        TEXT,
    decided_by  BLOB REFERENCES users (id) ON DELETE SET NULL,
    decided_at  INTEGER NOT NULL,
    PRIMARY KEY (design_id, fingerprint)
) STRICT, WITHOUT ROWID;
CREATE INDEX triage_by_user ON triage (decided_by);

-- The name and the columns by which other services know the analyses.
CREATE VIEW analysis_results AS
SELECT analysis.id, analysis.design_id, analysis.security_score, analysis.severity, analysis.findings_count,
       analysis.issues,
       CASE WHEN newest.id IS NOT NULL THEN json_object(
           'status', newest.status, 'provider', newest.provider, 'model', newest.model,
           'prompt_version', newest.prompt_version, 'content_hash', lower(hex(newest.content_hash)),
           'summary', newest.summary, 'findings', json(newest.findings), 'usage', json(newest.usage),
           'cost_usd', newest.cost_micros / 1000000.0
       ) END AS ai_recommendations,
       newest.model AS ai_model, analysis.execution_time_ms, analysis.content_hash, analysis.semantic_hash,
       analysis.ruleset_version, analysis.state_vector, analysis.created_at
FROM analyses AS analysis
LEFT JOIN advice AS newest ON newest.id = (
    SELECT id FROM advice
    WHERE advice.design_id = analysis.design_id AND advice.semantic_hash = analysis.semantic_hash
    ORDER BY advice.created_at DESC, advice.id LIMIT 1
);

-- Who did what. No foreign keys: it outlives the people and the designs that it names.
CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    -- NULL: nobody who is known.
    user_id    BLOB,
    -- design.created.
    action     TEXT NOT NULL CHECK (length(action) <= 100),
    -- designs/<id>.
    resource   TEXT NOT NULL CHECK (length(resource) <= 255),
    ip         TEXT,
    user_agent TEXT,
    request_id BLOB,
    details    TEXT
) STRICT;
CREATE INDEX audit_log_by_time ON audit_log (created_at);
CREATE INDEX audit_log_by_user ON audit_log (user_id, created_at);
CREATE INDEX audit_log_by_resource ON audit_log (resource, created_at);

CREATE TABLE webhooks (
    id          BLOB PRIMARY KEY,
    owner_id    BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- NULL: every design that its owner may read.
    design_id   BLOB REFERENCES designs (id) ON DELETE CASCADE,
    url         TEXT NOT NULL,
    -- What deliveries are signed with.
    secret      BLOB NOT NULL,
    -- Names of events.
    events      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    -- Deliveries that failed since the last that arrived.
    failures    INTEGER NOT NULL DEFAULT 0,
    -- Set when too many failed.
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_by_owner ON webhooks (owner_id);
CREATE INDEX webhooks_by_design ON webhooks (design_id);

CREATE TABLE webhook_deliveries (
    id              BLOB PRIMARY KEY,
    webhook_id      BLOB NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event           TEXT NOT NULL,
    payload         TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    -- When it is tried next. NULL: it arrived, or was given up.
    due_at          INTEGER,
    delivered_at    INTEGER,
    -- What the last answer was, or why there was none.
    response_status INTEGER,
    error           TEXT
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at);

-- What calls of language models cost whom, in millionths of a US dollar: reserved before a call, spent after it.
CREATE TABLE ai_budget (
    -- user, everybody.
    scope           TEXT NOT NULL,
    -- Zero for everybody.
    scope_id        BLOB NOT NULL,
    -- day, month; and when it began.
    period          TEXT NOT NULL,
    began_at        INTEGER NOT NULL,
    calls           INTEGER NOT NULL DEFAULT 0,
    reserved_micros INTEGER NOT NULL DEFAULT 0,
    spent_micros    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, scope_id, period, began_at)
) STRICT, WITHOUT ROWID;

-- Answers of language models, within one tenant: its design's owner.
CREATE TABLE ai_cache (
    tenant_id  BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- As in `advice`.
    ai_key     BLOB NOT NULL,
    response   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, ai_key)
) STRICT;
CREATE INDEX ai_cache_by_expiry ON ai_cache (expires_at);
