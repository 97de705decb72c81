//! Nodes and edges as they stand in a file, and the ids that they get.

use std::collections::{HashMap, HashSet};

use atlas_crdt::design::NewDesign;
use atlas_crdt::limits;
use atlas_crdt::schema;
use serde_json::{Map, Value};

use super::meta::About;
use super::report::{ImportReport, Kept, below};
use super::{ImportError, Imported, bounds};

/// One element of the file.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it stands in the file.
    pub(super) path: String,
    /// `None` when the file gives none.
    pub(super) id: Option<String>,
    /// Everything but the id.
    pub(super) body: Map<String, Value>,
}

/// What a file holds, before ids are settled and limits held.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) about: About,
    pub(super) nodes: Vec<Found>,
    pub(super) edges: Vec<Found>,
    pub(super) report: ImportReport,
}

/// The elements of a list. What is no object cannot be an element and is left out.
pub(super) fn list(
    path: &str,
    list: Option<Value>,
    report: &mut ImportReport,
) -> Result<Vec<Found>, ImportError> {
    let Some(Value::Array(list)) = list else {
        return Err(ImportError::Unexpected { path: path.to_owned(), expected: "an array" });
    };
    let mut found = Vec::with_capacity(list.len());
    for (at, element) in list.into_iter().enumerate() {
        found.extend(one(format!("{path}[{at}]"), element, report));
    }
    Ok(found)
}

/// One element that stands at `path`.
pub(super) fn one(path: String, element: Value, report: &mut ImportReport) -> Option<Found> {
    let Value::Object(mut body) = element else {
        report.dropped(&path, "not an object");
        return None;
    };
    let id = id_of(&path, body.remove(schema::ID), report);
    Some(Found { path, id, body })
}

/// Ids are strings; numbers become their digits. Anything else is no id.
fn id_of(path: &str, id: Option<Value>, report: &mut ImportReport) -> Option<String> {
    match id? {
        Value::String(id) if !id.is_empty() => Some(id),
        Value::Number(number) => {
            let id = digits(&number);
            report.changed(&below(path, schema::ID), "id_to_string", &number.into(), &id.as_str().into());
            Some(id)
        }
        Value::Null => None,
        _ => {
            report.dropped(&below(path, schema::ID), "not an id");
            None
        }
    }
}

/// The number as JavaScript would print it, for numbers that people use as ids.
fn digits(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// A key that names another element: a number becomes a string like the id that it means.
pub(super) fn reference(found: &mut Found, key: &str, report: &mut ImportReport) {
    if let Some(value) = found.body.get_mut(key)
        && let Value::Number(number) = value
    {
        let id = Value::String(digits(number));
        report.changed(&below(&found.path, key), "id_to_string", value, &id);
        *value = id;
    }
}

impl Draft {
    /// Settles ids, reports what leads nowhere, and holds the limits.
    pub(super) fn finish(mut self) -> Result<Imported, ImportError> {
        let report = &mut self.report;
        bounds::at_most(schema::NODES, "nodes_max", limits::NODES_MAX, self.nodes.len())?;
        bounds::at_most(schema::EDGES, "edges_max", limits::EDGES_MAX, self.edges.len())?;
        self.about.check(report)?;
        for found in self.nodes.iter().chain(&self.edges) {
            bounds::element(&found.path, &found.body, report)?;
        }
        for edge in &mut self.edges {
            shorten_id(edge, report);
        }
        let nodes = settle_ids(self.nodes, "n", report)?;
        let edges = settle_ids(self.edges, "c", report)?;
        warn_of_loose_ends(&nodes, &edges, report);
        self.report.finish(Kept { nodes: nodes.len(), edges: edges.len() });
        let About { name, description, meta } = self.about;
        Ok(Imported { design: NewDesign { name, description, meta, nodes, edges }, report: self.report })
    }
}

/// React Flow makes ids of edges from those of their ends and handles, which may get too long. Nothing refers to an edge,
/// so its id may be cut; that of a node may not.
fn shorten_id(edge: &mut Found, report: &mut ImportReport) {
    let Some(id) = &mut edge.id else { return };
    if let Some((end, _)) = id.char_indices().nth(limits::ELEMENT_ID_CHARS_MAX) {
        let cut = id[..end].to_owned();
        let whole = std::mem::replace(id, cut);
        report.changed(
            &below(&edge.path, schema::ID),
            "element_id_chars_max",
            &whole.into(),
            &id.as_str().into(),
        );
    }
}

type Elements = Vec<(String, Map<String, Value>)>;

/// Every element gets an id of its own: the one that it has if nobody before it has the same, else the same with a
/// suffix; `prefix` and its place in the list, counted from 1, if it has none.
fn settle_ids(found: Vec<Found>, prefix: &str, report: &mut ImportReport) -> Result<Elements, ImportError> {
    let wanted: HashSet<String> = found.iter().filter_map(|found| found.id.clone()).collect();
    let mut taken = HashSet::with_capacity(found.len());
    let mut suffixes: HashMap<String, usize> = HashMap::new();
    let mut elements = Vec::with_capacity(found.len());
    for (at, Found { path, id, body }) in found.into_iter().enumerate() {
        let path = below(&path, schema::ID);
        if let Some(id) = &id {
            bounds::chars(&path, "element_id_chars_max", id, limits::ELEMENT_ID_CHARS_MAX)?;
        }
        let made = || format!("{prefix}{}", at + 1);
        let mut settled = id.clone().unwrap_or_else(made);
        // An id that the file gives is its own; one that is made up must not be somebody's who comes later.
        let mut is_free = !taken.contains(&settled) && (id.is_some() || !wanted.contains(&settled));
        let base = settled.clone();
        while !is_free {
            let suffix = suffixes.entry(base.clone()).or_insert(1);
            *suffix += 1;
            settled = with_suffix(&base, *suffix);
            is_free = !wanted.contains(&settled) && !taken.contains(&settled);
        }
        match &id {
            None => report.changed(&path, "missing_id", &Value::Null, &settled.as_str().into()),
            Some(id) if *id != settled => {
                report.changed(&path, "duplicate_id", &id.as_str().into(), &settled.as_str().into());
            }
            Some(_) => {}
        }
        taken.insert(settled.clone());
        elements.push((settled, body));
    }
    Ok(elements)
}

/// `base-2`; a long base is cut so that the whole stays within the limit.
pub(super) fn with_suffix(base: &str, suffix: usize) -> String {
    let suffix = format!("-{suffix}");
    let room = limits::ELEMENT_ID_CHARS_MAX - suffix.len();
    base.chars().take(room).collect::<String>() + &suffix
}

/// Edges and parents that name no node: kept as they are, and hidden by whoever shows the design.
fn warn_of_loose_ends(nodes: &Elements, edges: &Elements, report: &mut ImportReport) {
    let ids: HashSet<&str> = nodes.iter().map(|(id, _)| id.as_str()).collect();
    for (id, body) in edges {
        for key in [schema::SOURCE, schema::TARGET] {
            let message = match body.get(key) {
                Some(Value::String(end)) if ids.contains(end.as_str()) => continue,
                Some(Value::String(end)) => {
                    format!("its {key} {end:?} is no node: kept, and hidden until there is one")
                }
                _ => format!("it has no {key}: kept, and hidden"),
            };
            report.warning("dangling_edge", id, message);
        }
    }
    for (id, body) in nodes {
        match body.get(schema::PARENT_ID) {
            None | Some(Value::Null) => {}
            Some(Value::String(parent)) if ids.contains(parent.as_str()) => {}
            Some(parent) => {
                let message = format!("its parent {parent} is no node: kept, and read as none");
                report.warning("unknown_parent", id, message);
            }
        }
    }
}
