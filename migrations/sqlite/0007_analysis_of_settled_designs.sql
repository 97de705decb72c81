-- The analysis of settled designs: how its score went, on demand, what people decide of findings, and jobs that were
-- given up.

-- The newest of `analysis_points`. 0: there is none.
ALTER TABLE design_heads ADD COLUMN analysis_no INTEGER NOT NULL DEFAULT 0;
-- Grows with each change of `triage`.
ALTER TABLE design_heads ADD COLUMN triage_no INTEGER NOT NULL DEFAULT 0;

-- Score, grade, severity and count are those of the newest point that names the analysis: what people decided changes
-- them, and the rules need not run again.
-- [{"rule_id", "severity", "count", "points"}]
ALTER TABLE analyses ADD COLUMN explanation TEXT;
-- {"rule_id", "severity", "limit"}. NULL: the score is capped by none.
ALTER TABLE analyses ADD COLUMN cap TEXT;
-- [{"rule_id", "severity", "confidence", "count"}]: findings beyond what is kept of one analysis.
ALTER TABLE analyses ADD COLUMN omitted TEXT;

-- How the score of a design went: one for each time that it was looked at and another analysis held, or other decisions.
CREATE TABLE analysis_points (
    design_id      BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    -- 1, 2, 3 ... of each design; the oldest go.
    no             INTEGER NOT NULL,
    analysis_id    BLOB NOT NULL REFERENCES analyses (id) ON DELETE CASCADE,
    -- The log up to here.
    seq            INTEGER NOT NULL,
    -- The decisions up to here.
    triage_no      INTEGER NOT NULL,
    -- The fencing token of the run that made it: a run makes one.
    token          INTEGER NOT NULL,
    security_score REAL NOT NULL,
    grade          TEXT NOT NULL,
    severity       TEXT,
    findings_count INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (design_id, no)
) STRICT, WITHOUT ROWID;
CREATE INDEX analysis_points_by_analysis ON analysis_points (analysis_id);

-- Of an acceptance. From then on the finding counts as open.
ALTER TABLE triage ADD COLUMN expires_at INTEGER;
-- Whether the score knows that it expired.
ALTER TABLE triage ADD COLUMN expiry_handled INTEGER NOT NULL DEFAULT 0;
CREATE INDEX triage_by_expiry ON triage (expires_at) WHERE expires_at IS NOT NULL AND NOT expiry_handled;

-- Set when it failed too often: it is not tried again before somebody asks for it.
ALTER TABLE jobs ADD COLUMN dead_at INTEGER;

-- Who asked for an analysis, and what became of it.
CREATE TABLE analysis_requests (
    id           BLOB PRIMARY KEY,
    design_id    BLOB NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
    requested_by BLOB REFERENCES users (id) ON DELETE SET NULL,
    -- Where the log stood: the analysis has seen this much.
    seq          INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    -- Set with `analysis_id` or with `error`.
    finished_at  INTEGER,
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- In percent.
    progress     INTEGER NOT NULL DEFAULT 0,
    analysis_id  BLOB REFERENCES analyses (id) ON DELETE SET NULL,
    error        TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX analysis_requests_by_design ON analysis_requests (design_id, created_at);
CREATE INDEX analysis_requests_by_user ON analysis_requests (requested_by);
CREATE INDEX analysis_requests_by_analysis ON analysis_requests (analysis_id);
CREATE INDEX analysis_requests_by_age ON analysis_requests (created_at);
