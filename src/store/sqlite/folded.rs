//! What is SQLite's own about folding: its clock, and what it says of a database that was tampered with.

use atlas_crdt::ids::{Generation, PodId};
use bytes::Bytes;

use super::tests::{some_designs, step, tamper};
use super::*;
use crate::store::StoreError;
use crate::store::folds::{Fold, FoldPolicy, Segment};
use crate::store::jobs::{JobEnd, JobKind, JobLease};
use crate::store::upkeep::Upkeep;

async fn open(dir: &Path, clock: &Clock) -> SqliteStore {
    SqliteStore::open(dir, clock.clone(), &Tasks::new()).await.unwrap()
}

async fn compaction(store: &SqliteStore, design: DesignId) -> JobLease {
    store.enqueue(JobKind::Compact, design, Duration::ZERO).await.unwrap();
    let job = store.claim_job(JobKind::Compact, PodId::new(1), Duration::from_mins(1)).await.unwrap();
    job.unwrap().lease
}

fn fold(design: DesignId, archived: u64, seq: u64) -> Fold {
    let at = OffsetDateTime::UNIX_EPOCH;
    let (first, last) = (Seq::new(archived + 1), Seq::new(seq));
    Fold {
        design,
        generation: Generation::new(1),
        seq: last,
        snapshot: Bytes::from_static(b"all of it"),
        hash: [7; 32],
        nodes: "[]".to_owned(),
        edges: "[]".to_owned(),
        segments: vec![Segment { first, last, hash: [8; 32], bytes: 3, from: at, to: at }],
    }
}

async fn ends_of_remains(store: &SqliteStore, design: DesignId) -> Vec<u64> {
    let rows = store.remains(design).await.unwrap().unwrap().rows;
    rows.into_iter().map(|(seq, _)| seq.get()).collect()
}

#[tokio::test]
async fn rows_leases_and_delays_age_by_the_clock() {
    const MINUTE: Duration = Duration::from_mins(1);
    let root = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let store = open(root.path(), &clock).await;
    let design = some_designs(&store, 1).await[0];
    // One row each minute: the newest was made just now, the first five minutes ago.
    for n in 1..=5 {
        clock.advance(MINUTE);
        store.append(design, step(design, n)).await.unwrap();
    }
    let just_less = |minutes: u32| (MINUTE * minutes).saturating_sub(Duration::from_millis(1));
    let policy = |quiet_for| FoldPolicy { rows: 100, quiet_for };
    clock.advance(just_less(1));
    assert_eq!(store.unfolded(policy(MINUTE), 9).await.unwrap(), []);
    clock.advance(Duration::from_millis(1));
    assert_eq!(store.unfolded(policy(MINUTE), 9).await.unwrap(), [design]);

    let lease = compaction(&store, design).await;
    store.commit_fold(lease, fold(design, 0, 5)).await.unwrap();
    let prune = async |rows, keep| {
        let pruned = store.prune_folded(lease, rows, keep).await.unwrap();
        (pruned.deleted, pruned.has_more, pruned.has_young)
    };
    assert_eq!(prune(100, 6 * MINUTE + just_less(1)).await, (0, false, true));
    assert_eq!(prune(100, 5 * MINUTE).await, (2, false, true));
    assert_eq!(prune(1, 3 * MINUTE).await, (1, true, true), "both: the next is old, the last is young");
    assert_eq!(ends_of_remains(&store, design).await, [4, 5, 6]);
    clock.advance(MINUTE);
    assert_eq!(prune(100, 3 * MINUTE).await, (2, false, false));
    assert_eq!(ends_of_remains(&store, design).await, [6], "what is not folded stays however old it is");
    clock.advance(just_less(1));
    assert_eq!(store.forget_appends(MINUTE).await.unwrap(), 3);
    assert_eq!(store.forget_appends(MINUTE).await.unwrap(), 0);

    // The lease is of one minute, and two have passed.
    let other = store.claim_job(JobKind::Compact, PodId::new(2), MINUTE).await.unwrap().unwrap().lease;
    clock.advance(just_less(1));
    assert_eq!(store.claim_job(JobKind::Compact, PodId::new(1), MINUTE).await.unwrap(), None);
    store.renew_job(other, MINUTE).await.unwrap();
    clock.advance(just_less(1));
    assert_eq!(store.claim_job(JobKind::Compact, PodId::new(1), MINUTE).await.unwrap(), None);
    let reason = "the disk is full".to_owned();
    store.end_job(other, JobEnd::Failed { retry_in: 2 * MINUTE, reason: reason.clone() }).await.unwrap();
    let kept: Option<String> = sqlx::query_scalar("SELECT reason FROM jobs WHERE kind = 'compact'")
        .fetch_one(&mut *store.reader().await.unwrap())
        .await
        .unwrap();
    assert_eq!(kept, Some(reason), "for operators");
    clock.advance(just_less(2));
    assert_eq!(store.claim_job(JobKind::Compact, PodId::new(1), MINUTE).await.unwrap(), None);
    clock.advance(Duration::from_millis(1));
    assert!(store.claim_job(JobKind::Compact, PodId::new(1), MINUTE).await.unwrap().is_some());
}

#[tokio::test]
async fn nothing_is_deleted_that_no_segment_holds() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), &Clock::system()).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=9 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let lease = compaction(&store, design).await;
    store.commit_fold(lease, fold(design, 0, 3)).await.unwrap();
    store.commit_fold(lease, fold(design, 3, 6)).await.unwrap();
    store.commit_fold(lease, fold(design, 6, 9)).await.unwrap();
    tamper(root.path(), "DELETE FROM design_segments WHERE first_seq = 4").await;
    let pruned = store.prune_folded(lease, 100, Duration::ZERO).await.unwrap();
    assert_eq!((pruned.deleted, pruned.has_more, pruned.has_young), (3, false, false));
    assert_eq!(ends_of_remains(&store, design).await, [4, 5, 6, 7, 8, 9, 10]);
    tamper(root.path(), "DELETE FROM design_segments").await;
    let pruned = store.prune_folded(lease, 100, Duration::ZERO).await.unwrap();
    assert_eq!((pruned.deleted, pruned.has_more, pruned.has_young), (0, false, false));
    // The next fold goes on behind the snapshot all the same.
    assert_eq!(store.fold_state(design).await.unwrap().unwrap().archived, Seq::new(9));
    assert_eq!(store.load(design).await.unwrap().unwrap().tail.len(), 1);
}

#[tokio::test]
async fn a_check_is_told_of_damage_and_not_refused() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), &Clock::system()).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=9 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let lease = compaction(&store, design).await;
    store.commit_fold(lease, fold(design, 0, 5)).await.unwrap();
    tamper(
        root.path(),
        "DELETE FROM design_updates WHERE seq IN (3, 8, 10);
         UPDATE design_heads SET head_seq = 12;
         UPDATE design_segments SET first_seq = 2;
         UPDATE design_snapshots SET hash = NULL, payload = x'';
         UPDATE designs SET nodes = 'no JSON';
         DELETE FROM design_members",
    )
    .await;
    let remains = store.remains(design).await.unwrap().unwrap();
    assert_eq!(remains.head, Seq::new(12));
    assert_eq!(remains.rows.iter().map(|(seq, _)| seq.get()).collect::<Vec<_>>(), [1, 2, 4, 5, 6, 7, 9]);
    assert_eq!(remains.snapshots, [(Seq::new(5), Bytes::new(), None)]);
    assert_eq!((remains.segments[0].first, remains.segments[0].last), (Seq::new(2), Seq::new(5)));
    assert_eq!(remains.columns, Some(("no JSON".to_owned(), "[]".to_owned())));
    assert!(!remains.owner_is_member);
    // Rows go from the oldest on: a hole behind older rows is damage, wherever the snapshot ends.
    assert!(matches!(store.log_after(design, Seq::new(2), 9).await, Err(StoreError::Folded)));
    assert!(matches!(store.log_after(design, Seq::new(1), 9).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.archive_rows(design, Seq::new(1), 9, 99).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.log_after(design, Seq::new(5), 9).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.archive_rows(design, Seq::new(5), 9, 99).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.load(design).await, Err(StoreError::Damaged(_))));

    tamper(root.path(), "DELETE FROM design_heads").await;
    let refused = store.remains(design).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "it cannot be told: {refused:?}");
    assert_eq!(store.design_ids(None, 9).await.unwrap(), [design]);
}

#[tokio::test]
async fn people_who_know_sql_see_the_newest_snapshot() {
    let root = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let store = open(root.path(), &clock).await;
    let design = some_designs(&store, 1).await[0];
    store.append(design, step(design, 1)).await.unwrap();
    let lease = compaction(&store, design).await;
    let nodes = r#"[{"id":"a","data":{"label":"Gateway"}},{"id":"b"}]"#.to_owned();
    store.commit_fold(lease, Fold { nodes, ..fold(design, 0, 2) }).await.unwrap();
    let shown: (i64, i64, String, i64) = sqlx::query_as(
        "SELECT folded_seq, json_array_length(nodes), nodes ->> '$[0].data.label', folded_at FROM designs",
    )
    .fetch_one(&mut *store.reader().await.unwrap())
    .await
    .unwrap();
    assert_eq!(shown, (2, 2, "Gateway".to_owned(), micros(clock.utc())));
}
