//! What the rules say of designs, and what people decide about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atlas_crdt::ids::{AnalysisId, DesignId, Seq};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The newest analysis of a design in brief, for those who are told that there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisSummary {
    pub id: AnalysisId,
    /// Of the point in the design's history: a later one is larger.
    pub no: u64,
    /// The log up to here.
    pub seq: Seq,
    /// 0.0 to 10.0.
    pub score: f64,
    pub grade: String,
    /// Of the worst finding that counts.
    pub severity: Option<String>,
    /// Known attributes among all, 0 to 1.
    pub coverage: f64,
    /// Those that count: neither accepted nor false positives.
    pub findings: u64,
}

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
