//! What a client saw of its server.

use std::collections::VecDeque;
use std::time::Instant;

use atlas_crdt::wire::ServerFrame;
use serde_json::Value;

/// Messages and their payload bytes, without the framing of WebSocket and TCP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub messages: u64,
    pub bytes: u64,
}

impl Tally {
    pub(super) fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }
}

/// How a socket ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// The code of the server's close frame; `None`: the connection broke, or we left without a word.
    pub code: Option<u16>,
    pub reason: String,
    /// What broke, when something did.
    pub error: Option<String>,
}

impl Closed {
    pub(super) fn vanished() -> Self {
        Self { code: None, reason: String::new(), error: Some("dropped by this client".into()) }
    }
}

/// Everything that a client saw. The first group begins anew with each socket, the second is kept.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Document messages sent on this socket: what `Saved` counts.
    pub sent_documents: u64,
    /// The newest `Saved` of this socket.
    pub saved: u64,
    /// A `SyncStep2` arrived on this socket: this client has what the server had.
    pub caught_up: bool,
    /// The server's `SyncStep1` was answered on this socket: the server gets what this client had.
    pub answered: bool,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// How this socket ended; `None` while it is open.
    pub closed: Option<Closed>,
    /// Document messages of this socket without their `Saved`: number, and the author's clock that it brings the server to.
    sent_clocks: VecDeque<(u64, u32)>,

    /// Sockets opened so far.
    pub sockets: u64,
    /// `Saved` messages.
    pub acknowledgements: u64,
    /// When the newest `Saved` came.
    pub acknowledged_at: Option<Instant>,
    /// Everything that this author wrote below this clock was acknowledged, on whichever socket.
    pub acknowledged_clock: u32,
    pub notices: Vec<Value>,
    /// Reasons of permission-denied messages, which stock clients get in place of `refused` notices.
    pub denied: Vec<String>,
    pub sent: Tally,
    pub received: Tally,
    /// `Update` and `SyncStep2` among the received.
    pub received_documents: Tally,
    /// Bytes. The largest `SyncStep2` on any socket but the first: what this client got when it came back.
    pub largest_return_bytes: usize,
    /// Awareness updates among the received.
    pub received_presence: Tally,
    /// `SyncStep1` among the received: one per handshake, one more for each gap.
    pub received_questions: u64,
    /// What a correct server never does.
    pub faults: Vec<String>,
}

impl Seen {
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.caught_up && self.answered
    }

    /// The newest notice of a type.
    #[must_use]
    pub fn notice(&self, kind: &str) -> Option<&Value> {
        self.notices.iter().rev().find(|notice| notice["type"] == kind)
    }

    /// One line for a failed wait.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "socket {} {}, caught up {}, answered {}, saved {} of {}, received {} messages ({} documents), {} \
             notices (last {:?}), denied {:?}, faults {:?}",
            self.sockets,
            self.closed.as_ref().map_or_else(|| "open".to_owned(), |closed| format!("{closed:?}")),
            self.caught_up,
            self.answered,
            self.saved,
            self.sent_documents,
            self.received.messages,
            self.received_documents.messages,
            self.notices.len(),
            self.notices.last(),
            self.denied,
            self.faults,
        )
    }

    /// A new socket is open. Returns its number.
    pub(super) fn begin(&mut self, subprotocol: Option<String>) -> u64 {
        self.sent_documents = 0;
        self.saved = 0;
        self.caught_up = false;
        self.answered = false;
        self.subprotocol = subprotocol;
        self.closed = None;
        self.sent_clocks.clear();
        self.sockets += 1;
        self.sockets
    }

    pub(super) fn end(&mut self, closed: Closed) {
        self.closed = Some(closed);
    }

    pub(super) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// The newest document message holds all that its author wrote below `clock` and the server had not.
    pub(super) fn sent_up_to(&mut self, clock: u32) {
        self.sent_clocks.push_back((self.sent_documents, clock));
    }

    pub(super) fn take_saved(&mut self, n: u64, now: Instant) {
        if n < self.saved {
            self.fault(format!("Saved({n}) after Saved({})", self.saved));
        }
        if self.sent_documents < n {
            self.fault(format!("Saved({n}), but only {} document messages were sent", self.sent_documents));
        }
        self.saved = n;
        self.acknowledgements += 1;
        self.acknowledged_at = Some(now);
        while let Some((_, clock)) = self.sent_clocks.pop_front_if(|(number, _)| *number <= n) {
            self.acknowledged_clock = self.acknowledged_clock.max(clock);
        }
    }

    pub(super) fn count_received(&mut self, frame: &ServerFrame, bytes: usize) {
        self.received.count(bytes);
        if matches!(frame, ServerFrame::SyncStep2 { .. }) && 1 < self.sockets {
            self.largest_return_bytes = self.largest_return_bytes.max(bytes);
        }
        match frame {
            ServerFrame::Update { .. } | ServerFrame::SyncStep2 { .. } => {
                self.received_documents.count(bytes);
            }
            ServerFrame::Awareness { .. } => self.received_presence.count(bytes),
            ServerFrame::SyncStep1 { .. } => self.received_questions += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_that_goes_back_or_ahead_is_a_fault() {
        let mut seen = Seen { sent_documents: 3, ..Seen::default() };
        let now = crate::world::now();
        seen.take_saved(1, now);
        seen.take_saved(3, now);
        assert_eq!(seen.faults, Vec::<String>::new());
        seen.take_saved(2, now);
        seen.take_saved(4, now);
        assert_eq!(seen.faults.len(), 2);
    }

    #[test]
    fn counts_begin_anew_with_each_socket_and_notices_stay() {
        let mut seen = Seen { sent_documents: 3, saved: 3, ..Seen::default() };
        seen.notices.push(serde_json::json!({"type": "hello", "seq": 1}));
        assert_eq!(seen.begin(None), 1);
        assert_eq!((seen.sent_documents, seen.saved), (0, 0));
        assert_eq!(seen.notice("hello").map(|notice| &notice["seq"]), Some(&1.into()));
    }

    #[test]
    fn what_is_acknowledged_stays_so_on_the_next_socket() {
        let mut seen = Seen::default();
        seen.begin(None);
        for clock in [10, 20, 30] {
            seen.sent_documents += 1;
            seen.sent_up_to(clock);
        }
        seen.take_saved(2, crate::world::now());
        assert_eq!(seen.acknowledged_clock, 20);
        seen.begin(None);
        assert_eq!(seen.acknowledged_clock, 20);
        seen.sent_documents = 1;
        seen.sent_up_to(40);
        seen.take_saved(1, crate::world::now());
        assert_eq!((seen.acknowledged_clock, seen.acknowledgements), (40, 2));
    }
}
