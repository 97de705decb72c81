//! What holds of jobs.
//!
//! A lease of no length has run out as soon as it is given: that is how a holder that stalled is told here.

use std::collections::BTreeSet;
use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId};
use futures_util::future::join_all;

use super::folds::{HOUR, assert_fenced, compaction, design_of, fold, load};
use super::{design_id, new_design, user_id};
use crate::store::jobs::{Job, JobEnd, JobKind};
use crate::store::upkeep::Upkeep;
use crate::store::{StoreError, Stores};

const NOW: Duration = Duration::ZERO;
const COMPACT: JobKind = JobKind::Compact;

/// Any 64 bits are a pod.
fn pod(n: u64) -> PodId {
    PodId::new(u64::MAX - n)
}

async fn claim(upkeep: &dyn Upkeep, n: u64, lease: Duration) -> Option<Job> {
    upkeep.claim_job(COMPACT, pod(n), lease).await.unwrap()
}

pub(super) async fn a_job_waits_and_runs_once(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_id(1);
    assert_eq!(claim(upkeep, 1, HOUR).await, None);
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    assert_eq!(upkeep.claim_job(JobKind::Erase, pod(1), HOUR).await.unwrap(), None, "another kind");
    let job = claim(upkeep, 1, HOUR).await.unwrap();
    assert_eq!((job.lease.kind, job.lease.design, job.lease.holder), (COMPACT, design, pod(1)));
    assert_eq!(job.failures, 0);
    assert_eq!(claim(upkeep, 1, HOUR).await, None);
    upkeep.end_job(job.lease, JobEnd::Done).await.unwrap();
    assert_eq!(claim(upkeep, 1, HOUR).await, None, "asked for twice while it waited, it runs once");
    assert_fenced(&upkeep.end_job(job.lease, JobEnd::Done).await);

    // The earlier time holds, whichever is said first.
    upkeep.enqueue(COMPACT, design, HOUR).await.unwrap();
    assert_eq!(claim(upkeep, 1, HOUR).await, None);
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    upkeep.enqueue(COMPACT, design, Duration::MAX).await.unwrap();
    let again = claim(upkeep, 1, HOUR).await.unwrap();
    assert!(job.lease.token < again.lease.token, "a row that is made anew does not repeat a token");
    assert_fenced(&upkeep.renew_job(job.lease, HOUR).await);
    upkeep.end_job(again.lease, JobEnd::Done).await.unwrap();
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    upkeep.enqueue(COMPACT, design, Duration::from_millis(20)).await.unwrap();
    let last = claim(upkeep, 1, HOUR).await.unwrap();
    upkeep.end_job(last.lease, JobEnd::Done).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(claim(upkeep, 1, HOUR).await, None, "both were one");
}

pub(super) async fn one_job_is_never_held_twice(stores: Stores) {
    const JOBS: u128 = 12;
    let upkeep = &*stores.upkeep;
    let enqueue = (0..JOBS).map(|n| upkeep.enqueue(COMPACT, design_id(n), NOW));
    for done in join_all(enqueue).await {
        done.unwrap();
    }
    let claims = join_all((0..20).map(|n| claim(upkeep, n, HOUR))).await;
    let held: Vec<_> = claims.into_iter().flatten().map(|job| job.lease).collect();
    // Who comes while another looks at a job may find none, and comes again.
    let mut rest = Vec::new();
    while let Some(job) = claim(upkeep, 99, HOUR).await {
        rest.push(job.lease);
    }
    let all: Vec<_> = held.into_iter().chain(rest).collect();
    assert_eq!(all.len(), 12);
    assert_eq!(all.iter().map(|lease| lease.design).collect::<BTreeSet<_>>().len(), 12);
    assert_eq!(all.iter().map(|lease| lease.token).collect::<BTreeSet<_>>().len(), 12);

    // Of many who find a lease run out, the last holds it.
    let design = design_id(99);
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    let claims: Vec<_> =
        join_all((0..10).map(|n| claim(upkeep, n, NOW))).await.into_iter().flatten().collect();
    let newest = claims.iter().map(|job| job.lease.token).max().unwrap();
    for job in claims {
        assert_eq!(job.lease.design, design);
        let renewed = upkeep.renew_job(job.lease, NOW).await;
        assert_eq!(renewed.is_ok(), job.lease.token == newest, "{renewed:?}");
    }
}

pub(super) async fn the_job_that_is_due_longest_comes_first(stores: Stores) {
    let upkeep = &*stores.upkeep;
    for n in [3, 1, 4, 2] {
        upkeep.enqueue(COMPACT, design_id(n), NOW).await.unwrap();
    }
    upkeep.enqueue(COMPACT, design_id(9), HOUR).await.unwrap();
    let mut order = Vec::new();
    while let Some(job) = claim(upkeep, 1, HOUR).await {
        order.push(job.lease.design);
    }
    assert_eq!(order, [3, 1, 4, 2].map(design_id));
}

pub(super) async fn a_job_asked_for_while_it_runs_runs_once_more(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_id(1);
    let end = async |job: &Job, end| upkeep.end_job(job.lease, end).await.unwrap();
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    let first = claim(upkeep, 1, HOUR).await.unwrap();
    upkeep.enqueue(COMPACT, design, HOUR).await.unwrap();
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    assert_eq!(claim(upkeep, 2, HOUR).await, None, "it runs already");
    end(&first, JobEnd::Done).await;
    let second = claim(upkeep, 2, HOUR).await.unwrap();
    assert_eq!(second.failures, 0);
    end(&second, JobEnd::Done).await;
    assert_eq!(claim(upkeep, 1, HOUR).await, None, "once");

    // Not before the time for which it was asked.
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    let third = claim(upkeep, 1, HOUR).await.unwrap();
    upkeep.enqueue(COMPACT, design, HOUR).await.unwrap();
    end(&third, JobEnd::Done).await;
    assert_eq!(claim(upkeep, 1, HOUR).await, None);
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();

    // Put off, and asked for earlier.
    let fourth = claim(upkeep, 1, HOUR).await.unwrap();
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    end(&fourth, JobEnd::Later(HOUR)).await;
    let fifth = claim(upkeep, 1, NOW).await.unwrap();

    // Asked for while its holder is stalled: whoever claims it then does what was asked for.
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    let sixth = claim(upkeep, 2, HOUR).await.unwrap();
    assert_fenced(&upkeep.end_job(fifth.lease, JobEnd::Done).await);
    end(&sixth, JobEnd::Done).await;
    assert_eq!(claim(upkeep, 1, HOUR).await, None);
}

pub(super) async fn what_failed_is_tried_again_and_counted(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_id(1);
    let failed = |retry_in| JobEnd::Failed { retry_in, reason: "a reason\0 for operators".to_owned() };
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    for failures in 0..3 {
        let job = claim(upkeep, 1, HOUR).await.unwrap();
        assert_eq!(job.failures, failures);
        upkeep.end_job(job.lease, failed(NOW)).await.unwrap();
    }
    // A holder that died with it failed as well.
    assert_eq!(claim(upkeep, 1, NOW).await.unwrap().failures, 3);
    let job = claim(upkeep, 2, HOUR).await.unwrap();
    assert_eq!(job.failures, 4);
    upkeep.end_job(job.lease, JobEnd::Later(NOW)).await.unwrap();
    let job = claim(upkeep, 1, HOUR).await.unwrap();
    assert_eq!(job.failures, 0, "put off is no failure, and ends the row of them");
    upkeep.end_job(job.lease, JobEnd::Later(HOUR)).await.unwrap();
    assert_eq!(claim(upkeep, 1, HOUR).await, None, "later");

    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    let job = claim(upkeep, 1, HOUR).await.unwrap();
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    upkeep.end_job(job.lease, failed(HOUR)).await.unwrap();
    assert_eq!(claim(upkeep, 1, HOUR).await, None, "who asked meanwhile waits for the next try");
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    assert_eq!(claim(upkeep, 1, HOUR).await, None, "and so does who asks now");
}

pub(super) async fn a_lease_holds_until_it_runs_out(stores: Stores) {
    let upkeep = &*stores.upkeep;
    upkeep.enqueue(COMPACT, design_id(1), NOW).await.unwrap();
    let job = claim(upkeep, 1, NOW).await.unwrap();
    upkeep.renew_job(job.lease, HOUR).await.unwrap();
    assert_eq!(claim(upkeep, 2, HOUR).await, None, "it was renewed in time");
    upkeep.renew_job(job.lease, NOW).await.unwrap();
    let next = claim(upkeep, 2, HOUR).await.unwrap();
    assert!(job.lease.token < next.lease.token);
    assert_fenced(&upkeep.renew_job(job.lease, HOUR).await);
    upkeep.renew_job(next.lease, Duration::MAX).await.unwrap();
    assert_eq!(claim(upkeep, 3, HOUR).await, None);
}

pub(super) async fn who_lost_a_lease_writes_nothing(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_of(&stores, 1, 9).await;
    upkeep.enqueue(COMPACT, design, NOW).await.unwrap();
    // The same pod may have lost it to itself.
    let lost = claim(upkeep, 1, NOW).await.unwrap().lease;
    let held = claim(upkeep, 1, HOUR).await.unwrap().lease;
    upkeep.commit_fold(held, fold(design, 0, 4)).await.unwrap();
    let forged = [
        lost,
        crate::store::jobs::JobLease { holder: pod(2), ..held },
        crate::store::jobs::JobLease { token: held.token + 1, ..held },
        crate::store::jobs::JobLease { kind: JobKind::Erase, ..held },
    ];
    for lease in forged {
        assert_fenced(&upkeep.commit_fold(lease, fold(design, 4, 8)).await);
        assert_fenced(&upkeep.prune_folded(lease, 100, NOW).await);
        assert_fenced(&upkeep.renew_job(lease, HOUR).await);
        let failed = JobEnd::Failed { retry_in: NOW, reason: String::new() };
        for end in [JobEnd::Done, JobEnd::Later(NOW), failed] {
            assert_fenced(&upkeep.end_job(lease, end).await);
        }
    }
    let remains = upkeep.remains(design).await.unwrap().unwrap();
    assert_eq!((remains.rows.len(), remains.snapshots.len(), remains.segments.len()), (9, 1, 1));
    assert_eq!(claim(upkeep, 2, HOUR).await, None, "its holder has it still");
    assert_eq!(upkeep.prune_folded(held, 100, NOW).await.unwrap().deleted, 4);
    upkeep.end_job(held, JobEnd::Done).await.unwrap();
    assert_fenced(&upkeep.commit_fold(held, fold(design, 4, 8)).await);
    assert_eq!(load(&stores, design).await.tail.len(), 5);
}

pub(super) async fn a_deleted_design_is_erased_and_never_folded(stores: Stores) {
    let (store, upkeep) = (&*stores.store, &*stores.upkeep);
    let erase = async || -> Option<DesignId> {
        let job = upkeep.claim_job(JobKind::Erase, pod(1), HOUR).await.unwrap()?;
        upkeep.end_job(job.lease, JobEnd::Done).await.unwrap();
        Some(job.lease.design)
    };
    let design = design_of(&stores, 1, 9).await;
    let other = design_of(&stores, 2, 9).await;
    assert!(!store.delete_design(design_id(9)).await.unwrap());
    assert_eq!(erase().await, None, "there was nothing to delete");
    let lease = compaction(&stores, design).await;
    upkeep.commit_fold(lease, fold(design, 0, 4)).await.unwrap();
    upkeep.prune_folded(lease, 100, NOW).await.unwrap();
    assert!(store.delete_design(design).await.unwrap());
    assert!(!store.delete_design(design).await.unwrap());

    // Whoever was at it is fenced; who comes later finds no design.
    assert_fenced(&upkeep.commit_fold(lease, fold(design, 4, 9)).await);
    assert_fenced(&upkeep.prune_folded(lease, 100, NOW).await);
    assert_fenced(&upkeep.end_job(lease, JobEnd::Done).await);
    assert_eq!(claim(upkeep, 1, HOUR).await, None, "it is not to be folded any more");
    let late = compaction(&stores, design).await;
    assert!(upkeep.fold_state(design).await.unwrap().is_none());
    let refused = upkeep.commit_fold(late, fold(design, 0, 4)).await;
    assert!(matches!(refused, Err(StoreError::NoSuchDesign)), "{refused:?}");
    assert_eq!(upkeep.prune_folded(late, 100, NOW).await.unwrap().deleted, 0);
    upkeep.end_job(late, JobEnd::Done).await.unwrap();
    assert_eq!(erase().await, Some(design));
    assert_eq!(erase().await, None, "once");

    // Nothing of it is in the way of one under the same id.
    store.create_design(new_design(1, user_id(1), "risen")).await.unwrap();
    let risen = upkeep.remains(design).await.unwrap().unwrap();
    assert_eq!((risen.rows.len(), risen.snapshots.len(), risen.segments.len()), (1, 0, 0));
    assert_eq!(risen.columns, None);
    assert_eq!(
        store.append(design, super::step(design, 2)).await.unwrap().get(),
        2,
        "its append ids went with it"
    );
    assert_eq!(load(&stores, other).await.tail.len(), 9);
}

pub(super) async fn jobs_survive_closing(open: &impl AsyncFn(&'static str) -> Stores) {
    let stores = open("jobs-survive").await;
    for n in 1..4 {
        stores.upkeep.enqueue(COMPACT, design_id(n), NOW).await.unwrap();
    }
    let held = claim(&*stores.upkeep, 1, HOUR).await.unwrap();
    let failed = claim(&*stores.upkeep, 1, HOUR).await.unwrap();
    let end = JobEnd::Failed { retry_in: NOW, reason: "why".to_owned() };
    stores.upkeep.end_job(failed.lease, end).await.unwrap();
    stores.store.close().await;

    let stores = open("jobs-survive").await;
    let upkeep = &*stores.upkeep;
    let found = [claim(upkeep, 2, HOUR).await.unwrap(), claim(upkeep, 2, HOUR).await.unwrap()];
    assert_eq!(claim(upkeep, 2, HOUR).await, None, "the lease goes on");
    assert_eq!(found.iter().map(|job| job.failures).max(), Some(1));
    assert!(found.iter().all(|job| failed.lease.token < job.lease.token));
    upkeep.renew_job(held.lease, HOUR).await.unwrap();
    stores.store.close().await;
}
