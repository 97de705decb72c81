//! Work that is done aside: folding logs, archiving what was folded, erasing what was deleted, analysing what has settled.
//!
//! - `jobs/sweep.rs` finds work: by hints from rooms, and by the clock;
//! - `jobs/runner.rs` claims jobs of one kind, holds their leases, and ends them;
//! - `jobs/compact.rs` folds one log; `jobs/fold.rs` is its document, `jobs/segment.rs` the layout of an archived piece;
//! - `jobs/backlog.rs` the way out for blobs, and where they wait while their store is away;
//! - `jobs/erase.rs` erases the blobs of deleted designs;
//! - `jobs/settled.rs` finds designs to be analysed, `jobs/analyze.rs` analyses one, `jobs/score.rs` is its score with what
//!   people decided, `jobs/pace.rs` how often the rules run;
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
use crate::bus::Bus;
use crate::clock::{Clock, Ids};
use crate::lifecycle::Tasks;
use crate::store::Stores;
use crate::store::analyses::{AnalysisCounters, AnalysisHint};
use crate::store::jobs::JobKind;

mod analyze;
mod backlog;
mod compact;
mod erase;
mod fold;
pub mod fsck;
mod pace;
mod runner;
mod score;
pub mod segment;
mod settled;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use analyze::Analyze;
use backlog::Outbound;
use compact::{Compact, Portions};
use erase::Erase;
use runner::{Runner, Terms};
use settled::Settled;
use sweep::Sweep;

/// Milliseconds between two looks for designs to be analysed that nobody here was told of.
const ANALYSIS_POLL_MS: u64 = 1_000;

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

/// When designs are analysed that nobody said have settled, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalysisSettings {
    /// Designs that this pod analyses at once.
    pub workers: usize,
    /// How long somebody who stopped may hold a design before another pod takes it over.
    pub lease: Duration,
    /// Between two looks for designs that nobody said have settled …
    pub sweep_every: Duration,
    /// … and that nobody has edited for so long.
    pub quiet_for: Duration,
}

/// What jobs may use, and how they go about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSettings {
    pub folds: FoldSettings,
    pub analyses: AnalysisSettings,
    /// Jobs of one kind that this pod does at once.
    pub workers: usize,
    /// Bytes of blobs that may wait for their store, of all pods together. Beyond it logs are not folded.
    pub backlog_bytes_max: u64,
    /// How long a repeated append finds its `seq` after its row was folded.
    pub appends_kept: Duration,
}

/// What jobs stand on.
pub struct JobDeps {
    pub stores: Stores,
    pub bus: Arc<dyn Bus>,
    pub archive: Archive,
    pub clock: Clock,
    pub ids: Ids,
    pub tasks: Tasks,
    pub pod: PodId,
    pub settings: JobSettings,
    pub counters: Arc<AnalysisCounters>,
}

/// What jobs are told by those who serve people.
#[derive(Debug)]
pub struct Hints {
    /// Long logs.
    pub folds: mpsc::Receiver<DesignId>,
    /// Designs that have settled.
    pub analyses: mpsc::Receiver<AnalysisHint>,
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
    /// Takes hints. With `works` it also does what there is to do; without, other pods do it.
    #[must_use]
    pub fn start(deps: JobDeps, hints: Hints, works: bool) -> Self {
        // The tasks' own token ends them, too.
        let stop = deps.tasks.token().child_token();
        let this = Start { deps, stop: stop.clone() };
        this.folding(hints.folds, works);
        this.analysing(hints.analyses, works);
        Self { stop }
    }

    /// Ends all of it soon. What is in work is put back for others.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// What is needed once, to start them.
struct Start {
    deps: JobDeps,
    stop: CancellationToken,
}

impl Start {
    fn runner(&self, kind: JobKind, terms: Terms, wake: &Arc<Notify>) -> Runner {
        Runner {
            kind,
            terms,
            upkeep: Arc::clone(&self.deps.stores.upkeep),
            clock: self.deps.clock.clone(),
            ids: self.deps.ids.clone(),
            pod: self.deps.pod,
            wake: Arc::clone(wake),
            stop: self.stop.clone(),
        }
    }

    fn folding(&self, hints: mpsc::Receiver<DesignId>, works: bool) {
        let JobDeps { stores, archive, clock, ids, tasks, settings, .. } = &self.deps;
        let wake = Arc::new(Notify::new());
        let sweep = Sweep {
            upkeep: Arc::clone(&stores.upkeep),
            clock: clock.clone(),
            ids: ids.clone(),
            settings: settings.folds,
            appends_kept: settings.appends_kept,
            wake: Arc::clone(&wake),
            stop: self.stop.clone(),
        };
        tasks.spawn("hints about long logs", sweep.clone().listen(hints));
        if !works {
            return;
        }
        tasks.spawn("sweep for long logs", sweep.sweep());
        let max = settings.backlog_bytes_max;
        let (up, its_clock, its_ids) = (Arc::clone(&stores.upkeep), clock.clone(), ids.clone());
        let outbound = Arc::new(Outbound::new(archive.clone(), up, its_clock, its_ids, max));
        let (drainer, token) = (Arc::clone(&outbound), self.stop.clone());
        tasks.spawn("drainer of waiting blobs", async move { drainer.drain(&token).await });
        // What is to be erased comes without a hint.
        let unhinted = Arc::new(Notify::new());
        let compact = Arc::new(Compact {
            upkeep: Arc::clone(&stores.upkeep),
            outbound,
            clock: clock.clone(),
            ids: ids.clone(),
            settings: settings.folds,
            portions: Portions::default(),
        });
        let erase = Arc::new(Erase::new(archive.clone(), ids.clone()));
        for _ in 0..settings.workers {
            let runner_of_folds = self.runner(JobKind::Compact, Terms::default(), &wake);
            let compact = Arc::clone(&compact);
            tasks.spawn("folding", async move { runner_of_folds.run(|job| compact.run(job)).await });
            let runner_of_erasures = self.runner(JobKind::Erase, Terms::default(), &unhinted);
            let erase = Arc::clone(&erase);
            tasks.spawn("erasing", async move { runner_of_erasures.run(|job| erase.run(job)).await });
        }
    }

    fn analysing(&self, hints: mpsc::Receiver<AnalysisHint>, works: bool) {
        let JobDeps { stores, bus, clock, ids, tasks, pod, settings, counters, .. } = &self.deps;
        let wake = Arc::new(Notify::new());
        let settled = Settled {
            upkeep: Arc::clone(&stores.upkeep),
            analyses: Arc::clone(&stores.analyses),
            bus: Arc::clone(bus),
            pod: *pod,
            clock: clock.clone(),
            ids: ids.clone(),
            settings: settings.analyses,
            wake: works.then(|| Arc::clone(&wake)),
            stop: self.stop.clone(),
        };
        tasks.spawn("hints about settled designs", settled.clone().listen(hints));
        if !works {
            return;
        }
        tasks.spawn("words about work", settled.clone().hear());
        tasks.spawn("sweep for settled designs", settled.sweep());
        let analyze = Arc::new(Analyze {
            store: Arc::clone(&stores.store),
            analyses: Arc::clone(&stores.analyses),
            bus: Arc::clone(bus),
            voice: ids.pod(),
            clock: clock.clone(),
            ids: ids.clone(),
            counters: Arc::clone(counters),
        });
        let lease_ms = u64::try_from(settings.analyses.lease.as_millis()).unwrap_or(u64::MAX);
        // People wait for it, and not every pod hears every hint. It gives up by itself.
        let terms = Terms { lease_ms, poll_ms: ANALYSIS_POLL_MS, suspicious_failures: u32::MAX };
        for _ in 0..settings.analyses.workers {
            let runner = self.runner(JobKind::Analyze, terms, &wake);
            let analyze = Arc::clone(&analyze);
            tasks.spawn("analysing", async move { runner.run(|job| analyze.run(job)).await });
        }
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
