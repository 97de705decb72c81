//! What holds of analyses, their history, and jobs that are given up.

use std::time::Duration;

use atlas_crdt::ids::{AnalysisId, DesignId, PodId, Seq};
use atlas_crdt::view::hex;
use bytes::Bytes;
use futures_util::future::join_all;
use time::OffsetDateTime;

use super::folds::{HOUR, assert_fenced};
use super::{create, design_id, hash, register, step};
use crate::store::analyses::{AnalysisOutcome, FreshAnalysis, POINTS_KEPT, StoredScore};
use crate::store::jobs::{Job, JobEnd, JobKind, JobLease};
use crate::store::{StoreError, Stores};

pub(super) const NOW: Duration = Duration::ZERO;
pub(super) const RULES: &str = "7";

/// A design that somebody owns, and that nobody has analysed.
pub(super) async fn design_of(stores: &Stores, n: u128) -> DesignId {
    let owner = register(&*stores.store, n).await;
    create(&*stores.store, n, owner, "a design").await
}

pub(super) async fn claim(stores: &Stores, lease: Duration) -> Option<Job> {
    stores.upkeep.claim_job(JobKind::Analyze, PodId::new(1), lease).await.unwrap()
}

/// The lease of a job that was asked for, whatever else waits.
pub(super) async fn lease(stores: &Stores, design: DesignId) -> JobLease {
    stores.upkeep.enqueue(JobKind::Analyze, design, NOW).await.unwrap();
    loop {
        let lease = claim(stores, HOUR).await.expect("it was asked for").lease;
        if lease.design == design {
            return lease;
        }
    }
}

pub(super) async fn done(stores: &Stores, lease: JobLease) {
    stores.upkeep.end_job(lease, JobEnd::Done).await.unwrap();
}

pub(super) fn outcome(meaning: u8, seq: u64, score: f64, fresh: Option<u128>) -> AnalysisOutcome {
    let fingerprint = hex(&hash(meaning));
    let fresh = fresh.map(|id| FreshAnalysis {
        id: AnalysisId::from_u128(id),
        content_hash: hash(200),
        state_vector: Bytes::from_static(&[1, 2, 3]),
        coverage: 0.62,
        issues: format!(
            r#"[{{"rule_id": "ATL-{meaning}", "fingerprint": "{fingerprint}", "confidence": 0.6}}]"#
        ),
        omitted: r#"[{"rule_id":"ATL-9","count":4}]"#.to_owned(),
        execution_ms: 12,
    });
    AnalysisOutcome {
        seq: Seq::new(seq),
        semantic_hash: hash(meaning),
        ruleset_version: RULES.to_owned(),
        score: StoredScore {
            score,
            grade: "F".to_owned(),
            severity: Some("critical".to_owned()),
            findings: 5,
            explanation: r#"[{"rule_id":"ATL-1","points":7.5}]"#.to_owned(),
            cap: Some(r#"{"limit":3.9}"#.to_owned()),
        },
        triage_no: 0,
        expired_until: OffsetDateTime::UNIX_EPOCH,
        fresh,
    }
}

/// What the history says, newest first: number, analysis, place in the log.
async fn points(stores: &Stores, design: DesignId) -> Vec<(u64, u128, u64)> {
    let points = stores.analyses.analysis_history(design, None, 10_000).await.unwrap();
    points.iter().map(|point| (point.no, point.analysis.as_u128(), point.seq.get())).collect()
}

/// A run from its claim to its end.
pub(super) async fn put(stores: &Stores, design: DesignId, outcome: AnalysisOutcome) -> u64 {
    let lease = lease(stores, design).await;
    let no = stores.analyses.put_analysis(lease, outcome).await.unwrap();
    done(stores, lease).await;
    no
}

pub(super) async fn a_new_design_waits_to_be_analysed(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    let state = analyses.analysis_state(design).await.unwrap().unwrap();
    assert_eq!((state.head.get(), state.analysed, state.triage_no), (1, Seq::ZERO, 0));
    assert_eq!((&state.current, state.has_expired, state.is_requested), (&None, false, false));
    assert!(state.triage.is_empty());
    assert_eq!(analyses.latest_analysis(design).await.unwrap(), None);
    assert_eq!(stores.store.analysis_summary(design).await.unwrap(), None);
    let job = claim(&stores, HOUR).await.unwrap();
    assert_eq!((job.lease.design, job.failures), (design, 0));
    analyses.note_unchanged(job.lease, Seq::new(1)).await.unwrap();
    assert_eq!(analyses.analysis_state(design).await.unwrap().unwrap().analysed.get(), 1);
    done(&stores, job.lease).await;
    assert_eq!(claim(&stores, HOUR).await, None);
    assert!(analyses.analysis_state(design_id(9)).await.unwrap().is_none());
}

pub(super) async fn everything_of_an_analysis_comes_back(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    assert_eq!(put(&stores, design, outcome(1, 1, 3.9, Some(11))).await, 1);
    let stored = analyses.latest_analysis(design).await.unwrap().unwrap();
    assert_eq!((stored.id, stored.design), (AnalysisId::from_u128(11), design));
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let expected = outcome(1, 1, 3.9, Some(11));
    let fresh = expected.fresh.unwrap();
    assert_eq!((json(&stored.issues), json(&stored.omitted)), (json(&fresh.issues), json(&fresh.omitted)));
    assert_eq!(json(&stored.score.explanation), json(&expected.score.explanation));
    assert_eq!(json(stored.score.cap.as_deref().unwrap()), json(r#"{"limit":3.9}"#));
    let score = (stored.score.score.to_bits(), stored.score.grade.as_str(), stored.score.severity.as_deref());
    assert_eq!(score, (3.9_f64.to_bits(), "F", Some("critical")));
    assert_eq!((stored.score.findings, stored.coverage.to_bits()), (5, 0.62_f64.to_bits()));
    assert_eq!((stored.content_hash, stored.semantic_hash), (hash(200), hash(1)));
    assert_eq!((stored.ruleset_version.as_str(), stored.seq.get(), stored.execution_ms), (RULES, 1, 12));
    assert!(!stored.is_stale);
    assert_eq!(analyses.analysis(design, stored.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(analyses.analysis(design_id(2), stored.id).await.unwrap(), None, "another design's");

    let summary = stores.store.analysis_summary(design).await.unwrap().unwrap();
    assert_eq!((summary.id, summary.no, summary.seq.get(), summary.findings), (stored.id, 1, 1, 5));
    assert_eq!((summary.grade.as_str(), summary.severity.as_deref()), ("F", Some("critical")));
    assert_eq!(
        (summary.score.to_bits(), summary.coverage.to_bits()),
        (3.9_f64.to_bits(), 0.62_f64.to_bits())
    );
    let look = stores.store.look(&[design]).await.unwrap()[0].1;
    assert_eq!(look.analysis_no, 1);

    stores.store.append(design, step(design, 1)).await.unwrap();
    assert!(analyses.latest_analysis(design).await.unwrap().unwrap().is_stale);
}

// INV-8
pub(super) async fn one_meaning_is_analysed_once(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    let lost = {
        stores.upkeep.enqueue(JobKind::Analyze, design, NOW).await.unwrap();
        claim(&stores, NOW).await.unwrap().lease
    };
    let held = claim(&stores, HOUR).await.unwrap().lease;
    let forged = [
        lost,
        JobLease { token: held.token + 1, ..held },
        JobLease { holder: PodId::new(2), ..held },
        JobLease { kind: JobKind::Compact, ..held },
    ];
    for lease in forged {
        assert_fenced(&analyses.put_analysis(lease, outcome(1, 1, 3.9, Some(10))).await);
        assert_fenced(&analyses.note_unchanged(lease, Seq::new(1)).await);
        assert_fenced(&analyses.note_progress(lease, 1, 50).await);
    }
    assert_eq!(points(&stores, design).await, []);
    assert_eq!(stores.store.look(&[design]).await.unwrap()[0].1.analysis_no, 0);
    assert_eq!(analyses.analysis_state(design).await.unwrap().unwrap().analysed, Seq::ZERO);

    // The answer was lost, and it is put once more.
    for _ in 0..3 {
        assert_eq!(analyses.put_analysis(held, outcome(1, 1, 3.9, Some(11))).await.unwrap(), 1);
    }
    assert_eq!(points(&stores, design).await, [(1, 11, 1)]);
    done(&stores, held).await;
    assert_fenced(&analyses.put_analysis(held, outcome(1, 1, 3.9, Some(11))).await);

    // Whoever runs the rules over the same again adds a point, and no analysis.
    assert_eq!(put(&stores, design, outcome(1, 1, 4.5, Some(12))).await, 2);
    assert_eq!(points(&stores, design).await, [(2, 11, 1), (1, 11, 1)]);
    assert_eq!(analyses.analysis(design, AnalysisId::from_u128(12)).await.unwrap(), None);
    let latest = analyses.latest_analysis(design).await.unwrap().unwrap();
    assert_eq!(
        (latest.id.as_u128(), latest.score.score.to_bits()),
        (11, 4.5_f64.to_bits()),
        "the newest score"
    );
    // Other rules may say something else.
    let other_rules = AnalysisOutcome { ruleset_version: "8".to_owned(), ..outcome(1, 1, 5.0, Some(13)) };
    assert_eq!(put(&stores, design, other_rules).await, 3);
    assert_eq!(points(&stores, design).await[0], (3, 13, 1));
    // A kept one that is not there cannot hold.
    let lease = lease(&stores, design).await;
    assert_fenced(&analyses.put_analysis(lease, outcome(99, 1, 5.0, None)).await);
}

pub(super) async fn an_edit_and_its_undo_point_at_the_earlier_analysis(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    assert_eq!(analyses.kept_analysis(design, hash(1), RULES).await.unwrap(), None);
    put(&stores, design, outcome(1, 1, 3.9, Some(11))).await;
    put(&stores, design, outcome(2, 2, 6.9, Some(12))).await;
    let kept = analyses.kept_analysis(design, hash(1), RULES).await.unwrap().unwrap();
    assert_eq!((kept.id.as_u128(), kept.coverage.to_bits()), (11, 0.62_f64.to_bits()));
    assert!(kept.issues.contains("ATL-1") && kept.omitted.contains("ATL-9"), "{kept:?}");
    assert_eq!(analyses.kept_analysis(design, hash(1), "8").await.unwrap(), None);
    assert_eq!(analyses.kept_analysis(design_id(2), hash(1), RULES).await.unwrap(), None);
    put(&stores, design, outcome(1, 3, 3.9, None)).await;
    assert_eq!(points(&stores, design).await, [(3, 11, 3), (2, 12, 2), (1, 11, 1)]);
    let latest = analyses.latest_analysis(design).await.unwrap().unwrap();
    assert_eq!((latest.id.as_u128(), latest.seq.get()), (11, 3));
    let current = analyses.analysis_state(design).await.unwrap().unwrap().current.unwrap();
    assert_eq!((current.id.as_u128(), current.semantic_hash), (11, hash(1)));

    // Pages of the history.
    let page = async |before, limit| {
        let points = analyses.analysis_history(design, before, limit).await.unwrap();
        points.iter().map(|point| point.no).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2).await, [3, 2]);
    assert_eq!(page(Some(2), 2).await, [1]);
    assert_eq!(page(Some(u64::MAX), 2).await, [3, 2]);
    let scores = analyses.analysis_history(design, None, 9).await.unwrap();
    let scores: Vec<_> = scores.iter().map(|point| point.score.to_string()).collect();
    assert_eq!(scores, ["3.9", "6.9", "3.9"]);
}

pub(super) async fn the_oldest_points_go_with_what_nothing_names(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    put(&stores, design, outcome(1, 1, 3.9, Some(11))).await;
    put(&stores, design, outcome(2, 1, 3.9, Some(12))).await;
    for no in 3..=POINTS_KEPT {
        assert_eq!(put(&stores, design, outcome(2, 1, 3.9, None)).await, no);
    }
    assert_eq!(points(&stores, design).await.len(), 500);
    assert!(analyses.analysis(design, AnalysisId::from_u128(11)).await.unwrap().is_some());
    put(&stores, design, outcome(2, 1, 3.9, None)).await;
    let left = points(&stores, design).await;
    assert_eq!((left.len(), left[0].0, left[499].0), (500, 501, 2));
    assert_eq!(analyses.analysis(design, AnalysisId::from_u128(11)).await.unwrap(), None);
    assert!(analyses.analysis(design, AnalysisId::from_u128(12)).await.unwrap().is_some());
}

pub(super) async fn designs_that_nobody_said_have_settled_are_found(stores: Stores) {
    let analyses = &*stores.analyses;
    for n in 1..=4 {
        design_of(&stores, n).await;
    }
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), [], "each has its job");
    for _ in 0..4 {
        let job = claim(&stores, HOUR).await.unwrap().lease;
        analyses.note_unchanged(job, Seq::new(1)).await.unwrap();
        done(&stores, job).await;
    }
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), []);
    for n in [3, 1] {
        stores.store.append(design_id(n), step(design_id(n), 1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), [1, 3].map(design_id), "the newest edit first");
    assert_eq!(analyses.unanalysed(NOW, 1).await.unwrap(), [design_id(1)]);
    assert_eq!(analyses.unanalysed(HOUR, 9).await.unwrap(), [], "people are at it");

    // One that was given up is not found again before its next edit.
    let lease = lease(&stores, design_id(1)).await;
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), [design_id(3)]);
    stores.upkeep.end_job(lease, JobEnd::GivenUp { reason: "why".to_owned() }).await.unwrap();
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), [design_id(3)]);
    tokio::time::sleep(Duration::from_millis(2)).await;
    stores.store.append(design_id(1), step(design_id(1), 2)).await.unwrap();
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), [1, 3].map(design_id));
}

pub(super) async fn what_was_given_up_begins_anew_when_asked_for(stores: Stores) {
    let (upkeep, design) = (&*stores.upkeep, design_id(1));
    let give_up = async |lease: JobLease| {
        let end = JobEnd::GivenUp { reason: "why".to_owned() };
        upkeep.end_job(lease, end).await
    };
    upkeep.enqueue(JobKind::Analyze, design, NOW).await.unwrap();
    let first = claim(&stores, NOW).await.unwrap();
    let second = claim(&stores, HOUR).await.unwrap();
    assert_eq!((first.failures, second.failures), (0, 1));
    assert_fenced(&give_up(first.lease).await);
    give_up(second.lease).await.unwrap();
    assert_fenced(&give_up(second.lease).await);
    assert_eq!(claim(&stores, HOUR).await, None);
    upkeep.enqueue(JobKind::Analyze, design, NOW).await.unwrap();
    let third = claim(&stores, HOUR).await.unwrap();
    assert_eq!(third.failures, 0);

    // Whoever asked while it ran has it run again.
    upkeep.enqueue(JobKind::Analyze, design, NOW).await.unwrap();
    give_up(third.lease).await.unwrap();
    let fourth = claim(&stores, HOUR).await.unwrap();
    assert_eq!(fourth.failures, 0);
    done(&stores, fourth.lease).await;
    assert_eq!(claim(&stores, HOUR).await, None);
}

pub(super) async fn analyses_go_with_their_design(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    put(&stores, design, outcome(1, 1, 3.9, Some(11))).await;
    let held = lease(&stores, design).await;
    let race = join_all((0..4).map(|n| analyses.put_analysis(held, outcome(2, 1, 5.0, Some(20 + n)))));
    let (deleted, raced) = tokio::join!(stores.store.delete_design(design), race);
    assert!(deleted.unwrap());
    for put in raced {
        let is_fine = matches!(put, Ok(2) | Err(StoreError::Fenced | StoreError::NoSuchDesign));
        assert!(is_fine, "{put:?}");
    }
    for late in [
        analyses.put_analysis(held, outcome(3, 1, 5.0, Some(30))).await.map(|_| ()),
        analyses.note_unchanged(held, Seq::new(1)).await,
    ] {
        assert!(matches!(late, Err(StoreError::Fenced | StoreError::NoSuchDesign)), "{late:?}");
    }
    assert_eq!(points(&stores, design).await, []);
    assert_eq!(analyses.latest_analysis(design).await.unwrap(), None);
    assert_eq!(claim(&stores, HOUR).await, None);
    assert!(analyses.unanalysed(NOW, 9).await.unwrap().is_empty());
}
