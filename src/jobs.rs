//! Work that is done aside, for the store's sake: folding logs, archiving what was folded, erasing what was deleted.
//!
//! - `jobs/sweep.rs` finds work: by hints from rooms, and by the clock;
//! - `jobs/runner.rs` claims jobs of one kind, holds their leases, and ends them;
//! - `jobs/compact.rs` folds one log; `jobs/fold.rs` is its document, `jobs/segment.rs` the layout of an archived piece;
//! - `jobs/backlog.rs` the way out for blobs, and where they wait while their store is away;
//! - `jobs/erase.rs` erases the blobs of deleted designs;
//! - `jobs/fsck.rs` checks what is stored.
//!
//! A job may run twice, or be cut off anywhere: each step is durable before the next one builds upon it, and what a
//! holder writes names its lease, so that one who lost it without noticing writes nothing.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::blob::archive::Archive;
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;
use crate::store::jobs::JobKind;
use crate::store::upkeep::Upkeep;

mod backlog;
mod compact;
mod erase;
mod fold;
pub mod fsck;
mod runner;
pub mod segment;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use backlog::Outbound;
use compact::{Compact, Portions};
use erase::Erase;
use runner::Runner;
use sweep::Sweep;

/// When logs are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldSettings {
    /// Rows above the snapshot, or …
    pub rows: u64,
    /// … bytes in them, or …
    pub bytes: u64,
    /// … rows when the last connection leaves, or …
    pub rows_at_leave: u64,
    /// … any, when none came for so long.
    pub quiet_for: Duration,
    /// How long rows stay after they were written, for pods that read on from them. Folded, they are in the snapshot, too.
    pub keep: Duration,
    /// Between two looks for logs that nobody hinted at.
    pub sweep_every: Duration,
}

/// What jobs may use, and how they go about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSettings {
    pub folds: FoldSettings,
    /// Jobs of one kind that this pod does at once.
    pub workers: usize,
    /// Bytes of blobs that may wait for their store, of all pods together. Beyond it logs are not folded.
    pub backlog_bytes_max: u64,
    /// How long a repeated append finds its `seq` after its row was folded.
    pub appends_kept: Duration,
}

/// What jobs stand on.
pub struct JobDeps {
    pub upkeep: Arc<dyn Upkeep>,
    pub archive: Archive,
    pub clock: Clock,
    pub ids: Ids,
    pub tasks: Tasks,
    pub pod: PodId,
    pub settings: JobSettings,
}

impl std::fmt::Debug for JobDeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobDeps").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The jobs of this pod.
#[derive(Debug)]
pub struct Jobs {
    stop: CancellationToken,
}

impl Jobs {
    /// Takes hints about long logs. With `works` it also does what there is to do; without, other pods do it.
    #[must_use]
    pub fn start(deps: JobDeps, hints: mpsc::Receiver<DesignId>, works: bool) -> Self {
        let JobDeps { upkeep, archive, clock, ids, tasks, pod, settings } = deps;
        // The tasks' own token ends them, too.
        let stop = tasks.token().child_token();
        let wake = Arc::new(Notify::new());
        let sweep = Sweep {
            upkeep: Arc::clone(&upkeep),
            clock: clock.clone(),
            ids: ids.clone(),
            settings: settings.folds,
            appends_kept: settings.appends_kept,
            wake: Arc::clone(&wake),
            stop: stop.clone(),
        };
        tasks.spawn("hints about long logs", sweep.clone().listen(hints));
        if !works {
            return Self { stop };
        }
        tasks.spawn("sweep for long logs", sweep.sweep());
        let max = settings.backlog_bytes_max;
        let (up, its_clock, its_ids) = (Arc::clone(&upkeep), clock.clone(), ids.clone());
        let outbound = Arc::new(Outbound::new(archive.clone(), up, its_clock, its_ids, max));
        let (drainer, token) = (Arc::clone(&outbound), stop.clone());
        tasks.spawn("drainer of waiting blobs", async move { drainer.drain(&token).await });
        // What is to be erased comes without a hint.
        let unhinted = Arc::new(Notify::new());
        let runner = |kind, wake: &Arc<Notify>| Runner {
            kind,
            upkeep: Arc::clone(&upkeep),
            clock: clock.clone(),
            ids: ids.clone(),
            pod,
            wake: Arc::clone(wake),
            stop: stop.clone(),
        };
        let compact = Arc::new(Compact {
            upkeep: Arc::clone(&upkeep),
            outbound,
            clock: clock.clone(),
            ids: ids.clone(),
            settings: settings.folds,
            portions: Portions::default(),
        });
        let erase = Arc::new(Erase::new(archive, ids.clone()));
        for _ in 0..settings.workers {
            let (runner_of_folds, compact) = (runner(JobKind::Compact, &wake), Arc::clone(&compact));
            tasks.spawn("folding", async move { runner_of_folds.run(|job| compact.run(job)).await });
            let (runner_of_erasures, erase) = (runner(JobKind::Erase, &unhinted), Arc::clone(&erase));
            tasks.spawn("erasing", async move { runner_of_erasures.run(|job| erase.run(job)).await });
        }
        Self { stop }
    }

    /// Ends all of it soon. What is in work is put back for others.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// `ms`, give or take a fifth, so that pods that began together do not go on together.
fn spread(ids: &Ids, ms: u64) -> u64 {
    ms - ms / 5 + ids.seed() % (ms / 5 * 2 + 1)
}

/// `least_ms`, doubled with each failure, up to `most_ms`.
fn backoff(failures: u32, least_ms: u64, most_ms: u64) -> u64 {
    least_ms.saturating_mul(1 << failures.min(30)).min(most_ms)
}
