//! Finds work: what rooms hint at, and by the clock what nobody hinted at.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::DesignId;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::runner::chain;
use super::{FoldSettings, spread};
use crate::clock::{Clock, Ids};
use crate::store::folds::FoldPolicy;
use crate::store::jobs::JobKind;
use crate::store::upkeep::Upkeep;

/// Logs taken up by one sweep. With more the next one comes soon.
const DESIGNS_MAX: usize = 200;
/// Milliseconds until then.
const SOON_MS: u64 = 10_000;

/// Turns hints and time into jobs.
#[derive(Clone)]
pub(super) struct Sweep {
    pub(super) upkeep: Arc<dyn Upkeep>,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) settings: FoldSettings,
    /// How long a repeated append finds its `seq` after its row was folded.
    pub(super) appends_kept: Duration,
    /// Wakes whoever folds here.
    pub(super) wake: Arc<Notify>,
    pub(super) stop: CancellationToken,
}

impl Sweep {
    /// Takes hints until there can be no more. One that cannot be written down is dropped: the sweep finds its design.
    pub(super) async fn listen(self, mut hints: mpsc::Receiver<DesignId>) {
        loop {
            let design = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                hint = hints.recv() => match hint {
                    Some(design) => design,
                    None => return,
                },
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = self.enqueue(design) => {}
            }
        }
    }

    /// Looks for logs to fold, and forgets what needs no longer be known.
    pub(super) async fn sweep(self) {
        let every = u64::try_from(self.settings.sweep_every.as_millis()).unwrap_or(u64::MAX);
        let mut wait = spread(&self.ids, every / 4);
        loop {
            tokio::select! {
                () = self.clock.sleep_until(self.clock.now().plus(wait)) => {}
                () = self.stop.cancelled() => return,
            }
            let is_more = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                is_more = self.look() => is_more,
            };
            wait = spread(&self.ids, if is_more { every.min(SOON_MS) } else { every });
        }
    }

    /// Whether it found as many as it takes up at once.
    async fn look(&self) -> bool {
        match self.upkeep.forget_appends(self.appends_kept).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::debug!(forgotten, "append ids of folded rows were forgotten"),
            Err(error) => tracing::warn!(cause = chain(error), "old append ids could not be forgotten"),
        }
        let policy = FoldPolicy { rows: self.settings.rows, quiet_for: self.settings.quiet_for };
        let found = match self.upkeep.unfolded(policy, DESIGNS_MAX).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(cause = chain(error), "logs to fold could not be looked for");
                return false;
            }
        };
        for design in &found {
            if !self.enqueue(*design).await {
                return false;
            }
        }
        found.len() == DESIGNS_MAX
    }

    async fn enqueue(&self, design: DesignId) -> bool {
        match self.upkeep.enqueue(JobKind::Compact, design, Duration::ZERO).await {
            Ok(()) => {
                self.wake.notify_one();
                true
            }
            Err(error) => {
                tracing::debug!(%design, cause = chain(error), "a fold could not be asked for");
                false
            }
        }
    }
}
