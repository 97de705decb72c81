//! What Koh Atlas exports: `{nodes, edges, …}` as React Flow has them.
//!
//! React Flow keeps some things in its nodes that belong to one person's screen, not to the design; they are left out.
//! v11 called the parent of a node `parentNode`, v12 calls it `parentId`. v12 keeps the size that it measured under
//! `measured`, and takes `width` and `height` for the size that somebody chose.

use atlas_crdt::schema;
use serde_json::{Map, Value};

use super::elements::{Draft, Found, list, reference};
use super::report::{ImportReport, below};
use super::{ImportError, Imported, grid, meta};

/// Keys of a node that React Flow writes for itself.
const NODE_TRANSIENT: [&str; 5] = ["selected", "dragging", "resizing", "positionAbsolute", "internals"];
/// Keys of an edge that React Flow writes for itself.
const EDGE_TRANSIENT: [&str; 1] = ["selected"];
const TRANSIENT: &str = "belongs to a screen, not to the design";

pub(super) fn read(mut file: Map<String, Value>) -> Result<Imported, ImportError> {
    let mut report = ImportReport::new("kohatlas");
    let mut nodes = list(schema::NODES, file.remove(schema::NODES), &mut report)?;
    let mut edges = list(schema::EDGES, file.remove(schema::EDGES), &mut report)?;
    for node in &mut nodes {
        drop_transient(node, &NODE_TRANSIENT, &mut report);
        take_measured(node, &mut report);
        rename_parent(node, &mut report);
        reference(node, schema::PARENT_ID, &mut report);
        mend_data(node, &mut report);
        grid::mend_position(node, &mut report);
    }
    grid::place(&mut nodes, &mut report);
    for edge in &mut edges {
        drop_transient(edge, &EDGE_TRANSIENT, &mut report);
        reference(edge, schema::SOURCE, &mut report);
        reference(edge, schema::TARGET, &mut report);
        mend_data(edge, &mut report);
    }
    let about = meta::take(file, &mut report);
    Draft { about, nodes, edges, report }.finish()
}

fn drop_transient(found: &mut Found, keys: &[&str], report: &mut ImportReport) {
    for key in keys {
        if found.body.remove(*key).is_some() {
            report.dropped(&below(&found.path, key), TRANSIENT);
        }
    }
}

/// The measured size stands in where none was chosen.
fn take_measured(node: &mut Found, report: &mut ImportReport) {
    const MEASURED: &str = "measured";
    let Some(measured) = node.body.remove(MEASURED) else { return };
    for key in ["width", "height"] {
        let is_missing = node.body.get(key).is_none_or(Value::is_null);
        let size = measured.get(key).filter(|size| size.as_f64().is_some_and(|size| 0.0 < size));
        if let Some(size) = size.filter(|_| is_missing) {
            let was = node.body.insert(key.to_owned(), size.clone()).unwrap_or_default();
            report.changed(&below(&node.path, key), MEASURED, &was, size);
        }
    }
    report.dropped(&below(&node.path, MEASURED), TRANSIENT);
}

fn rename_parent(node: &mut Found, report: &mut ImportReport) {
    const PARENT_NODE: &str = "parentNode";
    let Some(parent) = node.body.remove(PARENT_NODE) else { return };
    let path = below(&node.path, PARENT_NODE);
    if parent.is_null() {
        report.dropped(&path, "null");
    } else if node.body.get(schema::PARENT_ID).is_none_or(Value::is_null) {
        report.changed(&path, "parent_node", &PARENT_NODE.into(), &schema::PARENT_ID.into());
        node.body.insert(schema::PARENT_ID.to_owned(), parent);
    } else {
        report.dropped(&path, "`parentId` stands beside it");
    }
}

/// `data` and its `securityFlags` are maps that everybody shares; null stands for an empty one. Anything else that is
/// no object stays, since it says something.
fn mend_data(found: &mut Found, report: &mut ImportReport) {
    let path = below(&found.path, schema::DATA);
    match found.body.get_mut(schema::DATA) {
        None => {}
        Some(Value::Null) => {
            found.body.remove(schema::DATA);
            report.dropped(&path, "null");
        }
        Some(Value::Object(data)) => {
            if let Some(Value::Null) = data.get(schema::SECURITY_FLAGS) {
                data.remove(schema::SECURITY_FLAGS);
                report.dropped(&below(&path, schema::SECURITY_FLAGS), "null");
            }
        }
        Some(_) => {
            let id = found.id.as_deref().unwrap_or_default();
            report.warning(
                "odd_data",
                id,
                format!("{path} is not an object: kept, and nobody can edit inside of it"),
            );
        }
    }
}
