//! When a quiet socket must say something, and when its peer counts as dead.
//!
//! **Slow is not dead.** A peer that accepts no bytes keeps its socket for `SOCKET_STALLED_MS`: TCP notices when its
//! machine is gone. A peer to which everything could be written, and from which nothing comes, is asked with a ping
//! after `SOCKET_PING_MS` and given up after `SOCKET_DEAD_MS`. Independently of both, `SOCKET_SILENCE_MS` without a
//! message calls for an empty one, since y-websocket hangs up after 30 s without data.

use atlas_crdt::ids::Millis;
use atlas_crdt::limits::{SOCKET_DEAD_MS, SOCKET_PING_MS, SOCKET_SILENCE_MS, SOCKET_STALLED_MS};

#[derive(Debug)]
pub(super) struct Life {
    /// The network took nothing at the last try.
    is_blocked: bool,
    /// Asked for a sign of life, and none has come.
    was_pinged: bool,
    last_message_sent: Millis,
    /// When the peer last sent a byte or, having been blocked, took one.
    last_sign: Millis,
}

/// What the time has come for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) is_dead: bool,
    pub(super) message: bool,
    pub(super) ping: bool,
}

impl Life {
    pub(super) const fn new(now: Millis) -> Self {
        Self { is_blocked: false, was_pinged: false, last_message_sent: now, last_sign: now }
    }

    pub(super) const fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Bytes came from the peer.
    pub(super) const fn heard(&mut self, now: Millis) {
        self.was_pinged = false;
        self.last_sign = now;
    }

    /// Messages are on their way.
    pub(super) const fn sent(&mut self, now: Millis) {
        self.last_message_sent = now;
    }

    /// The network takes nothing.
    pub(super) const fn blocked(&mut self) {
        self.is_blocked = true;
    }

    /// The network takes again.
    pub(super) const fn unblocked(&mut self, now: Millis) {
        self.is_blocked = false;
        self.last_sign = now;
    }

    /// Looks at the time. `listening`: whoever is not listened to cannot give a sign of life.
    pub(super) fn due(&mut self, now: Millis, listening: bool) -> Due {
        if !listening {
            self.last_sign = now;
        }
        let silent_ms = now.since(self.last_sign);
        let due = Due {
            is_dead: self.patience_ms() <= silent_ms,
            message: !self.is_blocked && SOCKET_SILENCE_MS <= now.since(self.last_message_sent),
            ping: !self.is_blocked && !self.was_pinged && SOCKET_PING_MS <= silent_ms,
        };
        self.was_pinged |= due.ping;
        if due.message {
            self.last_message_sent = now;
        }
        due
    }

    /// When to look again. Never later than a silence from now: being blocked comes and goes without a timer.
    pub(super) fn next(&self, now: Millis) -> Millis {
        let alive = if self.is_blocked || self.was_pinged { self.patience_ms() } else { SOCKET_PING_MS };
        let again = now.plus(SOCKET_SILENCE_MS);
        let message = if self.is_blocked { again } else { self.last_message_sent.plus(SOCKET_SILENCE_MS) };
        again.min(message).min(self.last_sign.plus(alive))
    }

    const fn patience_ms(&self) -> u64 {
        if self.is_blocked { SOCKET_STALLED_MS } else { SOCKET_DEAD_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives until dead or `until_ms`; returns (messages, pings, time of death).
    fn live(life: &mut Life, until_ms: u64, listening: bool) -> (u32, u32, Option<u64>) {
        let (mut messages, mut pings) = (0, 0);
        let mut now = Millis::new(0);
        while now.get() < until_ms {
            let next = life.next(now);
            assert!(now < next, "a timer that does not move");
            now = next;
            let due = life.due(now, listening);
            messages += u32::from(due.message);
            pings += u32::from(due.ping);
            if due.is_dead {
                return (messages, pings, Some(now.get()));
            }
        }
        (messages, pings, None)
    }

    // R-TIME-4, R-TIME-5
    #[test]
    fn a_peer_that_says_nothing_is_asked_once_and_then_given_up() {
        let mut life = Life::new(Millis::new(0));
        let (messages, pings, died) = live(&mut life, 1_000_000, true);
        assert_eq!((pings, died), (1, Some(SOCKET_DEAD_MS)));
        assert_eq!(u64::from(messages), SOCKET_DEAD_MS / SOCKET_SILENCE_MS);
    }

    // R-TIME-5
    #[test]
    fn a_peer_that_takes_nothing_is_given_far_more_time_and_not_written_to() {
        let mut life = Life::new(Millis::new(0));
        life.blocked();
        assert_eq!(live(&mut life, 1_000_000, true), (0, 0, Some(SOCKET_STALLED_MS)));
    }

    #[test]
    fn a_peer_that_is_not_listened_to_lives() {
        let mut life = Life::new(Millis::new(0));
        assert_eq!(live(&mut life, 1_000_000, false).2, None);
    }

    #[test]
    fn any_byte_is_a_sign_of_life() {
        let mut life = Life::new(Millis::new(0));
        let later = Millis::new(SOCKET_DEAD_MS - 1);
        assert!(life.due(later, true).ping);
        life.heard(later);
        assert!(!life.due(later.plus(SOCKET_PING_MS - 1), true).ping);
        assert!(life.due(later.plus(SOCKET_PING_MS), true).ping);
        life.blocked();
        life.unblocked(later.plus(SOCKET_STALLED_MS));
        assert!(!life.due(later.plus(SOCKET_STALLED_MS + 1), true).is_dead);
    }
}
