//! Our own snapshot: `{schema_version, id, name, epoch, seq, content_hash, nodes, edges, meta, integrity}`.
//!
//! It is taken back as it stands: nothing is tidied, so that the new design's snapshot has the content hash of the old
//! one's. `integrity` says what the snapshot does not show of the document: hidden edges are edges again, and a repaired
//! position or parent is again what stood there, unless somebody changed it in the file since.

use std::collections::HashMap;

use atlas_crdt::schema;
use serde_json::{Map, Value, json};

use super::elements::{Draft, Found, list, one};
use super::meta::{self, About};
use super::report::{ImportReport, below};
use super::{ImportError, Imported};

const INTEGRITY: &str = "integrity";
/// What a snapshot says about the design that it was taken of.
const OF_THE_OTHER: [&str; 5] = ["id", "epoch", "seq", "content_hash", schema::META_SCHEMA_VERSION];

pub(super) fn read(mut file: Map<String, Value>) -> Result<Imported, ImportError> {
    let mut report = ImportReport::new("snapshot");
    let mut nodes = list(schema::NODES, file.remove(schema::NODES), &mut report)?;
    let mut edges = list(schema::EDGES, file.remove(schema::EDGES), &mut report)?;
    for key in OF_THE_OTHER {
        if file.remove(key).is_some() {
            report.dropped(key, "belongs to the design that the snapshot was taken of");
        }
    }
    let integrity = file.remove(INTEGRITY).unwrap_or_default();
    take_hidden_edges(&integrity, &mut edges, &mut report);
    restore(&integrity, &mut nodes, &mut report);
    let about = about(file, &mut report)?;
    Draft { about, nodes, edges, report }.finish()
}

/// `meta` as it was, with what else stands at the top beside it.
fn about(mut file: Map<String, Value>, report: &mut ImportReport) -> Result<About, ImportError> {
    let Some(Value::Object(mut about)) = file.remove(schema::META) else {
        return Err(ImportError::Unexpected { path: schema::META.to_owned(), expected: "an object" });
    };
    // The schema's version is written by whoever makes a document.
    about.remove(schema::META_SCHEMA_VERSION);
    if let Some(name) = file.remove(schema::META_NAME) {
        if about.get(schema::META_NAME).is_none() {
            about.insert(schema::META_NAME.to_owned(), name);
        } else if about.get(schema::META_NAME) != Some(&name) {
            report.dropped(schema::META_NAME, "`meta.name` says otherwise");
        }
    }
    for (key, value) in file {
        if about.contains_key(&key) || key == schema::META_DESCRIPTION {
            meta::insert_beside(&mut about, &key, value, &below("", &key), report);
        } else {
            about.insert(key, value);
        }
    }
    // An empty name at the top says that there is none.
    if about.get(schema::META_NAME) == Some(&Value::from("")) {
        about.remove(schema::META_NAME);
    }
    Ok(meta::take(about, report))
}

fn take_hidden_edges(integrity: &Value, edges: &mut Vec<Found>, report: &mut ImportReport) {
    let Some(Value::Array(hidden)) = integrity.get("hidden_edges") else { return };
    for (at, hidden) in hidden.iter().enumerate() {
        let path = format!("{INTEGRITY}.hidden_edges[{at}].edge");
        let edge = hidden.get("edge").cloned().unwrap_or_default();
        edges.extend(one(path, edge, report));
    }
}

/// Puts back what was repaired only for showing.
fn restore(integrity: &Value, nodes: &mut [Found], report: &mut ImportReport) {
    let Some(Value::Array(repaired)) = integrity.get("repaired") else { return };
    let mut index: HashMap<String, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if let Some(id) = &node.id {
            index.entry(id.clone()).or_insert(at);
        }
    }
    for (at, repair) in repaired.iter().enumerate() {
        let field = repair.get("field").and_then(Value::as_str).unwrap_or_default();
        let node = repair.get("element").and_then(Value::as_str).and_then(|id| index.get(id));
        let is_untouched = |body: &Map<String, Value>| match field {
            schema::POSITION => body.get(field) == Some(&json!({ "x": 0, "y": 0 })),
            schema::PARENT_ID => !body.contains_key(field),
            _ => false,
        };
        match (node.map(|at| &mut nodes[*at].body), repair.get("was")) {
            (Some(body), Some(was)) if is_untouched(body) => {
                // A position that was not there at all reads as null.
                if !was.is_null() || field != schema::POSITION {
                    body.insert(field.to_owned(), was.clone());
                } else {
                    body.remove(field);
                }
            }
            _ => report.dropped(&format!("{INTEGRITY}.repaired[{at}]"), "cannot be put back"),
        }
    }
}
