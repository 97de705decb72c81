//! How many bytes the whole process keeps of what is still arriving: socket messages out of one purse, request bodies
//! out of another.
//!
//! A peer decides how long it takes to finish a message. Each connection may therefore keep a little for nothing, and
//! everything above that comes out of one purse for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atlas_crdt::limits::{INBOUND_BYTES_MAX, INBOUND_FREE_BYTES};

/// The purse. One in each process for messages, one for bodies.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes that nobody holds; every share takes and gives back.
    left: AtomicUsize,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(INBOUND_BYTES_MAX)
    }
}

impl Budget {
    pub(super) const fn of(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
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
        let taken = self
            .budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(more))
            .is_ok();
        if taken {
            self.held = wanted;
        }
        taken
    }

    pub(super) fn release(&mut self) {
        if 0 < self.held {
            self.budget.left.fetch_add(std::mem::take(&mut self.held), Ordering::Relaxed);
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
}
