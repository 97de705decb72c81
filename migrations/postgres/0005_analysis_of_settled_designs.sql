-- The analysis of settled designs: how its score went, on demand, what people decide of findings, and jobs that were
-- given up.

ALTER TABLE design_heads
    -- The newest of `analysis_points`. 0: there is none.
    ADD COLUMN analysis_no BIGINT NOT NULL DEFAULT 0,
    -- Grows with each change of `triage`.
    ADD COLUMN triage_no BIGINT NOT NULL DEFAULT 0;

-- Score, grade, severity and count are those of the newest point that names the analysis: what people decided changes
-- them, and the rules need not run again.
ALTER TABLE analyses
    -- [{"rule_id", "severity", "count", "points"}]
    ADD COLUMN explanation JSONB,
    -- {"rule_id", "severity", "limit"}. NULL: the score is capped by none.
    ADD COLUMN cap JSONB,
    -- [{"rule_id", "severity", "confidence", "count"}]: findings beyond what is kept of one analysis.
    ADD COLUMN omitted JSONB;

-- How the score of a design went: one for each time that it was looked at and another analysis held, or other decisions.
CREATE TABLE analysis_points (
    design_id      UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- 1, 2, 3 ... of each design; the oldest go.
    no             BIGINT NOT NULL,
    analysis_id    UUID NOT NULL REFERENCES analyses (id) ON DELETE CASCADE,
    -- The log up to here.
    seq            BIGINT NOT NULL,
    -- The decisions up to here.
    triage_no      BIGINT NOT NULL,
    -- The fencing token of the run that made it: a run makes one.
    token          BIGINT NOT NULL,
    security_score NUMERIC(3, 1) NOT NULL,
    grade          TEXT NOT NULL,
    severity       TEXT,
    findings_count BIGINT NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (design_id, no)
);
CREATE INDEX analysis_points_by_analysis ON analysis_points (analysis_id);

ALTER TABLE triage
    -- Of an acceptance. From then on the finding counts as open.
    ADD COLUMN expires_at TIMESTAMPTZ,
    -- Whether the score knows that it expired.
    ADD COLUMN expiry_handled BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX triage_by_expiry ON triage (expires_at) WHERE expires_at IS NOT NULL AND NOT expiry_handled;

-- Set when it failed too often: it is not tried again before somebody asks for it.
ALTER TABLE jobs ADD COLUMN dead_at TIMESTAMPTZ;

-- Who asked for an analysis, and what became of it.
CREATE TABLE analysis_requests (
    id           UUID PRIMARY KEY,
    design_id    UUID NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    requested_by UUID REFERENCES users (id) ON DELETE SET NULL,
    -- Where the log stood: the analysis has seen this much.
    seq          BIGINT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    started_at   TIMESTAMPTZ,
    -- Set with `analysis_id` or with `error`.
    finished_at  TIMESTAMPTZ,
    attempts     BIGINT NOT NULL DEFAULT 0,
    -- In percent.
    progress     BIGINT NOT NULL DEFAULT 0,
    analysis_id  UUID REFERENCES analyses (id) ON DELETE SET NULL,
    error        TEXT
);
CREATE INDEX analysis_requests_by_design ON analysis_requests (design_id, created_at);
CREATE INDEX analysis_requests_by_user ON analysis_requests (requested_by);
CREATE INDEX analysis_requests_by_analysis ON analysis_requests (analysis_id);
CREATE INDEX analysis_requests_by_age ON analysis_requests (created_at);
