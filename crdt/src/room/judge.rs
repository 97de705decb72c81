//! What each waiting frame is worth, judged against a document that equals the log.
//!
//! A verdict that rests on not knowing something (a gap, a client id that is somebody else's or nobody's yet, a viewer who
//! seems to add something) is final only when the log has been asked since the frame arrived: another pod may have committed
//! what is missing here. Until then the frame is set aside, and what its socket sent after it waits behind it; the
//! others never notice.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::durability::{Ack, Waiting};
use super::effect::{ClockRange, Effect};
use super::input::Dialect;
use super::live::{Live, encode_state, send};
use super::settle::Weight;
use super::size::Growth;
use crate::gate::{Closure, Placed, Refusal, Scan, Verdict, clock_of};
use crate::ids::{ClientId, ConnId, Millis, UserId};
use crate::limits;
use crate::roles::DesignRole;
use crate::schema::{Root, Roots};
use crate::wire::{self, CloseCode, Notice, RefusalCode};

/// Ranges. Delete sets above this are compared with what is deleted already.
const EXACT_FROM_RANGES: usize = 256;
/// Bytes. What one range of a delete set takes at most: two clocks.
const DELETE_RANGE_BYTES: usize = 10;

/// The frames of one flush that passed, on their way into one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) passed: Vec<Waiting>,
    /// Every message judged in this flush: all of them wait for its commit.
    pub(super) acks: Vec<Ack>,
    /// Some of it is known already, or repeats old deletions: what goes on is what the transaction really added.
    pub(super) has_overlap: bool,
    /// The next clocks of the clients that wrote in this batch, and whose they are.
    ahead: BTreeMap<ClientId, (u32, UserId)>,
    /// At most what all that passed adds.
    pub(super) growth: Growth,
    /// Of all that passed.
    pub(super) weight: Weight,
}

enum Judgement {
    Pass {
        placed: Placed,
        growth: Growth,
    },
    /// Changes nothing.
    Nothing,
    Gap,
    /// It stands behind something of the same socket that is aside.
    Later,
    /// Somebody else writes under the same new client id in this flush: whose it is, the log will tell.
    Contested,
    /// It brings what may be somebody else's, and in the log by now.
    Strange,
    Refuse(RefusalCode, Cow<'static, str>),
    /// Bytes that no design can hold, which only the document could show.
    Close(Refusal),
}

impl Judgement {
    const fn refuse(code: RefusalCode, message: &'static str) -> Self {
        Self::Refuse(code, Cow::Borrowed(message))
    }

    /// Whether the frame is to be judged again: when what else is in the flush is in the log, or when the log has said
    /// whether it knows what this room does not.
    const fn is_early(&self, waiting: &Waiting) -> bool {
        use RefusalCode::{ForeignClient, NotPermitted, ReadOnly};
        match self {
            Self::Later | Self::Contested => true,
            Self::Gap | Self::Strange | Self::Refuse(ForeignClient | NotPermitted | ReadOnly, _) => {
                !waiting.log_was_asked
            }
            Self::Pass { .. } | Self::Nothing | Self::Refuse(..) | Self::Close(_) => false,
        }
    }
}

impl Live {
    pub(super) fn judge(&mut self, now: Millis, effects: &mut Vec<Effect>) -> Batch {
        let mut batch = Batch::default();
        // Sockets of which something is aside: from before, and by this flush.
        let before: BTreeSet<ConnId> = self.durability.conns_aside().collect();
        let mut now_aside: BTreeSet<ConnId> = BTreeSet::new();
        // What the log was asked for is older than everything that is still aside.
        let mut first = Vec::new();
        let mut closed: BTreeSet<ConnId> = BTreeSet::new();
        for mut waiting in self.durability.take_waiting() {
            if closed.contains(&waiting.conn) {
                continue;
            }
            let was_here = self.members.contains_key(&waiting.conn);
            let conn = waiting.conn;
            let is_behind =
                now_aside.contains(&waiting.conn) || !waiting.log_was_asked && before.contains(&waiting.conn);
            let judgement = if is_behind { Judgement::Later } else { self.judge_one(&batch, &waiting) };
            match judgement {
                judgement if judgement.is_early(&waiting) => {
                    now_aside.insert(waiting.conn);
                    waiting.is_contested |= matches!(judgement, Judgement::Contested);
                    if waiting.log_was_asked {
                        first.push(waiting);
                    } else {
                        self.durability.set_aside(waiting);
                    }
                }
                Judgement::Pass { placed, growth } => {
                    let overlaps = placed.overlaps;
                    batch.weight = batch.weight.max(Weight::of(&placed));
                    self.places.note(placed, &waiting.update);
                    batch.take(waiting, growth, overlaps);
                }
                Judgement::Nothing | Judgement::Later | Judgement::Contested | Judgement::Strange => {
                    batch.ack(&waiting);
                }
                Judgement::Gap => self.gap(now, &waiting, &mut batch, effects),
                Judgement::Refuse(code, message) => {
                    self.refuse(now, &waiting, code, &message, &mut batch, effects);
                }
                Judgement::Close(refusal) => {
                    self.close(now, waiting.conn, refusal.close_code(), &refusal.to_string(), effects);
                }
            }
            // Whoever is sent away is not heard any more. (Whoever left by itself is: what it sent before counts.)
            if was_here && !self.members.contains_key(&conn) {
                closed.insert(conn);
            }
        }
        self.durability.set_aside_first(first);
        batch
    }

    fn judge_one(&mut self, batch: &Batch, waiting: &Waiting) -> Judgement {
        let scan = &waiting.scan;
        if scan.is_empty() {
            return Judgement::Nothing;
        }
        let member = self.members.get(&waiting.conn);
        // What passed before stands before whatever was refused since.
        let has_passed = 0 < waiting.overtaken;
        let is_over = |round| !has_passed && waiting.round <= round;
        if member.is_some_and(|member| member.reset.is_some_and(is_over)) {
            let message = "an earlier edit on this socket was refused: begin again with a SyncStep1";
            return Judgement::refuse(RefusalCode::SpentClient, message);
        }
        if self.marks.holds(&waiting.update) {
            return Judgement::refuse(RefusalCode::Rejected, "this edit could not be applied before");
        }
        let known = Arc::clone(self.known.now());
        let clock = |client: ClientId| batch.clock(client).max(clock_of(&known, client));
        // "Adds nothing" means to the log: what stands beside it in this flush may still turn out to be a culprit.
        let in_log = |client: ClientId| clock_of(&known, client);
        if waiting.role == DesignRole::Viewer || self.read_only.is_some() {
            let adds = matches!(scan.closure(clock), Closure::Gap { .. })
                || scan.adds_structs(in_log)
                || self.doc.deletes_anything(&scan.deletes);
            return if adds { self.not_here() } else { Judgement::Nothing };
        }
        let is_new = |range: &&ClockRange| in_log(range.client) < range.end || waiting.is_contested;
        for range in scan.ranges.iter().filter(is_new) {
            if !has_passed && self.is_spent(waiting, range.client) {
                let message = "an earlier edit under this client id was refused";
                return Judgement::refuse(RefusalCode::SpentClient, message);
            }
            if self.owners.of(range.client).is_none()
                && batch.is_claimed_by_another(range.client, waiting.user)
            {
                return Judgement::Contested;
            }
            if self.is_foreign(range.client, waiting.user) {
                let message = "this client id belongs to somebody else";
                return Judgement::refuse(RefusalCode::ForeignClient, message);
            }
        }
        if !scan.adds_structs(in_log) && scan.deletes.is_empty() {
            return Judgement::Nothing;
        }
        if !waiting.log_was_asked && self.may_be_anothers(waiting, in_log) {
            return Judgement::Strange;
        }
        let mut placed = match scan.judge(&waiting.update, clock, &self.places) {
            Verdict::Clean(placed) => placed,
            Verdict::Gap { .. } => return Judgement::Gap,
            Verdict::Refused(refusal) => return Judgement::Close(refusal),
        };
        if !waiting.role.may_edit() && !self.is_comment(&placed, waiting, in_log) {
            return self.not_here();
        }
        let in_lists = placed.in_lists();
        if 0 < in_lists && limits::DOCUMENT_SEQUENCE_MAX < self.places.in_lists() + in_lists {
            let message = "the design's shared texts and lists are as long as they may be";
            return Judgement::refuse(RefusalCode::TooMany, message);
        }
        let growth = self.growth(&waiting.update, scan, &placed, in_log);
        if let Some((code, message)) = self.outgrows(batch, scan, growth) {
            return Judgement::refuse(code, message);
        }
        // A SyncStep2 carries every deletion its author ever saw.
        placed.overlaps |= waiting.is_step2 && !scan.deletes.is_empty();
        Judgement::Pass { placed, growth }
    }

    /// The document may not be changed, by nobody or by this sender.
    fn not_here(&self) -> Judgement {
        match &self.read_only {
            Some(reason) => Judgement::Refuse(RefusalCode::ReadOnly, Cow::Owned(reason.clone())),
            None => Judgement::refuse(
                RefusalCode::NotPermitted,
                "your role on this design does not permit this edit",
            ),
        }
    }

    /// Who comes from another pod brings along what others have written there, and this pod may not have heard of. A
    /// client's own id has been announced, or comes alone.
    fn may_be_anothers(&self, waiting: &Waiting, in_log: impl Fn(ClientId) -> u32) -> bool {
        let is_own = |client| self.owners.of(client).is_some() || self.presence.is_of(client, waiting.user);
        let new = waiting.scan.ranges.iter().filter(|range| in_log(range.client) == 0);
        let strange = new.filter(|range| !is_own(range.client)).count();
        0 < strange && (waiting.is_step2 || 1 < strange)
    }

    /// An update under this client id was refused on this socket, or is in quarantine.
    fn is_spent(&self, waiting: &Waiting, client: ClientId) -> bool {
        self.marks.is_spent(client, waiting.user)
            || self.members.get(&waiting.conn).is_some_and(|member| member.spent.contains(&client))
    }

    /// Writes and deletes in `comments` only.
    fn is_comment(&self, placed: &Placed, waiting: &Waiting, in_log: impl Fn(ClientId) -> u32) -> bool {
        let elsewhere = self.places.parts_outside(&waiting.scan.deletes, Root::Comments);
        // What stands beside it in this flush is not in the document yet.
        if elsewhere.iter().any(|range| in_log(range.client) < range.end) {
            return false;
        }
        placed.roots().is_subset_of(Roots::only(Root::Comments)) && !self.doc.deletes_anything(&elsewhere)
    }

    /// At most what the update adds to the document.
    pub(super) fn growth(
        &self,
        update: &[u8],
        scan: &Scan,
        placed: &Placed,
        in_log: impl Fn(ClientId) -> u32,
    ) -> Growth {
        let new = |root| {
            let keys = placed.new_keys(update, &self.places, root);
            keys.filter(|key| !self.doc.has_key(root, key)).count()
        };
        let deletes = &scan.deletes;
        // A SyncStep2 brings every old deletion along: looked at closely only where it matters.
        let delete_ranges = if deletes.len() < EXACT_FROM_RANGES {
            deletes.len()
        } else {
            self.doc.new_delete_ranges(deletes)
        };
        let adds = scan.adds_structs(in_log);
        Growth {
            bytes: if adds { update.len() } else { delete_ranges * DELETE_RANGE_BYTES },
            structs: if adds { scan.structs } else { 0 },
            delete_ranges,
            nodes: new(Root::Nodes),
            edges: new(Root::Edges),
        }
    }

    /// What a document must not grow beyond: whatever it holds, every client sends back whole, in a state vector or in
    /// a delete set, and must not be refused for it.
    fn outgrows(
        &mut self,
        batch: &Batch,
        scan: &Scan,
        growth: Growth,
    ) -> Option<(RefusalCode, &'static str)> {
        let known = Arc::clone(self.known.now());
        let ranges = scan.ranges.iter();
        let new_clients = ranges.filter(|range| clock_of(&known, range.client) == 0).count();
        if 0 < new_clients && limits::DOCUMENT_CLIENTS_MAX < known.len() + batch.ahead.len() + new_clients {
            return Some((RefusalCode::TooMany, "too many client ids have written to this design"));
        }
        // Upper bounds: look closer before anything is refused.
        self.size.outgrown(batch.growth, growth)?;
        self.size.measure(&self.doc, self.doc_version);
        self.size.outgrown(batch.growth, growth)
    }

    /// The same for what goes into the document by itself.
    pub(super) fn outgrows_alone(
        &mut self,
        scan: &Scan,
        growth: Growth,
    ) -> Option<(RefusalCode, &'static str)> {
        self.outgrows(&Batch::default(), scan, growth)
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
        batch.acks.extend(&waiting.after);
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
        // Whoever may write has now used clocks that the log will never have: no later one can follow them.
        let reset = waiting.role != DesignRole::Viewer && code != RefusalCode::ReadOnly;
        let known = Arc::clone(self.known.now());
        let Some(member) = self.members.get_mut(&waiting.conn) else { return };
        let mut may_stay = true;
        if reset {
            member.reset = Some(member.reset.map_or(waiting.round, |round| round.max(waiting.round)));
            for range in waiting.scan.ranges.iter().filter(|range| clock_of(&known, range.client) < range.end)
            {
                may_stay &= member.spend(range.client);
            }
        }
        match member.dialect {
            Dialect::Atlas => {
                let notice = Notice::Refused { message: message.to_owned(), code, reset };
                send(waiting.conn, wire::notice(&notice), effects);
                if !may_stay {
                    let message = "too many client ids of this connection are spent";
                    self.close(now, waiting.conn, CloseCode::Reset, message, effects);
                }
            }
            Dialect::Stock if reset => self.close(now, waiting.conn, CloseCode::Reset, message, effects),
            Dialect::Stock => send(waiting.conn, wire::permission_denied(message), effects),
        }
    }
}

impl Batch {
    /// One past the last clock of the client in this batch.
    fn clock(&self, client: ClientId) -> u32 {
        self.ahead.get(&client).map_or(0, |(next, _)| *next)
    }

    fn is_claimed_by_another(&self, client: ClientId, user: UserId) -> bool {
        self.ahead.get(&client).is_some_and(|(_, owner)| *owner != user)
    }

    fn take(&mut self, waiting: Waiting, growth: Growth, overlaps: bool) {
        for ClockRange { client, end, .. } in &waiting.scan.ranges {
            let (next, _) = self.ahead.entry(*client).or_insert((0, waiting.user));
            *next = (*next).max(*end);
        }
        self.has_overlap |= overlaps;
        self.growth = self.growth + growth;
        self.ack(&waiting);
        self.passed.push(waiting);
    }

    fn ack(&mut self, waiting: &Waiting) {
        self.acks.push(Ack { conn: waiting.conn, n: waiting.n, covers: waiting.is_step2 });
        self.acks.extend(&waiting.after);
    }

    pub(super) fn sole_author(&self) -> Option<ConnId> {
        let first = self.passed.first()?.conn;
        self.passed.iter().all(|waiting| waiting.conn == first).then_some(first)
    }
}
