//! What holds of decisions about findings, and of requests for analyses.

use std::time::Duration;

use atlas_crdt::ids::{AnalysisRequestId, UserId};
use time::OffsetDateTime;

use super::analyses::{NOW, claim, design_of, done, lease, outcome, put};
use super::folds::HOUR;
use super::{design_id, hash, step, user_id};
use crate::store::analyses::{AnalysisOutcome, Decision, NewAnalysisRequest, REQUEST_FAILED, TriageState};
use crate::store::jobs::JobEnd;
use crate::store::{StoreError, Stores};

fn decision(state: TriageState, reason: &str, expires_at: Option<OffsetDateTime>) -> Decision {
    Decision { state, reason: Some(reason.to_owned()), expires_at }
}

pub(super) async fn a_decision_stands_until_another_takes_its_place(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    let accept = || decision(TriageState::Accepted, "known\0", None);
    let nobody = analyses.put_triage(design_id(9), hash(1), accept(), user_id(1)).await;
    assert!(matches!(nobody, Err(StoreError::NoSuchDesign)), "{nobody:?}");
    assert_eq!(analyses.put_triage(design, hash(1), accept(), user_id(1)).await.unwrap(), None);
    put(&stores, design, outcome(1, 1, 3.9, Some(11))).await;
    assert_eq!(analyses.put_triage(design, hash(2), accept(), user_id(1)).await.unwrap(), None);
    assert_eq!(analyses.triage(design).await.unwrap(), []);
    assert_eq!(analyses.analysis_state(design).await.unwrap().unwrap().triage_no, 0);
    assert_eq!(claim(&stores, HOUR).await, None, "nothing has changed");

    let triage = analyses.put_triage(design, hash(1), accept(), user_id(1)).await.unwrap().unwrap();
    assert_eq!((triage.fingerprint, triage.decision.state), (hash(1), TriageState::Accepted));
    assert!(triage.decision.reason.as_ref().is_some_and(|reason| reason.starts_with("known")));
    let by = triage.by.clone().unwrap();
    assert_eq!((by.id, by.name.as_deref()), (user_id(1), Some("User 1")));
    assert_eq!(analyses.triage(design).await.unwrap(), [triage.clone()]);
    assert_eq!(analyses.latest_analysis(design).await.unwrap().unwrap().triage, [triage]);
    let state = analyses.analysis_state(design).await.unwrap().unwrap();
    assert_eq!((state.triage_no, state.current.unwrap().triage_no, state.triage.len()), (1, 0, 1));
    let job = claim(&stores, HOUR).await.unwrap().lease;
    let scored = AnalysisOutcome { triage_no: 1, ..outcome(1, 1, 9.0, None) };
    analyses.put_analysis(job, scored).await.unwrap();
    done(&stores, job).await;
    let current = analyses.analysis_state(design).await.unwrap().unwrap().current.unwrap();
    assert_eq!(current.triage_no, 1);

    // It stays when the finding is gone, and may still be changed. Who is not registered here has no name.
    put(&stores, design, outcome(2, 1, 3.9, Some(12))).await;
    let mistaken = decision(TriageState::FalsePositive, "no", None);
    let stranger = UserId::from_u128(77);
    let triage = analyses.put_triage(design, hash(1), mistaken.clone(), stranger).await.unwrap().unwrap();
    assert_eq!((triage.decision.clone(), triage.by.clone()), (mistaken, None));
    let open = Decision { state: TriageState::Open, reason: None, expires_at: None };
    let last = analyses.put_triage(design, hash(2), open.clone(), user_id(1)).await.unwrap().unwrap();
    assert_eq!(last.decision, open);
    let all = analyses.triage(design).await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.contains(&triage) && all.contains(&last) && all[1].at <= all[0].at, "{all:?}");
    assert_eq!(analyses.analysis_state(design).await.unwrap().unwrap().triage_no, 3);
}

pub(super) async fn an_acceptance_that_ran_out_is_found_once(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    put(&stores, design, outcome(1, 1, 3.9, Some(11))).await;
    let state = async || analyses.analysis_state(design).await.unwrap().unwrap();
    let accept = async |expires_at| {
        let decision = decision(TriageState::Accepted, "for now", Some(expires_at));
        analyses.put_triage(design, hash(1), decision, user_id(1)).await.unwrap().unwrap()
    };
    let now = state().await.now;
    let soon = accept(now + time::Duration::HOUR).await;
    assert_eq!(
        soon.decision.expires_at.unwrap().unix_timestamp(),
        (now + time::Duration::HOUR).unix_timestamp()
    );
    assert!(!state().await.has_expired);
    let over = accept(now - time::Duration::SECOND).await;
    let seen = state().await;
    assert!(seen.has_expired && over.state(seen.now) == TriageState::Open);
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), [], "it has a job");
    let job = claim(&stores, HOUR).await.unwrap().lease;
    done(&stores, job).await;
    assert_eq!(analyses.unanalysed(HOUR, 9).await.unwrap(), [design], "however young its edits are");
    let before = AnalysisOutcome { expired_until: now - time::Duration::HOUR, ..outcome(1, 1, 3.9, None) };
    put(&stores, design, before).await;
    assert!(state().await.has_expired, "that score did not know it");
    put(&stores, design, AnalysisOutcome { expired_until: seen.now, ..outcome(1, 1, 3.9, None) }).await;
    assert!(!state().await.has_expired);
    assert_eq!(analyses.unanalysed(NOW, 9).await.unwrap(), []);
    assert_eq!(
        analyses.triage(design).await.unwrap()[0].decision.state,
        TriageState::Accepted,
        "as it was said"
    );
    accept(now - time::Duration::SECOND).await;
    assert!(state().await.has_expired, "another decision, another end");
}

pub(super) async fn a_request_ends_with_the_analysis_that_saw_enough(stores: Stores) {
    let (analyses, design) = (&*stores.analyses, design_of(&stores, 1).await);
    let id = AnalysisRequestId::from_u128;
    let ask =
        async |n| analyses.request_analysis(NewAnalysisRequest { id: id(n), design, by: user_id(1) }).await;
    let get = async |n| analyses.analysis_request(id(n)).await.unwrap().unwrap();
    assert_eq!(analyses.analysis_request(id(1)).await.unwrap(), None);
    ask(1).await.unwrap();
    assert!(matches!(ask(1).await, Err(StoreError::Conflict(_))));
    let request = get(1).await;
    assert_eq!((request.design, request.attempts, request.progress), (design, 0, 0));
    assert_eq!(
        (request.started_at, request.finished_at, request.analysis, request.error),
        (None, None, None, None)
    );
    assert!(analyses.analysis_state(design).await.unwrap().unwrap().is_requested);

    let job = claim(&stores, HOUR).await.unwrap().lease;
    analyses.note_progress(job, 1, 10).await.unwrap();
    analyses.note_progress(job, 2, 50).await.unwrap();
    let running = get(1).await;
    assert_eq!((running.attempts, running.progress, running.finished_at), (2, 50, None));
    stores.store.append(design, step(design, 1)).await.unwrap();
    ask(2).await.unwrap();
    // The run saw one row, and who asked later wants two.
    analyses.put_analysis(job, outcome(1, 1, 3.9, Some(11))).await.unwrap();
    let finished = get(1).await;
    assert_eq!((finished.progress, finished.analysis.map(|id| id.as_u128())), (100, Some(11)));
    assert!(finished.started_at <= finished.finished_at && finished.finished_at.is_some());
    assert_eq!((get(2).await.finished_at, get(2).await.analysis), (None, None));
    done(&stores, job).await;
    let job = claim(&stores, HOUR).await.unwrap().lease;
    analyses.note_unchanged(job, stores.store.head(design).await.unwrap().unwrap().seq).await.unwrap();
    assert_eq!(get(2).await.analysis.map(|id| id.as_u128()), Some(11));
    assert!(!analyses.analysis_state(design).await.unwrap().unwrap().is_requested);
    done(&stores, job).await;

    // One that is given up says so, and stays so.
    ask(3).await.unwrap();
    let job = lease(&stores, design).await;
    stores.upkeep.end_job(job, JobEnd::GivenUp { reason: "a secret".to_owned() }).await.unwrap();
    let failed = get(3).await;
    assert_eq!((failed.error.as_deref(), failed.analysis), (Some(REQUEST_FAILED), None));
    assert!(failed.finished_at.is_some());
    put(&stores, design, outcome(1, 2, 3.9, None)).await;
    assert_eq!(get(3).await, failed);

    assert_eq!(analyses.forget_requests(HOUR).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(analyses.forget_requests(NOW).await.unwrap(), 3);
    assert_eq!(analyses.analysis_request(id(3)).await.unwrap(), None);
    let nobody = NewAnalysisRequest { id: id(4), design: design_id(9), by: user_id(1) };
    assert!(matches!(analyses.request_analysis(nobody).await, Err(StoreError::NoSuchDesign)));
    assert_eq!(claim(&stores, HOUR).await, None);
}
