//! Folds a design's log: the rows go into segments, the document into a snapshot, and then the rows go.
//!
//! In this order, so that nothing is deleted before what supersedes it is durable: segments are blobs or in the backlog; so is
//! the snapshot, read back and compared; one short transaction notes both; and only then rows are deleted, few at a time, once
//! they are old enough that no other pod reads on from them. Memory holds the document, and one piece of the log.
//!
//! A fold that is cut off leaves blobs that nothing names. The next one makes the same bytes of the same rows, and so the
//! same blobs; what is left of others goes when the design is deleted.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{DesignId, Generation, Seq};

use super::backlog::Outbound;
use super::fold::{FoldFault, Folded, Folding};
use super::runner::chain;
use super::segment::{self, SegmentFault};
use super::{FoldSettings, backoff, spread};
use crate::blob::BlobError;
use crate::blob::archive::Sealed;
use crate::clock::{Clock, Ids};
use crate::lifecycle;
use crate::store::StoreError;
use crate::store::folds::{ArchivedRow, Fold, FoldState, Segment};
use crate::store::jobs::{Job, JobEnd, JobLease};
use crate::store::upkeep::Upkeep;

/// Rows deleted in one transaction, and milliseconds between two: appends of others get in between.
const PRUNE_ROWS: usize = 500;
const PRUNE_PAUSE_MS: u64 = 10;
const PRUNE_PAUSE_MAX_MS: u64 = 1_000;
/// Milliseconds. First and longest wait before a job is tried again after a store was unavailable.
const RETRY_MS: (u64, u64) = (2_000, 300_000);
/// What is damaged does not mend itself.
const DAMAGED_RETRY: Duration = Duration::from_hours(6);
/// Until the drainer has made room.
const NO_ROOM_RETRY: Duration = Duration::from_mins(1);
/// Until whatever came in between has passed.
const FENCED_RETRY: Duration = Duration::from_secs(2);

/// How much is done at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portions {
    /// Rows, and bytes of them, that are read at once and make one segment.
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Such pieces after which a fold is noted, so that a long one is never begun anew from its beginning.
    pub(super) pieces: usize,
}

impl Default for Portions {
    fn default() -> Self {
        Self { rows: 2_000, bytes: 4 << 20, pieces: 64 }
    }
}

/// The work of a `Compact` job.
pub(super) struct Compact {
    pub(super) upkeep: Arc<dyn Upkeep>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) settings: FoldSettings,
    pub(super) portions: Portions,
}

/// Why a fold did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fold(#[from] FoldFault),
    #[error("a piece of the log cannot be archived")]
    Segment(#[from] SegmentFault),
    #[error("a piece of the log, or its snapshot, cannot be sealed")]
    Seal(#[source] BlobError),
    #[error(transparent)]
    Background(#[from] lifecycle::BackgroundFault),
}

type Result<T> = std::result::Result<T, Fault>;

/// Whether everything that was there is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Whole,
    /// The backlog of blobs is full.
    NoRoom,
}

impl Compact {
    pub(super) async fn run(&self, job: Job) -> JobEnd {
        match self.compact(job.lease).await {
            Ok(end) => end,
            Err(fault) => self.failed(&job, fault),
        }
    }

    fn failed(&self, job: &Job, fault: Fault) -> JobEnd {
        let design = job.lease.design;
        let retry_in = match &fault {
            Fault::Store(StoreError::NoSuchDesign) => return JobEnd::Done,
            Fault::Store(StoreError::Fenced | StoreError::Folded) => {
                tracing::info!(%design, "a fold was overtaken");
                return JobEnd::Later(FENCED_RETRY);
            }
            Fault::Store(StoreError::Damaged(_)) | Fault::Fold(_) | Fault::Segment(_) | Fault::Seal(_) => {
                DAMAGED_RETRY
            }
            Fault::Store(_) | Fault::Background(_) => {
                let (least, most) = RETRY_MS;
                Duration::from_millis(spread(&self.ids, backoff(job.failures, least, most)))
            }
        };
        let reason = chain(fault);
        if retry_in == DAMAGED_RETRY {
            tracing::error!(%design, reason, "a log cannot be folded and stays as it is: run `fsck`");
        } else {
            tracing::warn!(%design, reason, "a log was not folded and will be tried again");
        }
        JobEnd::Failed { retry_in, reason }
    }

    async fn compact(&self, lease: JobLease) -> Result<JobEnd> {
        let Some(state) = self.upkeep.fold_state(lease.design).await? else { return Ok(JobEnd::Done) };
        let progress = self.fold(lease, state).await?;
        let has_young = self.prune(lease).await?;
        Ok(match progress {
            Progress::NoRoom => JobEnd::Later(NO_ROOM_RETRY),
            Progress::Whole if has_young => JobEnd::Later(self.settings.keep),
            Progress::Whole => JobEnd::Done,
        })
    }

    async fn fold(&self, lease: JobLease, state: FoldState) -> Result<Progress> {
        let FoldState { generation, head, snapshot, archived, .. } = state;
        let folded = snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
        if head <= folded {
            return Ok(Progress::Whole);
        }
        let mut rows = self.rows(lease.design, folded).await?;
        if !self.is_worth_it(&rows, head) {
            return Ok(Progress::Whole);
        }
        if !self.outbound.has_room().await? {
            return Ok(Progress::NoRoom);
        }
        let began = self.clock.now();
        let client = self.ids.client();
        let mut work = Work { design: lease.design, generation, archived, segments: Vec::new(), bytes: 0 };
        let mut folding = aside(move || Folding::start(client, snapshot.as_ref())).await??;
        let mut pieces = 0;
        let progress = loop {
            folding = self.piece(&mut work, folding, rows).await?;
            pieces += 1;
            let is_whole = head <= folding.seq();
            if is_whole || pieces % self.portions.pieces == 0 {
                folding = self.note(lease, &mut work, folding).await?;
                if is_whole {
                    break Progress::Whole;
                }
                if !self.outbound.has_room().await? {
                    break Progress::NoRoom;
                }
            }
            rows = self.rows(lease.design, folding.seq()).await?;
        };
        let (rows, ms) = (folding.seq().get() - folded.get(), self.clock.now().since(began));
        tracing::info!(design = %lease.design, seq = %folding.seq(), rows, bytes = work.bytes, ms, "a log was folded");
        Ok(progress)
    }

    async fn rows(&self, design: DesignId, after: Seq) -> Result<Vec<ArchivedRow>> {
        let rows = self.upkeep.archive_rows(design, after, self.portions.rows, self.portions.bytes).await?;
        if rows.is_empty() {
            return Err(FoldFault::Hole { expected: after.next() }.into());
        }
        Ok(rows)
    }

    /// A job is asked for in many ways, and may find that others were faster.
    fn is_worth_it(&self, rows: &[ArchivedRow], head: Seq) -> bool {
        let settings = &self.settings;
        let Some(last) = rows.last() else { return false };
        let bytes: usize = rows.iter().map(|row| row.update.len()).sum();
        let quiet = settings.quiet_for <= (self.clock.utc() - last.at);
        last.seq < head
            || settings.rows_at_leave.min(settings.rows) <= rows.len() as u64
            || settings.bytes <= bytes as u64
            || quiet
    }

    /// Applies one piece of the log and archives it.
    async fn piece(&self, work: &mut Work, folding: Folding, rows: Vec<ArchivedRow>) -> Result<Folding> {
        let (design, generation, archived) = (work.design, work.generation, work.archived);
        let archive = self.outbound.archive.clone();
        let (folding, sealed) = aside(move || {
            let mut folding = folding;
            folding.take(&rows)?;
            // Of rows that an earlier fold archived, none are archived again.
            let fresh = &rows[rows.partition_point(|row| row.seq <= archived)..];
            let (Some(first), Some(last)) = (fresh.first(), fresh.last()) else { return Ok((folding, None)) };
            let ends = [first, last].map(|row| (row.seq, row.at));
            let sealed = archive.seal(&segment::encode(design, generation, fresh)?).map_err(Fault::Seal)?;
            Ok::<_, Fault>((folding, Some((sealed, ends))))
        })
        .await??;
        if let Some((sealed, [(first, from), (last, to)])) = sealed {
            let (hash, bytes) = (sealed.hash.0, sealed.bytes.len() as u64);
            let segment = Segment { first, last, hash, bytes, from, to };
            self.outbound.keep(&segments_of(work.design), sealed).await?;
            work.bytes += segment.bytes;
            work.archived = segment.last;
            work.segments.push(segment);
        }
        Ok(folding)
    }

    /// Makes durable what was folded so far.
    async fn note(&self, lease: JobLease, work: &mut Work, folding: Folding) -> Result<Folding> {
        let archive = self.outbound.archive.clone();
        let (folding, folded, sealed) = aside(move || {
            let folded = folding.finish()?;
            let sealed = archive.seal(&folded.snapshot).map_err(Fault::Seal)?;
            Ok::<_, Fault>((folding, folded, sealed))
        })
        .await??;
        let Folded { seq, snapshot, nodes, edges } = folded;
        let Sealed { hash, .. } = sealed;
        self.outbound.keep(&snapshots_of(lease.design), sealed).await?;
        let (design, generation, hash) = (lease.design, work.generation, hash.0);
        let segments = std::mem::take(&mut work.segments);
        let fold = Fold { design, generation, seq, snapshot, hash, nodes, edges, segments };
        self.upkeep.commit_fold(lease, fold).await?;
        Ok(folding)
    }

    /// True: some rows are too young to go.
    async fn prune(&self, lease: JobLease) -> Result<bool> {
        loop {
            let began = self.clock.now();
            let pruned = self.upkeep.prune_folded(lease, PRUNE_ROWS, self.settings.keep).await?;
            if !pruned.has_more || pruned.deleted == 0 {
                return Ok(pruned.has_young || pruned.has_more);
            }
            // Half of the time the database is left to those who write, however slow it is.
            let now = self.clock.now();
            let pause = now.since(began).clamp(PRUNE_PAUSE_MS, PRUNE_PAUSE_MAX_MS);
            self.clock.sleep_until(now.plus(pause)).await;
        }
    }
}

/// What is known of a fold under way, besides its document.
struct Work {
    design: DesignId,
    generation: Generation,
    /// Segments hold the log up to here.
    archived: Seq,
    /// Not noted yet.
    segments: Vec<Segment>,
    /// Of all segments, as stored.
    bytes: u64,
}

/// Where the blobs of a design's segments lie.
pub(super) fn segments_of(design: DesignId) -> String {
    format!("designs/{design}/segments")
}

/// Where the blobs of a design's snapshots lie.
pub(super) fn snapshots_of(design: DesignId) -> String {
    format!("designs/{design}/snapshots")
}

/// Runs what takes a core for a while where it takes none from those who serve.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    Ok(lifecycle::in_background(work).await?)
}
