//! Which connections each login opened, and which logins ended a moment ago.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use atlas_crdt::ids::{ConnId, Millis, SessionId};
use atlas_crdt::room::Dialect;
use atlas_crdt::wire::CloseCode;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::outbox::Outbox;

/// Milliseconds. Longer than a join takes from the check of its credential to its place in the room.
const ENDED_KEPT_MS: u64 = 120_000;
/// Logins that ended and are kept at most; of more the oldest go.
const ENDED_MAX: usize = 1 << 16;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Written by joins and by dropped handles, read when a login ends and at a stop.
    opened: DashMap<SessionId, HashMap<ConnId, Opened>>,
    /// A join that was checked before its login ended and registers after finds itself here.
    ended: Mutex<Ended>,
}

#[derive(Debug)]
struct Opened {
    outbox: Weak<Outbox>,
    dialect: Dialect,
}

#[derive(Debug, Default)]
struct Ended {
    order: VecDeque<(Millis, SessionId)>,
    known: HashSet<SessionId>,
}

impl Ended {
    /// The oldest, as long as that holds of how many there are and when it ended.
    fn forget_while(&mut self, is_over: impl Fn(usize, Millis) -> bool) {
        while let Some((at, oldest)) = self.order.front().copied()
            && is_over(self.order.len(), at)
        {
            self.order.pop_front();
            self.known.remove(&oldest);
        }
    }
}

impl Sessions {
    pub(super) fn enter(&self, session: SessionId, conn: ConnId, outbox: &Arc<Outbox>, dialect: Dialect) {
        let opened = Opened { outbox: Arc::downgrade(outbox), dialect };
        self.opened.entry(session).or_default().insert(conn, opened);
        // After the entry: an end either finds the entry or was noted before.
        if self.ended().known.contains(&session) {
            sign_out(outbox);
        }
    }

    pub(super) fn leave(&self, session: SessionId, conn: ConnId) {
        if let Entry::Occupied(mut opened) = self.opened.entry(session) {
            opened.get_mut().remove(&conn);
            if opened.get().is_empty() {
                opened.remove();
            }
        }
    }

    /// Closes every connection that the login opened. Told once more, by another pod or by the store, it changes nothing.
    pub(super) fn end(&self, now: Millis, session: SessionId) {
        if !self.note_end(now, session) {
            return;
        }
        let outboxes: Vec<_> = match self.opened.get(&session) {
            Some(opened) => opened.values().filter_map(|opened| opened.outbox.upgrade()).collect(),
            None => return,
        };
        for outbox in &outboxes {
            sign_out(outbox);
        }
    }

    /// Everybody who is connected.
    pub(super) fn all(&self) -> Vec<(Arc<Outbox>, Dialect)> {
        let mut all = Vec::new();
        for opened in &self.opened {
            all.extend(opened.values().filter_map(|of| Some((of.outbox.upgrade()?, of.dialect))));
        }
        all
    }

    /// Nobody is connected.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.opened.is_empty()
    }

    /// False: it was known.
    fn note_end(&self, now: Millis, session: SessionId) -> bool {
        let mut ended = self.ended();
        ended.forget_while(|_, at| ENDED_KEPT_MS <= now.since(at));
        if !ended.known.insert(session) {
            return false;
        }
        ended.order.push_back((now, session));
        ended.forget_while(|count, _| ENDED_MAX < count);
        true
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        // Nothing inside can panic half-way through a change.
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sign_out(outbox: &Outbox) {
    outbox.close(CloseCode::Unauthorised, "signed out");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_remembered_for_a_while_and_not_without_bound() {
        let sessions = Sessions::default();
        let session = SessionId::from_u128;
        for n in 0..ENDED_MAX as u128 + 10 {
            sessions.end(Millis::new(1), session(n));
            sessions.end(Millis::new(1), session(n));
        }
        assert_eq!(sessions.ended().order.len(), ENDED_MAX);
        let is_let_in = |n| {
            let outbox = Arc::default();
            sessions.enter(session(n), ConnId::new(1), &outbox, Dialect::Stock);
            sessions.leave(session(n), ConnId::new(1));
            !outbox.is_closing()
        };
        assert!(is_let_in(0) && !is_let_in(10), "of too many the oldest are forgotten");
        sessions.end(Millis::new(1 + ENDED_KEPT_MS), session(0));
        assert_eq!(sessions.ended().order.len(), 1);
        assert!(!is_let_in(0) && is_let_in(10), "after a while all are");
        assert!(sessions.is_empty());
    }
}
