//! What other pods committed: applied in the order of the log, holes filled from it.
//!
//! The bus is a hint. What it loses is noticed in two ways: a later commit arrives (another pod's, or our own), or a look
//! into the store says how far the log goes ([`Input::Head`](super::Input::Head)), which is taken from time to time, and soon when
//! the bus itself says that words may be lost. A hole waits a moment for what is merely late ([`limits::HOLE_WAIT_MS`]),
//! then the log is asked.
//!
//! Everything is shown in the order of the log, our own commits included: one that stands above a hole is acknowledged
//! and published at once, and shown when the hole is filled. Until then it counts as in flight, so that the document
//! never is more than one append ahead of what is known of the log.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::astray::Astray;
use super::durability::InFlight;
use super::effect::{Claim, ClockRange, Effect};
use super::input::LogRow;
use super::live::Live;
use super::size::Growth;
use crate::gate::{self, Scan};
use crate::ids::{Generation, Millis, Seq};
use crate::limits;
use crate::schema::{self, Root};

/// Commits above a hole, and the hole's remedy.
#[derive(Debug, Default)]
pub(super) struct Remote {
    held: BTreeMap<Seq, Held>,
    /// The log goes this far, as somebody who looked has told.
    told: Seq,
    /// The log is to be asked though nothing is known to be missing: words may be lost.
    is_unsure: bool,
    /// When the log is asked for what is missing.
    ask_at: Option<Millis>,
    /// How far the log was known to go when it was asked, while it is.
    asked: Option<Seq>,
    /// The last question failed: the next one waits until `ask_at`.
    has_failed: bool,
}

#[derive(Debug)]
enum Held {
    /// Our own commit: in the document already.
    Own,
    Theirs(Bytes, Vec<Claim>),
}

/// How a row stands to the append in flight.
enum Meeting {
    None,
    /// It is the same, byte for byte, and of the same people.
    Same,
    /// It is something else under the same clocks. While an attempt to append ours is under way, how it ends is awaited: a room has one
    /// append under way at most.
    Other {
        may_give_way: bool,
    },
}

/// Neither says of an id that it is somebody else's. What was claimed before is no claim, so that one may say less.
fn agree(ours: &[Claim], theirs: &[Claim]) -> bool {
    let ours: BTreeMap<_, _> = ours.iter().map(|claim| (claim.client, claim.user)).collect();
    theirs.iter().all(|claim| ours.get(&claim.client).is_none_or(|user| *user == claim.user))
}

impl Remote {
    pub(super) fn deadline(&self) -> Option<Millis> {
        if self.asked.is_some() { None } else { self.ask_at }
    }

    /// Something is committed above the head, and what is between is not here yet.
    pub(super) fn has_hole(&self, head: Seq) -> bool {
        !self.held.is_empty() || head < self.told
    }

    /// The last question to the log failed, and none was answered since.
    pub(super) const fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// The document was made anew from everything up to `head`.
    pub(super) fn restart(&mut self, head: Seq) {
        self.held = self.held.split_off(&head.next());
        self.ask_at = None;
        self.has_failed = false;
    }

    /// The log goes up to here at least.
    pub(super) fn hear_of(&mut self, seq: Seq) {
        self.told = self.told.max(seq);
    }

    /// What waits for the store is tried again now: it is well.
    pub(super) fn hurry(&mut self, now: Millis) {
        if self.has_failed {
            self.ask_at = Some(now);
        }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        let held = |held: &Held| match held {
            Held::Theirs(update, _) => update.len(),
            Held::Own => 0,
        };
        let all: usize = self.held.values().map(held).sum();
        self.held.len() < limits::HOLE_MESSAGES_MAX && all + bytes <= limits::HOLE_BYTES_MAX
    }

    fn known_upto(&self) -> Seq {
        self.held.last_key_value().map_or(self.told, |(seq, _)| self.told.max(*seq))
    }
}

impl Live {
    /// Our own append is durable at `seq`.
    pub(super) fn committed(&mut self, now: Millis, seq: Seq, effects: &mut Vec<Effect>) {
        if self.head < seq {
            self.remote.held.insert(seq, Held::Own);
        }
        self.advance_head(now, effects);
        // The bus may have lost what is below.
        self.note_hole(now);
    }

    pub(super) fn remote(
        &mut self,
        now: Millis,
        generation: Generation,
        seq: Seq,
        update: Bytes,
        claims: Vec<Claim>,
        effects: &mut Vec<Effect>,
    ) {
        if generation != self.generation || seq <= self.head || self.remote.held.contains_key(&seq) {
            return;
        }
        // Dropping is safe above the bound: the hole below is filled from the log, and so is this.
        if self.remote.has_room_for(update.len()) {
            self.remote.held.insert(seq, Held::Theirs(update, claims));
        }
        self.remote.hear_of(seq);
        self.advance_head(now, effects);
        self.note_hole(now);
    }

    /// Another pod's commit, and not what it is.
    pub(super) fn committed_elsewhere(&mut self, now: Millis, generation: Generation, seq: Seq) {
        if generation == self.generation {
            self.remote.hear_of(seq);
            self.note_hole(now);
        }
    }

    pub(super) fn caught_up(&mut self, now: Millis, rows: Vec<LogRow>, effects: &mut Vec<Effect>) {
        let asked = self.remote.asked.take();
        self.remote.ask_at = None;
        self.remote.has_failed = false;
        self.store_was_read(effects);
        let is_all = rows.len() < limits::CATCH_UP_ROWS_MAX;
        let head = self.head;
        rows.into_iter().filter(|row| head < row.seq).for_each(|row| self.hold_row(row));
        self.remote.is_unsure |= !is_all;
        self.advance_head(now, effects);
        if let Some(upto) = asked.filter(|_| is_all && self.rebuild.is_none()) {
            self.forget_lost(upto);
        }
        self.note_hole(now);
        // While the document is made anew it does not take rows over: then what was asked is asked again.
        if is_all && self.rebuild.is_none() {
            self.durability.answered();
        } else {
            self.durability.forget_question();
        }
    }

    /// The log is the truth about what stands where, whatever the bus said before.
    fn hold_row(&mut self, row: LogRow) {
        if matches!(self.remote.held.get(&row.seq), Some(Held::Own)) {
            return;
        }
        let held = Held::Theirs(row.update, row.claims);
        self.remote.held.insert(row.seq, held);
    }

    /// All that the log has is here. It was known to go up to `upto` before it was asked: what is not there was lost by the
    /// store (a failover to a copy that had not got everything).
    fn forget_lost(&mut self, upto: Seq) {
        if self.remote.told <= upto {
            self.remote.told = self.remote.told.min(self.head);
        }
        let lost: Vec<Seq> = self.remote.held.range(..=upto).map(|(seq, _)| *seq).collect();
        for seq in lost {
            if let Some(Held::Own) = self.remote.held.remove(&seq) {
                self.goes_astray(Astray::LostRows);
            }
        }
    }

    pub(super) fn catch_up_failed(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.set_degraded(true, effects);
        self.remote.asked = None;
        self.remote.has_failed = true;
        self.remote.is_unsure = true;
        self.remote.ask_at = Some(now.plus(limits::APPEND_RETRY_MAX_MS));
        self.durability.forget_question();
    }

    /// What is missing is folded: the snapshot has it.
    pub(super) fn log_folded(&mut self, effects: &mut Vec<Effect>) {
        self.remote.asked = None;
        self.remote.has_failed = false;
        self.remote.ask_at = None;
        self.durability.forget_question();
        if self.rebuild.is_none() {
            self.read_snapshot(effects);
        }
    }

    pub(super) fn ask_log_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let is_due = match self.remote.ask_at {
            Some(at) => at <= now,
            None => self.remote.is_unsure || self.durability.has_question(),
        };
        // What is made anew reads the log by itself.
        if self.remote.asked.is_none() && is_due && self.rebuild.is_none() {
            self.remote.asked = Some(self.remote.known_upto());
            self.remote.is_unsure = false;
            self.durability.ask();
            effects.push(Effect::CatchUp { after: self.head });
        }
    }

    /// After the document was made anew: what was held above its head meanwhile.
    pub(super) fn go_on(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let flight = self.durability.in_flight.as_ref().filter(|flight| !flight.is_told);
        if let Some(seq) = flight.and_then(|flight| flight.committed).filter(|seq| *seq <= self.head) {
            self.reach_flight(now, seq, effects);
        }
        self.advance_head(now, effects);
        self.note_hole(now);
    }

    pub(super) fn note_hole(&mut self, now: Millis) {
        if self.remote.has_failed {
            return; // the pause stands
        }
        if !self.remote.has_hole(self.head) {
            self.remote.ask_at = self.remote.ask_at.filter(|_| self.remote.is_unsure);
        } else if self.remote.ask_at.is_none() {
            self.remote.ask_at = Some(now.plus(limits::HOLE_WAIT_MS));
        }
    }

    /// Takes over everything that joins the head without a hole.
    fn advance_head(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        // What is made anew contains it, or finds it here afterwards.
        while self.rebuild.is_none() {
            let seq = self.head.next();
            let Some(held) = self.remote.held.remove(&seq) else { return };
            match held {
                Held::Theirs(update, claims) => {
                    // The log holds what passed another pod's gate: only damage can make it fail.
                    let Ok(scan) = gate::scan_stored(&update) else { return self.reload(effects) };
                    match self.meets_flight(&update, &claims, &scan.scan.ranges) {
                        Meeting::None => {}
                        Meeting::Same => {
                            self.reach_flight(now, seq, effects);
                            self.head = seq;
                            continue;
                        }
                        Meeting::Other { may_give_way } => {
                            self.remote.held.insert(seq, Held::Theirs(update, claims));
                            if may_give_way {
                                self.give_way(effects);
                            }
                            return;
                        }
                    }
                    let Ok(ranges) = self.take_over(&update, scan.scan) else { return self.reload(effects) };
                    self.note_claims(&claims);
                    self.show(&update, &ranges, None, effects);
                }
                Held::Own => {
                    let flight = self.durability.in_flight.as_ref();
                    if flight.is_some_and(|flight| !flight.is_told && flight.committed == Some(seq)) {
                        self.reach_flight(now, seq, effects);
                    }
                }
            }
            self.head = seq;
        }
    }

    /// How a row stands to the append in flight. Only who is on two pods at once, or changes the pod while something is on its way,
    /// brings about that both write under the same clocks: the log takes one of them, and it has this one.
    fn meets_flight(&self, update: &Bytes, claims: &[Claim], ranges: &[ClockRange]) -> Meeting {
        let flight = self.durability.in_flight.as_ref();
        let is_open = |flight: &&InFlight| !flight.is_told && flight.committed.is_none() && flight.is_in_doc;
        let Some(flight) = flight.filter(is_open) else { return Meeting::None };
        if flight.append.update == *update && agree(&flight.append.claims, claims) {
            // The log may know of our own commit before we do.
            Meeting::Same
        } else if flight.append.writes_any_of(ranges) {
            Meeting::Other { may_give_way: !flight.is_under_way() }
        } else {
            Meeting::None
        }
    }

    fn take_over(&mut self, update: &Bytes, scan: Scan) -> Result<Vec<ClockRange>, ()> {
        let placed = scan.place(update, &self.places).map_err(|_| ())?;
        self.size.add(Growth {
            bytes: update.len(),
            structs: scan.structs,
            delete_ranges: scan.deletes.len(),
            nodes: placed.new_keys(update, &self.places, Root::Nodes).count(),
            edges: placed.new_keys(update, &self.places, Root::Edges).count(),
        });
        // Its author told the store a name, perhaps without knowing of one that stands before it in the log and wins, as ours may,
        // or of the one that we told meanwhile: whoever appends next says which it is.
        let names = placed.new_keys(update, &self.places, Root::Meta).any(|key| key == schema::META_NAME);
        self.doc.apply(&[&update[..]], false).map_err(|_| ())?;
        self.name_is_sure &= !names;
        self.places.note(placed, update);
        self.doc_version += 1;
        self.name = self.doc.name();
        Ok(scan.ranges)
    }
}
