//! The connections of a room, and how far each one is.

use std::collections::BTreeMap;
use std::sync::Arc;

use yrs::StateVector;

use super::input::{Dialect, Join};
use crate::ids::{ClientId, ConnId, UserId};
use crate::limits;
use crate::roles::DesignRole;

/// The connections, in an order that does not depend on a hash (INV-10).
pub(super) type Members = BTreeMap<ConnId, Member>;

/// One connection.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) user: UserId,
    /// Changed by `RoleChanged` while the socket is open.
    pub(super) role: DesignRole,
    pub(super) dialect: Dialect,
    pub(super) feed: Feed,
    /// A SyncStep1 that waits for the moment when the document equals the log; a newer one replaces it.
    pub(super) asked: Option<StateVector>,
    /// The outbox refused a document frame and has not been drained since: nothing large is queued.
    pub(super) blocked: bool,
    /// SyncStep2 frames that the server's SyncStep1s call for: each may be as large as a document.
    pub(super) owed_step2: u32,
    /// How many SyncStep1s came on this socket.
    pub(super) rounds: u32,
    /// An edit of this round was refused and its client id spent: what the client sent before it began again with a
    /// SyncStep1 belongs together with what was refused, and half of it is worse than nothing.
    pub(super) reset: Option<u32>,
    /// Client ids of which an update was refused: no later clock of them can follow.
    pub(super) spent: Vec<ClientId>,
    pub(super) acks: Acks,
}

impl Member {
    pub(super) fn new(join: &Join) -> Self {
        Self {
            user: join.user,
            role: join.role,
            dialect: join.dialect,
            feed: Feed::Unsynced,
            asked: None,
            blocked: false,
            owed_step2: 0,
            rounds: 0,
            reset: None,
            spent: Vec::new(),
            acks: Acks::default(),
        }
    }

    /// Remembers that the client id is spent. False: there are too many of them.
    pub(super) fn spend(&mut self, client: ClientId) -> bool {
        if self.spent.contains(&client) {
            return true;
        }
        let has_room = self.spent.len() < limits::SPENT_CLIENTS_PER_CONN_MAX;
        if has_room {
            self.spent.push(client);
        }
        has_room
    }

    /// Something waits for the moment when the document equals the log.
    pub(super) fn waits(&self) -> bool {
        !self.blocked && (self.asked.is_some() || matches!(self.feed, Feed::Lagging { .. }))
    }
}

/// What document frames a connection gets.
#[derive(Debug, Clone)]
pub(super) enum Feed {
    /// It never asked with a SyncStep1: none, since it could not use them.
    Unsynced,
    /// Every frame as it is committed.
    Live,
    /// None: it was slow. It has everything up to `since` and gets the difference in one piece later.
    Lagging { since: Arc<StateVector> },
}

/// Counts the document messages (SyncStep2, Update) of one socket, for `Saved(n)`.
///
/// `resolved` covers the first n messages that are durable, added nothing to what is durable, or were refused. A
/// message with a gap stands in the way until a later SyncStep2 of the same socket is durable: what a client
/// answers to a SyncStep1 contains everything that it had sent before.
#[derive(Debug, Default)]
pub(super) struct Acks {
    received: u64,
    resolved: u64,
    told: u64,
    gap: Option<Gap>,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    /// The first message that was not applied.
    from: u64,
    /// A SyncStep2 with a gap was answered with one more SyncStep1 already.
    asked_again: bool,
}

impl Acks {
    /// Counts one more message and returns its number, from 1.
    pub(super) fn count(&mut self) -> u64 {
        self.received += 1;
        self.received
    }

    /// Message `n` had a gap. Returns whether it is the first.
    pub(super) fn open_gap(&mut self, n: u64) -> bool {
        let first = self.gap.is_none();
        if first {
            self.gap = Some(Gap { from: n, asked_again: false });
        }
        first
    }

    /// A SyncStep2 itself had a gap: may the client be asked once more?
    pub(super) fn ask_again(&mut self) -> bool {
        match &mut self.gap {
            Some(gap) if !gap.asked_again => {
                gap.asked_again = true;
                true
            }
            _ => false,
        }
    }

    /// The gap was refused, with a notice: its messages count as answered.
    pub(super) fn give_up_gap(&mut self) {
        self.gap = None;
    }

    /// Every message up to `n` is settled, but for those in a gap. `covers`: message `n` is a durable SyncStep2.
    pub(super) fn resolve(&mut self, n: u64, covers: bool) {
        self.resolved = self.resolved.max(n);
        if covers && self.gap.is_some_and(|gap| gap.from < n) {
            self.gap = None;
        }
    }

    /// The number to tell, if it grew since it was last told.
    pub(super) fn take_news(&mut self) -> Option<u64> {
        let n = match self.gap {
            Some(gap) => self.resolved.min(gap.from - 1),
            None => self.resolved,
        };
        (self.told < n).then(|| {
            self.told = n;
            n
        })
    }

    /// INV-2 as far as numbers can say it.
    pub(super) fn is_consistent(&self) -> bool {
        self.told <= self.resolved && self.resolved <= self.received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_counts_in_order_and_once() {
        let mut acks = Acks::default();
        assert_eq!((acks.count(), acks.count()), (1, 2));
        acks.resolve(2, false);
        assert_eq!(acks.take_news(), Some(2));
        assert_eq!(acks.take_news(), None);
    }

    #[test]
    fn a_gap_stands_in_the_way_until_a_later_step2_is_durable() {
        let mut acks = Acks::default();
        let (first, gap, after) = (acks.count(), acks.count(), acks.count());
        acks.resolve(first, false);
        assert!(acks.open_gap(gap));
        acks.resolve(after, false);
        assert_eq!(acks.take_news(), Some(first));
        let step2 = acks.count();
        acks.resolve(step2, true);
        assert_eq!(acks.take_news(), Some(step2));
        assert!(acks.is_consistent());
    }

    #[test]
    fn a_step2_with_a_gap_is_asked_for_once_more_only() {
        let mut acks = Acks::default();
        let n = acks.count();
        acks.open_gap(n);
        assert!(acks.ask_again());
        assert!(!acks.ask_again());
    }
}
