//! The second fence: yrs failed on an update that had passed. The half-applied document is thrown away, made anew from
//! the store, and this flush's updates are applied one by one, so that only the culprit is refused.

use yrs::StateVector;

use super::RoomConfig;
use super::durability::Waiting;
use super::effect::Effect;
use super::flush::Batch;
use super::input::Loaded;
use super::known::Known;
use super::live::{Live, head_of, note_stored, places_of};
use super::members::Feed;
use crate::design::{Applied, ApplyFault, DesignDoc};
use crate::ids::Millis;
use crate::limits;
use crate::wire::{CloseCode, Notice, RefusalCode};

/// A document that is being made anew. Nothing is judged, answered or flushed meanwhile.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// The updates of the failed flush.
    batch: Batch,
    /// Set after a failed attempt to read the store.
    retry_at: Option<Millis>,
}

impl Rebuild {
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.retry_at
    }
}

impl Live {
    pub(super) fn start_rebuild(&mut self, batch: Batch, fault: &ApplyFault, effects: &mut Vec<Effect>) {
        effects.push(Effect::Report { what: format!("the document is made anew: {fault}") });
        self.rebuild = Some(Rebuild { batch, retry_at: None });
        effects.push(Effect::Load);
    }

    /// Damage elsewhere: make the document anew, with nothing of ours to apply.
    pub(super) fn reload(&mut self, effects: &mut Vec<Effect>) {
        self.start_rebuild(Batch::default(), &ApplyFault::Incomplete, effects);
    }

    pub(super) fn rebuild_load_failed(&mut self, now: Millis) {
        if let Some(rebuild) = &mut self.rebuild {
            rebuild.retry_at = Some(now.plus(limits::APPEND_RETRY_MAX_MS));
        }
    }

    pub(super) fn retry_rebuild_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if let Some(rebuild) = &mut self.rebuild
            && rebuild.retry_at.is_some_and(|at| at <= now)
        {
            rebuild.retry_at = None;
            effects.push(Effect::Load);
        }
    }

    pub(super) fn rebuild_loaded(
        &mut self,
        config: &RoomConfig,
        now: Millis,
        loaded: &Loaded,
        effects: &mut Vec<Effect>,
    ) {
        let Some(rebuild) = self.rebuild.take() else { return };
        let in_flight = self.durability.in_flight.as_ref().map(|flight| flight.append.update.clone());
        let Ok(replayed) = replay(config, loaded, in_flight.as_deref(), rebuild.batch) else {
            // What the log itself holds cannot be applied any more: damage, which a later read may find mended.
            self.close_all(now, CloseCode::Overloaded, "the stored design cannot be read", effects);
            self.rebuild = Some(Rebuild { batch: Batch::default(), retry_at: None });
            return self.rebuild_load_failed(now);
        };
        self.doc = replayed.doc;
        self.doc_version += 1;
        self.places = places_of(loaded);
        if let Some(update) = &in_flight {
            note_stored(&mut self.places, update);
        }
        for survivor in &replayed.batch.passed {
            if let Ok(placed) = survivor.scan.place(&survivor.update, &self.places) {
                self.places.note(placed, &survivor.update);
            }
        }
        self.generation = loaded.generation;
        let head = head_of(loaded);
        if head != self.head {
            self.head = head;
            self.let_all_lag();
        }
        self.known = Known::new(replayed.known);
        self.remote.restart(self.head);
        for culprit in replayed.culprits {
            self.refuse_culprit(now, &culprit, effects);
        }
        match replayed.applied {
            Some(applied) => self.append(now, replayed.batch, applied, effects),
            // Nothing survived, and everything has been answered.
            None => self.acknowledge(&replayed.batch.acks, effects),
        }
    }

    /// The log went on while the document was away: everybody gets the difference in one piece.
    fn let_all_lag(&mut self) {
        let since = std::sync::Arc::clone(self.known.now());
        for member in self.members.values_mut() {
            if matches!(member.feed, Feed::Live) {
                member.feed = Feed::Lagging { since: std::sync::Arc::clone(&since) };
            }
        }
    }

    /// Tells a culprit, and sends it away: making the document anew is not to be had for the price of a frame.
    fn refuse_culprit(&mut self, now: Millis, culprit: &Waiting, effects: &mut Vec<Effect>) {
        let message = "this edit cannot be applied";
        let code = RefusalCode::Rejected;
        let (user, bytes) = (culprit.user, culprit.update.len());
        effects
            .push(Effect::Report { what: format!("an update of {bytes} bytes by {user} cannot be applied") });
        self.tell(culprit.conn, &Notice::Refused { message: message.to_owned(), code, reset: true }, effects);
        self.close(now, culprit.conn, CloseCode::Reset, message, effects);
    }
}

struct Replayed {
    doc: DesignDoc,
    /// The state vector of what the store holds.
    known: StateVector,
    /// What the surviving updates added; `None`: there were none.
    applied: Option<Applied>,
    batch: Batch,
    culprits: Vec<Waiting>,
}

/// Applies the batch's updates one by one, each failure on a fresh document, then the survivors in one transaction.
fn replay(
    config: &RoomConfig,
    loaded: &Loaded,
    in_flight: Option<&[u8]>,
    mut batch: Batch,
) -> Result<Replayed, ApplyFault> {
    let fresh = || {
        let snapshot = loaded.snapshot.iter().map(|(_, bytes)| &bytes[..]);
        let tail = loaded.tail.iter().map(|row| &row.update[..]);
        DesignDoc::load(config.doc_client, snapshot.chain(tail))
    };
    let known = fresh()?.state_vector();
    let with_in_flight = || {
        let mut doc = fresh()?;
        if let Some(update) = in_flight {
            doc.apply(&[update], false)?;
        }
        Ok(doc)
    };
    let mut survivors: Vec<Waiting> = Vec::new();
    let mut culprits = Vec::new();
    let mut trial = with_in_flight()?;
    for waiting in std::mem::take(&mut batch.passed) {
        // Whoever sent one of them is sent away: a connection costs one new document at most.
        if culprits.iter().any(|culprit: &Waiting| culprit.conn == waiting.conn) {
            continue;
        }
        if trial.apply(&[&waiting.update[..]], false).is_ok() {
            survivors.push(waiting);
            continue;
        }
        culprits.push(waiting);
        trial = with_in_flight()?;
        for survivor in &survivors {
            trial.apply(&[&survivor.update[..]], false)?;
        }
    }
    let mut doc = with_in_flight()?;
    let updates: Vec<&[u8]> = survivors.iter().map(|waiting| &waiting.update[..]).collect();
    let applied = if updates.is_empty() { None } else { Some(doc.apply(&updates, true)?) };
    batch.passed = survivors;
    Ok(Replayed { doc, known, applied, batch, culprits })
}
