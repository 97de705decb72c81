//! An analysis as it is shown: what is stored, with what people decided laid over its findings.

use std::collections::HashMap;

use atlas_crdt::view::hex;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::http::openapi::analysis::{Cap, Cost, Issue, Omitted};
use crate::http::problem::{Problem, Result};
use crate::store::analyses::{Analysis, Triage, TriageState};

/// What the rules say of a design, and what people say of that.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Analysis)]
pub(super) struct AnalysisJson {
    #[schema(format = Uuid)]
    id: String,
    #[schema(format = Uuid)]
    design_id: String,
    /// 0.0 (bad) to 10.0, one decimal. Findings that were accepted or are mistaken cost nothing.
    security_score: f64,
    /// A to F.
    grade: String,
    /// Of the worst finding that counts. Null: there is none.
    #[schema(required)]
    severity: Option<String>,
    /// Known attributes among all that the rules ask about, 0 to 1.
    coverage: f64,
    /// Of the design as it was analysed first, in hexadecimal.
    content_hash: String,
    /// Of what rules can see of it, in hexadecimal.
    semantic_hash: String,
    ruleset_version: String,
    /// The log up to here.
    seq: u64,
    /// There are newer edits that nobody has looked at.
    is_stale: bool,
    /// Findings that count.
    findings_count: u64,
    /// When the rules ran.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    execution_time_ms: u64,
    /// What each rule costs, the most expensive first.
    #[schema(value_type = Vec<Cost>)]
    explanation: Value,
    /// What the score cannot rise above. Null: nothing holds it down.
    #[schema(value_type = Option<Cap>, required)]
    cap: Value,
    /// Every finding, the worst first.
    #[schema(value_type = Vec<Issue>)]
    issues: Vec<Value>,
    /// Findings beyond what is listed.
    #[schema(value_type = Vec<Omitted>)]
    omitted: Value,
    #[schema(required)]
    ai_recommendations: Option<Value>,
}

/// What somebody decided about a finding.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FindingTriage)]
pub struct TriageJson {
    /// An acceptance that ran out is `open` again.
    #[schema(inline)]
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) reason: Option<String>,
    /// Absent: the account is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) by: Option<DeciderJson>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub(super) at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub(super) expires_at: Option<OffsetDateTime>,
}

/// Stands for [`TriageState`], which knows nothing of documents.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Open,
    Accepted,
    FalsePositive,
}

impl From<TriageState> for State {
    fn from(state: TriageState) -> Self {
        match state {
            TriageState::Open => Self::Open,
            TriageState::Accepted => Self::Accepted,
            TriageState::FalsePositive => Self::FalsePositive,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decider)]
pub(super) struct DeciderJson {
    #[schema(format = Uuid)]
    id: String,
    #[schema(required)]
    name: Option<String>,
}

impl TriageJson {
    pub(super) fn of(triage: &Triage, now: OffsetDateTime) -> Self {
        Self {
            state: triage.state(now).into(),
            reason: triage.decision.reason.clone(),
            by: triage.by.as_ref().map(|by| DeciderJson { id: by.id.to_string(), name: by.name.clone() }),
            at: Some(triage.at),
            expires_at: triage.decision.expires_at,
        }
    }
}

impl AnalysisJson {
    pub(super) fn of(analysis: Analysis, now: OffsetDateTime) -> Result<Self> {
        let mut issues: Vec<Value> = read(&analysis.issues)?;
        let triage: HashMap<String, &Triage> =
            analysis.triage.iter().map(|triage| (hex(&triage.fingerprint), triage)).collect();
        for issue in &mut issues {
            let decided = issue["fingerprint"].as_str().and_then(|fingerprint| triage.get(fingerprint));
            let Value::Object(issue) = issue else { continue };
            let shown = match decided {
                Some(triage) => {
                    if triage.state(now) != TriageState::Open {
                        issue.insert("points".to_owned(), Value::from(0));
                    }
                    serde_json::to_value(TriageJson::of(triage, now)).map_err(Problem::internal)?
                }
                None => serde_json::json!({ "state": "open" }),
            };
            issue.insert("triage".to_owned(), shown);
        }
        Ok(Self {
            id: analysis.id.to_string(),
            design_id: analysis.design.to_string(),
            security_score: analysis.score.score,
            grade: analysis.score.grade,
            severity: analysis.score.severity,
            coverage: analysis.coverage,
            content_hash: hex(&analysis.content_hash),
            semantic_hash: hex(&analysis.semantic_hash),
            ruleset_version: analysis.ruleset_version,
            seq: analysis.seq.get(),
            is_stale: analysis.is_stale,
            findings_count: analysis.score.findings,
            created_at: analysis.created_at,
            execution_time_ms: analysis.execution_ms,
            explanation: read(&analysis.score.explanation)?,
            cap: analysis.score.cap.as_deref().map_or(Ok(Value::Null), read)?,
            issues,
            omitted: read(&analysis.omitted)?,
            ai_recommendations: None,
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(stored: &str) -> Result<T> {
    serde_json::from_str(stored).map_err(Problem::internal)
}

/// The tag of this answer.
pub(super) fn etag(body: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(body).into();
    format!("\"a-{}\"", hex(&hash))
}

#[cfg(test)]
mod tests {
    use atlas_crdt::ids::{AnalysisId, DesignId, Seq, UserId};
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::store::analyses::{Decider, Decision, StoredScore};

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn analysis(triage: Vec<Triage>) -> Analysis {
        let issue = |n: u8| json!({"fingerprint": hex(&[n; 32]), "points": 2.5});
        Analysis {
            id: AnalysisId::from_u128(1),
            design: DesignId::from_u128(2),
            score: StoredScore {
                score: 3.9,
                grade: "F".to_owned(),
                severity: None,
                findings: 2,
                explanation: "[]".to_owned(),
                cap: None,
            },
            coverage: 0.5,
            content_hash: [3; 32],
            semantic_hash: [4; 32],
            ruleset_version: "1".to_owned(),
            seq: Seq::new(7),
            issues: json!([issue(1), issue(2)]).to_string(),
            omitted: "[]".to_owned(),
            execution_ms: 1,
            created_at: NOW,
            is_stale: false,
            triage,
        }
    }

    #[test]
    fn decisions_are_laid_over_findings_until_they_run_out() {
        let accepted = Triage {
            fingerprint: [1; 32],
            decision: Decision {
                state: TriageState::Accepted,
                reason: Some("Known".to_owned()),
                expires_at: Some(NOW + time::Duration::HOUR),
            },
            by: Some(Decider { id: UserId::from_u128(5), name: None }),
            at: NOW,
        };
        let shown =
            |now| serde_json::to_value(AnalysisJson::of(analysis(vec![accepted.clone()]), now).unwrap());
        let before = shown(NOW).unwrap();
        assert_eq!(
            before["issues"][0]["triage"],
            json!({
                "state": "accepted", "reason": "Known",
                "by": {"id": "00000000-0000-0000-0000-000000000005", "name": null},
                "at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T01:00:00Z"
            })
        );
        assert_eq!(before["issues"][0]["points"], 0);
        assert_eq!(before["issues"][1]["triage"], json!({"state": "open"}));
        assert_eq!((&before["cap"], &before["severity"]), (&Value::Null, &Value::Null));
        let after = shown(NOW + time::Duration::HOUR).unwrap();
        assert_eq!(
            (&after["issues"][0]["triage"]["state"], &after["issues"][0]["points"]),
            (&json!("open"), &json!(2.5))
        );
        let tag = |value: &Value| etag(&serde_json::to_vec(value).unwrap());
        assert_ne!(tag(&before), tag(&after));
    }
}
