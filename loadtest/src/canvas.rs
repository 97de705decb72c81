//! The edits that people make on a drawing, as transactions on a design's document.
//!
//! They keep the contract of the document: every element is a map that is created with its `data` and
//! `data.securityFlags` maps, which are never replaced; a node takes its edges with it.

use serde_json::Value;
use yrs::{Any, In, Map, MapPrelim, MapRef, Out, ReadTxn, TransactionMut};

use crate::replica::Roots;

/// Creates a node, or replaces one of the same id.
pub fn put_node(roots: &Roots, txn: &mut TransactionMut<'_>, id: &str, label: &str, x: f64, y: f64) {
    let data = MapPrelim::from_iter([
        ("type", In::from("application")),
        ("label", In::from(label)),
        ("securityFlags", In::Map(MapPrelim::default())),
    ]);
    let node = MapPrelim::from_iter([
        ("type", In::from("custom")),
        ("position", In::Any(position(x, y))),
        ("width", In::from(180)),
        ("height", In::from(60)),
        ("data", In::Map(data)),
    ]);
    roots.nodes.insert(txn, id, node);
}

/// Creates an edge, or replaces one of the same id. Its nodes need not exist.
pub fn put_edge(roots: &Roots, txn: &mut TransactionMut<'_>, id: &str, source: &str, target: &str) {
    let data = MapPrelim::from_iter([
        ("protocol", In::from("HTTPS")),
        ("port", In::from(443)),
        ("securityFlags", In::Map(MapPrelim::default())),
    ]);
    let edge = MapPrelim::from_iter([
        ("source", In::from(source)),
        ("target", In::from(target)),
        ("type", In::from("default")),
        ("data", In::Map(data)),
    ]);
    roots.edges.insert(txn, id, edge);
}

/// Moves a node in one atomic step. Does nothing when there is no such node.
pub fn move_node(roots: &Roots, txn: &mut TransactionMut<'_>, id: &str, x: f64, y: f64) {
    if let Some(node) = element(&roots.nodes, txn, id) {
        node.insert(txn, "position", position(x, y));
    }
}

/// Sets a key of an element's `data`. Does nothing when there is no such element.
pub fn set_data(map: &MapRef, txn: &mut TransactionMut<'_>, id: &str, key: &str, value: &Value) {
    if let Some(data) = data_of(map, txn, id) {
        data.insert(txn, key, any(value));
    }
}

/// Sets one security flag of an element. Does nothing when there is no such element.
pub fn set_flag(map: &MapRef, txn: &mut TransactionMut<'_>, id: &str, flag: &str, on: bool) {
    let flags = data_of(map, txn, id).and_then(|data| element(&data, txn, "securityFlags"));
    if let Some(flags) = flags {
        flags.insert(txn, flag, on);
    }
}

pub fn set_meta(roots: &Roots, txn: &mut TransactionMut<'_>, key: &str, value: &Value) {
    roots.meta.insert(txn, key, any(value));
}

/// Deletes a node together with the edges that touch it.
pub fn remove_node(roots: &Roots, txn: &mut TransactionMut<'_>, id: &str) {
    let touching: Vec<String> = ids(&roots.edges, txn)
        .into_iter()
        .filter(|edge| {
            let Some(edge) = element(&roots.edges, txn, edge) else { return false };
            ["source", "target"]
                .iter()
                .any(|end| matches!(edge.get(txn, end), Some(Out::Any(Any::String(node))) if &*node == id))
        })
        .collect();
    for edge in touching {
        roots.edges.remove(txn, &edge);
    }
    roots.nodes.remove(txn, id);
}

/// The ids of a root's elements, sorted.
pub fn ids<T: ReadTxn>(map: &MapRef, txn: &T) -> Vec<String> {
    let mut ids: Vec<String> = map.keys(txn).map(ToOwned::to_owned).collect();
    ids.sort_unstable();
    ids
}

fn element<T: ReadTxn>(map: &MapRef, txn: &T, id: &str) -> Option<MapRef> {
    match map.get(txn, id) {
        Some(Out::YMap(element)) => Some(element),
        _ => None,
    }
}

fn data_of<T: ReadTxn>(map: &MapRef, txn: &T, id: &str) -> Option<MapRef> {
    element(map, txn, id).and_then(|element_map| element(&element_map, txn, "data"))
}

fn position(x: f64, y: f64) -> Any {
    any(&serde_json::json!({"x": x, "y": y}))
}

/// JSON as Yjs keeps it inside one value.
fn any(value: &Value) -> Any {
    serde_json::from_value(value.clone()).unwrap_or(Any::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Replica;
    use serde_json::json;

    #[test]
    fn a_node_takes_its_edges_with_it() {
        let mut ann = Replica::new(1);
        ann.edit(|roots, txn| {
            for id in ["a", "b", "c"] {
                put_node(roots, txn, id, id, 0.0, 0.0);
            }
            put_edge(roots, txn, "ab", "a", "b");
            put_edge(roots, txn, "bc", "b", "c");
            remove_node(roots, txn, "a");
        });
        assert_eq!(ann.read(|roots, txn| (ids(&roots.nodes, txn), ids(&roots.edges, txn))).1, ["bc"]);
    }

    #[test]
    fn flags_of_two_people_are_both_kept() {
        let (mut ann, mut ben) = (Replica::new(1), Replica::new(2));
        let created = ann.edit(|roots, txn| put_node(roots, txn, "a", "A", 1.0, 2.5));
        ben.apply(&created.expect("a change")).unwrap();
        let ours = ann.edit(|roots, txn| set_flag(&roots.nodes, txn, "a", "encrypted", true));
        let theirs = ben.edit(|roots, txn| set_flag(&roots.nodes, txn, "a", "public", false));
        ann.apply(&theirs.expect("a change")).unwrap();
        ben.apply(&ours.expect("a change")).unwrap();
        assert_eq!(ann.json(), ben.json());
        assert_eq!(
            ann.json()["nodes"]["a"]["data"]["securityFlags"],
            json!({"encrypted": true, "public": false})
        );
        assert_eq!(ann.json()["nodes"]["a"]["position"], json!({"x": 1, "y": 2.5}));
    }
}
