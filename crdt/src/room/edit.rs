//! Edits that come without a Yjs document of their own: what REST asks for, made into an update by the room itself.
//!
//! Such an edit is a flush of its own. It is taken up while no append is in flight and the log is known without a hole, so
//! that the document that it is compared with (`If-Match`) and drafted against is the log, nothing else. The update that
//! comes of it passes the same gate and limits as anybody's, is appended, shown and published like anybody's, and answered
//! after its commit. Frames and edits take turns.
//!
//! An edit that was compared with the document (`If-Match`) must be made on exactly that. So its append names its place in
//! the log; if another pod has been faster, the document is made anew and the edit compared again.
//!
//! Every edit is answered once, whatever happens. [`EditOutcome::Unknown`] is the answer when it is in flight and the
//! store does not say in time what became of it, or what the design is with it; every other answer is certain.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::durability::InFlight;
use super::effect::{Author, Claim, Effect, Quarantine};
use super::flush::Step;
use super::live::{Live, TROUBLE};
use super::quarantine;
use super::settle::Weight;
use crate::design::{Change, DraftError};
use crate::gate::{self, Verdict, clock_of};
use crate::ids::{ClientId, Generation, Millis, RequestId, Seq, UserId};
use crate::limits;
use crate::roles::DesignRole;
use crate::view::DesignView;
use crate::wire::{CloseCode, RefusalCode};

/// What somebody wants of a design.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// Names the answer.
    pub request: RequestId,
    pub user: UserId,
    /// On this design, as far as the platform role permits.
    pub role: DesignRole,
    /// What the server writes it under: fresh, random, and used for nothing else, ever.
    pub client: ClientId,
    /// What the design must be for the edit to be made at all.
    pub expected: Option<Expected>,
    pub change: Change,
    /// Bytes. What it takes in memory, as far as the budget of what waits is concerned.
    pub bytes: usize,
}

/// A precondition (`If-Match`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// `*`: that there is a design.
    Any,
    /// That the design is as one of these tags says.
    OneOf(Vec<Tag>),
}

/// Which state of a design somebody has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// The hash of the JSON snapshot.
    Json { content_hash: [u8; 32] },
    /// The place in the log.
    Yjs { generation: Generation, seq: Seq },
}

/// What came of an edit.
#[derive(Debug, Clone, PartialEq)]
pub enum EditOutcome {
    /// It is in the log, or the log says the same without it.
    Done(Edited),
    /// The design is not what was expected. Nothing was changed.
    Stale { content_hash: [u8; 32] },
    /// Nothing was changed: the role, a limit, or the design's own state does not permit it.
    Refused { code: RefusalCode, message: String },
    /// Nothing was changed: the change does not fit the design that it met. The place and the rule.
    Unfit { message: String },
    /// Nothing was changed, and nothing ever will be by this request: why it was not taken up.
    TurnedAway { code: CloseCode, reason: String },
    /// It is on its way into the log, and whether it arrives is not known yet.
    Unknown,
}

/// A design after an edit.
#[derive(Debug, Clone, PartialEq)]
pub struct Edited {
    /// The edit's place in the log; the head, when there was nothing to change.
    pub seq: Seq,
    /// Whether there was anything to change.
    pub has_changed: bool,
    pub content_hash: [u8; 32],
    /// `meta.name`; empty when there is none.
    pub name: String,
    /// The edges among those that the edit names which nobody can see, each with the nodes that are missing.
    pub hidden_edges: Vec<(String, Vec<String>)>,
}

/// The edits of a room that nothing was done about yet.
#[derive(Debug, Default)]
pub(super) struct Edits {
    waiting: VecDeque<(Arc<Edit>, Millis)>,
    bytes: usize,
    /// When the next one may be taken up: each costs a copy of the document, and sockets wait meanwhile.
    next_at: Millis,
    /// A flush went before it: now it is an edit's turn.
    pub(super) is_next: bool,
}

/// An edit whose append is in flight.
#[derive(Debug)]
pub(super) struct EditInFlight {
    edit: Arc<Edit>,
    until: Millis,
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest is given up.
    fn until(&self) -> Option<Millis> {
        self.waiting.front().map(|(_, until)| *until)
    }

    fn push(&mut self, edit: Arc<Edit>, until: Millis) {
        self.bytes += edit.bytes;
        self.waiting.push_back((edit, until));
    }

    /// It was taken up, and is to be taken up once more.
    pub(super) fn push_back_in(&mut self, EditInFlight { edit, until }: EditInFlight) {
        self.bytes += edit.bytes;
        self.waiting.push_front((edit, until));
    }

    fn pop(&mut self) -> Option<(Arc<Edit>, Millis)> {
        let popped = self.waiting.pop_front()?;
        self.bytes -= popped.0.bytes;
        Some(popped)
    }

    fn has_space_for(&self, edit: &Edit) -> bool {
        self.waiting.len() < limits::EDITS_PER_ROOM_MAX
            && (self.is_empty() || self.bytes + edit.bytes <= limits::EDIT_BYTES_PER_ROOM_MAX)
    }
}

impl Live {
    /// An edit has arrived.
    pub(super) fn edit(&mut self, now: Millis, edit: Arc<Edit>, effects: &mut Vec<Effect>) {
        if self.idle_since.is_some() {
            // Who edits like this comes back soon.
            self.idle_since = Some(now);
        }
        let reason = if self.durability.shedding {
            TROUBLE
        } else if !self.durability.edits.has_space_for(&edit) {
            "too many edits of this design wait"
        } else {
            return self.durability.edits.push(edit, now.plus(limits::EDIT_WAIT_MS));
        };
        answer(&edit, turned_away(CloseCode::Overloaded, reason), effects);
    }

    /// Takes up the oldest edit, if it is time for one.
    pub(super) fn edit_if_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.edits_may_go() && self.durability.edits.next_at <= now {
            let Some((edit, until)) = self.durability.edits.pop() else { return };
            self.durability.edits.next_at = now.plus(limits::FLUSH_INTERVAL_MS);
            self.durability.edits.is_next = false;
            if let Some(outcome) = self.take_up(now, &edit, until, effects) {
                answer(&edit, outcome, effects);
            }
        }
    }

    /// Whoever waits too long is told so: of what was not taken up, that nothing will be changed by it any more; of what
    /// is in flight, that nobody knows.
    pub(super) fn give_up_late_edits(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        while self.durability.edits.until().is_some_and(|until| until <= now)
            && let Some((edit, _)) = self.durability.edits.pop()
        {
            let reason = if self.durability.degraded || self.rebuild.is_some() {
                TROUBLE
            } else {
                "the design is too busy"
            };
            answer(&edit, turned_away(CloseCode::Overloaded, reason), effects);
        }
        let flight = self.durability.in_flight.as_mut();
        if let Some(late) = flight.and_then(|flight| flight.edit.take_if(|edit| edit.until <= now)) {
            answer(&late.edit, EditOutcome::Unknown, effects);
        }
    }

    /// None of the edits that wait will be taken up.
    pub(super) fn turn_edits_away(&mut self, code: CloseCode, reason: &str, effects: &mut Vec<Effect>) {
        while let Some((edit, _)) = self.durability.edits.pop() {
            answer(&edit, turned_away(code, reason), effects);
        }
    }

    /// The design is gone or must be loaded anew. `is_lost`: what was in flight will certainly not be in its log.
    pub(super) fn edits_are_pointless(
        &mut self,
        code: CloseCode,
        reason: &str,
        is_lost: bool,
        effects: &mut Vec<Effect>,
    ) {
        self.turn_edits_away(code, reason, effects);
        let Some(flight) = &mut self.durability.in_flight else { return };
        let is_lost = is_lost && flight.committed.is_none();
        if let Some(open) = flight.edit.take() {
            let outcome = if is_lost { turned_away(code, reason) } else { EditOutcome::Unknown };
            answer(&open.edit, outcome, effects);
        }
    }

    /// The append that was an edit is in the log, and everybody has been shown it.
    pub(super) fn edit_committed(&mut self, done: Option<EditInFlight>, seq: Seq, effects: &mut Vec<Effect>) {
        if let Some(EditInFlight { edit, .. }) = done {
            let edited = edited(&self.doc.view(), &edit, seq, true);
            answer(&edit, EditOutcome::Done(edited), effects);
        }
    }

    pub(super) fn edits_deadline(&self) -> Option<Millis> {
        let edits = &self.durability.edits;
        let turn = (!edits.is_empty() && self.edits_may_go()).then_some(edits.next_at);
        let flight = self.durability.in_flight.as_ref();
        let late = flight.and_then(|flight| flight.edit.as_ref()).map(|edit| edit.until);
        [turn, edits.until(), late].into_iter().flatten().min()
    }

    /// Whether the document is the log, as far as anybody can know.
    fn edits_may_go(&self) -> bool {
        self.durability.in_flight.is_none() && self.rebuild.is_none() && !self.remote.has_hole(self.head)
    }

    /// `None`: it is in flight now.
    fn take_up(
        &mut self,
        now: Millis,
        edit: &Arc<Edit>,
        until: Millis,
        effects: &mut Vec<Effect>,
    ) -> Option<EditOutcome> {
        if !edit.role.may_edit() {
            let message = "your role on this design does not permit this edit";
            return Some(refused(RefusalCode::NotPermitted, message));
        }
        if let Some(reason) = &self.read_only {
            return Some(refused(RefusalCode::ReadOnly, reason));
        }
        let view = self.doc.view();
        if !self.is_expected(edit, &view) {
            return Some(EditOutcome::Stale { content_hash: view.content_hash() });
        }
        let known = Arc::clone(self.known.now());
        if self.owners.of(edit.client).is_some() || clock_of(&known, edit.client) != 0 {
            let reason = "the client id drawn for this edit is taken: another one will not be";
            return Some(turned_away(CloseCode::Overloaded, reason));
        }
        match self.doc.draft(edit.client, &view, &edit.change) {
            Ok(Some(update)) => self.write(now, edit, until, update, effects),
            Ok(None) => Some(EditOutcome::Done(edited(&view, edit, self.head, false))),
            Err(DraftError::Unfit(error)) => Some(EditOutcome::Unfit { message: error.to_string() }),
            Err(DraftError::Fault(fault)) => {
                effects.push(Effect::Report {
                    what: format!("an edit over HTTP could not be drafted: {fault}"),
                });
                Some(refused(RefusalCode::Rejected, "this edit cannot be applied"))
            }
        }
    }

    fn is_expected(&self, edit: &Edit, view: &DesignView) -> bool {
        let is_now = |tag: &Tag| match *tag {
            Tag::Json { content_hash } => content_hash == view.content_hash(),
            Tag::Yjs { generation, seq } => (generation, seq) == (self.generation, self.head),
        };
        match &edit.expected {
            None | Some(Expected::Any) => true,
            Some(Expected::OneOf(tags)) => tags.iter().any(is_now),
        }
    }

    /// What was drafted goes the way of all updates. `None`: it is in flight now.
    fn write(
        &mut self,
        now: Millis,
        edit: &Arc<Edit>,
        until: Millis,
        update: bytes::Bytes,
        effects: &mut Vec<Effect>,
    ) -> Option<EditOutcome> {
        let known = Arc::clone(self.known.now());
        let in_log = |client: ClientId| clock_of(&known, client);
        let scan = match gate::scan_update(&update, limits::DOCUMENT_BYTES_MAX) {
            Ok(scan) => scan,
            Err(refusal) => return Some(refused(refusal.code(), &refusal.to_string())),
        };
        let placed = match scan.judge(&update, in_log, &self.places) {
            Verdict::Clean(placed) => placed,
            Verdict::Refused(refusal) => return Some(refused(refusal.code(), &refusal.to_string())),
            // It was written on top of this very document.
            Verdict::Gap { .. } => {
                effects.push(Effect::Report { what: "an edit over HTTP has a gap".to_owned() });
                return Some(refused(RefusalCode::Rejected, "this edit cannot be applied"));
            }
        };
        let growth = self.growth(&update, &scan, &placed, in_log);
        if let Some((code, message)) = self.outgrows_alone(&scan, growth) {
            return Some(refused(code, message));
        }
        let weight = Weight::of(&placed);
        self.places.note(placed, &update);
        let applied = match self.doc.apply(&[&update[..]], false) {
            Ok(applied) => applied,
            Err(fault) => {
                // Nothing else was in this transaction: the culprit is known, and the others lose nothing.
                let mark = quarantine::mark(edit.user, &update, scan.ranges.iter().copied());
                self.marks.add(&mark);
                effects.push(Effect::Quarantine(Quarantine { update, mark, reason: fault.to_string() }));
                self.reload(effects);
                return Some(refused(RefusalCode::Rejected, "this edit cannot be applied"));
            }
        };
        self.doc_version += 1;
        let step = Step {
            update,
            authors: vec![Author { user: edit.user, wrote: applied.wrote, deleted: applied.deleted }],
            // The server's, and therefore nobody's.
            claims: vec![Claim { client: edit.client, user: None }],
            growth,
            overtaken: 0,
        };
        // What it was compared with is what it must be made on: another pod may be at it as well.
        let exactly = matches!(edit.expected, Some(Expected::OneOf(_)));
        let mut append = self.append_of(step);
        append.exactly |= exactly;
        let mut flight = InFlight::new(now, append, Vec::new(), None);
        flight.weight = Some(weight);
        flight.edit = Some(EditInFlight { edit: Arc::clone(edit), until });
        self.put_in_flight(flight, effects);
        None
    }
}

fn edited(view: &DesignView, edit: &Edit, seq: Seq, has_changed: bool) -> Edited {
    let mut hidden_edges = Vec::new();
    if !view.integrity.hidden_edges.is_empty() {
        let named: BTreeSet<&str> = edit.change.edges().collect();
        let hidden = view.integrity.hidden_edges.iter();
        let hidden = hidden.filter(|hidden| named.contains(hidden.edge.id.as_str()));
        hidden_edges.extend(hidden.map(|hidden| (hidden.edge.id.clone(), hidden.missing.clone())));
    }
    Edited { seq, has_changed, content_hash: view.content_hash(), name: view.name().to_owned(), hidden_edges }
}

fn answer(edit: &Edit, outcome: EditOutcome, effects: &mut Vec<Effect>) {
    effects.push(Effect::Answer { request: edit.request, outcome });
}

fn refused(code: RefusalCode, message: &str) -> EditOutcome {
    EditOutcome::Refused { code, message: message.to_owned() }
}

pub(super) fn turned_away(code: CloseCode, reason: &str) -> EditOutcome {
    EditOutcome::TurnedAway { code, reason: reason.to_owned() }
}
