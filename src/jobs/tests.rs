//! Stories of logs that are folded.

mod analyses;
mod fsck;
mod interrupted;
mod runners;

use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::ids::{AppendId, Seq};
use atlas_crdt::room::Append;
use bytes::Bytes;

use super::compact::{Compact, segments_of};
use super::testing::{LEASE, SETTINGS, World, eventually};
use super::*;
use crate::blob::BlobHash;
use crate::store::folds::ArchivedRow;
use crate::store::jobs::JobEnd;
use crate::store::upkeep::Upkeep as _;
use crate::store::{Store as _, StoreError};

const KEEP: Duration = SETTINGS.folds.keep;

/// Every row that segments hold, from the first on.
async fn archived(world: &World) -> Vec<ArchivedRow> {
    let remains = world.store.remains(world.design).await.unwrap().unwrap();
    let mut rows = Vec::new();
    for segment in &remains.segments {
        let blob =
            world.archive.get(&segments_of(world.design), BlobHash(segment.hash)).await.unwrap().unwrap();
        let read = segment::decode(&blob).unwrap();
        assert_eq!(read.design, world.design);
        assert_eq!((read.rows[0].at, read.rows[0].seq), (segment.from, segment.first));
        rows.extend(read.rows);
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_archived_folded_and_deleted() {
    let mut world = World::new().await;
    world.edit(149).await;
    let before = world.store.log_after(world.design, Seq::ZERO, 1_000).await.unwrap();
    let expected = world.expected();
    assert!(20 < expected.nodes.len());

    assert_eq!(world.fold().await, JobEnd::Later(KEEP), "the rows are young");
    let state = world.state().await;
    assert_eq!((state.archived.get(), world.folded().await, state.folded_rows), (150, 150, 150));
    assert_eq!(world.stored().await, expected);
    assert_eq!(world.check().await, [""; 0]);

    world.clock.advance(KEEP);
    assert_eq!(world.fold().await, JobEnd::Done);
    assert_eq!(world.state().await.folded_rows, 0);
    assert_eq!(world.stored().await, expected);
    assert_eq!(world.check().await, [""; 0]);
    let read_on = world.store.log_after(world.design, Seq::new(10), 10).await;
    assert!(matches!(read_on, Err(StoreError::Folded)), "{read_on:?}");

    // Nothing of the log is lost: who wrote what, and when.
    let rows = archived(&world).await;
    assert_eq!(rows.len(), 150);
    for ((row, append), was) in rows.iter().zip(&world.written).zip(&before) {
        assert_eq!(
            (row.append_id, &row.update, &row.authors),
            (append.append_id, &append.update, &append.authors)
        );
        assert_eq!((row.seq, &row.update), (was.seq, &was.update));
    }
    assert!(rows.windows(2).all(|pair| pair[0].at <= pair[1].at) && rows[1].at < rows[149].at);
    // An author whose answer was lost asks again, long after the row is gone.
    let again = world.store.append(world.design, world.written[77].clone()).await.unwrap();
    assert_eq!(again, Seq::new(78));

    // And the next fold goes on where this one ended.
    world.edit(50).await;
    world.clock.advance(KEEP);
    assert_eq!(world.fold().await, JobEnd::Done);
    assert_eq!(archived(&world).await.len(), 200);
    assert_eq!(world.stored().await, world.expected());
    assert_eq!(world.check().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_rows_are_folded_only_when_nobody_writes_any_more() {
    let mut world = World::new().await;
    world.edit(5).await;
    assert_eq!(world.fold().await, JobEnd::Done);
    assert_eq!(world.folded().await, 0);
    world.clock.advance(SETTINGS.folds.quiet_for);
    assert_eq!(world.fold().await, JobEnd::Done, "old rows go at once");
    assert_eq!(world.folded().await, 6);
    assert_eq!(world.fold().await, JobEnd::Done, "and once more changes nothing");
    world.edit(9).await;
    assert_eq!(world.fold().await, JobEnd::Done);
    assert_eq!(world.folded().await, 6);
    world.edit(1).await;
    assert_eq!(world.fold().await, JobEnd::Later(KEEP));
    assert_eq!(world.folded().await, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_blob_store_does_not_take_waits_and_drains() {
    let mut world = World::new().await;
    world.edit(100).await;
    world.blobs.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(KEEP);
    let compact = world.compact();
    assert_eq!(world.fold_with(&compact).await, JobEnd::Done, "rows go: their segments are durable");
    assert_eq!(world.blobs.refusals.load(Ordering::SeqCst), 1, "a store that is away is asked once");
    assert_eq!(world.folded().await, world.head());
    let size = world.store.backlog_size().await.unwrap();
    // Six pieces in two steps.
    assert_eq!(size.blobs, 6 + 2);
    assert_eq!(world.state().await.folded_rows, 0);
    assert_eq!(world.stored().await, world.expected());

    let stop = CancellationToken::new();
    let drained = async {
        let away = world.blobs.refusals.load(Ordering::SeqCst);
        // It asks again and again, until the store is back.
        eventually(&world.clock, "asking", async || away + 3 < world.blobs.refusals.load(Ordering::SeqCst))
            .await;
        assert_eq!(world.store.backlog_size().await.unwrap(), size);
        world.blobs.is_away.store(false, Ordering::SeqCst);
        eventually(&world.clock, "draining", async || world.store.backlog_size().await.unwrap().blobs == 0)
            .await;
        stop.cancel();
    };
    tokio::join!(compact.outbound.drain(&stop), drained);
    assert_eq!(world.check().await, [""; 0]);
    assert_eq!(archived(&world).await.len(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_that_are_not_taken_hold_up_none_behind_them() {
    let mut world = World::new().await;
    world.edit(100).await;
    world.blobs.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(KEEP);
    let compact = world.compact();
    assert_eq!(world.fold_with(&compact).await, JobEnd::Done);
    let waiting = world.store.backlog(0, 100, 1 << 20).await.unwrap();
    assert_eq!(waiting.len(), 8);
    // More than the drainer takes for the store's own fault, at the head of the queue.
    let refused: Vec<_> = waiting[..5].iter().map(|(_, blob)| BlobHash(blob.hash)).collect();
    world.blobs.refused.lock().unwrap().clone_from(&refused);
    world.blobs.is_away.store(false, Ordering::SeqCst);
    let stop = CancellationToken::new();
    let left = async || world.store.backlog_size().await.unwrap().blobs;
    let drained = async {
        eventually(&world.clock, "those behind", async || left().await == 5).await;
        let asked = world.blobs.refusals.load(Ordering::SeqCst);
        eventually(&world.clock, "asking again", async || {
            asked + 5 < world.blobs.refusals.load(Ordering::SeqCst)
        })
        .await;
        world.blobs.refused.lock().unwrap().clear();
        eventually(&world.clock, "draining", async || left().await == 0).await;
        stop.cancel();
    };
    tokio::join!(compact.outbound.drain(&stop), drained);
    assert_eq!(world.check().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_store_that_never_answers_is_away() {
    let mut world = World::new().await;
    world.edit(20).await;
    world.blobs.is_silent.store(true, Ordering::SeqCst);
    let time = async {
        while world.blobs.refusals.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The first blob is on its way now, and late then. No other is tried as long as time stands still.
        world.clock.advance(Duration::from_secs(31));
    };
    let (end, ()) = tokio::join!(world.fold(), time);
    assert_eq!(end, JobEnd::Later(KEEP));
    assert_eq!(world.blobs.refusals.load(Ordering::SeqCst), 1);
    assert_eq!(world.folded().await, world.head());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_backlog_stops_folding_and_nothing_else() {
    let mut world = World::new().await;
    world.edit(70).await;
    world.blobs.is_away.store(true, Ordering::SeqCst);
    let compact = Compact { outbound: world.outbound(10), ..world.compact() };
    let end = world.fold_with(&compact).await;
    assert!(matches!(end, JobEnd::Later(wait) if wait < KEEP), "{end:?}");
    assert_eq!(world.folded().await, 60, "the step that was begun is noted");
    assert!(matches!(world.fold_with(&compact).await, JobEnd::Later(_)));
    assert_eq!(world.folded().await, 60);
    world.edit(10).await;
    assert_eq!(world.stored().await, world.expected());
    // What is folded already goes all the same.
    world.clock.advance(KEEP);
    assert!(matches!(world.fold_with(&compact).await, JobEnd::Later(_)));
    assert_eq!(world.state().await.folded_rows, 0);

    world.blobs.is_away.store(false, Ordering::SeqCst);
    let stop = CancellationToken::new();
    let drained = async {
        eventually(&world.clock, "draining", async || world.store.backlog_size().await.unwrap().blobs == 0)
            .await;
        stop.cancel();
    };
    tokio::join!(compact.outbound.drain(&stop), drained);
    world.fold_with(&compact).await;
    assert_eq!(world.folded().await, world.head());
    assert_eq!(world.check().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_never_folded() {
    let mut world = World::new().await;
    world.edit(30).await;
    let garbage = Append {
        after: Seq::ZERO,
        exactly: false,
        append_id: AppendId::from_u128(1),
        update: Bytes::from_static(b"no update"),
        authors: Vec::new(),
        claims: Vec::new(),
        name: None,
    };
    world.store.append(world.design, garbage).await.unwrap();
    let end = world.fold().await;
    let JobEnd::Failed { retry_in, reason } = end else { panic!("{end:?}") };
    assert!(Duration::from_hours(1) < retry_in);
    assert!(reason.contains("row 32"), "{reason}");
    let state = world.state().await;
    assert_eq!((state.snapshot, state.archived), (None, Seq::ZERO));

    // A hole, and whatever lies behind it.
    let mut world = World::new().await;
    world.edit(30).await;
    world.tamper("DELETE FROM design_updates WHERE seq = 25").await;
    let end = world.fold().await;
    assert!(matches!(&end, JobEnd::Failed { reason, .. } if reason.contains("25")), "{end:?}");
    assert_eq!(world.folded().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_the_lease_changes_nothing() {
    let mut world = World::new().await;
    world.edit(100).await;
    let compact = world.compact();
    let late = world.claim().await;
    // It has come to a stop somewhere, and its lease runs out.
    world.clock.advance(LEASE);
    assert_eq!(world.fold().await, JobEnd::Later(KEEP));
    let before = world.state().await;
    world.edit(20).await;
    assert!(matches!(compact.run(late).await, JobEnd::Later(_)));
    assert_eq!(world.state().await.snapshot, before.snapshot);
    assert_eq!(world.check().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_design_that_goes_ends_its_fold_and_loses_its_blobs() {
    let mut world = World::new().await;
    world.edit(50).await;
    world.fold().await;
    world.edit(50).await;
    let job = world.claim().await;
    assert!(world.store.delete_design(world.design).await.unwrap());
    assert_eq!(world.compact().run(job).await, JobEnd::Done);
    let erase = Erase::new(world.archive.clone(), world.ids.clone());
    let claim = async || world.store.claim_job(JobKind::Erase, PodId::new(1), LEASE).await.unwrap();
    let list = async || world.archive.blobs().list("designs", None, 10).await.unwrap();
    assert!(!list().await.is_empty());

    let job = claim().await.unwrap();
    world.blobs.is_away.store(true, Ordering::SeqCst);
    let end = erase.run(job.clone()).await;
    assert!(matches!(end, JobEnd::Failed { .. }), "{end:?}");
    world.blobs.is_away.store(false, Ordering::SeqCst);
    let end = erase.run(job.clone()).await;
    assert!(matches!(end, JobEnd::Later(_)), "{end:?}");
    assert!(list().await.is_empty());
    // A blob that was on its way arrives.
    let sealed = world.archive.seal(b"late").unwrap();
    world.archive.put(&segments_of(world.design), &sealed).await.unwrap();
    assert!(matches!(erase.run(job.clone()).await, JobEnd::Later(_)));
    assert!(list().await.is_empty());
    assert_eq!(erase.run(job).await, JobEnd::Done);
}

#[test]
fn pauses_grow_to_their_bound_and_are_spread() {
    assert_eq!([0, 1, 2, 3, 100].map(|failures| backoff(failures, 50, 300)), [50, 100, 200, 300, 300]);
    let ids = Ids::seeded(Clock::manual(), 1);
    let spread: Vec<u64> = (0..1_000).map(|_| spread(&ids, 1_000)).collect();
    assert!(spread.iter().all(|ms| (800..=1_200).contains(ms)));
    assert!(spread.iter().any(|ms| *ms < 850) && spread.iter().any(|ms| 1_150 < *ms));
}
