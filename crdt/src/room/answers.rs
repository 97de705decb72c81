//! Answers to who asks what it lacks: made once for all who lack the same, and not all at one go.
//!
//! A thousand who come at once, as when another pod stops, mostly have the same document. What they get is one buffer. What
//! must be made anew for each is made in portions ([`ANSWER_BYTES_PER_TURN`]): between two of them edits pass.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use yrs::StateVector;

use super::effect::Effect;
use super::live::{Live, send};
use super::members::Feed;
use crate::ids::{ConnId, Millis};
use crate::limits::{ANSWER_BYTES_MIN, ANSWER_BYTES_PER_TURN, ANSWERS_KEPT_BYTES_MAX, ANSWERS_KEPT_MAX};
use crate::wire;

/// What comparing one entry of a state vector counts for, in bytes encoded.
const COMPARED_BYTES: usize = 4;

/// What was answered, and to whom next.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Somebody may be waiting. Set by whatever makes a connection wait.
    pub(super) is_asked: bool,
    /// The last go left somebody out.
    is_behind: bool,
    /// Who was answered last: those behind it come first. Connections are numbered as they come.
    last: Option<ConnId>,
    /// Counts what was applied to the document when everything below was encoded.
    version: u64,
    /// The SyncStep2 for whoever has nothing.
    whole: Option<Bytes>,
    /// For those who have something, the newest last.
    kept: VecDeque<Answer>,
    kept_bytes: usize,
    /// The last `Awareness` frames about everybody. They have nothing to do with the version.
    everybody: Vec<Bytes>,
}

#[derive(Debug)]
struct Answer {
    since: Arc<StateVector>,
    is_step2: bool,
    frame: Bytes,
}

impl Answers {
    /// The document is another by now.
    fn renew(&mut self, version: u64) {
        if self.version != version {
            self.version = version;
            self.whole = None;
            self.kept = VecDeque::new();
            self.kept_bytes = 0;
        }
    }

    fn keep(&mut self, answer: Answer) {
        self.kept_bytes += answer.frame.len();
        self.kept.push_back(answer);
        while ANSWERS_KEPT_MAX < self.kept.len() || ANSWERS_KEPT_BYTES_MAX < self.kept_bytes {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.kept_bytes -= oldest.frame.len();
        }
    }

    /// When to go on, if nothing happens before: at once.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.is_behind.then_some(Millis::new(0))
    }
}

impl Live {
    /// Answers who waits for the document to equal the log: nothing else may show an edit that can still be lost
    /// (INV-3).
    pub(super) fn answer_waiting(&mut self, effects: &mut Vec<Effect>) {
        self.answers.renew(self.doc_version);
        self.answers.is_behind = false;
        if !self.answers.is_asked || self.durability.is_ahead() || self.rebuild.is_some() {
            return;
        }
        let mut spent = 0;
        for conn in self.waiting() {
            if ANSWER_BYTES_PER_TURN <= spent {
                self.answers.is_behind = true;
                return;
            }
            spent += self.answer(conn, effects);
            self.answers.last = Some(conn);
        }
        self.answers.is_asked = false;
    }

    /// In the order in which they came, beginning behind the one that was answered last.
    fn waiting(&self) -> Vec<ConnId> {
        let from = self.answers.last.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.members.range((from, Bound::Unbounded));
        let before = self.answers.last.map(|last| self.members.range(..=last));
        let all = behind.chain(before.into_iter().flatten());
        all.filter(|(_, member)| member.waits()).map(|(conn, _)| *conn).collect()
    }

    /// Returns what it counts for.
    fn answer(&mut self, conn: ConnId, effects: &mut Vec<Effect>) -> usize {
        let Some(member) = self.members.get_mut(&conn) else { return 0 };
        let feed = std::mem::replace(&mut member.feed, Feed::Live);
        let (frame, spent) = match (member.asked.take(), feed) {
            (Some(asked), _) if asked.is_empty() => self.whole_document(),
            (Some(asked), _) => self.difference(Arc::new(asked), true),
            (None, Feed::Lagging { since }) => self.difference(since, false),
            (None, Feed::Live | Feed::Unsynced) => return 0,
        };
        send(conn, frame, effects);
        spent
    }

    /// The SyncStep2 for whoever has nothing: one buffer, however many ask.
    fn whole_document(&mut self) -> (Bytes, usize) {
        if let Some(frame) = &self.answers.whole {
            return (frame.clone(), 0);
        }
        let bytes = self.doc.encode();
        self.size.set_bytes(bytes.len());
        let frame = wire::sync_step2(&bytes);
        self.answers.whole = Some(frame.clone());
        let spent = frame.len().max(ANSWER_BYTES_MIN);
        (frame, spent)
    }

    /// What the document has beyond `since`, as an answer or as an edit.
    fn difference(&mut self, since: Arc<StateVector>, is_step2: bool) -> (Bytes, usize) {
        let is_same = |answer: &&Answer| {
            answer.is_step2 == is_step2 && (Arc::ptr_eq(&answer.since, &since) || answer.since == since)
        };
        if let Some(Answer { frame, .. }) = self.answers.kept.iter().find(is_same) {
            return (frame.clone(), since.len() * COMPARED_BYTES);
        }
        let bytes = self.doc.diff_since(&since);
        let frame = if is_step2 { wire::sync_step2(&bytes) } else { wire::update(&bytes) };
        let spent = frame.len().max(ANSWER_BYTES_MIN);
        self.answers.keep(Answer { since, is_step2, frame: frame.clone() });
        (frame, spent)
    }

    /// The `Awareness` frames with everybody who is here: one buffer each, as long as they are the same.
    pub(super) fn everybody(&mut self) -> Vec<Bytes> {
        let frames: Vec<Bytes> =
            self.presence.snapshot().iter().map(|update| wire::awareness(update)).collect();
        if self.answers.everybody != frames {
            self.answers.everybody = frames;
        }
        self.answers.everybody.clone()
    }
}
