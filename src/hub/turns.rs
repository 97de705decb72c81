//! Designs that have something to say and to ask on the bus at the same moment do so a few at a time: it shares the bus with
//! commits, and its queue is bounded.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atlas_crdt::ids::{DesignId, Millis};
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;

use super::Inner;
use super::inbox::{Control, RoomHandle};

/// When another pod comes or the bus is back, so many designs ask who is elsewhere, and say who is here …
const AT_ONCE: usize = 50;
/// … every so many milliseconds.
const PAUSE_MS: u64 = 50;

/// Designs that were told of a gap, and wait for their turn to say and ask who is there. Written by rooms, taken by the watch.
#[derive(Debug, Default)]
pub(super) struct TurnsWanted {
    designs: Mutex<HashSet<DesignId>>,
    is_wanted: Notify,
}

impl TurnsWanted {
    pub(super) fn add(&self, design: DesignId) {
        self.designs().insert(design);
        self.is_wanted.notify_one();
    }

    pub(super) async fn wait(&self) {
        self.is_wanted.notified().await;
    }

    fn take(&self) -> HashSet<DesignId> {
        std::mem::take(&mut *self.designs())
    }

    fn designs(&self) -> MutexGuard<'_, HashSet<DesignId>> {
        // Nothing inside can panic half-way through a change.
        self.designs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has yet to be told [`Control::Presence`], none twice, and when the next of them are.
#[derive(Debug)]
pub(super) struct Turns {
    waiting: VecDeque<DesignId>,
    next: Millis,
}

impl Turns {
    pub(super) const fn new(now: Millis) -> Self {
        Self { waiting: VecDeque::new(), next: now }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        (!self.waiting.is_empty()).then_some(self.next)
    }

    /// A pod came: everybody who is on it is to be known to whoever is here. A design that waits for its turn asks once for all that
    /// came; one in which nobody is asks when somebody comes.
    pub(super) fn want_presence(&mut self, hub: &Inner) {
        let is_wanted = |room: &RoomHandle| {
            // In this order: who comes meanwhile finds it, or is seen here.
            room.owes_question.store(true, Ordering::SeqCst);
            0 < room.seats_taken.load(Ordering::SeqCst)
        };
        let rooms = hub.rooms.iter();
        let wanted = rooms.filter(|room| is_wanted(room.value())).map(|room| *room.key()).collect();
        self.queue_up(wanted);
    }

    /// Gives the next ones their turn, if it is time.
    pub(super) fn take(&mut self, hub: &Inner, wanted: &TurnsWanted, now: Millis) {
        self.queue_up(wanted.take());
        if self.waiting.is_empty() || now < self.next {
            return;
        }
        self.next = now.plus(PAUSE_MS);
        let count = self.waiting.len().min(AT_ONCE);
        let now_asking: Vec<DesignId> = self.waiting.drain(..count).collect();
        for design in now_asking {
            let Some(room) = hub.rooms.get(&design).map(|room| Arc::clone(room.value())) else {
                continue;
            };
            if let Err(TrySendError::Full(_)) = room.control.try_send(Control::Presence) {
                self.waiting.push_back(design);
            }
        }
    }

    /// None twice.
    fn queue_up(&mut self, mut designs: HashSet<DesignId>) {
        if !designs.is_empty() {
            self.waiting.iter().for_each(|waiting| _ = designs.remove(waiting));
            self.waiting.extend(designs);
        }
    }
}
