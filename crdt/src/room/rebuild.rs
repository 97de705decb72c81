//! The second fence: yrs failed on an update that had passed. The half-applied document is thrown away, made anew from
//! the store, and this flush's updates are applied one by one, so that only the culprit is refused.

use yrs::StateVector;

use super::RoomConfig;
use super::astray::Astray;
use super::durability::{InFlight, Waiting};
use super::effect::{Effect, Quarantine};
use super::input::Loaded;
use super::judge::Batch;
use super::known::Known;
use super::live::Live;
use super::members::Feed;
use super::stored::{Stored, StoredFault};
use super::{quarantine, stored};
use crate::design::{Applied, ApplyFault, DesignDoc};
use crate::gate::{self, clock_of};
use crate::ids::{AppendId, Millis, Seq};
use crate::limits;
use crate::wire::{CloseCode, Notice, RefusalCode};

/// A document that is being made anew. Nothing is judged, answered or flushed meanwhile.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// The updates of the failed flush.
    batch: Batch,
    /// Set after a failed attempt to read the store.
    retry_at: Option<Millis>,
    /// The append in flight was committed meanwhile: told when the document has it again.
    committed: Option<(AppendId, Seq)>,
}

impl Rebuild {
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.retry_at
    }

    /// Bytes that are nowhere but here and in their authors' clients.
    pub(super) fn unsaved_bytes(&self) -> usize {
        self.batch.passed.iter().map(Waiting::memory).sum()
    }

    /// The store could not be read.
    pub(super) fn has_failed(&self) -> bool {
        self.retry_at.is_some()
    }

    /// The store is well: it is read again now, if it could not be.
    pub(super) fn hurry(&mut self, now: Millis) {
        self.retry_at = self.retry_at.map(|at| at.min(now));
    }

    /// Nobody waits for its outcome: a room that nobody is in may go instead, and the next one reads the store anew.
    pub(super) fn holds_nothing(&self) -> bool {
        self.batch.passed.is_empty() && self.batch.acks.is_empty() && self.committed.is_none()
    }
}

impl Live {
    pub(super) fn start_rebuild(&mut self, batch: Batch, fault: &ApplyFault, effects: &mut Vec<Effect>) {
        effects.push(Effect::Report { what: format!("the document is made anew: {fault}") });
        self.make_anew(batch, effects);
    }

    fn make_anew(&mut self, batch: Batch, effects: &mut Vec<Effect>) {
        self.rebuild = Some(Rebuild { batch, retry_at: None, committed: None });
        effects.push(Effect::Load);
    }

    /// Nothing is wrong: what the document lacks is in the store, and no longer to be had row by row.
    pub(super) fn read_snapshot(&mut self, effects: &mut Vec<Effect>) {
        self.make_anew(Batch::default(), effects);
    }

    /// Damage elsewhere: make the document anew, with nothing of ours to apply.
    pub(super) fn reload(&mut self, effects: &mut Vec<Effect>) {
        self.start_rebuild(Batch::default(), &ApplyFault::Incomplete, effects);
    }

    pub(super) fn rebuild_load_failed(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if let Some(rebuild) = &mut self.rebuild {
            rebuild.retry_at = Some(now.plus(limits::APPEND_RETRY_MAX_MS));
            self.set_degraded(true, effects);
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
        if self.rebuild.is_none() {
            return;
        }
        if (loaded.generation, loaded.head()) < (self.generation, self.head) {
            return self.goes_astray(Astray::LostRows);
        }
        if loaded.generation != self.generation {
            return self.goes_astray(Astray::Restored);
        }
        let Some(rebuild) = self.rebuild.take() else { return };
        let committed = rebuild.committed;
        let in_flight = self.durability.in_flight.as_ref();
        let Ok(replayed) = replay(config, loaded, in_flight, rebuild.batch) else {
            // What the log itself holds cannot be applied any more: damage, which a later read may find mended.
            self.close_all(now, CloseCode::Overloaded, "the stored design cannot be read", effects);
            self.rebuild =
                Some(Rebuild { batch: Batch::default(), retry_at: None, committed: rebuild.committed });
            return self.rebuild_load_failed(now, effects);
        };
        self.store_was_read(effects);
        let Stored { doc, head, places, mut owners, marks, size, read_only } = replayed.stored;
        owners.announce_again(&self.owners);
        self.doc = doc;
        self.doc_version += 1;
        (self.places, self.owners, self.size, self.read_only) = (places, owners, size, read_only);
        self.marks.join(marks);
        let in_flight = match &mut self.durability.in_flight {
            Some(flight) => {
                flight.is_in_doc = replayed.has_in_flight;
                flight.is_in_doc.then(|| flight.append.update.clone())
            }
            None => None,
        };
        let survivors = replayed.batch.passed.iter().map(|survivor| &survivor.update);
        for update in in_flight.iter().chain(survivors) {
            self.note_again(update);
        }
        // With anything beside what the store holds, it is like any other document.
        let is_plain = in_flight.is_none() && replayed.applied.is_none();
        self.digests.note_loaded(is_plain.then_some(self.doc_version));
        if head != self.head {
            self.head = head;
            self.name_is_sure = false;
            self.let_all_lag();
        }
        self.known = Known::new(replayed.known);
        self.presence.claimed_all(|client| self.owners.claim_of(client));
        self.remote.restart(self.head);
        self.durability.forget_question();
        for culprit in replayed.culprits {
            self.refuse_culprit(now, &culprit, effects);
        }
        match replayed.applied {
            Some(applied) => self.append(now, replayed.batch, applied, effects),
            // Nothing survived, and everything has been answered.
            None => self.acknowledge(&replayed.batch.acks, effects),
        }
        if let Some((append_id, seq)) = committed {
            self.appended(now, append_id, seq, effects);
        }
        self.go_on(now, effects);
    }

    /// The append in flight is durable, and the document that contains it is away: it is shown and acknowledged once the
    /// document is back. False: the document is here.
    pub(super) fn committed_meanwhile(&mut self, append_id: AppendId, seq: Seq) -> bool {
        if let Some(rebuild) = &mut self.rebuild {
            rebuild.committed = Some((append_id, seq));
        }
        self.rebuild.is_some()
    }

    /// The index knows the log only: what is in the document beside it passed before and stands where it stood.
    fn note_again(&mut self, update: &[u8]) {
        if let Ok(stored) = gate::scan_stored(update)
            && let Ok(placed) = stored.scan.place(update, &self.places)
        {
            self.places.note(placed, update);
        }
    }

    /// The log went on while the document was away: everybody gets the difference in one piece.
    fn let_all_lag(&mut self) {
        let since = std::sync::Arc::clone(self.known.now());
        self.answers.is_asked = true;
        for member in self.members.values_mut() {
            if matches!(member.feed, Feed::Live) {
                member.feed = Feed::Lagging { since: std::sync::Arc::clone(&since) };
            }
        }
    }

    /// Tells a culprit, and sends it away: making the document anew is not to be had for the price of a frame.
    fn refuse_culprit(
        &mut self,
        now: Millis,
        (culprit, reason): &(Waiting, String),
        effects: &mut Vec<Effect>,
    ) {
        let message = "this edit cannot be applied";
        let code = RefusalCode::Rejected;
        let known = std::sync::Arc::clone(self.known.now());
        let new = culprit.scan.ranges.iter().filter(|range| clock_of(&known, range.client) < range.end);
        let mark = quarantine::mark(culprit.user, &culprit.update, new.copied());
        self.marks.add(&mark);
        effects.push(Effect::Quarantine(Quarantine {
            update: culprit.update.clone(),
            mark,
            reason: reason.to_owned(),
        }));
        self.tell(culprit.conn, &Notice::Refused { message: message.to_owned(), code, reset: true }, effects);
        self.close(now, culprit.conn, CloseCode::Reset, message, effects);
    }
}

struct Replayed {
    /// What the store holds, but for the document: that is ahead of it by what is in flight and what survived.
    stored: Stored,
    /// The state vector of what the store holds.
    known: StateVector,
    /// The document has the append in flight.
    has_in_flight: bool,
    /// What the surviving updates added; `None`: there were none.
    applied: Option<Applied>,
    batch: Batch,
    /// Each with what went wrong.
    culprits: Vec<(Waiting, String)>,
}

/// Applies what is in flight, unless the log has something under its clocks: this append, or another that was faster. Then applies the batch's updates one by one, each failure on a fresh document, then the survivors in one transaction.
fn replay(
    config: &RoomConfig,
    loaded: &Loaded,
    in_flight: Option<&InFlight>,
    mut batch: Batch,
) -> Result<Replayed, StoredFault> {
    let mut stored = Stored::read(config, loaded)?;
    let known = stored.doc.state_vector();
    let in_flight = in_flight.filter(|flight| !flight.is_written_in(&known));
    let in_flight = in_flight.map(|flight| &flight.append.update[..]);
    let with_in_flight = || {
        let mut doc = stored::document(config, loaded)?;
        if let Some(update) = in_flight {
            doc.apply(&[update], false)?;
        }
        Ok::<DesignDoc, ApplyFault>(doc)
    };
    let mut survivors: Vec<Waiting> = Vec::new();
    let mut culprits = Vec::new();
    let mut trial = with_in_flight()?;
    for waiting in std::mem::take(&mut batch.passed) {
        // Whoever sent one of them is sent away: a connection costs one new document at most.
        if culprits.iter().any(|(culprit, _): &(Waiting, String)| culprit.conn == waiting.conn) {
            continue;
        }
        match trial.apply(&[&waiting.update[..]], false) {
            Ok(_) => {
                survivors.push(waiting);
                continue;
            }
            Err(fault) => culprits.push((waiting, fault.to_string())),
        }
        trial = with_in_flight()?;
        for survivor in &survivors {
            trial.apply(&[&survivor.update[..]], false)?;
        }
    }
    if let Some(update) = in_flight {
        stored.doc.apply(&[update], false)?;
    }
    let updates: Vec<&[u8]> = survivors.iter().map(|waiting| &waiting.update[..]).collect();
    let applied = if updates.is_empty() { None } else { Some(stored.doc.apply(&updates, true)?) };
    batch.passed = survivors;
    let has_in_flight = in_flight.is_some();
    Ok(Replayed { stored, known, has_in_flight, applied, batch, culprits })
}
