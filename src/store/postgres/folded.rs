//! Upkeep on a real cluster: its contract, and who waits for whom.

use std::collections::HashSet;
use std::sync::Mutex;

use atlas_crdt::ids::{Generation, PodId};
use atlas_loadtest::services::pgbouncer::PgBouncer;
use atlas_loadtest::services::postgres::Postgres;
use bytes::Bytes;
use futures_util::future::{join, join_all};
use sqlx::Connection;

use super::tests::{cluster, open, some_designs, step};
use super::*;
use crate::store::folds::{Fold, Segment};
use crate::store::jobs::{JobKind, JobLease};
use crate::store::upkeep::Upkeep;
use crate::store::{StoreError, Stores, conformance};

const HOUR: Duration = Duration::from_hours(1);

async fn keeps_the_contract(postgres: &Postgres, url: impl Fn(&str) -> String) {
    postgres.create_database("empty").await.unwrap();
    PgStore::migrate(&postgres.url("empty")).await.unwrap();
    let made = Mutex::new(HashSet::new());
    let open = async |place: &'static str| {
        if made.lock().unwrap().insert(place) {
            postgres.copy_database("empty", place).await.unwrap();
        }
        Stores::new(open(&url(place)).await)
    };
    conformance::run_upkeep(&open).await;
    conformance::run_analyses(&open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_upkeep() {
    let postgres = Postgres::start().await.unwrap();
    keeps_the_contract(&postgres, |database| postgres.url(database)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_upkeep_behind_a_pooler_in_transaction_mode() {
    let postgres = Postgres::start().await.unwrap();
    let pooler = PgBouncer::start(&postgres, 2).await.unwrap();
    keeps_the_contract(&postgres, |database| pooler.url(database)).await;
    assert!(500 < pooler.transactions().await.unwrap(), "it went through the pooler");
}

async fn compaction(store: &PgStore, design: DesignId, lease: Duration) -> JobLease {
    store.enqueue(JobKind::Compact, design, Duration::ZERO).await.unwrap();
    let job = store.claim_job(JobKind::Compact, PodId::new(1), lease).await.unwrap().unwrap();
    assert_eq!(job.lease.design, design);
    job.lease
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

/// A transaction of a stranger's, who has locked rows and does not go on.
async fn stranger(postgres: &Postgres, sql: &'static str) -> PgConnection {
    let mut connection = PgConnection::connect(&postgres.url("one")).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection
}

/// Returns when somebody waits for a row.
async fn somebody_waits(postgres: &Postgres) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'one' AND wait_event_type = 'Lock'";
    while postgres.sql("postgres", waiting).await.unwrap() == "0" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folding_needs_no_head() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=9 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let lease = compaction(&store, design, HOUR).await;
    let held = stranger(&postgres, "SELECT FROM design_heads FOR UPDATE").await;
    let append = store.append(design, step(design, 10));
    let folding = async {
        somebody_waits(&postgres).await;
        store.commit_fold(lease, fold(design, 0, 8)).await.unwrap();
        assert_eq!(store.prune_folded(lease, 100, Duration::ZERO).await.unwrap().deleted, 8);
        held.close().await.unwrap();
    };
    let (appended, ()) = join(append, folding).await;
    assert_eq!(appended.unwrap(), Seq::new(11));
}

/// It was stopped in the middle for longer than its lease, and goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_the_lease_in_the_middle_of_a_transaction_is_fenced() {
    let postgres = cluster("one").await;
    let (store, other) = (open(&postgres.url("one")).await, open(&postgres.url("one")).await);
    let design = some_designs(&store, 1).await[0];
    for n in 1..=9 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let lost = compaction(&store, design, Duration::ZERO).await;
    let held = stranger(&postgres, "SELECT FROM designs FOR UPDATE").await;
    let claim = async {
        somebody_waits(&postgres).await;
        let job = other.claim_job(JobKind::Compact, PodId::new(2), Duration::ZERO).await.unwrap();
        held.close().await.unwrap();
        job.unwrap().lease
    };
    let (refused, next) = join(store.commit_fold(lost, fold(design, 0, 5)), claim).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    assert!(store.load(design).await.unwrap().unwrap().snapshot.is_none());

    // Or somebody else notes a fold at the same moment.
    let mut held =
        stranger(&postgres, "INSERT INTO design_snapshots SELECT id, 5, 'x', now() FROM designs").await;
    let note = async {
        somebody_waits(&postgres).await;
        sqlx::raw_sql("COMMIT").execute(&mut held).await.unwrap();
    };
    let (refused, ()) = join(other.commit_fold(next, fold(design, 0, 5)), note).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    postgres.sql("one", "DELETE FROM design_snapshots").await.unwrap();

    other.commit_fold(next, fold(design, 0, 8)).await.unwrap();
    let held = stranger(&postgres, "SELECT FROM designs FOR UPDATE").await;
    let claim = async {
        somebody_waits(&postgres).await;
        let job = store.claim_job(JobKind::Compact, PodId::new(1), HOUR).await.unwrap();
        held.close().await.unwrap();
        job.unwrap().lease
    };
    let (refused, newest) = join(other.prune_folded(next, 100, Duration::ZERO), claim).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    assert_eq!(store.fold_state(design).await.unwrap().unwrap().folded_rows, 8);
    assert_eq!(store.prune_folded(newest, 100, Duration::ZERO).await.unwrap().deleted, 8);
}

/// The design first, then its log: the same order for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_waits_for_a_deletion_and_never_the_other_way_round() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=9 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let lease = compaction(&store, design, HOUR).await;
    store.commit_fold(lease, fold(design, 0, 8)).await.unwrap();
    let mut held = stranger(&postgres, "SELECT FROM designs FOR UPDATE").await;
    let delete = async {
        somebody_waits(&postgres).await;
        sqlx::raw_sql("DELETE FROM designs; COMMIT").execute(&mut held).await.unwrap();
    };
    let (pruned, ()) = join(store.prune_folded(lease, 100, Duration::ZERO), delete).await;
    assert_eq!(pruned.unwrap().deleted, 0, "there is nothing left");
}

/// Pods claim, fold, ask and delete at once: each answer is one of those that are foreseen, and nobody waits in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_meet_over_designs_never_wait_in_a_circle() {
    let postgres = cluster("one").await;
    let (store, other) = (open(&postgres.url("one")).await, open(&postgres.url("one")).await);
    let designs = some_designs(&store, 20).await;
    let mut leases = Vec::new();
    for design in designs {
        for n in 1..=9 {
            store.append(design, step(design, n)).await.unwrap();
        }
        leases.push(compaction(&store, design, HOUR).await);
    }
    let fenced_at_most = |answer: Result<()>| {
        assert!(matches!(answer, Ok(()) | Err(StoreError::Fenced | StoreError::NoSuchDesign)), "{answer:?}");
    };
    let meet = leases.iter().enumerate().map(async |(n, lease)| {
        let fold = async {
            for (archived, end) in [(0, 4), (4, 9)] {
                let fold = fold(lease.design, archived, end);
                fenced_at_most(store.commit_fold(*lease, fold).await);
                fenced_at_most(store.prune_folded(*lease, 3, Duration::ZERO).await.map(drop));
            }
        };
        let ask = async {
            for _ in 0..3 {
                other.enqueue(JobKind::Compact, lease.design, HOUR).await.unwrap();
            }
        };
        let delete = async {
            if n % 2 == 0 {
                assert!(other.delete_design(lease.design).await.unwrap());
            }
        };
        join(fold, join(ask, delete)).await;
    });
    join_all(meet).await;
    for (n, lease) in leases.into_iter().enumerate() {
        let loaded = store.load(lease.design).await.unwrap();
        let ends = loaded.map(|loaded| (loaded.snapshot.as_ref().unwrap().0.get(), loaded.head().get()));
        assert_eq!(ends, (n % 2 == 1).then_some((9, 10)));
    }
    let erase = postgres.sql("one", "SELECT count(*) FROM jobs WHERE kind = 'erase'").await.unwrap();
    assert_eq!(erase, "10");
    assert_eq!(postgres.log().matches("deadlock").count(), 0);
}

/// A lease ends by the database's clock, whatever a pod's clock says.
#[tokio::test]
async fn leases_end_by_the_clock_of_the_database() {
    let postgres = cluster("one").await;
    let url = postgres.url("one");
    let stopped = PgStore::open(&url, PgSettings::default(), Clock::manual(), &Tasks::new()).await.unwrap();
    let design = DesignId::from_u128(1);
    let lease = compaction(&stopped, design, Duration::from_millis(200)).await;
    let started = "SELECT due_at - interval '200 milliseconds' <= now() AND now() < due_at FROM jobs";
    assert_eq!(postgres.sql("one", started).await.unwrap(), "t");
    let next = loop {
        if let Some(job) = stopped.claim_job(JobKind::Compact, PodId::new(2), HOUR).await.unwrap() {
            break job.lease;
        }
    };
    assert!(lease.token < next.token);
    let hour = "SELECT due_at - now() BETWEEN interval '59 minutes' AND interval '1 hour' FROM jobs";
    assert_eq!(postgres.sql("one", hour).await.unwrap(), "t");
}

#[tokio::test]
async fn damage_is_told_and_deletes_nothing() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=9 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let lease = compaction(&store, design, HOUR).await;
    let nodes = r#"[{"id":"a","data":{"label":"Gate\u0000way"}},{"id":"b"}]"#.to_owned();
    store.commit_fold(lease, Fold { nodes, ..fold(design, 0, 3) }).await.unwrap();
    let shown =
        "SELECT folded_seq, jsonb_array_length(nodes), nodes -> 0 -> 'data' ->> 'label', edges FROM designs";
    assert_eq!(postgres.sql("one", shown).await.unwrap(), "3|2|Gate\u{fffd}way|[]");
    store.commit_fold(lease, fold(design, 3, 6)).await.unwrap();
    store.commit_fold(lease, fold(design, 6, 9)).await.unwrap();
    let tamper = async |sql| drop(postgres.sql("one", sql).await.unwrap());
    tamper("DELETE FROM design_segments WHERE first_seq = 4").await;
    let pruned = store.prune_folded(lease, 100, Duration::ZERO).await.unwrap();
    assert_eq!((pruned.deleted, pruned.has_more, pruned.has_young), (3, false, false));

    tamper(
        "DELETE FROM design_updates WHERE seq IN (6, 10);
         UPDATE design_heads SET head_seq = 12;
         UPDATE design_snapshots SET hash = NULL, payload = '';
         DELETE FROM design_members",
    )
    .await;
    let remains = store.remains(design).await.unwrap().unwrap();
    assert_eq!(remains.head, Seq::new(12));
    assert_eq!(remains.rows.iter().map(|(seq, _)| seq.get()).collect::<Vec<_>>(), [4, 5, 7, 8, 9]);
    assert_eq!(remains.snapshots, [(Seq::new(9), Bytes::new(), None)]);
    assert_eq!(remains.segments.len(), 2);
    assert!(!remains.owner_is_member);
    for after in [3, 4, 9] {
        let refused = store.archive_rows(design, Seq::new(after), 9, 99).await;
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{after}: {refused:?}");
    }
    assert!(matches!(store.archive_rows(design, Seq::new(2), 9, 99).await, Err(StoreError::Folded)));
    tamper("DELETE FROM design_heads").await;
    assert!(matches!(store.remains(design).await, Err(StoreError::Damaged(_))));
}
