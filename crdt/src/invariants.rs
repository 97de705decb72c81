//! The named invariants as checks, called by `debug_assert`, property tests and the simulation.
//!
//! | name | promise | checked by |
//! |---|---|---|
//! | INV-1 | the same updates in any order give equal views | `tests/convergence.rs`, `tests/sim` |
//! | INV-2 | `Saved(n)` only after the commit | [`check_room`], `tests/sim` |
//! | INV-3 | nothing leaves a room before it is in the log | `tests/sim` |
//! | INV-4 | one room per design and pod | the hub's tests |
//! | INV-6 | every queue is bounded | [`check_room`], `tests/sim` |
//! | INV-7 | no eviction with unsaved edits | [`check_room`], `tests/sim` |
//! | INV-10 | the same seed leaves the same trace | `tests/sim` |
//! | INV-11 | a view is a graph | [`check_view`], `tests/convergence.rs` |

use crate::limits;
use crate::room::Room;

/// An invariant that does not hold: a bug in this crate, never a client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is broken: {what}")]
pub struct Broken {
    pub name: &'static str,
    pub what: String,
}

/// What must hold of a room between any two inputs.
pub fn check_room(room: &Room) -> Result<(), Broken> {
    let stats = room.stats();
    let broken = |name, what: &str| Err(Broken { name, what: what.to_owned() });
    if !room.members_are_consistent() {
        return broken("INV-2", "more was acknowledged than was settled or received");
    }
    // One frame may go over the budget; what is in flight is bounded by what had waited.
    if 2 * limits::UNSAVED_BYTES_MAX + 2 * limits::DOCUMENT_BYTES_MAX < stats.unsaved_bytes {
        return broken("INV-6", "the unsaved edits outgrew their budget");
    }
    if room.is_closed() && stats.has_unsaved {
        return broken("INV-7", "closed with unsaved edits");
    }
    Ok(())
}
