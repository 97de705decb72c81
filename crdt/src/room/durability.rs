//! What is on its way into the log: frames that wait, and the one append in flight.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use yrs::StateVector;

use super::edit::{EditInFlight, Edits};
use super::effect::Append;
use super::settle::Weight;
use crate::gate::{Scan, clock_of};
use crate::ids::{AppendId, ConnId, Millis, Seq, UserId};
use crate::limits;
use crate::roles::DesignRole;

/// A document message that has been read but not judged yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) conn: ConnId,
    /// The message's number on its socket.
    pub(super) n: u64,
    pub(super) is_step2: bool,
    /// How many SyncStep1s had come before it on its socket.
    pub(super) round: u32,
    pub(super) user: UserId,
    /// As it was when the message arrived.
    pub(super) role: DesignRole,
    pub(super) update: Bytes,
    pub(super) scan: Scan,
    /// The log was asked since this arrived: what the room does not know now, nobody knows.
    pub(super) log_was_asked: bool,
    /// Somebody else wrote under one of its client ids in the same flush, unseen: whatever of that reaches the log, this is
    /// not a repetition of it.
    pub(super) is_contested: bool,
    /// How often it passed, and the log did not take the append that it was part of.
    pub(super) overtaken: u32,
    /// Later messages of its socket that were judged with it, and are settled once it is.
    pub(super) after: Vec<Ack>,
}

impl Waiting {
    /// Bytes. An update of two bytes still takes a place in the queue, and a scan.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.update.len() + self.scan.heap_bytes() + self.after.len() * size_of::<Ack>()
    }
}

/// Whom to tell when something is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) conn: ConnId,
    pub(super) n: u64,
    /// A SyncStep2 covers what had a gap before it on the same socket.
    pub(super) covers: bool,
}

/// The append that the store is working on.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) append: Append,
    pub(super) acks: Vec<Ack>,
    /// The only author's connection: it need not hear its own words.
    pub(super) sole_author: Option<ConnId>,
    /// The edit over HTTP that this is, until it is answered.
    pub(super) edit: Option<EditInFlight>,
    /// Where it stands in the log, once the store has said so. Shown when everything below it has been.
    pub(super) committed: Option<Seq>,
    /// The log itself was seen to have it, and everybody has been told. What is awaited is how the attempt under way ends.
    pub(super) is_told: bool,
    /// The document contains it. Not so after it was made anew from a log that has something under the same clocks: this very
    /// append, or another one that was faster.
    pub(super) is_in_doc: bool,
    /// What it is to whoever waits for the design to settle; `None`: that has been noted.
    pub(super) weight: Option<Weight>,
    /// The frames that it was made of, in case that the log does not take it: then they are judged again.
    pub(super) passed: Vec<Waiting>,
    /// When the room starts to worry about the store.
    slow_at: Option<Millis>,
    /// Set while no attempt is under way: when to try again.
    retry_at: Option<Millis>,
    backoff_ms: u64,
}

impl InFlight {
    pub(super) fn new(now: Millis, append: Append, acks: Vec<Ack>, sole_author: Option<ConnId>) -> Self {
        Self {
            append,
            acks,
            sole_author,
            edit: None,
            committed: None,
            is_told: false,
            is_in_doc: true,
            weight: Some(Weight::Meant),
            passed: Vec::new(),
            slow_at: Some(now.plus(limits::APPEND_SLOW_MS)),
            retry_at: None,
            backoff_ms: limits::APPEND_RETRY_MIN_MS,
        }
    }

    /// The log, which goes up to this state, has something under the clocks that the append adds.
    pub(super) fn is_written_in(&self, log: &StateVector) -> bool {
        self.append.wrote().any(|range| range.start < clock_of(log, range.client))
    }

    /// Bytes of what is nowhere but here and with its authors.
    fn memory(&self) -> usize {
        // A frame that is alone is the append, in one buffer.
        let own = if self.passed.len() == 1 { 0 } else { self.append.update.len() };
        own + self.passed.iter().map(Waiting::memory).sum::<usize>()
    }

    /// It is durable. Who waits to hear of that.
    pub(super) fn commit(&mut self, seq: Seq) -> Vec<Ack> {
        (self.committed, self.slow_at, self.retry_at) = (Some(seq), None, None);
        self.passed.clear();
        std::mem::take(&mut self.acks)
    }

    /// Nothing of it can be lost any more.
    fn is_logged(&self) -> bool {
        self.committed.is_some() || self.is_told
    }

    /// An attempt to append it has not ended yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.committed.is_none() && self.retry_at.is_none()
    }

    /// The store is well: what waits to be tried again is tried now.
    pub(super) fn hurry(&mut self, now: Millis) {
        self.retry_at = self.retry_at.map(|at| at.min(now));
    }

    /// The attempt failed. `jitter` in 0..=255 spreads the retries of many rooms.
    pub(super) fn failed(&mut self, now: Millis, jitter: u8) {
        let spread = self.backoff_ms * u64::from(jitter) / 512;
        self.retry_at = Some(now.plus(self.backoff_ms + spread));
        self.backoff_ms = (self.backoff_ms * 2).min(limits::APPEND_RETRY_MAX_MS);
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        [self.slow_at, self.retry_at].into_iter().flatten().min()
    }

    /// The store has failed it, or takes its time.
    fn is_in_trouble(&self) -> bool {
        self.committed.is_none() && (self.slow_at.is_none() || limits::APPEND_RETRY_MIN_MS < self.backoff_ms)
    }

    /// True once: the store takes its time.
    pub(super) fn became_slow(&mut self, now: Millis) -> bool {
        let slow = self.slow_at.is_some_and(|at| at <= now);
        if slow {
            self.slow_at = None;
        }
        slow
    }

    /// The append to try again, if its time has come.
    pub(super) fn take_retry(&mut self, now: Millis) -> Option<Append> {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            return Some(self.append.clone());
        }
        None
    }
}

/// Everything between the sockets and the log. At most one append is in flight; frames that arrive meanwhile wait
/// here, unjudged, so that the document never runs more than one append ahead of the log.
#[derive(Debug)]
pub(super) struct Durability {
    pub(super) waiting: VecDeque<Waiting>,
    /// Memory, not only payload: what the unsaved budget is about.
    waiting_bytes: usize,
    /// Frames whose verdict needs a look into the log first, and those behind them on the same sockets.
    aside: VecDeque<Waiting>,
    aside_bytes: usize,
    /// How many of those aside, from the front, the question under way is for.
    aside_asked: usize,
    /// Edits over HTTP that wait for their turn.
    pub(super) edits: Edits,
    pub(super) in_flight: Option<InFlight>,
    /// The earliest time of the next flush that is neither large nor urgent.
    pub(super) next_flush_at: Millis,
    /// The store is failing or slow; told to the connections.
    pub(super) degraded: bool,
    /// The unsaved budget was exceeded: nobody is let in until the store is well again.
    pub(super) shedding: bool,
    append_salt: u128,
    appends: u64,
}

impl Durability {
    pub(super) fn new(append_salt: u128) -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            aside: VecDeque::new(),
            aside_bytes: 0,
            aside_asked: 0,
            edits: Edits::default(),
            in_flight: None,
            next_flush_at: Millis::new(0),
            degraded: false,
            shedding: false,
            append_salt,
            appends: 0,
        }
    }

    /// Unique as long as the salt is drawn anew for every room.
    pub(super) fn next_append_id(&mut self) -> AppendId {
        self.appends += 1;
        AppendId::from_u128(self.append_salt.wrapping_add(u128::from(self.appends)))
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.waiting_bytes += waiting.memory();
        self.waiting.push_back(waiting);
    }

    pub(super) fn take_waiting(&mut self) -> VecDeque<Waiting> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn set_aside(&mut self, waiting: Waiting) {
        self.aside_bytes += waiting.memory();
        self.aside.push_back(waiting);
    }

    /// The same for what had been aside before, and is older than what is aside now.
    pub(super) fn set_aside_first(&mut self, all: Vec<Waiting>) {
        for waiting in all.into_iter().rev() {
            self.aside_bytes += waiting.memory();
            self.aside.push_front(waiting);
        }
    }

    /// Puts frames that had passed aside, before everything of their sockets, also before what the log was asked for since: the
    /// log is asked anew for all of it.
    pub(super) fn put_back(&mut self, passed: Vec<Waiting>) {
        let sockets: BTreeSet<ConnId> = passed.iter().map(|waiting| waiting.conn).collect();
        let (mut first, mut stay) = (passed, VecDeque::with_capacity(self.waiting.len()));
        for mut waiting in std::mem::take(&mut self.waiting) {
            if waiting.log_was_asked && sockets.contains(&waiting.conn) {
                self.waiting_bytes -= waiting.memory();
                waiting.log_was_asked = false;
                first.push(waiting);
            } else {
                stay.push_back(waiting);
            }
        }
        self.waiting = stay;
        self.forget_question();
        self.set_aside_first(first);
    }

    pub(super) fn conns_aside(&self) -> impl Iterator<Item = ConnId> {
        self.aside.iter().map(|waiting| waiting.conn)
    }

    /// Something is aside for which the log was not asked.
    pub(super) fn has_question(&self) -> bool {
        self.aside_asked < self.aside.len()
    }

    /// The log is being asked now.
    pub(super) fn ask(&mut self) {
        self.aside_asked = self.aside.len();
    }

    /// The question came to nothing.
    pub(super) fn forget_question(&mut self) {
        self.aside_asked = 0;
    }

    /// The log has answered: whoever waited for it is judged next, before everybody who came later, and after those for
    /// whom it answered before.
    pub(super) fn answered(&mut self) {
        let before = self.waiting.iter().take_while(|waiting| waiting.log_was_asked).count();
        let later = self.waiting.split_off(before);
        let asked = std::mem::take(&mut self.aside_asked);
        for mut waiting in self.aside.drain(..asked) {
            waiting.log_was_asked = true;
            self.aside_bytes -= waiting.memory();
            self.waiting_bytes += waiting.memory();
            self.waiting.push_back(waiting);
        }
        self.waiting.extend(later);
    }

    /// Gives up all frames that are neither in the log nor on their way into it.
    pub(super) fn shed(&mut self) {
        self.take_waiting();
        self.aside.clear();
        self.aside_bytes = 0;
        self.aside_asked = 0;
    }

    /// Bytes that are nowhere but here and in their authors' clients.
    pub(super) fn unsaved_bytes(&self) -> usize {
        let flight = self.in_flight.as_ref().filter(|flight| !flight.is_logged());
        self.waiting_bytes() + flight.map_or(0, InFlight::memory)
    }

    /// The append in flight, if there is one, has no trouble with the store.
    pub(super) fn writes_well(&self) -> bool {
        !self.in_flight.as_ref().is_some_and(InFlight::is_in_trouble)
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes + self.aside_bytes + self.edits.bytes()
    }

    /// The document holds something that nobody may see yet.
    pub(super) fn is_ahead(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|flight| !flight.is_told)
    }

    /// INV-7: a room goes only when this holds.
    pub(super) fn is_clean(&self) -> bool {
        let is_logged = |flight: &InFlight| flight.is_logged() && flight.edit.is_none();
        self.waiting.is_empty()
            && self.aside.is_empty()
            && self.edits.is_empty()
            && self.in_flight.as_ref().is_none_or(is_logged)
    }

    /// Something waits, and either enough of it or long enough.
    pub(super) fn flush_is_due(&self, now: Millis) -> bool {
        self.in_flight.is_none()
            && !self.waiting.is_empty()
            && (self.next_flush_at <= now
                || limits::FLUSH_UPDATES <= self.waiting.len()
                || limits::FLUSH_BYTES <= self.waiting_bytes)
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        match &self.in_flight {
            Some(flight) => flight.deadline(),
            None if self.waiting.is_empty() => None,
            None => Some(self.next_flush_at),
        }
    }
}
