//! Analyses, their history, and what people decided about findings.

use atlas_crdt::ids::{AnalysisId, DesignId, Seq};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::values::{counter, id};
use crate::store::Result;
use crate::store::analyses::AnalysisSummary;

/// A row of the summary: analysis, number, seq, score, grade, severity, coverage, findings.
type Summary = (Uuid, i64, i64, f64, String, Option<String>, f64, i64);

pub(super) async fn summary(
    connection: &mut SqliteConnection,
    design: DesignId,
) -> Result<Option<AnalysisSummary>> {
    let newest: Option<Summary> = sqlx::query_as(
        "SELECT point.analysis_id, point.no, point.seq, point.security_score, point.grade, point.severity,
                analysis.coverage, point.findings_count
         FROM analysis_points AS point JOIN analyses AS analysis ON analysis.id = point.analysis_id
         WHERE point.design_id = ?1 ORDER BY point.no DESC LIMIT 1",
    )
    .bind(id(design.as_u128()))
    .fetch_optional(connection)
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
