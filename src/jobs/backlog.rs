//! Where blobs leave for their store, and where they wait while it is away.
//!
//! A blob that its store does not take goes, sealed, into the database: durable there, so that the work behind it goes on.
//! The drainer moves what waits, oldest first. How much may wait has a bound, across all pods: beyond it folding waits,
//! editing never.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atlas_crdt::ids::Millis;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::runner::chain;
use super::{backoff, spread};
use crate::blob::archive::{Archive, Sealed};
use crate::blob::{BlobError, BlobHash};
use crate::clock::{Clock, Ids};
use crate::store::folds::{BacklogBlob, BacklogSize};
use crate::store::upkeep::Upkeep;
use crate::store::{Result, StoreError};

/// Milliseconds. What takes a blob longer than this is taken for away …
const PUT_MS: u64 = 30_000;
/// … and as many bytes more for each of them.
const PUT_BYTES_PER_MS: u64 = 256;
/// Blobs one after the other that are not taken, after which the drainer pauses.
const FAILURES_MAX: u32 = 3;
/// Milliseconds for which a store that was away is not asked by others than the drainer.
const AWAY_MS: u64 = 30_000;
/// Milliseconds. First and longest pause of the drainer while either store is away.
const RETRY_MS: (u64, u64) = (1_000, 60_000);
/// Milliseconds between two looks for blobs that other pods left behind.
const POLL_MS: u64 = 30_000;
/// Milliseconds between two words about a backlog.
const REPORT_MS: u64 = 60_000;
/// Blobs, and their bytes, in memory at once. Few, so that a round that began before a design was deleted has ended, each of
/// its blobs being late, before `erase.rs` looks for the second time.
const ROUND_BLOBS: usize = 3;
const ROUND_BYTES: usize = 8 << 20;

/// The way out for blobs. One for each pod.
pub(super) struct Outbound {
    pub(super) archive: Archive,
    upkeep: Arc<dyn Upkeep>,
    clock: Clock,
    ids: Ids,
    /// Bytes that may wait.
    bytes_max: u64,
    /// Until then the blob store counts as away (milliseconds of the clock). Written by whoever puts, read before the next put.
    away_until: AtomicU64,
    /// Told when something begins to wait.
    waits: Notify,
}

/// What a round of the drainer came to.
#[derive(Debug)]
enum Round {
    Empty,
    Moved,
    /// One of the two stores is away, and why.
    Stuck(String),
}

/// Where the drainer is. A blob that cannot be stored is passed over, and tried again on the next way through all of them: it
/// holds up none behind it.
#[derive(Debug, Default)]
struct Lap {
    /// The number of the blob that was tried last.
    after: u64,
    /// Blobs that were not taken since one was.
    failures: u32,
    /// Some blob left on this way, …
    has_moved: bool,
    /// … and why another did not.
    cause: Option<String>,
}

/// What the drainer has told of the backlog, and when.
#[derive(Debug, Clone, Copy)]
struct Told {
    size: BacklogSize,
    at: Millis,
}

impl Outbound {
    pub(super) fn new(
        archive: Archive,
        upkeep: Arc<dyn Upkeep>,
        clock: Clock,
        ids: Ids,
        bytes_max: u64,
    ) -> Self {
        let (away_until, waits) = (AtomicU64::new(0), Notify::new());
        Self { archive, upkeep, clock, ids, bytes_max, away_until, waits }
    }

    /// Whether more may wait. What one step of folding brings may go beyond.
    pub(super) async fn has_room(&self) -> Result<bool> {
        Ok(self.upkeep.backlog_size().await?.bytes < self.bytes_max)
    }

    /// Durable on return: where it belongs, or in the backlog.
    ///
    /// # Errors
    /// The database's. `NoSuchDesign`: the design was deleted.
    pub(super) async fn keep(&self, prefix: &str, sealed: Sealed) -> Result<()> {
        if self.away_until.load(Ordering::Relaxed) <= self.clock.now().get() {
            match self.put(prefix, &sealed).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::warn!(
                        cause = chain(error),
                        "the blob store takes nothing: blobs wait in the database"
                    );
                }
            }
        }
        let Sealed { hash, bytes } = sealed;
        self.upkeep.add_to_backlog(BacklogBlob { prefix: prefix.to_owned(), hash: hash.0, bytes }).await?;
        self.waits.notify_one();
        Ok(())
    }

    async fn put(&self, prefix: &str, sealed: &Sealed) -> std::result::Result<(), BlobError> {
        let late = self.clock.now().plus(PUT_MS + sealed.bytes.len() as u64 / PUT_BYTES_PER_MS);
        let put = tokio::select! {
            biased;
            put = self.archive.put(prefix, sealed) => put.map(drop),
            () = self.clock.sleep_until(late) => Err(BlobError::Unavailable(anyhow::anyhow!("it takes too long"))),
        };
        match put {
            Ok(()) => self.away_until.store(0, Ordering::Relaxed),
            Err(BlobError::Unavailable(_) | BlobError::Refused(_)) => {
                self.away_until.store(self.clock.now().plus(AWAY_MS).get(), Ordering::Relaxed);
            }
            // That is this blob's own fault.
            Err(_) => {}
        }
        put
    }

    /// Moves what waits until told to stop.
    pub(super) async fn drain(&self, stop: &CancellationToken) {
        let mut failures = 0;
        let mut told: Option<Told> = None;
        let mut lap = Lap::default();
        while !stop.is_cancelled() {
            let round = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                round = self.round(&mut lap) => round,
            };
            let pause = match &round {
                Round::Moved => {
                    failures = 0;
                    0
                }
                Round::Empty => {
                    failures = 0;
                    spread(&self.ids, POLL_MS)
                }
                Round::Stuck(_) => {
                    failures = u32::saturating_add(failures, 1);
                    spread(&self.ids, backoff(failures - 1, RETRY_MS.0, RETRY_MS.1))
                }
            };
            self.report(&round, &mut told).await;
            let pause_ends = self.clock.now().plus(pause);
            tokio::select! {
                () = self.clock.sleep_until(pause_ends) => {}
                // New blobs are no news about a store that is away.
                () = self.waits.notified(), if matches!(round, Round::Empty) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn round(&self, lap: &mut Lap) -> Round {
        let blobs = match self.upkeep.backlog(lap.after, ROUND_BLOBS, ROUND_BYTES).await {
            Ok(blobs) => blobs,
            Err(error) => return Round::Stuck(chain(error)),
        };
        if blobs.is_empty() {
            return match std::mem::take(lap) {
                Lap { after: 0, .. } => Round::Empty,
                Lap { has_moved: false, cause: Some(cause), .. } => Round::Stuck(cause),
                // Others may have come behind our back.
                _ => Round::Moved,
            };
        }
        for (number, BacklogBlob { prefix, hash, bytes }) in blobs {
            let sealed = Sealed { hash: BlobHash(hash), bytes };
            let put = self.put(&prefix, &sealed).await;
            lap.after = number;
            if let Err(error) = put {
                let cause = chain(error);
                lap.failures += 1;
                if lap.failures < FAILURES_MAX {
                    lap.cause = Some(cause);
                    continue;
                }
                // More likely the store's fault than theirs.
                lap.failures = 0;
                return Round::Stuck(lap.cause.insert(cause).clone());
            }
            match self.upkeep.remove_from_backlog(&prefix, hash).await {
                Ok(()) | Err(StoreError::NoSuchDesign) => (lap.has_moved, lap.failures) = (true, 0),
                Err(error) => return Round::Stuck(chain(error)),
            }
        }
        Round::Moved
    }

    /// When a backlog begins, every minute while it lasts, and when it is gone.
    async fn report(&self, round: &Round, told: &mut Option<Told>) {
        let now = self.clock.now();
        let is_silent = told.is_some_and(|told| now < told.at.plus(REPORT_MS));
        match (round, told.as_ref()) {
            (Round::Empty, None) => return,
            (Round::Empty, Some(before)) => {
                tracing::info!(largest_bytes = before.size.bytes, "no blob waits any more");
                *told = None;
                return;
            }
            _ if is_silent => return,
            _ => {}
        }
        // A database that cannot say it has words of its own in the log.
        let Ok(size) = self.upkeep.backlog_size().await else { return };
        if size.blobs == 0 {
            return;
        }
        let cause = if let Round::Stuck(cause) = round { Some(cause) } else { None };
        let BacklogSize { blobs, bytes, oldest } = size;
        let oldest = oldest.map(|at| at.to_string());
        tracing::warn!(blobs, bytes, oldest, cause, "blobs wait in the database for their store");
        let largest = told.map_or(bytes, |before| before.size.bytes.max(bytes));
        *told = Some(Told { size: BacklogSize { bytes: largest, ..size }, at: now });
    }
}
