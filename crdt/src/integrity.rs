//! How a merged but odd graph is read.
//!
//! Concurrent edits that are fine one by one may merge into a graph that nobody drew: an edge whose node another architect
//! deleted, two nodes that became each other's parent. All of this is decided when the document is read, alike on every
//! replica, and never written back: the edge comes back if its node does.
//!
//! - An edge with an end that is no node of the view is hidden, and stands whole in the list.
//! - A position that is not two finite numbers reads as `{x: 0, y: 0}`.
//! - A `parentId` that is no node of the view, or that leads back to the node itself, reads as none. A node whose chain
//!   of parents only leads into such a cycle keeps its parent.
//! - An element that is not an object, a key `id` that contradicts the element's own, and values that JSON cannot hold are
//!   left out.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::schema;
use crate::view::Element;

/// What was hidden or repaired to show a view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Integrity {
    /// Sorted by the id of the edge.
    pub hidden_edges: Vec<HiddenEdge>,
    /// Sorted by element and field.
    pub repaired: Vec<Repair>,
}

/// An edge that cannot be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct HiddenEdge {
    pub edge: Element,
    /// The ids of its ends that are no nodes of the view: source, then target. An end that is not even a text is not
    /// among them.
    pub missing: Vec<String>,
}

/// A value that reads otherwise than it stands in the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// The id of a node or an edge, or `meta`.
    pub element: String,
    /// The keys that lead to the value, joined by points; empty: the whole element.
    pub field: String,
    /// What stands in the document, or words about it where JSON cannot hold it.
    pub was: Value,
}

impl Integrity {
    /// As it stands in a snapshot.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let hidden = self.hidden_edges.iter();
        let repaired = self.repaired.iter();
        json!({
            "hidden_edges": hidden
                .map(|hidden| json!({"edge": hidden.edge.to_json(), "missing": hidden.missing}))
                .collect::<Vec<_>>(),
            "repaired": repaired
                .map(|repair| json!({"element": repair.element, "field": repair.field, "was": repair.was}))
                .collect::<Vec<_>>(),
        })
    }
}

/// Nodes and edges that can be shown, from nodes and edges sorted by id; `repaired` is what was left out before.
pub(crate) fn settle(
    mut nodes: Vec<Element>,
    edges: Vec<Element>,
    mut repaired: Vec<Repair>,
) -> (Vec<Element>, Vec<Element>, Integrity) {
    for node in &mut nodes {
        repaired.extend(settle_position(node));
    }
    repaired.extend(settle_parents(&mut nodes));
    let index: HashMap<&str, usize> =
        nodes.iter().enumerate().map(|(at, node)| (node.id.as_str(), at)).collect();
    let mut shown = Vec::with_capacity(edges.len());
    let mut hidden_edges = Vec::new();
    for edge in edges {
        let ends = [schema::SOURCE, schema::TARGET].map(|key| edge.body.get(key).and_then(Value::as_str));
        if ends.iter().all(|end| end.is_some_and(|end| index.contains_key(end))) {
            shown.push(edge);
            continue;
        }
        let mut missing: Vec<String> =
            ends.iter().flatten().filter(|end| !index.contains_key(*end)).map(ToString::to_string).collect();
        missing.dedup();
        hidden_edges.push(HiddenEdge { edge, missing });
    }
    repaired.sort_by(|a, b| (&a.element, &a.field).cmp(&(&b.element, &b.field)));
    (nodes, shown, Integrity { hidden_edges, repaired })
}

/// Is this value a position that a canvas can use?
#[must_use]
pub fn is_position(value: &Value) -> bool {
    let finite = |key| value.get(key).and_then(Value::as_f64).is_some_and(f64::is_finite);
    finite("x") && finite("y")
}

fn settle_position(node: &mut Element) -> Option<Repair> {
    if node.body.get(schema::POSITION).is_some_and(is_position) {
        return None;
    }
    let mut origin = Map::new();
    origin.insert("x".to_owned(), Value::from(0));
    origin.insert("y".to_owned(), Value::from(0));
    let was = node.body.insert(schema::POSITION.to_owned(), Value::Object(origin)).unwrap_or(Value::Null);
    Some(Repair { element: node.id.clone(), field: schema::POSITION.to_owned(), was })
}

fn settle_parents(nodes: &mut [Element]) -> Vec<Repair> {
    let parents = parents(nodes);
    let cyclic = on_a_cycle(&parents);
    let mut repaired = Vec::new();
    for (at, node) in nodes.iter_mut().enumerate() {
        let named = node.body.get(schema::PARENT_ID).is_some_and(|parent| !parent.is_null());
        if !named || (parents[at].is_some() && !cyclic[at]) {
            continue;
        }
        let was = node.body.remove(schema::PARENT_ID).unwrap_or(Value::Null);
        repaired.push(Repair { element: node.id.clone(), field: schema::PARENT_ID.to_owned(), was });
    }
    repaired
}

/// For each node the place of its parent, if it names one that exists.
pub(crate) fn parents(nodes: &[Element]) -> Vec<Option<usize>> {
    let index: HashMap<&str, usize> =
        nodes.iter().enumerate().map(|(at, node)| (node.id.as_str(), at)).collect();
    nodes.iter().map(|node| index.get(node.body.get(schema::PARENT_ID)?.as_str()?).copied()).collect()
}

/// For each node: do its parents lead back to it?
pub(crate) fn on_a_cycle(parents: &[Option<usize>]) -> Vec<bool> {
    // Every walk marks what it passes with its own number; a walk that meets its own mark has closed a cycle.
    let mut walk_of: Vec<Option<usize>> = vec![None; parents.len()];
    let mut cyclic = vec![false; parents.len()];
    for start in 0..parents.len() {
        let mut at = start;
        while walk_of[at].is_none() {
            walk_of[at] = Some(start);
            match parents[at] {
                Some(parent) => at = parent,
                None => break,
            }
        }
        let closed = walk_of[at] == Some(start) && parents[at].is_some();
        while closed && !cyclic[at] {
            cyclic[at] = true;
            at = parents[at].unwrap_or(at);
        }
    }
    cyclic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &str, body: Value) -> Element {
        let Value::Object(body) = body else { panic!("no object: {body}") };
        Element { id: id.to_owned(), body }
    }

    fn node(id: &str, parent: Option<&str>) -> Element {
        let mut node = element(id, json!({"position": {"x": 1, "y": 2}}));
        if let Some(parent) = parent {
            node.body.insert("parentId".into(), parent.into());
        }
        node
    }

    fn fields(integrity: &Integrity) -> Vec<(&str, &str)> {
        integrity.repaired.iter().map(|repair| (repair.element.as_str(), repair.field.as_str())).collect()
    }

    #[test]
    fn an_edge_without_its_nodes_is_hidden_whole() {
        let edges = vec![
            element("e1", json!({"source": "a", "target": "b", "label": "kept"})),
            element("e2", json!({"source": "gone", "target": "gone", "label": "whole"})),
            element("e3", json!({"source": 7, "target": "a"})),
        ];
        let (_, shown, integrity) = settle(vec![node("a", None), node("b", None)], edges, Vec::new());
        assert_eq!(shown.len(), 1);
        assert_eq!(
            integrity.to_json()["hidden_edges"],
            json!([
                {"edge": {"id": "e2", "source": "gone", "target": "gone", "label": "whole"}, "missing": ["gone"]},
                {"edge": {"id": "e3", "source": 7, "target": "a"}, "missing": []},
            ])
        );
    }

    #[test]
    fn a_position_that_no_canvas_can_use_reads_as_the_origin() {
        for (at, odd) in [
            json!({"x": 1}),
            json!({"x": 1, "y": "2"}),
            json!({"x": 1, "y": null}),
            json!([1, 2]),
            json!(null),
        ]
        .into_iter()
        .enumerate()
        {
            let (nodes, _, integrity) =
                settle(vec![element("n", json!({"position": odd.clone()}))], Vec::new(), Vec::new());
            assert_eq!(nodes[0].body["position"], json!({"x": 0, "y": 0}), "case {at}");
            assert_eq!(integrity.repaired[0].was, odd);
        }
    }

    #[test]
    fn only_the_nodes_on_a_cycle_lose_their_parent() {
        // tail -> a -> b -> c -> a, and self -> self, and orphan -> nobody.
        let nodes = vec![
            node("a", Some("b")),
            node("b", Some("c")),
            node("c", Some("a")),
            node("orphan", Some("nobody")),
            node("self", Some("self")),
            node("tail", Some("a")),
        ];
        let (nodes, _, integrity) = settle(nodes, Vec::new(), Vec::new());
        assert_eq!(fields(&integrity), ["a", "b", "c", "orphan", "self"].map(|id| (id, "parentId")));
        assert_eq!(nodes[5].body["parentId"], "a");
    }
}
