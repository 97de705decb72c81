-- Tables that stand ready for what comes next: versions and share links, analyses, the audit log, webhooks, and what
-- calls of language models may cost.
-- People who go leave their rows behind without their name, except in the audit log, which is kept for its time as it is.

-- Snapshots that people see.
CREATE TABLE design_versions (
    design_id    UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- 1, 2, 3 ... of each design.
    number       BIGINT NOT NULL,
    -- The log up to here.
    seq          BIGINT NOT NULL,
    -- manual, or why the server made it.
    kind         TEXT NOT NULL,
    name         TEXT,
    -- SHA-256 of the snapshot: the name of its blob.
    hash         BYTEA NOT NULL,
    -- Size of the snapshot.
    bytes        BIGINT NOT NULL,
    content_hash BYTEA NOT NULL,
    node_count   BIGINT NOT NULL,
    edge_count   BIGINT NOT NULL,
    created_by   UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (design_id, number)
);
CREATE INDEX design_versions_by_user ON design_versions (created_by);

CREATE TABLE share_links (
    id         UUID PRIMARY KEY,
    design_id  UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- SHA-256 of the secret in the link.
    hash       BYTEA NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    -- Whose the edits are that come through it. Not in `users`.
    guest_id   UUID NOT NULL UNIQUE,
    name       TEXT,
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX share_links_by_design ON share_links (design_id);
CREATE INDEX share_links_by_user ON share_links (created_by);

-- What the rules say of a design: once for each meaning and each set of rules.
CREATE TABLE analyses (
    id                UUID PRIMARY KEY,
    design_id         UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- Of what rules can see.
    semantic_hash     BYTEA NOT NULL,
    ruleset_version   TEXT NOT NULL,
    -- Of the whole design as it was then, and its place in the log.
    content_hash      BYTEA NOT NULL,
    seq               BIGINT NOT NULL,
    -- A Yjs state vector: which edits it has seen.
    state_vector      BYTEA NOT NULL,
    -- 0.0 to 10.0.
    security_score    NUMERIC(3, 1) NOT NULL,
    grade             TEXT NOT NULL,
    -- Known attributes among all, 0 to 1.
    coverage          DOUBLE PRECISION NOT NULL,
    -- Of the worst finding. NULL: there is none.
    severity          TEXT,
    findings_count    BIGINT NOT NULL,
    -- [{"rule_id", "fingerprint", "severity", "confidence", "elements": [...], ...}]
    issues            JSONB NOT NULL,
    execution_time_ms BIGINT NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL,
    CHECK (security_score BETWEEN 0 AND 10),
    UNIQUE (design_id, semantic_hash, ruleset_version)
);

-- What a language model says of the same, perhaps later: once for each meaning and each way of asking.
CREATE TABLE advice (
    id             UUID PRIMARY KEY,
    design_id      UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    semantic_hash  BYTEA NOT NULL,
    -- SHA-256 of what the model is shown, and of prompt, schema, provider, model and privacy level.
    ai_key         BYTEA NOT NULL,
    -- done, refused, truncated, failed.
    status         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    model          TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    content_hash   BYTEA NOT NULL,
    summary        TEXT,
    findings       JSONB NOT NULL,
    -- Tokens, as the provider counts them.
    usage          JSONB NOT NULL,
    -- Millionths of a US dollar.
    cost_micros    BIGINT NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    UNIQUE (design_id, semantic_hash, ai_key)
);

-- What people decided about a finding. It survives edits that do not concern its elements.
CREATE TABLE triage (
    design_id   UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- SHA-256 of rule and elements.
    fingerprint BYTEA NOT NULL,
    -- accepted, false_positive.
    decision    TEXT NOT NULL,
    note        TEXT,
    decided_by  UUID REFERENCES users (id) ON DELETE SET NULL,
    decided_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (design_id, fingerprint)
);
CREATE INDEX triage_by_user ON triage (decided_by);

-- The name and the columns by which other services know the analyses.
CREATE VIEW analysis_results AS
SELECT analysis.id, analysis.design_id, analysis.security_score, analysis.severity, analysis.findings_count,
       analysis.issues, newest.recommendations AS ai_recommendations, newest.model AS ai_model,
       analysis.execution_time_ms, analysis.content_hash, analysis.semantic_hash, analysis.ruleset_version,
       analysis.state_vector, analysis.created_at
FROM analyses AS analysis
LEFT JOIN LATERAL (
    SELECT model,
           jsonb_build_object(
               'status', status, 'provider', provider, 'model', model, 'prompt_version', prompt_version,
               'content_hash', encode(content_hash, 'hex'), 'summary', summary, 'findings', findings,
               'usage', usage, 'cost_usd', cost_micros / 1000000.0
           ) AS recommendations
    FROM advice
    WHERE advice.design_id = analysis.design_id AND advice.semantic_hash = analysis.semantic_hash
    ORDER BY advice.created_at DESC, advice.id LIMIT 1
) AS newest ON TRUE;

-- Who did what. No foreign keys: it outlives the people and the designs that it names. One partition for each month, and
-- one for what finds no month's, so that nothing is ever refused.
CREATE TABLE audit_log (
    id         BIGSERIAL,
    created_at TIMESTAMPTZ NOT NULL,
    -- NULL: nobody who is known.
    user_id    UUID,
    -- design.created.
    action     TEXT NOT NULL CHECK (char_length(action) <= 100),
    -- designs/<id>.
    resource   TEXT NOT NULL CHECK (char_length(resource) <= 255),
    ip         INET,
    user_agent TEXT,
    request_id UUID,
    details    JSONB,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX audit_log_by_time ON audit_log (created_at);
CREATE INDEX audit_log_by_user ON audit_log (user_id, created_at);
CREATE INDEX audit_log_by_resource ON audit_log (resource, created_at);
CREATE TABLE audit_log_rest PARTITION OF audit_log DEFAULT;
-- This month and twelve more, in UTC.
DO $$
DECLARE
    begin_at TIMESTAMP := date_trunc('month', now() AT TIME ZONE 'UTC');
BEGIN
    FOR month IN 0..12 LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)',
            to_char(begin_at, '"audit_log_"YYYY_MM'),
            to_char(begin_at, 'YYYY-MM-DD"T00:00:00Z"'),
            to_char(begin_at + interval '1 month', 'YYYY-MM-DD"T00:00:00Z"')
        );
        begin_at := begin_at + interval '1 month';
    END LOOP;
END $$;

CREATE TABLE webhooks (
    id          UUID PRIMARY KEY,
    owner_id    UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- NULL: every design that its owner may read.
    design_id   UUID REFERENCES designs (id) ON DELETE CASCADE,
    url         TEXT NOT NULL,
    -- What deliveries are signed with.
    secret      BYTEA NOT NULL,
    -- Names of events.
    events      JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    -- Deliveries that failed since the last that arrived.
    failures    BIGINT NOT NULL DEFAULT 0,
    -- Set when too many failed.
    disabled_at TIMESTAMPTZ
);
CREATE INDEX webhooks_by_owner ON webhooks (owner_id);
CREATE INDEX webhooks_by_design ON webhooks (design_id);

CREATE TABLE webhook_deliveries (
    id              UUID PRIMARY KEY,
    webhook_id      UUID NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event           TEXT NOT NULL,
    payload         JSONB NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    -- When it is tried next. NULL: it arrived, or was given up.
    due_at          TIMESTAMPTZ,
    delivered_at    TIMESTAMPTZ,
    -- What the last answer was, or why there was none.
    response_status BIGINT,
    error           TEXT
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at);

-- What calls of language models cost whom, in millionths of a US dollar: reserved before a call, spent after it.
CREATE TABLE ai_budget (
    -- user, everybody.
    scope           TEXT NOT NULL,
    -- Zero for everybody.
    scope_id        UUID NOT NULL,
    -- day, month; and when it began.
    period          TEXT NOT NULL,
    began_at        TIMESTAMPTZ NOT NULL,
    calls           BIGINT NOT NULL DEFAULT 0,
    reserved_micros BIGINT NOT NULL DEFAULT 0,
    spent_micros    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, scope_id, period, began_at)
);

-- Answers of language models, within one tenant: its design's owner.
CREATE TABLE ai_cache (
    tenant_id  UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- As in `advice`.
    ai_key     BYTEA NOT NULL,
    response   JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, ai_key)
);
CREATE INDEX ai_cache_by_expiry ON ai_cache (expires_at);
