//! From waiting frames to one append, and from its commit to everybody who may know now.
//!
//! A flush happens only while no append is in flight, so that every frame is judged against a document that equals
//! the log. The frames that pass are applied in one transaction and become one append. Nothing about them leaves the
//! room before the store says that it is durable: not the `Saved` (INV-2), not the edit (INV-3).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use yrs::StateVector;

use super::durability::{Ack, InFlight, Waiting};
use super::effect::{Append, Author, ClockRange, Effect, FrameKind};
use super::input::Dialect;
use super::live::{Live, encode_state, send};
use super::members::Feed;
use crate::design::{self, Applied, ApplyFault};
use crate::gate::{Closure, Placed, Refusal, clock_of};
use crate::ids::{AppendId, ClientId, ConnId, Millis, Seq};
use crate::limits;
use crate::wire::{self, CloseCode, Notice, RefusalCode};

/// Updates folded into one by merging their bytes. yrs 0.28.1 sorts with an order that is not total, which Rust's sort
/// notices, with a panic, on more than about twenty.
const MERGED_MAX: usize = 16;
/// Ranges. Delete sets above this are compared with what is deleted already.
const EXACT_FROM_RANGES: usize = 256;

/// The frames of one flush that passed, on their way into one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) passed: Vec<Waiting>,
    /// Every message judged in this flush: all of them wait for its commit.
    pub(super) acks: Vec<Ack>,
    /// The next clocks of the clients that wrote in this batch.
    ahead: BTreeMap<ClientId, u32>,
    /// Some of it is known already, or repeats old deletions: what goes on is what the transaction really added.
    has_overlap: bool,
    /// Sums over what passed.
    bytes: usize,
    deletes: usize,
}

enum Judgement {
    /// `new_deletes`: ranges that it may add to the delete set.
    Pass {
        placed: Placed,
        overlaps: bool,
        new_deletes: usize,
    },
    /// Changes nothing.
    Nothing,
    Gap,
    Refuse(RefusalCode, &'static str),
    /// Bytes that no design can hold, which only the document could show.
    Close(Refusal),
}

impl Live {
    pub(super) fn flush_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.rebuild.is_none() && self.durability.flush_is_due(now) {
            self.durability.next_flush_at = now.plus(limits::FLUSH_INTERVAL_MS);
            let batch = self.judge(now, effects);
            self.apply_batch(now, batch, effects);
        }
    }

    // --- judging

    fn judge(&mut self, now: Millis, effects: &mut Vec<Effect>) -> Batch {
        let mut batch = Batch::default();
        for waiting in self.durability.take_waiting() {
            match self.judge_one(&batch, &waiting) {
                Judgement::Pass { placed, overlaps, new_deletes } => {
                    self.places.note(placed, &waiting.update);
                    batch.deletes += new_deletes;
                    batch.take(waiting, overlaps);
                }
                Judgement::Nothing => batch.ack(&waiting),
                Judgement::Gap => self.gap(now, &waiting, &mut batch, effects),
                Judgement::Refuse(code, message) => {
                    self.refuse(now, &waiting, code, message, &mut batch, effects);
                }
                Judgement::Close(refusal) => {
                    self.close(now, waiting.conn, refusal.close_code(), &refusal.to_string(), effects);
                }
            }
        }
        batch
    }

    fn judge_one(&mut self, batch: &Batch, waiting: &Waiting) -> Judgement {
        let known = Arc::clone(self.known.now());
        let clock =
            |client: ClientId| batch.ahead.get(&client).copied().unwrap_or(0).max(clock_of(&known, client));
        // "Adds nothing" means to the log: what stands beside it in this flush may still turn out to be a culprit.
        let in_log = |client: ClientId| clock_of(&known, client);
        let scan = &waiting.scan;
        if scan.is_empty() {
            return Judgement::Nothing;
        }
        let closure = scan.closure(clock);
        if !waiting.role.may_edit() {
            let adds = matches!(closure, Closure::Gap { .. })
                || scan.adds_structs(in_log)
                || self.doc.deletes_anything(&scan.deletes);
            return if adds {
                Judgement::Refuse(
                    RefusalCode::NotPermitted,
                    "your role on this design does not permit this edit",
                )
            } else {
                Judgement::Nothing
            };
        }
        match closure {
            Closure::Gap { .. } => Judgement::Gap,
            Closure::Closed { .. } if !scan.adds_structs(in_log) && scan.deletes.is_empty() => {
                Judgement::Nothing
            }
            Closure::Closed { overlaps } => {
                let new_deletes = self.new_deletes(waiting);
                if let Some((code, what)) = self.outgrows(batch, waiting, &known, new_deletes) {
                    return Judgement::Refuse(code, what);
                }
                // A SyncStep2 carries every deletion its author ever saw.
                let overlaps = overlaps || (waiting.is_step2 && !scan.deletes.is_empty());
                match scan.place(&waiting.update, &self.places) {
                    Ok(placed) => Judgement::Pass { placed, overlaps, new_deletes },
                    Err(refusal) => Judgement::Close(refusal),
                }
            }
        }
    }

    /// What a document must not grow beyond: whatever it holds, every client sends back whole, in a state vector or in
    /// a delete set, and must not be refused for it.
    fn outgrows(
        &mut self,
        batch: &Batch,
        waiting: &Waiting,
        known: &StateVector,
        new_deletes: usize,
    ) -> Option<(RefusalCode, &'static str)> {
        let scan = &waiting.scan;
        let new_clients = scan.ranges.iter().filter(|range| clock_of(known, range.client) == 0).count();
        if 0 < new_clients && limits::DOCUMENT_CLIENTS_MAX < known.len() + batch.ahead.len() + new_clients {
            return Some((RefusalCode::TooMany, "too many client ids have written to this design"));
        }
        let bytes = batch.bytes + waiting.update.len();
        let deletes = batch.deletes + new_deletes;
        if !self.size.has_room_for(bytes, deletes) {
            // Upper bounds: look closer before anything is refused.
            self.measure();
        }
        if !self.size.has_room_for(bytes, 0) {
            return Some((RefusalCode::TooLarge, "the design has reached its largest size"));
        }
        let has_room = new_deletes == 0 || self.size.has_room_for(bytes, deletes);
        (!has_room).then_some((RefusalCode::TooMany, "the design has too many separate deletions"))
    }

    /// An upper bound, exact where it matters: a SyncStep2 brings every old deletion along.
    fn new_deletes(&self, waiting: &Waiting) -> usize {
        let deletes = &waiting.scan.deletes;
        if deletes.len() < EXACT_FROM_RANGES { deletes.len() } else { self.doc.new_delete_ranges(deletes) }
    }

    /// Nothing is applied. The client is asked for what is missing; its answer contains this message too.
    fn gap(&mut self, now: Millis, waiting: &Waiting, batch: &mut Batch, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(&waiting.conn) else { return };
        member.acks.open_gap(waiting.n);
        let ask = if waiting.is_step2 {
            if !member.acks.ask_again() {
                member.acks.give_up_gap();
                let message = "your edits build on something that this server has never seen";
                return self.refuse(now, waiting, RefusalCode::Gap, message, batch, effects);
            }
            true
        } else {
            // Is an answer on its way? It covers this message as well.
            member.owed_step2 == 0
        };
        if ask {
            member.owed_step2 += 1;
            let step1 = wire::sync_step1(&encode_state(self.known.now()));
            send(waiting.conn, step1, effects);
        }
        batch.acks.push(Ack { conn: waiting.conn, n: waiting.n, covers: false });
    }

    fn refuse(
        &mut self,
        now: Millis,
        waiting: &Waiting,
        code: RefusalCode,
        message: &str,
        batch: &mut Batch,
        effects: &mut Vec<Effect>,
    ) {
        batch.ack(waiting);
        let Some(member) = self.members.get(&waiting.conn) else { return };
        // Somebody who may edit has now written under a client id whose later clocks can never follow.
        let reset = waiting.role.may_edit();
        match member.dialect {
            Dialect::Atlas => {
                let notice = Notice::Refused { message: message.to_owned(), code, reset };
                send(waiting.conn, wire::notice(&notice), effects);
            }
            Dialect::Stock if reset => self.close(now, waiting.conn, CloseCode::Reset, message, effects),
            Dialect::Stock => send(waiting.conn, wire::permission_denied(message), effects),
        }
    }

    // --- applying

    fn apply_batch(&mut self, now: Millis, batch: Batch, effects: &mut Vec<Effect>) {
        if batch.passed.is_empty() {
            self.acknowledge(&batch.acks, effects);
            return;
        }
        let updates: Vec<&[u8]> = batch.passed.iter().map(|waiting| &waiting.update[..]).collect();
        match self.doc.apply(&updates, batch.has_overlap || MERGED_MAX < updates.len()) {
            Ok(applied) => {
                self.doc_version += 1;
                self.append(now, batch, applied, effects);
            }
            Err(fault) => self.start_rebuild(batch, &fault, effects),
        }
    }

    /// The document contains the batch now; the log comes next.
    pub(super) fn append(&mut self, now: Millis, batch: Batch, applied: Applied, effects: &mut Vec<Effect>) {
        if !applied.changed {
            self.acknowledge(&batch.acks, effects);
            return;
        }
        let name = self.doc.name();
        let renamed = if name == self.name { None } else { name.clone() };
        let deleted_ranges = applied.deleted.len();
        let authors = self.authors_of(&batch, &applied);
        let ranges = authors.iter().flat_map(|author| author.wrote.iter().copied()).collect();
        let sole_author = batch.sole_author();
        let update = match update_of(&batch, applied) {
            Ok(update) => update,
            Err(fault) => return self.start_rebuild(batch, &fault, effects),
        };
        self.name = name;
        self.size.bytes += update.len();
        self.size.delete_ranges += deleted_ranges;
        let append = Append { append_id: self.durability.next_append_id(), update, authors, name: renamed };
        effects.push(Effect::Append(append.clone()));
        self.durability.in_flight = Some(InFlight::new(now, append, batch.acks, sole_author, ranges));
    }

    fn authors_of(&mut self, batch: &Batch, applied: &Applied) -> Vec<Author> {
        let mut ahead: BTreeMap<ClientId, u32> = BTreeMap::new();
        let mut left = Unclaimed::new(&applied.deleted);
        let mut authors: Vec<Author> = Vec::new();
        for waiting in &batch.passed {
            let known = self.known.now();
            let mut wrote = Vec::new();
            for range in &waiting.scan.ranges {
                let next = ahead.entry(range.client).or_insert_with(|| clock_of(known, range.client));
                if *next < range.end {
                    wrote.push(ClockRange { start: *next, ..*range });
                    *next = range.end;
                }
            }
            let deleted = left.claim(&waiting.scan.deletes);
            match authors.iter_mut().find(|author| author.user == waiting.user) {
                Some(author) => {
                    author.wrote.extend(wrote);
                    author.deleted.extend(deleted);
                }
                None => authors.push(Author { user: waiting.user, wrote, deleted }),
            }
        }
        authors
    }

    // --- after the commit

    pub(super) fn appended(&mut self, append_id: AppendId, seq: Seq, effects: &mut Vec<Effect>) {
        let is_ours =
            self.durability.in_flight.as_ref().is_some_and(|flight| flight.append.append_id == append_id);
        let Some(flight) = self.durability.in_flight.take_if(|_| is_ours) else { return };
        self.set_degraded(false, effects);
        self.committed(seq, effects);
        self.show(&flight.append.update, &flight.ranges, flight.sole_author, effects);
        self.acknowledge(&flight.acks, effects);
        effects.push(Effect::Publish { generation: self.generation, seq, update: flight.append.update });
    }

    pub(super) fn append_failed(&mut self, now: Millis, append_id: AppendId, effects: &mut Vec<Effect>) {
        let jitter = self.jitter();
        match &mut self.durability.in_flight {
            Some(flight) if flight.append.append_id == append_id => flight.failed(now, jitter),
            _ => return,
        }
        self.set_degraded(true, effects);
    }

    /// Time has passed for the append in flight.
    pub(super) fn watch_append(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let Some(flight) = &mut self.durability.in_flight else { return };
        let slow = flight.became_slow(now);
        if let Some(append) = flight.take_retry(now) {
            effects.push(Effect::Append(append));
        }
        if slow {
            self.set_degraded(true, effects);
        }
    }

    /// Shows a committed edit to everybody but its only author.
    pub(super) fn show(
        &mut self,
        update: &Bytes,
        ranges: &[ClockRange],
        sole_author: Option<ConnId>,
        effects: &mut Vec<Effect>,
    ) {
        let since: Arc<StateVector> = self.known.advance(ranges);
        let to: Vec<ConnId> = self
            .members
            .iter()
            .filter(|(conn, member)| Some(**conn) != sole_author && matches!(member.feed, Feed::Live))
            .map(|(conn, _)| *conn)
            .collect();
        if !to.is_empty() {
            effects.push(Effect::Send {
                to,
                frame: wire::update(update),
                kind: FrameKind::Document { since },
            });
        }
    }

    pub(super) fn acknowledge(&mut self, acks: &[Ack], effects: &mut Vec<Effect>) {
        let mut touched: Vec<ConnId> = Vec::with_capacity(acks.len());
        for ack in acks {
            if let Some(member) = self.members.get_mut(&ack.conn) {
                member.acks.resolve(ack.n, ack.covers);
                if touched.last() != Some(&ack.conn) {
                    touched.push(ack.conn);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for conn in touched {
            let Some(member) = self.members.get_mut(&conn) else { continue };
            if let Some(n) = member.acks.take_news()
                && member.dialect == Dialect::Atlas
            {
                send(conn, wire::saved(n), effects);
            }
        }
    }
}

impl Batch {
    fn take(&mut self, waiting: Waiting, overlaps: bool) {
        for range in &waiting.scan.ranges {
            let next = self.ahead.entry(range.client).or_insert(0);
            *next = (*next).max(range.end);
        }
        self.has_overlap |= overlaps;
        self.bytes += waiting.update.len();
        self.ack(&waiting);
        self.passed.push(waiting);
    }

    fn ack(&mut self, waiting: &Waiting) {
        self.acks.push(Ack { conn: waiting.conn, n: waiting.n, covers: waiting.is_step2 });
    }

    fn sole_author(&self) -> Option<ConnId> {
        let first = self.passed.first()?.conn;
        self.passed.iter().all(|waiting| waiting.conn == first).then_some(first)
    }
}

/// The bytes that go into the log and to the others: the author's own where they are exactly what is new, since
/// re-encoding costs in proportion to all client ids that ever wrote.
fn update_of(batch: &Batch, applied: Applied) -> Result<Bytes, ApplyFault> {
    match (applied.added, &batch.passed[..]) {
        (Some(added), _) => Ok(added),
        (None, [only]) => Ok(only.update.clone()),
        (None, many) => {
            let updates: Vec<&[u8]> = many.iter().map(|waiting| &waiting.update[..]).collect();
            design::merge_updates(&updates)
        }
    }
}

/// What a flush deleted and nobody is named for yet.
struct Unclaimed(BTreeMap<(ClientId, u32), u32>);

impl Unclaimed {
    fn new(deleted: &[ClockRange]) -> Self {
        Self(deleted.iter().map(|range| ((range.client, range.start), range.end)).collect())
    }

    /// Takes out what `wanted` names: the first author who names a deletion is the one who made it. Costs what is
    /// wanted and what is taken, not what is left, since clients decide how much of each there is.
    fn claim(&mut self, wanted: &[ClockRange]) -> Vec<ClockRange> {
        let mut taken = Vec::new();
        for want in wanted {
            if self.0.is_empty() {
                break;
            }
            let client = want.client;
            // From the end, so that each piece that is cut in two stays behind what comes next.
            while let Some((&(_, start), &end)) = self.0.range((client, 0)..(client, want.end)).next_back() {
                if end <= want.start {
                    break;
                }
                self.0.remove(&(client, start));
                if want.end < end {
                    self.0.insert((client, want.end), end);
                }
                if start < want.start {
                    self.0.insert((client, start), want.start);
                }
                taken.push(ClockRange { client, start: start.max(want.start), end: end.min(want.end) });
            }
        }
        taken.sort_unstable();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_belongs_to_the_first_who_names_it() {
        let range = |start, end| ClockRange { client: ClientId::new(7), start, end };
        let mut left = Unclaimed::new(&[range(10, 20), range(30, 40)]);
        assert_eq!(left.claim(&[range(15, 16), range(0, 12)]), [range(10, 12), range(15, 16)]);
        assert_eq!(left.claim(&[range(19, 31)]), [range(19, 20), range(30, 31)]);
        assert_eq!(left.claim(&[range(0, 100)]), [range(12, 15), range(16, 19), range(31, 40)]);
        assert!(left.0.is_empty());
    }
}
