//! What holds of folding a log.

use std::collections::BTreeSet;
use std::time::Duration;

use atlas_crdt::ids::{AppendId, ClientId, DesignId, Generation, PodId, Seq};
use atlas_crdt::room::{Append, Claim, Loaded};
use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::{create, design_id, hash, payload, register, step, user_id};
use crate::store::folds::{ArchivedRow, Fold, FoldPolicy, Pruned, Segment};
use crate::store::jobs::{JobEnd, JobKind, JobLease};
use crate::store::{Store, StoreError, Stores};

pub(super) const HOUR: Duration = Duration::from_hours(1);

/// A design with this many rows: 1 to `rows`.
pub(super) async fn design_of(stores: &Stores, n: u128, rows: u128) -> DesignId {
    let store = &*stores.store;
    let owner = user_id(1);
    if store.user(owner).await.unwrap().is_none() {
        register(store, 1).await;
    }
    let design = create(store, n, owner, "a design").await;
    append(store, design, 1, rows).await;
    design
}

/// Steps `from..to`, each with the row after its number.
async fn append(store: &dyn Store, design: DesignId, from: u128, to: u128) {
    for n in from..to {
        assert_eq!(u128::from(store.append(design, step(design, n)).await.unwrap().get()), n + 1);
    }
}

/// The lease of a compaction of this design.
pub(super) async fn compaction(stores: &Stores, design: DesignId) -> JobLease {
    stores.upkeep.enqueue(JobKind::Compact, design, Duration::ZERO).await.unwrap();
    let job = stores.upkeep.claim_job(JobKind::Compact, PodId::new(1), HOUR).await.unwrap().unwrap();
    assert_eq!(job.lease.design, design);
    job.lease
}

/// A fold of the rows after `archived` up to `seq`. No store looks into one.
pub(super) fn fold(design: DesignId, archived: u64, seq: u64) -> Fold {
    let at = super::START;
    let segment = Segment {
        first: Seq::new(archived + 1),
        last: Seq::new(seq),
        hash: hash(u8::try_from(100 + seq).unwrap()),
        bytes: 1_000 + seq,
        from: at,
        to: at + super::MINUTE,
    };
    Fold {
        design,
        generation: Generation::new(1),
        seq: Seq::new(seq),
        snapshot: Bytes::from(format!("{design} up to {seq}")),
        hash: hash(u8::try_from(seq).unwrap()),
        nodes: format!(r#"[{{"id":"n{seq}"}}]"#),
        edges: "[]".to_owned(),
        segments: vec![segment],
    }
}

pub(super) async fn load(stores: &Stores, design: DesignId) -> Loaded {
    stores.store.load(design).await.unwrap().unwrap()
}

fn tail(loaded: &Loaded) -> Vec<(u64, Bytes)> {
    loaded.tail.iter().map(|row| (row.seq.get(), row.update.clone())).collect()
}

pub(super) fn assert_fenced<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Fenced)), "{answer:?}");
}

fn assert_folded<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Folded)), "{answer:?}");
}

/// Deletes everything that may go.
async fn prune(stores: &Stores, lease: JobLease) {
    let pruned = stores.upkeep.prune_folded(lease, 1_000, Duration::ZERO).await.unwrap();
    assert!(!pruned.has_more && !pruned.has_young, "{pruned:?}");
}

pub(super) async fn a_folded_log_loads_as_it_was(open: &impl AsyncFn(&'static str) -> Stores) {
    let stores = open("fold").await;
    let (store, upkeep) = (&*stores.store, &*stores.upkeep);
    let design = design_of(&stores, 1, 9).await;
    let claims = vec![Claim { client: ClientId::new(5), user: Some(user_id(1)) }];
    store.append(design, Append { claims: claims.clone(), ..step(design, 9) }).await.unwrap();
    let other = design_of(&stores, 2, 3).await;
    let (before, others) = (load(&stores, design).await, tail(&load(&stores, other).await));
    let state = upkeep.fold_state(design).await.unwrap().unwrap();
    assert_eq!((state.snapshot, state.folded_rows, state.archived), (None, 0, Seq::ZERO));
    assert_eq!((state.generation, state.head), (before.generation, Seq::new(10)));

    let lease = compaction(&stores, design).await;
    upkeep.commit_fold(lease, fold(design, 0, 7)).await.unwrap();
    let after = load(&stores, design).await;
    let snapshot = fold(design, 0, 7).snapshot;
    assert_eq!(after.snapshot, Some((Seq::new(7), snapshot.clone())));
    assert_eq!(tail(&after), tail(&before)[7..]);
    assert_eq!(
        (after.claims.clone(), after.generation, after.epoch),
        (claims.clone(), before.generation, before.epoch)
    );
    let state = upkeep.fold_state(design).await.unwrap().unwrap();
    assert_eq!(state.snapshot, Some((Seq::new(7), snapshot)));
    assert_eq!((state.folded_rows, state.archived, state.head), (7, Seq::new(7), Seq::new(10)));

    // Deleting changes nothing of what is loaded, and the log goes on.
    prune(&stores, lease).await;
    assert_eq!(upkeep.fold_state(design).await.unwrap().unwrap().folded_rows, 0);
    assert_eq!(tail(&load(&stores, design).await), tail(&before)[7..]);
    append(store, design, 10, 12).await;
    assert_eq!(tail(&load(&stores, design).await).len(), 5);
    upkeep.commit_fold(lease, fold(design, 7, 12)).await.unwrap();
    let all = load(&stores, design).await;
    assert_eq!((all.snapshot, all.tail.len()), (Some((Seq::new(12), fold(design, 7, 12).snapshot)), 0));
    append(store, design, 12, 13).await;
    assert_eq!(tail(&load(&stores, other).await), others, "no other design is touched");
    store.close().await;

    let stores = open("fold").await;
    let again = load(&stores, design).await;
    assert_eq!(again.snapshot, Some((Seq::new(12), fold(design, 7, 12).snapshot)));
    assert_eq!(tail(&again), [(13, payload(design, 12))]);
    assert_eq!(again.claims, claims);
    stores.store.close().await;
}

pub(super) async fn rows_come_with_everything_that_is_known(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_of(&stores, 1, 8).await;
    let read = async |after, rows, bytes| {
        let rows: Vec<ArchivedRow> = upkeep.archive_rows(design, Seq::new(after), rows, bytes).await.unwrap();
        rows.into_iter().map(|row| row.seq.get()).collect::<Vec<_>>()
    };
    let rows = upkeep.archive_rows(design, Seq::ZERO, 100, 1 << 20).await.unwrap();
    let appends = (1..8).map(|n| step(design, n));
    for (row, append) in rows[1..].iter().zip(appends) {
        assert_eq!(
            (row.append_id, &row.update, &row.authors),
            (append.append_id, &append.update, &append.authors)
        );
    }
    assert_eq!(rows[0].update, payload(design, 0));
    assert_eq!(rows[0].append_id, AppendId::from_u128(design.as_u128() << 64));
    assert!(rows[1..].is_sorted_by_key(|row| row.at) && rows[0].authors.is_empty());
    assert_eq!(rows.iter().map(|row| row.seq.get()).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());

    // All payloads have the same size.
    let size = rows[3].update.len();
    assert_eq!(read(0, 3, 1 << 20).await, [1, 2, 3]);
    assert_eq!(read(5, 100, 1 << 20).await, [6, 7, 8]);
    assert_eq!(read(2, 100, 3 * size).await, [3, 4, 5]);
    assert_eq!(read(2, 100, 3 * size - 1).await, [3, 4]);
    assert_eq!(read(2, 100, 0).await, [3], "one row comes whatever its size");
    assert_eq!(read(2, 0, 1 << 20).await, [0; 0]);
    assert_eq!(read(8, 100, 1 << 20).await, [0; 0]);
    let nowhere = upkeep.archive_rows(design_id(9), Seq::ZERO, 5, 100).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchDesign)), "{nowhere:?}");
    assert!(upkeep.fold_state(design_id(9)).await.unwrap().is_none());
}

/// Every row is archived once or still there, whoever comes first.
pub(super) async fn folding_and_appending_never_meet(stores: Stores) {
    const APPENDERS: u128 = 8;
    const EACH: u128 = 15;
    let (store, upkeep) = (&*stores.store, &*stores.upkeep);
    let design = design_of(&stores, 1, 1).await;
    let lease = compaction(&stores, design).await;
    let appender = async |which: u128| {
        for turn in 0..EACH {
            store.append(design, step(design, 1 + which * EACH + turn)).await.unwrap();
        }
    };
    let folder = async {
        let (mut archive, mut folds) = (Vec::new(), 0);
        while archive.len() < 110 {
            let state = upkeep.fold_state(design).await.unwrap().unwrap();
            let rows = upkeep.archive_rows(design, state.archived, 20, 1 << 20).await.unwrap();
            let Some(last) = rows.last() else { continue };
            assert_eq!(rows[0].seq, state.archived.next());
            upkeep.commit_fold(lease, fold(design, state.archived.get(), last.seq.get())).await.unwrap();
            folds += 1;
            archive.extend(rows.into_iter().map(|row| row.update));
            upkeep.prune_folded(lease, 7, Duration::ZERO).await.unwrap();
            let loaded = load(&stores, design).await;
            assert_eq!(loaded.head(), Seq::new((archive.len() + loaded.tail.len()) as u64));
        }
        assert!(2 < folds, "{folds} folds");
        archive
    };
    let (_, archive) = join(join_all((0..APPENDERS).map(appender)), folder).await;
    let loaded = load(&stores, design).await;
    let rest = loaded.tail.into_iter().map(|row| row.update);
    let all: Vec<_> = archive.into_iter().chain(rest).collect();
    let expected: BTreeSet<_> = (0..=APPENDERS * EACH).map(|n| payload(design, n)).collect();
    assert_eq!(all.len(), expected.len());
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
}

pub(super) async fn a_fold_that_does_not_fit_changes_nothing(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_of(&stores, 1, 9).await;
    let lease = compaction(&stores, design).await;
    upkeep.commit_fold(lease, fold(design, 0, 5)).await.unwrap();

    let good = fold(design, 5, 8);
    assert_fenced(&upkeep.commit_fold(lease, Fold { generation: Generation::new(2), ..good.clone() }).await);
    // Somebody else's snapshot is as new, or newer.
    assert_fenced(&upkeep.commit_fold(lease, fold(design, 0, 4)).await);
    assert_fenced(&upkeep.commit_fold(lease, Fold { hash: hash(99), ..fold(design, 0, 5) }).await);
    // Rows that were archived already, and rows left out.
    assert_fenced(&upkeep.commit_fold(lease, fold(design, 0, 8)).await);
    assert_fenced(&upkeep.commit_fold(lease, fold(design, 6, 8)).await);
    assert_fenced(&upkeep.commit_fold(lease, Fold { segments: Vec::new(), ..good.clone() }).await);
    // What contradicts itself.
    let hole = [fold(design, 5, 6).segments, fold(design, 7, 8).segments].concat();
    let short = fold(design, 5, 7).segments;
    for segments in [hole, short] {
        let refused = upkeep.commit_fold(lease, Fold { segments, ..good.clone() }).await;
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    }
    let beyond = upkeep.commit_fold(lease, fold(design, 5, 10)).await;
    assert!(matches!(beyond, Err(StoreError::Damaged(_))), "{beyond:?}");
    // The job is about another design.
    let other = design_of(&stores, 2, 9).await;
    assert_fenced(&upkeep.commit_fold(lease, fold(other, 0, 5)).await);

    let remains = upkeep.remains(design).await.unwrap().unwrap();
    assert_eq!(remains.segments, fold(design, 0, 5).segments);
    assert_eq!(remains.snapshots.len(), 1);
    assert_eq!(load(&stores, design).await.tail.len(), 4);
    assert!(load(&stores, other).await.snapshot.is_none());
    let two = [fold(design, 5, 6).segments, fold(design, 6, 8).segments].concat();
    upkeep.commit_fold(lease, Fold { segments: two, ..good }).await.unwrap();
    assert_eq!(upkeep.remains(design).await.unwrap().unwrap().segments.len(), 3);
}

pub(super) async fn a_fold_whose_answer_was_lost_may_be_noted_again(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_of(&stores, 1, 9).await;
    let lease = compaction(&stores, design).await;
    for _ in 0..3 {
        upkeep.commit_fold(lease, fold(design, 0, 5)).await.unwrap();
        let remains = upkeep.remains(design).await.unwrap().unwrap();
        assert_eq!((remains.snapshots.len(), remains.segments.len()), (1, 1));
    }
}

pub(super) async fn a_folded_log_is_pruned_in_steps(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_of(&stores, 1, 12).await;
    let lease = compaction(&stores, design).await;
    let step = async |rows| {
        let pruned = upkeep.prune_folded(lease, rows, Duration::ZERO).await.unwrap();
        assert!(!pruned.has_young);
        let rows = upkeep.remains(design).await.unwrap().unwrap().rows;
        (pruned.deleted, pruned.has_more, rows.first().map(|(seq, _)| seq.get()))
    };
    assert_eq!(step(100).await, (0, false, Some(1)), "nothing is folded yet");
    upkeep.commit_fold(lease, fold(design, 0, 4)).await.unwrap();
    upkeep.commit_fold(lease, fold(design, 4, 8)).await.unwrap();
    assert_eq!(upkeep.remains(design).await.unwrap().unwrap().snapshots.len(), 2);
    assert_eq!(step(3).await, (3, true, Some(4)));
    let snapshots = upkeep.remains(design).await.unwrap().unwrap().snapshots;
    assert_eq!(snapshots.iter().map(|(seq, ..)| seq.get()).collect::<Vec<_>>(), [8]);
    assert_eq!(step(3).await, (3, true, Some(7)));
    assert_eq!(load(&stores, design).await.tail.len(), 4);
    assert_eq!(step(2).await, (2, false, Some(9)));
    assert_eq!(step(2).await, (0, false, Some(9)));
    assert_eq!(load(&stores, design).await.tail.len(), 4);
}

pub(super) async fn nothing_goes_that_is_young_or_not_folded(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let design = design_of(&stores, 1, 6).await;
    let lease = compaction(&stores, design).await;
    upkeep.commit_fold(lease, fold(design, 0, 4)).await.unwrap();
    // Row 1 was made in 2020, all others a moment ago.
    let pruned = upkeep.prune_folded(lease, 100, HOUR).await.unwrap();
    assert_eq!(pruned, Pruned { deleted: 1, has_more: false, has_young: true });
    let pruned = upkeep.prune_folded(lease, 100, Duration::MAX).await.unwrap();
    assert_eq!(pruned, Pruned { deleted: 0, has_more: false, has_young: true });
    let pruned = upkeep.prune_folded(lease, 100, Duration::ZERO).await.unwrap();
    assert_eq!(pruned, Pruned { deleted: 3, has_more: false, has_young: false });
    let rows = upkeep.remains(design).await.unwrap().unwrap().rows;
    assert_eq!(rows.iter().map(|(seq, _)| seq.get()).collect::<Vec<_>>(), [5, 6]);
}

pub(super) async fn an_append_is_found_when_its_row_is_gone(stores: Stores) {
    let (store, upkeep) = (&*stores.store, &*stores.upkeep);
    let design = design_of(&stores, 1, 9).await;
    let other = design_of(&stores, 2, 2).await;
    let lease = compaction(&stores, design).await;
    upkeep.commit_fold(lease, fold(design, 0, 7)).await.unwrap();
    // Repeated while its row goes.
    let repeat = join_all((1..9).map(|n| store.append(design, step(design, n))));
    let (repeated, ()) = join(repeat, prune(&stores, lease)).await;
    for (seq, n) in repeated.into_iter().zip(2..) {
        assert_eq!(seq.unwrap(), Seq::new(n));
    }
    // And after it is gone, with something new beside it.
    let claims = vec![Claim { client: ClientId::new(5), user: Some(user_id(1)) }];
    let name = Some("another name".to_owned());
    for n in 1..9 {
        let again = Append { claims: claims.clone(), name: name.clone(), ..step(design, n) };
        assert_eq!(u128::from(store.append(design, again).await.unwrap().get()), n + 1);
    }
    let loaded = load(&stores, design).await;
    assert_eq!(tail(&loaded), [(8, payload(design, 7)), (9, payload(design, 8))]);
    assert_eq!(loaded.claims, [], "a repeated append changes nothing");
    assert_eq!(store.design(design).await.unwrap().unwrap().name, "a design");
    let stolen = store.append(other, step(design, 3)).await;
    assert!(matches!(stolen, Err(StoreError::Conflict(_))), "{stolen:?}");
    assert_eq!(load(&stores, other).await.tail.len(), 2);
    append(store, design, 9, 10).await;
}

pub(super) async fn append_ids_are_forgotten_in_the_end(stores: Stores) {
    let (store, upkeep) = (&*stores.store, &*stores.upkeep);
    let design = design_of(&stores, 1, 9).await;
    let lease = compaction(&stores, design).await;
    upkeep.commit_fold(lease, fold(design, 0, 7)).await.unwrap();
    assert_eq!(upkeep.forget_appends(Duration::ZERO).await.unwrap(), 0, "their rows know them");
    prune(&stores, lease).await;
    assert_eq!(upkeep.forget_appends(HOUR).await.unwrap(), 0);
    assert_eq!(store.append(design, step(design, 3)).await.unwrap(), Seq::new(4));
    assert_eq!(upkeep.forget_appends(Duration::ZERO).await.unwrap(), 7);
    assert_eq!(upkeep.forget_appends(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(store.append(design, step(design, 8)).await.unwrap(), Seq::new(9), "rows are not forgotten");
    assert_eq!(
        store.append(design, step(design, 3)).await.unwrap(),
        Seq::new(10),
        "nobody knows it any more"
    );
}

pub(super) async fn a_reader_is_told_that_its_rows_are_folded(stores: Stores) {
    let (store, upkeep) = (&*stores.store, &*stores.upkeep);
    let design = design_of(&stores, 1, 9).await;
    let lease = compaction(&stores, design).await;
    upkeep.commit_fold(lease, fold(design, 0, 9)).await.unwrap();
    let read = async |after, limit| {
        let rows = store.log_after(design, Seq::new(after), limit).await;
        rows.map(|rows| rows.into_iter().map(|row| row.seq.get()).collect::<Vec<_>>())
    };
    assert_eq!(read(3, 2).await.unwrap(), [4, 5], "rows are served for as long as they are there");
    upkeep.prune_folded(lease, 4, Duration::ZERO).await.unwrap();
    assert_folded(&read(0, 100).await);
    assert_folded(&read(3, 1).await);
    assert_eq!(read(4, 100).await.unwrap(), [5, 6, 7, 8, 9]);
    prune(&stores, lease).await;
    assert_folded(&read(0, 100).await);
    assert_folded(&read(8, 100).await);
    assert_eq!(read(9, 100).await.unwrap(), [0; 0]);
    assert_eq!(read(20, 100).await.unwrap(), [0; 0]);
    append(store, design, 9, 11).await;
    assert_folded(&read(8, 100).await);
    assert_eq!(read(9, 100).await.unwrap(), [10, 11]);
    assert_folded(&upkeep.archive_rows(design, Seq::new(8), 100, 1 << 20).await);
}

pub(super) async fn long_logs_and_quiet_logs_need_folding(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let unfolded = async |rows, quiet_for, limit| {
        let found = upkeep.unfolded(FoldPolicy { rows, quiet_for }, limit).await.unwrap();
        found.into_iter().map(|design| design.as_u128() - design_id(0).as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(unfolded(1, Duration::ZERO, 9).await, [0; 0]);
    let mut designs = Vec::new();
    for (n, rows) in [(1, 4), (2, 9), (3, 7), (4, 2)] {
        designs.push(design_of(&stores, n, rows).await);
    }
    assert_eq!(unfolded(4, HOUR, 9).await, [2, 3, 1]);
    assert_eq!(unfolded(5, HOUR, 9).await, [2, 3]);
    assert_eq!(unfolded(4, HOUR, 1).await, [2]);
    assert_eq!(unfolded(10, HOUR, 9).await, [0; 0]);
    assert_eq!(unfolded(u64::MAX, HOUR, 9).await, [0; 0]);
    assert_eq!(unfolded(10, Duration::ZERO, 9).await, [2, 3, 1, 4], "all are quiet");

    let lease = compaction(&stores, designs[1]).await;
    upkeep.commit_fold(lease, fold(designs[1], 0, 6)).await.unwrap();
    assert_eq!(unfolded(3, HOUR, 9).await, [3, 1], "somebody is at it");
    upkeep.end_job(lease, JobEnd::Later(HOUR)).await.unwrap();
    assert_eq!(unfolded(3, HOUR, 9).await, [3, 1], "or will be, when it is time");
    let lease = compaction(&stores, designs[1]).await;
    upkeep.end_job(lease, JobEnd::Done).await.unwrap();
    assert_eq!(unfolded(3, HOUR, 9).await, [3, 1, 2], "counted above the snapshot");
    let lease = compaction(&stores, designs[1]).await;
    upkeep.commit_fold(lease, fold(designs[1], 6, 9)).await.unwrap();
    upkeep.end_job(lease, JobEnd::Done).await.unwrap();
    assert_eq!(unfolded(1, Duration::ZERO, 9).await, [3, 1, 4], "nothing is left to fold");
    stores.store.delete_design(designs[2]).await.unwrap();
    assert_eq!(unfolded(1, Duration::ZERO, 9).await, [1, 4]);
}
