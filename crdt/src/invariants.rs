//! The named invariants as checks, called by `debug_assert`, property tests and the simulation.

use std::collections::HashSet;

use serde_json::Value;

use crate::integrity;
use crate::schema;
use crate::view::{DesignView, Element};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Broken {
    /// The name in the plan, such as `INV-11`.
    pub invariant: &'static str,
    pub what: String,
}

/// INV-11: a view never shows an edge without its nodes, two elements of a kind with one id, a cycle of parents, or a
/// position that is not finite.
pub fn check_view(view: &DesignView) -> Result<(), Broken> {
    let broken = |what: String| Err(Broken { invariant: "INV-11", what });
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
