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

use std::collections::HashSet;

use serde_json::Value;

use crate::integrity;
use crate::limits;
use crate::room::Room;
use crate::schema;
use crate::view::{DesignView, Element};

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

/// INV-11: a view never shows an edge without its nodes, two elements of a kind with one id, a cycle of parents, or a
/// position that is not finite.
pub fn check_view(view: &DesignView) -> Result<(), Broken> {
    let broken = |what: String| Err(Broken { name: "INV-11", what });
    for elements in [&view.nodes, &view.edges] {
        if let Some(pair) = elements.windows(2).find(|pair| pair[1].id <= pair[0].id) {
            return broken(format!("{:?} and {:?} are not sorted, or the same", pair[0].id, pair[1].id));
        }
    }
    let nodes: HashSet<&str> = view.nodes.iter().map(|node| node.id.as_str()).collect();
    let names_node = |element: &Element, key: &str| {
        element.body.get(key).and_then(Value::as_str).is_some_and(|id| nodes.contains(id))
    };
    for edge in &view.edges {
        if !names_node(edge, schema::SOURCE) || !names_node(edge, schema::TARGET) {
            return broken(format!("edge {:?} is shown without its nodes", edge.id));
        }
    }
    for node in &view.nodes {
        if !node.body.get(schema::POSITION).is_some_and(integrity::is_position) {
            return broken(format!("node {:?} has no finite position", node.id));
        }
        let parent = node.body.get(schema::PARENT_ID).filter(|parent| !parent.is_null());
        if parent.is_some() && !names_node(node, schema::PARENT_ID) {
            return broken(format!("node {:?} has a parent that does not exist", node.id));
        }
    }
    let cyclic = integrity::on_a_cycle(&integrity::parents(&view.nodes));
    match cyclic.iter().position(|cyclic| *cyclic) {
        Some(at) => broken(format!("node {:?} is its own ancestor", view.nodes[at].id)),
        None => Ok(()),
    }
}
