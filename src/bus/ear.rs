//! The bus's end of a subscription: a bounded queue that says when something was lost.

use std::sync::atomic::{AtomicU64, Ordering};

use atlas_crdt::limits::HOLE_MESSAGES_MAX;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Heard, Subscription};

/// Messages that wait for one subscriber: as many as a room would hold above a hole.
pub(super) const QUEUE_MAX: usize = HOLE_MESSAGES_MAX;

#[derive(Debug)]
pub(super) struct Ear<M> {
    to: mpsc::Sender<Heard<M>>,
    /// Something was lost, and the subscriber has not been told.
    has_gap: bool,
}

impl<M: Clone> Ear<M> {
    pub(super) fn pair() -> (Self, Subscription<M>) {
        let (to, messages) = mpsc::channel(QUEUE_MAX);
        (Self { to, has_gap: false }, Subscription { messages })
    }

    /// Never waits. What finds no room is counted as lost. False: the subscriber has left.
    pub(super) fn say(&mut self, message: &M, lost: &AtomicU64) -> bool {
        if self.has_gap {
            // Room for both, so that nothing comes between them.
            match self.to.try_reserve_many(2) {
                Ok(mut slots) => {
                    let both = [Heard::Gap, Heard::Message(message.clone())];
                    slots.by_ref().zip(both).for_each(|(slot, heard)| slot.send(heard));
                    self.has_gap = false;
                }
                Err(TrySendError::Full(())) => _ = lost.fetch_add(1, Ordering::Relaxed),
                Err(TrySendError::Closed(())) => return false,
            }
            return true;
        }
        match self.to.try_send(Heard::Message(message.clone())) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.has_gap = true;
                lost.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// Something may have been lost on the way here. It is told now, or as soon as there is room.
    pub(super) fn tell_gap(&mut self) {
        self.has_gap = self.to.try_send(Heard::Gap).is_err();
    }

    /// Tells a gap that found no room before.
    pub(super) fn catch_up(&mut self) {
        if self.has_gap {
            self.tell_gap();
        }
    }

    /// The subscriber has left.
    pub(super) fn is_gone(&self) -> bool {
        self.to.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_finds_no_room_is_told_as_soon_as_there_is_some() {
        let lost = AtomicU64::new(0);
        let (mut ear, mut subscription) = Ear::pair();
        for n in 0..QUEUE_MAX {
            assert!(ear.say(&n, &lost));
        }
        ear.tell_gap();
        ear.catch_up();
        assert_eq!(subscription.messages.len(), QUEUE_MAX, "nothing fits");
        assert_eq!(subscription.messages.try_recv(), Ok(Heard::Message(0)));
        ear.catch_up();
        ear.catch_up();
        for n in 1..QUEUE_MAX {
            assert_eq!(subscription.messages.try_recv(), Ok(Heard::Message(n)));
        }
        assert_eq!(subscription.messages.try_recv(), Ok(Heard::Gap));
        assert!(subscription.messages.is_empty(), "once");
        assert_eq!(lost.into_inner(), 0, "no message was");
        drop(subscription);
        assert!(ear.is_gone());
    }
}
