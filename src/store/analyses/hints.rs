//! The way by which jobs hear of designs to be analysed, and what they count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atlas_crdt::ids::DesignId;
use tokio::sync::mpsc;

/// What the jobs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnalysisHint {
    /// Nobody has changed the design for a while: look at it.
    Settled(DesignId),
    /// A job stands in the store already: look for it.
    Waits,
}

/// Where hints about analyses go. A hint, nothing more: one that finds the queue full is dropped, and the jobs find the
/// design a little later by themselves.
#[derive(Debug, Clone)]
pub struct AnalysisHints {
    to: mpsc::Sender<AnalysisHint>,
    /// Written by whoever finds the queue full, read by figures.
    dropped: Arc<AtomicU64>,
}

impl AnalysisHints {
    /// `places`: hints that may wait.
    #[must_use]
    pub fn channel(places: usize) -> (Self, mpsc::Receiver<AnalysisHint>) {
        let (to, hints) = mpsc::channel(places);
        (Self { to, dropped: Arc::default() }, hints)
    }

    /// The design has settled. False: the hint was dropped.
    pub fn settled(&self, design: DesignId) -> bool {
        self.give(AnalysisHint::Settled(design))
    }

    /// A job was enqueued. False: the hint was dropped.
    pub fn waits(&self) -> bool {
        self.give(AnalysisHint::Waits)
    }

    fn give(&self, hint: AnalysisHint) -> bool {
        let is_given = self.to.try_send(hint).is_ok();
        if !is_given {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        is_given
    }

    /// Hints dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// What became of the runs of this process since its start. Written by the jobs, read by health pages.
#[derive(Debug, Default)]
pub struct AnalysisCounters {
    runs: AtomicU64,
    settle_skipped_noop: AtomicU64,
    cache_hits: AtomicU64,
    rescored: AtomicU64,
    failures: AtomicU64,
    dead_letters: AtomicU64,
}

/// [`AnalysisCounters`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnalysisFigures {
    /// The rules ran.
    pub runs: u64,
    /// Nothing that rules can see had changed.
    pub settle_skipped_noop: u64,
    /// The rules had said it before, as after an edit and its undo.
    pub cache_hits: u64,
    /// Only what people decided had changed.
    pub rescored: u64,
    /// Tries that failed.
    pub failures: u64,
    /// Jobs that were given up.
    pub dead_letters: u64,
}

impl AnalysisCounters {
    pub fn ran(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }

    pub fn skipped(&self) {
        self.settle_skipped_noop.fetch_add(1, Ordering::Relaxed);
    }

    pub fn hit(&self) {
        self.cache_hits.fetch_add(1, Ordering::Relaxed);
    }

    pub fn rescored(&self) {
        self.rescored.fetch_add(1, Ordering::Relaxed);
    }

    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn gave_up(&self) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn read(&self) -> AnalysisFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AnalysisFigures {
            runs: read(&self.runs),
            settle_skipped_noop: read(&self.settle_skipped_noop),
            cache_hits: read(&self.cache_hits),
            rescored: read(&self.rescored),
            failures: read(&self.failures),
            dead_letters: read(&self.dead_letters),
        }
    }
}
