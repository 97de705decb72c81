//! When the design settles: somebody should look at what it means now.
//!
//! Only what this room has committed itself counts, and only once it is durable: what other pods commit they settle
//! themselves, and what a pod that dies has not settled is found by the jobs' sweep, in the store. The room does not ask
//! whether the meaning changed. It knows what certainly does not change it (see [`crate::gate::Placed::is_cosmetic`]): a
//! drag starts the clock as every commit does, since it may end in another container, but never puts it off.

use super::effect::Effect;
use super::live::Live;
use crate::gate::Placed;
use crate::ids::{Millis, Seq};
use crate::limits;

/// What a commit is to whoever waits for the design to settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Weight {
    /// It certainly changes nothing but how elements are drawn.
    #[default]
    Cosmetic,
    /// It may mean something.
    Meant,
}

impl Weight {
    pub(super) fn of(placed: &Placed) -> Self {
        if placed.is_cosmetic() { Self::Cosmetic } else { Self::Meant }
    }
}

/// The commits of this room since it last said that the design has settled.
#[derive(Debug, Default)]
pub(super) struct Settle {
    open: Option<Open>,
    /// Since when nobody is here who was.
    left_at: Option<Millis>,
}

#[derive(Debug)]
struct Open {
    newest: Seq,
    /// When the first of them was committed.
    since: Millis,
    /// When the last of them that may mean something was.
    changed_at: Option<Millis>,
}

impl Settle {
    /// A commit of this room is durable.
    pub(super) fn committed(&mut self, now: Millis, seq: Seq, weight: Weight) {
        let open = self.open.get_or_insert(Open { newest: seq, since: now, changed_at: None });
        open.newest = open.newest.max(seq);
        if weight == Weight::Meant {
            open.changed_at = Some(now);
        }
    }

    pub(super) fn joined(&mut self) {
        self.left_at = None;
    }

    /// The last connection is gone.
    pub(super) fn left(&mut self, now: Millis) {
        self.left_at = Some(now);
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let open = self.open.as_ref()?;
        let quiet = open.changed_at.map(|at| at.plus(limits::SETTLE_QUIET_MS));
        let left = self.left_at.map(|at| at.max(open.since).plus(limits::SETTLE_LEFT_MS));
        [Some(open.since.plus(limits::SETTLE_MAX_MS)), quiet, left].into_iter().flatten().min()
    }

    /// Up to where the design has settled, if its time has come.
    pub(super) fn take_if_due(&mut self, now: Millis) -> Option<Seq> {
        if self.deadline()? <= now { self.take() } else { None }
    }

    /// The same without waiting: the room goes.
    pub(super) fn take(&mut self) -> Option<Seq> {
        self.open.take().map(|open| open.newest)
    }

    /// What is not settled yet.
    pub(super) fn unsettled(&self) -> Option<Seq> {
        self.open.as_ref().map(|open| open.newest)
    }
}

impl Live {
    /// The append in flight is durable. It may be heard of twice: of the store, and of the log.
    pub(super) fn note_commit(&mut self, now: Millis, seq: Seq) {
        let flight = self.durability.in_flight.as_mut();
        if let Some(weight) = flight.and_then(|flight| flight.weight.take()) {
            self.settle.committed(now, seq, weight);
        }
    }

    pub(super) fn settle_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        effects.extend(self.settle.take_if_due(now).map(|seq| Effect::Settled { seq }));
    }

    /// The room goes: whoever comes next does not know what it committed.
    pub(super) fn settle_now(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.settle.take().map(|seq| Effect::Settled { seq }));
    }
}
