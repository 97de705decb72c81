//! What other pods committed: applied in the order of the log, holes filled from it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::effect::{Claim, ClockRange, Effect};
use super::input::LogRow;
use super::live::Live;
use super::size::Growth;
use crate::gate;
use crate::ids::{Generation, Millis, Seq};
use crate::limits;
use crate::schema::Root;

/// Commits above a hole, and the hole's remedy.
#[derive(Debug, Default)]
pub(super) struct Remote {
    held: BTreeMap<Seq, Held>,
    /// When the log is asked for what is missing.
    ask_at: Option<Millis>,
    asking: bool,
}

#[derive(Debug)]
enum Held {
    /// Our own commit: in the document already.
    Own,
    Theirs(Bytes, Vec<Claim>),
}

impl Remote {
    pub(super) fn deadline(&self) -> Option<Millis> {
        if self.asking { None } else { self.ask_at }
    }

    /// Something is committed above the head, and what is between is not here yet.
    pub(super) fn has_hole(&self) -> bool {
        !self.held.is_empty()
    }

    /// The document was made anew from everything up to `head`.
    pub(super) fn restart(&mut self, head: Seq) {
        self.held = self.held.split_off(&head.next());
        self.ask_at = None;
    }
}

impl Live {
    /// Our own append is durable at `seq`.
    pub(super) fn committed(&mut self, now: Millis, seq: Seq, effects: &mut Vec<Effect>) {
        if self.head < seq {
            self.remote.held.insert(seq, Held::Own);
            self.advance_head(effects);
            // The bus may have lost what is below.
            self.note_hole(now);
        }
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
        if self.remote.held.len() < limits::HOLE_MESSAGES_MAX {
            self.remote.held.insert(seq, Held::Theirs(update, claims));
        }
        self.advance_head(effects);
        self.note_hole(now);
    }

    pub(super) fn caught_up(&mut self, now: Millis, rows: Vec<LogRow>, effects: &mut Vec<Effect>) {
        self.store_was_read(effects);
        self.remote.asking = false;
        self.remote.ask_at = None;
        let is_all = rows.len() < limits::CATCH_UP_ROWS_MAX;
        for row in rows {
            // The log may know of our own commit before we do: it is in the document, and shown when we hear of it.
            let flight = self.durability.in_flight.as_ref();
            let is_own = flight.is_some_and(|flight| flight.append.update == row.update);
            if self.head < row.seq {
                let held = if is_own { Held::Own } else { Held::Theirs(row.update, row.claims) };
                self.remote.held.entry(row.seq).or_insert(held);
            }
        }
        self.advance_head(effects);
        self.note_hole(now);
        // While the document is made anew it does not take rows over: then what was asked is asked again.
        if is_all && self.rebuild.is_none() {
            self.durability.answered();
        } else {
            self.durability.forget_question();
        }
    }

    pub(super) fn catch_up_failed(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.set_degraded(true, effects);
        self.remote.asking = false;
        self.remote.ask_at = Some(now.plus(limits::APPEND_RETRY_MAX_MS));
        self.durability.forget_question();
    }

    /// What is missing is folded: the snapshot has it.
    pub(super) fn log_folded(&mut self, effects: &mut Vec<Effect>) {
        self.remote.asking = false;
        self.remote.ask_at = None;
        self.durability.forget_question();
        if self.rebuild.is_none() {
            self.read_snapshot(effects);
        }
    }

    pub(super) fn ask_log_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let is_due = match self.remote.ask_at {
            Some(at) => at <= now,
            None => self.durability.has_question(),
        };
        // What is made anew reads the log by itself.
        if !self.remote.asking && is_due && self.rebuild.is_none() {
            self.remote.asking = true;
            self.durability.ask();
            effects.push(Effect::CatchUp { after: self.head });
        }
    }

    /// After the document was made anew: what was held above its head meanwhile.
    pub(super) fn go_on(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.advance_head(effects);
        self.note_hole(now);
    }

    fn note_hole(&mut self, now: Millis) {
        if self.remote.held.is_empty() {
            self.remote.ask_at = None;
        } else if self.remote.ask_at.is_none() {
            self.remote.ask_at = Some(now.plus(limits::HOLE_WAIT_MS));
        }
    }

    /// Takes over everything that joins the head without a hole.
    fn advance_head(&mut self, effects: &mut Vec<Effect>) {
        if self.rebuild.is_some() {
            return; // what is made anew contains it, or finds it here afterwards
        }
        while let Some(held) = self.remote.held.remove(&self.head.next()) {
            if let Held::Theirs(update, claims) = held {
                // The log holds what passed another pod's gate: only damage can make it fail.
                let Ok(ranges) = self.take_over(&update) else {
                    return self.reload(effects);
                };
                self.owners.claim(&claims);
                self.show(&update, &ranges, None, effects);
            }
            self.head = self.head.next();
        }
    }

    fn take_over(&mut self, update: &Bytes) -> Result<Vec<ClockRange>, ()> {
        let scan = gate::scan_stored(update).map_err(|_| ())?.scan;
        let placed = scan.place(update, &self.places).map_err(|_| ())?;
        self.size.add(Growth {
            bytes: update.len(),
            structs: scan.structs,
            delete_ranges: scan.deletes.len(),
            nodes: placed.new_keys(update, &self.places, Root::Nodes).count(),
            edges: placed.new_keys(update, &self.places, Root::Edges).count(),
        });
        self.doc.apply(&[&update[..]], false).map_err(|_| ())?;
        self.places.note(placed, update);
        self.doc_version += 1;
        self.name = self.doc.name();
        Ok(scan.ranges)
    }
}
