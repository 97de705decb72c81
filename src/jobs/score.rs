//! The score of what the rules said, with what people decided about it. Pure.

use std::collections::HashSet;

use atlas_crdt::view::hex;
use serde::Deserialize;

use crate::analysis::rule::Severity;
use crate::analysis::score::{self, Counted};
use crate::store::analyses::{AnalysisState, StoredScore, TriageState};

/// Findings that do not count, by their fingerprints.
#[derive(Debug, Default)]
pub(super) struct Judged(HashSet<String>);

impl Judged {
    /// As people decided; an acceptance that ran out is none.
    pub(super) fn of(state: &AnalysisState) -> Self {
        let is_closed =
            |triage: &&crate::store::analyses::Triage| triage.state(state.now) != TriageState::Open;
        Self(state.triage.iter().filter(is_closed).map(|triage| hex(&triage.fingerprint)).collect())
    }
}

/// What the score depends on, of a finding as it is stored.
#[derive(Deserialize)]
struct Issue {
    rule_id: String,
    fingerprint: String,
    severity: Severity,
    confidence: f64,
}

/// Of stored findings, and of those beyond what is listed: nobody can decide about these.
pub(super) fn of(issues: &str, omitted: &str, judged: &Judged) -> serde_json::Result<StoredScore> {
    let issues: Vec<Issue> = serde_json::from_str(issues)?;
    let omitted: Vec<Counted> = serde_json::from_str(omitted)?;
    let open = issues.into_iter().filter(|issue| !judged.0.contains(&issue.fingerprint)).map(|issue| {
        Counted { rule_id: issue.rule_id, severity: issue.severity, confidence: issue.confidence, count: 1 }
    });
    let score = score::of(open.chain(omitted));
    let severity = match serde_json::to_value(score.severity)? {
        serde_json::Value::String(word) => Some(word),
        _ => None,
    };
    Ok(StoredScore {
        score: score.security_score,
        grade: score.grade,
        severity,
        findings: score.findings_count,
        explanation: serde_json::to_string(&score.explanation)?,
        cap: score.cap.map(|cap| serde_json::to_string(&cap)).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::store::analyses::{Decision, Triage};

    const NOW: time::OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn judged(state: TriageState, expires_at: Option<time::OffsetDateTime>) -> Judged {
        let decision = Decision { state, reason: None, expires_at };
        let triage = vec![Triage { fingerprint: [1; 32], decision, by: None, at: NOW }];
        Judged::of(&AnalysisState {
            head: atlas_crdt::ids::Seq::ZERO,
            analysed: atlas_crdt::ids::Seq::ZERO,
            triage_no: 1,
            current: None,
            triage,
            has_expired: false,
            is_requested: false,
            now: NOW,
        })
    }

    #[test]
    fn what_was_accepted_or_is_mistaken_costs_nothing_until_that_runs_out() {
        let issue = |n: u8, severity: &str| {
            let fingerprint = hex(&[n; 32]);
            json!({"rule_id": format!("ATL-{n}"), "fingerprint": fingerprint, "severity": severity, "confidence": 1.0})
        };
        let issues = json!([issue(1, "critical"), issue(2, "medium")]).to_string();
        let omitted =
            json!([{"rule_id": "ATL-2", "severity": "medium", "confidence": 1.0, "count": 3}]).to_string();
        let score = |judged: &Judged| of(&issues, &omitted, judged).unwrap();
        let all = score(&Judged::default());
        assert_eq!((all.severity.as_deref(), all.findings), (Some("critical"), 5));
        let without = score(&judged(TriageState::Accepted, Some(NOW + time::Duration::SECOND)));
        assert_eq!((without.severity.as_deref(), without.findings), (Some("medium"), 4));
        assert!(all.score < without.score, "{all:?} {without:?}");
        assert_eq!(score(&judged(TriageState::FalsePositive, None)), without);
        assert_eq!(score(&judged(TriageState::Accepted, Some(NOW))), all, "it ran out");
        assert_eq!(score(&judged(TriageState::Open, None)), all);
        let none = of("[]", "[]", &Judged::default()).unwrap();
        assert_eq!((none.score.to_bits(), none.severity, none.cap), (10.0_f64.to_bits(), None, None));
    }
}
