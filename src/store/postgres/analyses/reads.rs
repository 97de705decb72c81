//! Analyses and their history, for people.

use atlas_crdt::ids::{AnalysisId, DesignId, Seq};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::values::{column, counter, hash, id};
use super::triage;
use crate::store::Result;
use crate::store::analyses::{Analysis, AnalysisPoint, AnalysisSummary, StoredScore, Triage};

/// A row of the summary: analysis, number, seq, score, grade, severity, coverage, findings.
type Summary = (Uuid, i64, i64, f64, String, Option<String>, f64, i64);

pub(in super::super) async fn summary(
    tx: &mut PgConnection,
    design: DesignId,
) -> Result<Option<AnalysisSummary>> {
    let newest: Option<Summary> = sqlx::query_as(
        "SELECT point.analysis_id, point.no, point.seq, point.security_score::float8, point.grade, point.severity,
                analysis.coverage, point.findings_count
         FROM analysis_points AS point JOIN analyses AS analysis ON analysis.id = point.analysis_id
         WHERE point.design_id = $1 ORDER BY point.no DESC LIMIT 1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_optional(tx)
    .await?;
    let Some((analysis, no, seq, score, grade, severity, coverage, findings)) = newest else {
        return Ok(None);
    };
    Ok(Some(AnalysisSummary {
        id: AnalysisId::from_u128(analysis.as_u128()),
        no: counter(no)?,
        seq: Seq::new(counter(seq)?),
        score,
        grade,
        severity,
        coverage,
        findings: counter(findings)?,
    }))
}

/// The columns of an analysis, as stored, with the newest place in the log at which it was found to hold.
const SELECT: &str = "SELECT analysis.id, analysis.security_score::float8 AS security_score, analysis.grade, analysis.severity,
         analysis.findings_count, analysis.explanation::text AS explanation, analysis.cap::text AS cap, analysis.coverage, analysis.content_hash,
         analysis.semantic_hash, analysis.ruleset_version,
         coalesce((SELECT max(seq) FROM analysis_points WHERE analysis_id = analysis.id), analysis.seq) AS seq,
         analysis.issues::text AS issues, analysis.omitted::text AS omitted, analysis.execution_time_ms, analysis.created_at,
         h.analysed_seq < h.head_seq AS is_stale
     FROM analyses AS analysis JOIN design_heads AS h ON h.design_id = analysis.design_id";

struct Stored {
    id: Uuid,
    score: f64,
    grade: String,
    severity: Option<String>,
    findings: i64,
    explanation: Option<String>,
    cap: Option<String>,
    coverage: f64,
    content_hash: Vec<u8>,
    semantic_hash: Vec<u8>,
    ruleset_version: String,
    seq: i64,
    issues: String,
    omitted: Option<String>,
    execution_ms: i64,
    created_at: OffsetDateTime,
    is_stale: bool,
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            score: row.try_get("security_score")?,
            grade: row.try_get("grade")?,
            severity: row.try_get("severity")?,
            findings: row.try_get("findings_count")?,
            explanation: row.try_get("explanation")?,
            cap: row.try_get("cap")?,
            coverage: row.try_get("coverage")?,
            content_hash: row.try_get("content_hash")?,
            semantic_hash: row.try_get("semantic_hash")?,
            ruleset_version: row.try_get("ruleset_version")?,
            seq: row.try_get("seq")?,
            issues: row.try_get("issues")?,
            omitted: row.try_get("omitted")?,
            execution_ms: row.try_get("execution_time_ms")?,
            created_at: row.try_get("created_at")?,
            is_stale: row.try_get("is_stale")?,
        })
    }
}

impl Stored {
    fn read(self, design: DesignId, triage: Vec<Triage>) -> Result<Analysis> {
        let none = || "[]".to_owned();
        Ok(Analysis {
            id: AnalysisId::from_u128(self.id.as_u128()),
            design,
            score: StoredScore {
                score: self.score,
                grade: self.grade,
                severity: self.severity,
                findings: counter(self.findings)?,
                explanation: self.explanation.unwrap_or_else(none),
                cap: self.cap,
            },
            coverage: self.coverage,
            content_hash: hash(self.content_hash)?,
            semantic_hash: hash(self.semantic_hash)?,
            ruleset_version: self.ruleset_version,
            seq: Seq::new(counter(self.seq)?),
            issues: self.issues,
            omitted: self.omitted.unwrap_or_else(none),
            execution_ms: counter(self.execution_ms)?,
            created_at: self.created_at,
            is_stale: self.is_stale,
            triage,
        })
    }
}

pub(super) async fn latest(tx: &mut PgConnection, design: DesignId) -> Result<Option<Analysis>> {
    let newest: Option<Uuid> = sqlx::query_scalar(
        "SELECT analysis_id FROM analysis_points WHERE design_id = $1 ORDER BY no DESC LIMIT 1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(newest) = newest else { return Ok(None) };
    let found = read(tx, design, newest).await?;
    Ok(found)
}

pub(super) async fn one(
    tx: &mut PgConnection,
    design: DesignId,
    analysis: AnalysisId,
) -> Result<Option<Analysis>> {
    let found = read(tx, design, id(analysis.as_u128())).await?;
    Ok(found)
}

async fn read(tx: &mut PgConnection, design: DesignId, analysis: Uuid) -> Result<Option<Analysis>> {
    let mut sql = sqlx::QueryBuilder::new(SELECT);
    sql.push(" WHERE analysis.design_id = ").push_bind(id(design.as_u128()));
    sql.push(" AND analysis.id = ").push_bind(analysis);
    let stored: Option<Stored> = sql.build_query_as().persistent(false).fetch_optional(&mut *tx).await?;
    let Some(stored) = stored else { return Ok(None) };
    let triage = triage::of_design(tx, design).await?;
    stored.read(design, triage).map(Some)
}

/// A row of the history: number, analysis, score, grade, severity, findings, coverage, seq, rules, when they ran, when it came
/// to hold.
type Point = (i64, Uuid, f64, String, Option<String>, i64, f64, i64, String, OffsetDateTime, OffsetDateTime);

pub(super) async fn history(
    tx: &mut PgConnection,
    design: DesignId,
    before: Option<u64>,
    limit: i64,
) -> Result<Vec<AnalysisPoint>> {
    let points: Vec<Point> = sqlx::query_as(
        "SELECT point.no, point.analysis_id, point.security_score::float8, point.grade, point.severity, point.findings_count,
                analysis.coverage, point.seq, analysis.ruleset_version, analysis.created_at, point.created_at
         FROM analysis_points AS point JOIN analyses AS analysis ON analysis.id = point.analysis_id
         WHERE point.design_id = $1 AND point.no < $2 ORDER BY point.no DESC LIMIT $3",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(before.map_or(i64::MAX, column))
    .bind(limit)
    .fetch_all(tx)
    .await?;
    points.into_iter().map(point).collect()
}

fn point(row: Point) -> Result<AnalysisPoint> {
    let (no, analysis, score, grade, severity, findings, coverage, seq, ruleset_version, created_at, at) =
        row;
    Ok(AnalysisPoint {
        no: counter(no)?,
        analysis: AnalysisId::from_u128(analysis.as_u128()),
        score,
        grade,
        severity,
        findings: counter(findings)?,
        coverage,
        seq: Seq::new(counter(seq)?),
        ruleset_version,
        created_at,
        at,
    })
}
