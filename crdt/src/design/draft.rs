//! A change as one Yjs update: written into a copy of the document, under a client id of its own, so that the document
//! itself stays untouched until the update has passed every check and may go into the log.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, MapPrelim, MapRef, Out, Transact, TransactionMut, Update};

use super::change::Change;
use super::create::{CreateError, any, insert_element, insert_entries};
use super::plan::{Entries, Plan, SHARED, Write, Writes, plan};
use super::{ApplyFault, DesignDoc, panic_text};
use crate::ids::ClientId;
use crate::schema;
use crate::view::DesignView;

type Json = serde_json::Map<String, serde_json::Value>;

/// Why a change did not become an update. The document is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The change does not fit the document that it meets.
    #[error(transparent)]
    Unfit(#[from] CreateError),
    /// yrs failed.
    #[error(transparent)]
    Fault(#[from] ApplyFault),
}

impl DesignDoc {
    /// The update that makes the change, written by `client` in one transaction; `None` when there is nothing to change.
    /// `view` is this document's. Costs a copy of the document.
    ///
    /// The client id must be fresh, and is used for nothing else, ever.
    pub fn draft(
        &self,
        client: ClientId,
        view: &DesignView,
        change: &Change,
    ) -> Result<Option<Bytes>, DraftError> {
        let plan = plan(view, change)?;
        if plan.is_empty() {
            return Ok(None);
        }
        let written = catch_unwind(AssertUnwindSafe(|| write(client, &self.encode(), &plan)));
        Ok(written.map_err(|panic| ApplyFault::Panicked(panic_text(&*panic)))??)
    }
}

fn write(client: ClientId, document: &[u8], plan: &Plan) -> Result<Option<Bytes>, ApplyFault> {
    let doc = Doc::with_options(super::options(client));
    let [nodes, edges, meta, _comments] = schema::ROOTS.map(|root| doc.get_or_insert_map(root));
    let document = Update::decode_v1(document).map_err(ApplyFault::Undecodable)?;
    doc.transact_mut().apply_update(document).map_err(ApplyFault::Misplaced)?;
    // Not dropped by a panic, which would commit it on the way: the copy is leaked instead.
    let mut txn = ManuallyDrop::new(doc.transact_mut());
    write_elements(&nodes, &mut txn, &plan.nodes);
    write_elements(&edges, &mut txn, &plan.edges);
    write_entries(&meta, &mut txn, &plan.meta, &[]);
    // A removal of what is not there is no change.
    let has_changed = txn.insert_set().iter().next().is_some() || txn.delete_set().iter().next().is_some();
    let update = has_changed.then(|| Bytes::from(txn.encode_update_v1()));
    drop(ManuallyDrop::into_inner(txn));
    Ok(update)
}

fn write_elements(root: &MapRef, txn: &mut TransactionMut, writes: &Writes) {
    for id in &writes.remove {
        root.remove(txn, id);
    }
    for (id, write) in &writes.elements {
        match write {
            Write::Make(body) => insert_element(root, txn, id, body),
            Write::Into { was, entries } => write_into(root, txn, id, *was, entries, &SHARED),
            Write::Set(_) | Write::Remove => {}
        }
    }
}

/// `shared`: see [`SHARED`].
fn write_entries(map: &MapRef, txn: &mut TransactionMut, entries: &Entries, shared: &[&str]) {
    for (key, write) in entries {
        match write {
            Write::Set(value) => {
                map.insert(txn, *key, any(value));
            }
            Write::Remove => {
                map.remove(txn, key);
            }
            Write::Into { was, entries } => {
                write_into(map, txn, key, *was, entries, shared.get(1..).unwrap_or_default());
            }
            Write::Make(_) => {}
        }
    }
}

/// Into the shared map under `key`, or into a new one, where there is none or only a plain object. `shared`: the keys of
/// shared maps inside of it.
fn write_into(
    parent: &MapRef,
    txn: &mut TransactionMut,
    key: &str,
    was: Option<&Json>,
    entries: &Entries,
    shared: &[&str],
) {
    if let Some(Out::YMap(map)) = parent.get(txn, key) {
        return write_entries(&map, txn, entries, shared);
    }
    let made = match was {
        Some(was) if shared == SHARED => {
            insert_element(parent, txn, key, was);
            parent.get(txn, key)
        }
        was => Some(Out::YMap(make_shared(parent, txn, key, was, shared))),
    };
    if let Some(Out::YMap(map)) = made {
        write_entries(&map, txn, entries, shared);
    }
}

/// A shared map with what a plain object held, and the shared maps inside of it.
fn make_shared(
    parent: &MapRef,
    txn: &mut TransactionMut,
    key: &str,
    was: Option<&Json>,
    shared: &[&str],
) -> MapRef {
    let map = parent.insert(txn, key, MapPrelim::default());
    let Some(was) = was else { return map };
    let inner = shared.first().and_then(|key| was.get(*key).map(|value| (*key, value)));
    match inner {
        Some((inner, serde_json::Value::Object(held))) => {
            insert_entries(&map, txn, was, &[inner]);
            make_shared(&map, txn, inner, Some(held), &shared[1..]);
        }
        _ => insert_entries(&map, txn, was, &[]),
    }
    map
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use yrs::ReadTxn;

    use super::super::{ElementPatch, Elements, NewDesign, Patch, Replacement, create};
    use super::*;

    fn object(value: Value) -> Json {
        let Value::Object(object) = value else { panic!("an object is meant") };
        object
    }

    fn elements(list: Value) -> Elements {
        let Value::Array(list) = list else { panic!("a list is meant") };
        let one = |element| {
            let mut body = object(element);
            let Some(Value::String(id)) = body.remove("id") else { panic!("an id is meant") };
            (id, body)
        };
        list.into_iter().map(one).collect()
    }

    /// Two nodes, an edge between them, and one that is hidden.
    fn shop() -> DesignDoc {
        let new = NewDesign {
            name: "Shop".to_owned(),
            description: Some("Cards in".to_owned()),
            meta: object(json!({"projectName": "P"})),
            nodes: elements(json!([
                {"id": "db", "position": {"x": 1, "y": 2}, "data": {"label": "DB", "securityFlags": {"tls": true}}},
                {"id": "web", "position": {"x": 100.0, "y": 2}, "width": 7, "data": {"label": "Web", "odd": {"a": [1, null]}}},
            ])),
            edges: elements(json!([
                {"id": "hidden", "source": "web", "target": "gone", "label": "kept"},
                {"id": "web-db", "source": "web", "target": "db", "data": {"port": 443}},
            ])),
        };
        let first = create(ClientId::new(10), &new).unwrap();
        DesignDoc::load(ClientId::new(1), [&first[..]]).unwrap()
    }

    /// Applies the change; how many structs and deletions that took. `None`: nothing to do.
    fn make(doc: &mut DesignDoc, client: u64, change: &Change) -> Option<(u32, u32)> {
        change.check().unwrap();
        let (before, view) = (doc.state_vector(), doc.view());
        let update = doc.draft(ClientId::new(client), &view, change).unwrap()?;
        assert_eq!(doc.state_vector(), before, "a draft leaves the document alone");
        assert_eq!(doc.view(), view);
        let applied = doc.apply(&[&update[..]], false).unwrap();
        let of =
            |ranges: &[crate::room::ClockRange]| ranges.iter().map(|range| range.end - range.start).sum();
        Some((of(&applied.wrote), of(&applied.deleted)))
    }

    fn patch(nodes: Value, edges: Value, meta: Value) -> Change {
        let list = |list: Value| {
            let mut list = object(list);
            ElementPatch {
                upsert: list.remove("upsert").map(elements).unwrap_or_default(),
                remove: serde_json::from_value(list.remove("remove").unwrap_or(json!([]))).unwrap(),
            }
        };
        Change::Patch(Patch { nodes: list(nodes), edges: list(edges), meta: object(meta) })
    }

    /// What the design shows, as it is put back.
    fn whole(doc: &DesignDoc) -> Replacement {
        let view = doc.view();
        let list = |list: Vec<crate::view::Element>| list.into_iter().map(|e| (e.id, e.body)).collect();
        Replacement { nodes: list(view.nodes), edges: list(view.edges), meta: view.meta, meta_is_whole: true }
    }

    fn body(doc: &DesignDoc, id: &str) -> Value {
        let view = doc.view();
        let hidden = view.integrity.hidden_edges.into_iter().map(|hidden| hidden.edge);
        let mut all = view.nodes.into_iter().chain(view.edges).chain(hidden);
        all.find(|element| element.id == id).map_or(Value::Null, |element| Value::Object(element.body))
    }

    #[test]
    fn what_was_read_and_is_put_back_writes_nothing() {
        let mut doc = shop();
        let same = Change::Replace(whole(&doc));
        assert_eq!(make(&mut doc, 20, &same), None);
        assert_eq!(make(&mut doc, 20, &patch(json!({}), json!({}), json!({"name": "Shop"}))), None);
        let absent = json!({"remove": ["nobody"]});
        assert_eq!(make(&mut doc, 20, &patch(absent.clone(), absent, json!({"x": null}))), None);
    }

    #[test]
    fn a_replacement_writes_the_keys_that_differ_and_no_others() {
        let mut doc = shop();
        let mut new = whole(&doc);
        let data = new.nodes[0].1["data"].as_object_mut().unwrap();
        data.insert("label".to_owned(), json!("Orders"));
        data["securityFlags"] = json!({"backup": true});
        // One overwritten, one new, one gone.
        assert_eq!(make(&mut doc, 20, &Change::Replace(new)), Some((2, 2)));
        let expected = json!({"position": {"x": 1, "y": 2}, "data": {"label": "Orders", "securityFlags": {"backup": true}}});
        assert_eq!(body(&doc, "db"), expected);

        let mut new = whole(&doc);
        new.nodes[1].1.remove("width");
        new.nodes[1].1.remove("data");
        new.meta = object(json!({"description": "Money out", "owner": null}));
        make(&mut doc, 21, &Change::Replace(new)).unwrap();
        assert_eq!(
            body(&doc, "web"),
            json!({"position": {"x": 100, "y": 2}, "data": {"securityFlags": {}}}),
            "the shared maps stay"
        );
        let meta = json!({"schema_version": 1, "name": "Shop", "description": "Money out", "owner": null});
        assert_eq!(Value::Object(doc.view().meta), meta);
    }

    #[test]
    fn a_replacement_deletes_what_is_missing_and_leaves_alone_what_is_hidden() {
        let mut doc = shop();
        let mut new = whole(&doc);
        new.nodes.remove(0);
        new.edges.clear();
        new.meta.clear();
        new.meta_is_whole = false;
        make(&mut doc, 20, &Change::Replace(new)).unwrap();
        let view = doc.view();
        assert_eq!((view.nodes.len(), view.edges.len()), (1, 0));
        assert_eq!(body(&doc, "hidden")["label"], "kept");
        assert_eq!(view.meta["projectName"], "P", "no meta was given");
    }

    #[test]
    fn a_patch_merges_keys_at_three_levels_and_null_removes() {
        let mut doc = shop();
        let change = patch(
            json!({"upsert": [
                {"id": "db", "zIndex": 3, "data": {"label": null, "securityFlags": {"tls": null, "backup": true}}},
                {"id": "new", "width": null, "data": {"label": "New", "zone": null}},
            ]}),
            json!({"upsert": [{"id": "hidden", "target": "db", "label": null}]}),
            json!({"projectName": null, "name": "Market"}),
        );
        make(&mut doc, 20, &change).unwrap();
        let data = json!({"securityFlags": {"backup": true}});
        assert_eq!(body(&doc, "db"), json!({"position": {"x": 1, "y": 2}, "zIndex": 3, "data": data}));
        assert_eq!(body(&doc, "new")["data"], json!({"label": "New", "securityFlags": {}}));
        let hidden = json!({"source": "web", "target": "db", "data": {"securityFlags": {}}});
        assert_eq!(body(&doc, "hidden"), hidden, "it is whole again");
        assert_eq!(doc.name().as_deref(), Some("Market"));
        assert_eq!(doc.view().meta.get("projectName"), None);
        assert_eq!(make(&mut doc, 21, &change), None, "the same again changes nothing");
    }

    #[test]
    fn a_removed_node_takes_its_edges_along_once() {
        let mut doc = shop();
        let change = patch(json!({"remove": ["web"]}), json!({}), json!({}));
        make(&mut doc, 20, &change).unwrap();
        let view = doc.view();
        assert_eq!((view.nodes.len(), view.edges.len(), view.integrity.hidden_edges.len()), (1, 0, 0));
        // Somebody else hangs an edge to the node that is gone: the patch, sent again, does not touch it.
        let edge = json!({"upsert": [{"id": "late", "source": "web", "target": "db"}]});
        make(&mut doc, 21, &patch(json!({}), edge, json!({}))).unwrap();
        assert_eq!(make(&mut doc, 22, &change), None);
        // An edge that the patch speaks of itself stays, with the end that it is given.
        let edge = json!({"upsert": [{"id": "late", "source": "web-2"}]});
        make(&mut doc, 23, &patch(json!({"upsert": [{"id": "web-2"}], "remove": ["db"]}), edge, json!({})));
        assert_eq!(body(&doc, "late")["source"], "web-2");
    }

    #[test]
    fn shared_maps_are_never_replaced() {
        let doc = shop();
        for data in [json!({"data": null}), json!({"data": [1]}), json!({"data": {"securityFlags": "no"}})] {
            for id in ["db", "new"] {
                let mut node = data.clone();
                node["id"] = json!(id);
                let change = patch(json!({"upsert": [node]}), json!({}), json!({}));
                let made = doc.draft(ClientId::new(20), &doc.view(), &change);
                let is_new_without = id == "new" && data["data"].is_null();
                assert_eq!(made.is_err(), !is_new_without, "{change:?}");
            }
        }
    }

    #[test]
    fn plain_objects_in_their_place_become_shared_maps() {
        let odd = Doc::with_client_id(30);
        let nodes = odd.get_or_insert_map("nodes");
        let mut txn = odd.transact_mut();
        let plain = json!({"width": 1, "data": {"label": "x", "securityFlags": {"tls": true}}});
        nodes.insert(&mut txn, "plain", any(&plain));
        let half = nodes.insert(&mut txn, "half", MapPrelim::default());
        half.insert(&mut txn, "data", any(&plain["data"]));
        drop(txn);
        let update = odd.transact().encode_state_as_update_v1(&yrs::StateVector::default());
        let mut doc = DesignDoc::load(ClientId::new(1), [&update[..]]).unwrap();
        let more = |id: &str| json!({"id": id, "data": {"zone": "z"}});
        let change = patch(json!({"upsert": [more("plain"), more("half")]}), json!({}), json!({}));
        make(&mut doc, 20, &change).unwrap();
        for id in ["plain", "half"] {
            let expected = json!({"label": "x", "zone": "z", "securityFlags": {"tls": true}});
            assert_eq!(body(&doc, id)["data"], expected, "{id}");
            let txn = doc.live().transact();
            let root = txn.get_map("nodes").unwrap();
            let Some(Out::YMap(node)) = root.get(&txn, id) else { panic!("{id}") };
            let Some(Out::YMap(data)) = node.get(&txn, "data") else { panic!("{id}.data") };
            assert!(matches!(data.get(&txn, "securityFlags"), Some(Out::YMap(_))), "{id}");
        }
    }

    #[test]
    fn what_the_view_repairs_is_written_when_a_patch_says_it() {
        let mut doc = shop();
        let odd = patch(json!({"upsert": [{"id": "db", "position": "nowhere"}]}), json!({}), json!({}));
        make(&mut doc, 20, &odd).unwrap();
        assert_eq!(body(&doc, "db")["position"], json!({"x": 0, "y": 0}));
        let same = Change::Replace(whole(&doc));
        assert_eq!(make(&mut doc, 21, &same), None);
        let origin = json!({"upsert": [{"id": "db", "position": {"x": 0, "y": 0}}]});
        make(&mut doc, 22, &patch(origin, json!({}), json!({}))).unwrap();
        assert!(doc.view().integrity.repaired.is_empty());
    }
}
