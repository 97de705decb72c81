//! From a file to a document, to a snapshot, and back to a document: nothing is lost on the way, and the second snapshot
//! has the content hash of the first.

use std::path::Path;

use atlas_crdt::design::{DesignDoc, create};
use atlas_crdt::ids::{ClientId, DesignId, Epoch, Seq};
use atlas_crdt::invariants::check_view;
use atlas_crdt::view::{DesignView, SnapshotHead};
use serde_json::{Value, json};
use yrs::{Any, Doc, Map, MapPrelim, MapRef, ReadTxn, StateVector, Transact, WriteTxn};

use super::import;

fn view(bytes: &[u8]) -> DesignView {
    let imported = import(bytes, "auto").unwrap();
    let update = create(ClientId::new(1), &imported.design).unwrap();
    let view = DesignDoc::load(ClientId::new(2), [&*update]).unwrap().view();
    check_view(&view).unwrap();
    view
}

fn snapshot(view: &DesignView) -> Vec<u8> {
    let head = SnapshotHead { id: DesignId::from_u128(7), epoch: Epoch::new(3), seq: Seq::new(41) };
    serde_json::to_vec(&view.to_snapshot_json(&head)).unwrap()
}

fn assert_comes_back(name: &str, first: &DesignView) {
    let second = view(&snapshot(first));
    assert_eq!(second, *first, "{name}");
    assert_eq!(second.content_hash(), first.content_hash(), "{name}");
    assert_eq!(second.semantic_hash(), first.semantic_hash(), "{name}");
}

/// Everything that `part` says stands in `whole` as well.
fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|other| is_within(value, other)))
        }
        (Value::Number(part), Value::Number(whole)) => part.as_f64() == whole.as_f64(),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(a, b)| is_within(a, b))
        }
        _ => part == whole,
    }
}

/// Every key of every node and edge of a Koh Atlas file stands in the view of the document made of it.
fn assert_every_key_survives(name: &str, file: &Value, view: &DesignView) {
    let hidden = view.integrity.hidden_edges.iter().map(|hidden| &hidden.edge);
    let nodes: Vec<Value> = view.nodes.iter().map(atlas_crdt::view::Element::to_json).collect();
    let edges: Vec<Value> = view.edges.iter().chain(hidden).map(atlas_crdt::view::Element::to_json).collect();
    for (list, shown) in [("nodes", &nodes), ("edges", &edges)] {
        let in_file = file[list].as_array().unwrap();
        assert_eq!(in_file.len(), shown.len(), "{name}: {list}");
        for element in in_file {
            let mut element = element.clone();
            // The one key that is taken apart: its size stands in for one that nobody chose.
            if let Some(measured) = element.as_object_mut().unwrap().remove("measured") {
                for side in
                    ["width", "height"].iter().filter(|side| element.get(side).is_none()).collect::<Vec<_>>()
                {
                    element[*side] = measured[*side].clone();
                }
            }
            let there = shown.iter().find(|shown| shown["id"] == element["id"]);
            let there = there.unwrap_or_else(|| panic!("{name}: {list} lost {}", element["id"]));
            assert!(is_within(&element, there), "{name}: {element} became {there}");
        }
    }
    for (key, value) in file.as_object().unwrap() {
        if !["nodes", "edges"].contains(&key.as_str()) {
            let kept = view.meta.get(key).unwrap_or_else(|| panic!("{name}: {key} is lost"));
            assert!(is_within(value, kept), "{name}: {key}");
        }
    }
}

#[test]
fn the_hand_written_designs_come_back() {
    let dangling = include_bytes!("../../tests/fixtures/designs/dangling.json");
    let first = view(dangling);
    assert_eq!(first.integrity.hidden_edges.len(), 1);
    assert_every_key_survives("dangling", &serde_json::from_slice(dangling).unwrap(), &first);
    assert_comes_back("dangling", &first);
    assert_comes_back("legacy", &view(include_bytes!("../../tests/fixtures/designs/legacy.json")));
    assert_comes_back("awkward", &view(include_bytes!("../../tests/fixtures/designs/awkward.json")));
}

#[test]
fn what_koh_atlas_saved_comes_back_with_every_key() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/kohatlas");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: ../shared/data/kohatlas is not there");
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let first = view(&bytes);
        let file: Value = serde_json::from_slice(&bytes).unwrap();
        if file.get("nodes").is_some() {
            assert_every_key_survives(&name, &file, &first);
        }
        assert_comes_back(&name, &first);
    }
}

/// What merged oddly comes back as odd as it was: nothing is repaired for good by taking an export back.
#[test]
fn an_odd_design_comes_back_odd() {
    let doc = Doc::with_client_id(9);
    let update = {
        let mut txn = doc.transact_mut();
        let nodes = txn.get_or_insert_map("nodes");
        let xy = |x: f64, y: f64| {
            Any::Map(std::sync::Arc::new(
                [("x", x), ("y", y)].map(|(key, at)| (key.to_owned(), at.into())).into(),
            ))
        };
        for (id, x, parent) in
            [("a", 0.1, "b"), ("b", 123.456_789_012_345_67, "a"), ("c", f64::NAN, "nobody")]
        {
            let node: MapRef = nodes.insert(&mut txn, id, MapPrelim::default());
            node.insert(&mut txn, "position", xy(x, -1.0 / 3.0));
            node.insert(&mut txn, "parentId", parent);
            let data: MapRef = node.insert(&mut txn, "data", MapPrelim::default());
            let _: MapRef = data.insert(&mut txn, "securityFlags", MapPrelim::default());
        }
        let meta = txn.get_or_insert_map("meta");
        meta.insert(&mut txn, "name", "Odd");
        meta.insert(&mut txn, "schema_version", 1);
        drop(txn);
        doc.transact().encode_diff_v1(&StateVector::default())
    };
    let first = DesignDoc::load(ClientId::new(2), [update.as_slice()]).unwrap().view();
    assert_eq!(first.integrity.repaired.len(), 4);
    assert_eq!(first.nodes[2].body["position"], json!({"x": 0, "y": 0}));
    assert_comes_back("odd", &first);
}
