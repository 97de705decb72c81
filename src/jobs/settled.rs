//! Finds designs to be analysed: what rooms say has settled, what other pods say waits, and by the clock what nobody
//! said.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::AnalysisSettings;
use super::runner::chain;
use super::spread;
use crate::bus::{Bus, Heard, PodMessage, PodWord};
use crate::clock::{Clock, Ids};
use crate::store::analyses::{Analyses, AnalysisHint};
use crate::store::jobs::JobKind;
use crate::store::upkeep::Upkeep;

/// Designs taken up by one sweep. The rest comes with the next: who edits now is not to wait behind them.
const DESIGNS_MAX: usize = 50;
/// How long somebody may ask what became of a request.
const REQUESTS_KEPT: Duration = Duration::from_hours(24);

/// Turns hints, words and time into jobs.
#[derive(Clone)]
pub(super) struct Settled {
    pub(super) upkeep: Arc<dyn Upkeep>,
    pub(super) analyses: Arc<dyn Analyses>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) pod: PodId,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) settings: AnalysisSettings,
    /// Wakes whoever analyses here. `None`: nobody does, and the other pods are told.
    pub(super) wake: Option<Arc<Notify>>,
    pub(super) stop: CancellationToken,
}

impl Settled {
    /// Takes hints until there can be no more. One that cannot be written down is dropped: the sweep finds its design.
    pub(super) async fn listen(self, mut hints: mpsc::Receiver<AnalysisHint>) {
        loop {
            let hint = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                hint = hints.recv() => match hint {
                    Some(hint) => hint,
                    None => return,
                },
            };
            match hint {
                AnalysisHint::Waits => self.wake(),
                AnalysisHint::Settled(design) => tokio::select! {
                    () = self.stop.cancelled() => return,
                    _ = self.enqueue(design) => {}
                },
            }
        }
    }

    /// Hears from pods that leave their work to others.
    pub(super) async fn hear(self) {
        let mut bus = tokio::select! {
            () = self.stop.cancelled() => return,
            bus = self.bus.subscribe_to_pods() => bus,
        };
        loop {
            let heard = tokio::select! {
                () = self.stop.cancelled() => return,
                heard = bus.messages.recv() => heard,
            };
            match heard {
                Some(Heard::Gap | Heard::Message(PodMessage { word: PodWord::WorkWaits, .. })) => self.wake(),
                Some(Heard::Message(_)) => {}
                None => return,
            }
        }
    }

    /// Looks for what nobody hinted at, and forgets old requests.
    pub(super) async fn sweep(self) {
        let every = u64::try_from(self.settings.sweep_every.as_millis()).unwrap_or(u64::MAX);
        loop {
            tokio::select! {
                () = self.clock.sleep_until(self.clock.now().plus(spread(&self.ids, every))) => {}
                () = self.stop.cancelled() => return,
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.look() => {}
            }
        }
    }

    pub(super) async fn look(&self) {
        match self.analyses.unanalysed(self.settings.quiet_for, DESIGNS_MAX).await {
            Ok(found) => {
                for design in found {
                    tracing::debug!(%design, "a design was found that nobody said has settled");
                    if !self.enqueue(design).await {
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(cause = chain(error), "designs to analyse could not be looked for");
                return;
            }
        }
        if let Err(error) = self.analyses.forget_requests(REQUESTS_KEPT).await {
            tracing::warn!(cause = chain(error), "old requests for analyses could not be forgotten");
        }
    }

    fn wake(&self) {
        match &self.wake {
            Some(wake) => wake.notify_one(),
            None => self.bus.publish_to_pods(PodMessage { pod: self.pod, word: PodWord::WorkWaits }),
        }
    }

    async fn enqueue(&self, design: DesignId) -> bool {
        match self.upkeep.enqueue(JobKind::Analyze, design, Duration::ZERO).await {
            Ok(()) => {
                self.wake();
                true
            }
            Err(error) => {
                tracing::debug!(%design, cause = chain(error), "an analysis could not be asked for");
                false
            }
        }
    }
}
