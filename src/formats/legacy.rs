//! The older form of Koh Atlas: `{components: [{id, type, label, zone, …}], connections: [{from, to, protocol, port,
//! description, …}], …}`, without positions.
//!
//! A component becomes a node of type `custom` whose `data` holds every key of the component but its id; a connection
//! becomes an edge whose `data` holds every key but its ends and its id. Nothing is guessed about kinds.

use atlas_crdt::limits::LABEL_CHARS_MAX;
use atlas_crdt::schema;
use serde_json::{Map, Value, json};

use super::elements::{Draft, Found, list, reference};
use super::report::{ImportReport, below};
use super::{ImportError, Imported, grid, meta};

const LABEL: &str = "label";

pub(super) fn read(mut file: Map<String, Value>) -> Result<Imported, ImportError> {
    const COMPONENTS: &str = "components";
    const CONNECTIONS: &str = "connections";
    let mut report = ImportReport::new("kohatlas-legacy");
    let mut nodes = list(COMPONENTS, file.remove(COMPONENTS), &mut report)?;
    let mut edges = list(CONNECTIONS, file.remove(CONNECTIONS), &mut report)?;
    report.changed(COMPONENTS, "legacy_form", &COMPONENTS.into(), &schema::NODES.into());
    report.changed(CONNECTIONS, "legacy_form", &CONNECTIONS.into(), &schema::EDGES.into());
    let mut zones = Vec::with_capacity(nodes.len());
    for node in &mut nodes {
        zones.push(node.body.get("zone").and_then(Value::as_str).unwrap_or_default().to_owned());
        component(node, &mut report);
    }
    grid::place_by_zone(&mut nodes, &zones, &mut report);
    if !edges.is_empty() {
        for (from, to) in [("from", schema::SOURCE), ("to", schema::TARGET)] {
            report.changed(&format!("{CONNECTIONS}[*].{from}"), "legacy_form", &from.into(), &to.into());
        }
    }
    for edge in &mut edges {
        connection(edge, &mut report);
    }
    let about = meta::take(file, &mut report);
    Draft { about, nodes, edges, report }.finish()
}

fn component(found: &mut Found, report: &mut ImportReport) {
    let mut data = std::mem::take(&mut found.body);
    if data.get(LABEL).is_none_or(Value::is_null) {
        let (label, confidence) = match data.get("name") {
            Some(Value::String(name)) => (name.as_str(), 0.9),
            _ => (found.id.as_deref().unwrap_or("Component"), 0.5),
        };
        let label = Value::String(label.chars().take(LABEL_CHARS_MAX).collect());
        report.guessed(&below(&found.path, LABEL), &label, confidence);
        data.insert(LABEL.to_owned(), label);
    }
    found.body.insert("type".to_owned(), "custom".into());
    if let Some(position) = data.remove(schema::POSITION) {
        found.body.insert(schema::POSITION.to_owned(), position);
        grid::mend_position(found, report);
    }
    found.body.insert(schema::DATA.to_owned(), Value::Object(without_null_flags(data)));
}

fn connection(found: &mut Found, report: &mut ImportReport) {
    let mut data = std::mem::take(&mut found.body);
    found.body.insert("type".to_owned(), "smoothstep".into());
    for (from, to) in [("from", schema::SOURCE), ("to", schema::TARGET)] {
        if let Some(end) = data.remove(from) {
            found.body.insert(to.to_owned(), end);
            reference(found, to, report);
        }
    }
    if let Some(label) = label_of(&data, &found.path, report) {
        found.body.insert(LABEL.to_owned(), label);
    }
    found.body.insert(schema::DATA.to_owned(), Value::Object(without_null_flags(data)));
}

/// The connection's own label, else its description, which stays whole in `data`.
fn label_of(data: &Map<String, Value>, path: &str, report: &mut ImportReport) -> Option<Value> {
    if let Some(label @ Value::String(_)) = data.get(LABEL) {
        return Some(label.clone());
    }
    let description = data.get("description")?.as_str()?;
    let label: String = description.chars().take(LABEL_CHARS_MAX).collect();
    if label.len() < description.len() {
        let path = below(path, "description");
        report.changed(&path, "label_chars_max", &description.into(), &label.as_str().into());
    }
    Some(json!(label))
}

/// null stands for an empty map here as in the newer form.
fn without_null_flags(mut data: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Null) = data.get(schema::SECURITY_FLAGS) {
        data.remove(schema::SECURITY_FLAGS);
    }
    data
}
