//! How many bytes the whole process keeps of what is still arriving: socket messages out of one purse, request bodies
//! out of another.
//!
//! A peer decides how long it takes to finish a message. Each connection may therefore keep a little for nothing, and
//! everything above that comes out of one purse for all of them. Of that purse one user gets a part only, whatever the
//! number of sockets: nobody can keep the others from sending by not finishing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use atlas_crdt::ids::UserId;
use atlas_crdt::limits::{INBOUND_BYTES_MAX, INBOUND_FREE_BYTES, INBOUND_USER_BYTES_MAX};

/// The purse. One in each process for messages, one for bodies.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes that nobody holds; every share takes and gives back.
    left: AtomicUsize,
    /// What is taken from this one is taken from there as well.
    part_of: Option<Arc<Self>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(INBOUND_BYTES_MAX)
    }
}

impl Budget {
    pub(super) const fn of(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes), part_of: None }
    }

    fn part_of(whole: &Arc<Self>, bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes), part_of: Some(Arc::clone(whole)) }
    }

    /// False, and nothing changed: there is not so much left.
    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return false;
        }
        let taken = self.part_of.as_ref().is_none_or(|whole| whole.take(bytes));
        if !taken {
            self.left.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.part_of {
            whole.give_back(bytes);
        }
    }
}

/// The purse for messages, and each user's part of it.
#[derive(Debug, Default)]
pub(super) struct Purses {
    all: Arc<Budget>,
    /// Parts that are in use. Every opening socket writes here; the others are dropped now and then.
    users: Mutex<HashMap<UserId, Weak<Budget>>>,
}

impl Purses {
    /// The user's part, shared by all of the user's sockets. Nobody's is the whole.
    pub(super) fn of(&self, user: Option<UserId>) -> Arc<Budget> {
        let Some(user) = user else { return Arc::clone(&self.all) };
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = users.get(&user).and_then(Weak::upgrade) {
            return part;
        }
        if users.len() == users.capacity() {
            users.retain(|_, part| 0 < part.strong_count());
        }
        let part = Arc::new(Budget::part_of(&self.all, INBOUND_USER_BYTES_MAX));
        users.insert(user, Arc::downgrade(&part));
        part
    }
}

/// What one connection holds of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

impl Share {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0 }
    }

    /// Holds enough for `bytes`. False, and nothing changed: the others hold too much.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(INBOUND_FREE_BYTES);
        let Some(more) = wanted.checked_sub(self.held).filter(|more| 0 < *more) else { return true };
        let taken = self.budget.take(more);
        if taken {
            self.held = wanted;
        }
        taken
    }

    pub(super) fn release(&mut self) {
        if 0 < self.held {
            self.budget.give_back(std::mem::take(&mut self.held));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R-LIMIT-3
    #[test]
    fn shares_take_from_one_purse_and_give_back() {
        let budget = Arc::new(Budget::default());
        let mut one = Share::new(Arc::clone(&budget));
        let mut other = Share::new(Arc::clone(&budget));
        assert!(one.grow_to(INBOUND_FREE_BYTES), "a little costs nothing");
        assert_eq!(one.held, 0);
        assert!(one.grow_to(INBOUND_FREE_BYTES + INBOUND_BYTES_MAX));
        assert!(!other.grow_to(INBOUND_FREE_BYTES + 1));
        assert!(other.grow_to(INBOUND_FREE_BYTES), "a little still passes");
        one.release();
        assert!(other.grow_to(INBOUND_FREE_BYTES + 1));
        drop(other);
        assert_eq!(budget.left.load(Ordering::Relaxed), INBOUND_BYTES_MAX);
    }

    // R-LIMIT-3
    #[test]
    fn nobody_holds_more_than_a_part_whatever_the_number_of_sockets() {
        let purses = Purses::default();
        let (greedy, modest) = (UserId::from_u128(1), UserId::from_u128(2));
        let mut hoard: Vec<Share> = Vec::new();
        loop {
            let mut share = Share::new(purses.of(Some(greedy)));
            if !share.grow_to(INBOUND_FREE_BYTES + INBOUND_USER_BYTES_MAX / 8) {
                break;
            }
            hoard.push(share);
        }
        assert_eq!(hoard.len(), 8);
        let mut other = Share::new(purses.of(Some(modest)));
        assert!(other.grow_to(INBOUND_FREE_BYTES + INBOUND_USER_BYTES_MAX));
        drop((hoard, other));
        assert_eq!(purses.all.left.load(Ordering::Relaxed), INBOUND_BYTES_MAX);
        assert!(Share::new(purses.of(Some(greedy))).grow_to(INBOUND_USER_BYTES_MAX));
        (3..2_000).for_each(|user| drop(purses.of(Some(UserId::from_u128(user)))));
        assert!(purses.users.lock().unwrap().len() < 100, "parts that nobody uses are forgotten");
    }
}
