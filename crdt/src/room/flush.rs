//! From waiting frames to one append, and from its commit to everybody who may know now.
//!
//! A flush happens only while no append is in flight, so that every frame is judged against a document that equals
//! the log. The frames that pass are applied in one transaction and become one append. Nothing about them leaves the
//! room before the store says that it is durable: not the `Saved` (INV-2), not the edit (INV-3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use yrs::StateVector;

use super::astray::Astray;
use super::durability::{Ack, InFlight, Waiting};
use super::effect::{Append, Author, Claim, ClockRange, Effect, FrameKind};
use super::input::Dialect;
use super::judge::Batch;
use super::live::{Live, send};
use super::members::Feed;
use super::size::Growth;
use crate::design::{self, Applied, ApplyFault};
use crate::gate::clock_of;
use crate::ids::{AppendId, ClientId, ConnId, Millis, Seq};
use crate::limits;
use crate::wire;

/// Updates folded into one by merging their bytes. yrs 0.28.1 sorts with an order that is not total, which Rust's sort
/// notices, with a panic, on more than about twenty.
const MERGED_MAX: usize = 16;

/// How often a frame may pass without the log taking it before the room ends: it should be found to be there, or be refused,
/// long before.
const OVERTAKEN_MAX: u32 = 12;
/// How often a large append is held back because others were faster.
const EXACT_TRIES: u32 = 3;
/// What makes an append large, in client ids, deletions and bytes: pods that judge such appends side by side, each within the
/// limits of a design, could exceed them together by more than what is left for that.
const LARGE: (usize, usize, usize) = (1_000, 1_000, 256 << 10);

/// What the document contains already, and the log is to contain next.
pub(super) struct Step {
    /// Yjs update v1.
    pub(super) update: Bytes,
    pub(super) authors: Vec<Author>,
    pub(super) claims: Vec<Claim>,
    pub(super) growth: Growth,
    /// How often the log did not take it, or part of it.
    pub(super) overtaken: u32,
}

impl Live {
    pub(super) fn flush_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.rebuild.is_none() && self.durability.flush_is_due(now) {
            self.durability.next_flush_at = now.plus(limits::FLUSH_INTERVAL_MS);
            self.durability.edits.is_next = true;
            let batch = self.judge(now, effects);
            self.apply_batch(now, batch, effects);
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
        let growth = Growth { delete_ranges: applied.deleted.len(), ..batch.growth };
        let authors = self.authors_of(&batch, &applied);
        let claims = self.claims_of(&authors);
        let sole_author = batch.sole_author();
        let update = match update_of(&batch, applied) {
            Ok(update) => update,
            Err(fault) => return self.start_rebuild(batch, &fault, effects),
        };
        let overtaken = batch.passed.iter().map(|waiting| waiting.overtaken).max().unwrap_or(0);
        let append = self.append_of(Step { update, authors, claims, growth, overtaken });
        let mut flight = InFlight::new(now, append, batch.acks, sole_author);
        (flight.passed, flight.weight) = (batch.passed, Some(batch.weight));
        self.put_in_flight(flight, effects);
    }

    /// The append of what the document contains already.
    pub(super) fn append_of(&mut self, step: Step) -> Append {
        let Step { update, authors, claims, growth, overtaken } = step;
        let name = self.doc.name();
        let renamed = if name == self.name && self.name_is_sure { None } else { name.clone() };
        (self.name, self.name_is_sure) = (name, true);
        self.size.add(Growth { bytes: update.len(), ..growth });
        let append_id = self.durability.next_append_id();
        let (ids, deletions, bytes) = LARGE;
        let is_large = ids < claims.len() || deletions < growth.delete_ranges || bytes < update.len();
        let exactly = is_large && overtaken < EXACT_TRIES;
        Append { append_id, after: self.head, exactly, update, authors, claims, name: renamed }
    }

    pub(super) fn put_in_flight(&mut self, flight: InFlight, effects: &mut Vec<Effect>) {
        effects.push(Effect::Append(flight.append.clone()));
        self.durability.in_flight = Some(flight);
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

    /// Whoever writes first under a client id owns it from then on.
    fn claims_of(&self, authors: &[Author]) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        for author in authors {
            for ClockRange { client, .. } in &author.wrote {
                if !self.owners.is_claimed(*client) {
                    claims.push(Claim { client: *client, user: Some(author.user) });
                }
            }
        }
        claims.sort_unstable_by_key(|claim| claim.client);
        claims.dedup_by_key(|claim| claim.client);
        claims
    }

    // --- after the commit

    pub(super) fn appended(&mut self, now: Millis, append_id: AppendId, seq: Seq, effects: &mut Vec<Effect>) {
        if !self.is_in_flight(append_id) {
            return;
        }
        self.note_commit(now, seq);
        if self.committed_meanwhile(append_id, seq) {
            return;
        }
        self.set_degraded(false, effects);
        let Some(flight) = self.durability.in_flight.as_mut().filter(|flight| !flight.is_told) else {
            // The log has told of it already, before the attempt ended.
            self.durability.in_flight = None;
            return self.committed(now, seq, effects);
        };
        let acks = flight.commit(seq);
        let (update, claims) = (flight.append.update.clone(), flight.append.claims.clone());
        if seq <= self.head {
            // The document was made anew from a log that has it.
            self.reach_flight(now, seq, effects);
        }
        self.committed(now, seq, effects);
        self.acknowledge(&acks, effects);
        effects.push(Effect::Publish { generation: self.generation, seq, update, claims });
    }

    /// Everything up to the append in flight is in the document, and the append is in the log: whoever is to hear of it does.
    pub(super) fn reach_flight(&mut self, now: Millis, seq: Seq, effects: &mut Vec<Effect>) {
        self.note_commit(now, seq);
        let Some(flight) = &mut self.durability.in_flight else { return };
        flight.is_told = true;
        flight.passed.clear();
        let (acks, edit) = (std::mem::take(&mut flight.acks), flight.edit.take());
        let ranges: Vec<ClockRange> = flight.append.wrote().copied().collect();
        let sole_author = flight.sole_author;
        let Append { update, claims, .. } = flight.append.clone();
        let was_told_by_log = flight.committed.is_none();
        if !flight.is_under_way() {
            self.durability.in_flight = None;
        }
        self.note_claims(&claims);
        self.show(&update, &ranges, sole_author, effects);
        self.acknowledge(&acks, effects);
        self.edit_committed(edit, seq, effects);
        if was_told_by_log {
            self.store_was_read(effects);
            effects.push(Effect::Publish { generation: self.generation, seq, update, claims });
        }
    }

    /// Another pod was faster, with a client id, with a clock, or where this append alone was to stand.
    pub(super) fn append_overtaken(&mut self, append_id: AppendId, effects: &mut Vec<Effect>) {
        if self.is_in_flight(append_id) {
            self.set_degraded(false, effects);
            self.give_way(effects);
        }
    }

    /// The append in flight will not be in the log. What it was made of is judged again, once the log has been asked, against a
    /// document without it: most of it will be found to be there already, and whoever wrote something else under clocks that are
    /// taken, or under an id that is somebody else's, is refused alone.
    pub(super) fn give_way(&mut self, effects: &mut Vec<Effect>) {
        let is_hopeless = |waiting: &Waiting| OVERTAKEN_MAX <= waiting.overtaken;
        let flight = self.durability.in_flight.as_ref();
        if flight.is_some_and(|flight| !flight.is_told && flight.passed.iter().any(is_hopeless)) {
            return self.goes_astray(Astray::Refused);
        }
        let Some(flight) = self.durability.in_flight.take() else { return };
        let InFlight { mut passed, acks, edit, is_in_doc, is_told, .. } = flight;
        if is_told {
            return; // the log has the same from another pod
        }
        self.name_is_sure = false;
        if let Some(edit) = edit {
            self.durability.edits.push_back_in(edit);
        }
        for waiting in &mut passed {
            waiting.overtaken += 1;
            waiting.log_was_asked = false;
            // Among the flight's, if there are any.
            waiting.after.clear();
        }
        // The other messages of that flush added nothing to the log as it was. Those of sockets that wait again wait with them:
        // what is settled covers everything before it.
        let own: BTreeSet<(ConnId, u64)> = passed.iter().map(|waiting| (waiting.conn, waiting.n)).collect();
        let mut settled = Vec::new();
        for ack in acks.into_iter().filter(|ack| !own.contains(&(ack.conn, ack.n))) {
            match passed.iter_mut().rfind(|waiting| waiting.conn == ack.conn) {
                None => settled.push(ack),
                Some(last) => last.after.push(ack),
            }
        }
        self.acknowledge(&settled, effects);
        self.durability.put_back(passed);
        if is_in_doc && self.rebuild.is_none() {
            self.read_snapshot(effects);
        }
    }

    pub(super) fn append_failed(&mut self, now: Millis, append_id: AppendId, effects: &mut Vec<Effect>) {
        let jitter = self.jitter();
        match &mut self.durability.in_flight {
            Some(flight) if flight.append.append_id == append_id && flight.is_told => {
                self.durability.in_flight = None;
                return;
            }
            Some(flight) if flight.append.append_id == append_id && flight.committed.is_none() => {
                flight.failed(now, jitter);
            }
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
