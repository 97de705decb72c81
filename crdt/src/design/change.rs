//! What a program asks for without a Yjs document of its own: a whole design, or parts of one.
//!
//! A change is words about plain data, checked here against the rules of the document alone. What it comes to depends on
//! the document that it meets: see `plan` and [`DesignDoc::draft`](super::DesignDoc::draft).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::create::{CreateError, check_elements, check_entry, check_length};
use crate::limits;
use crate::schema;

/// Elements as `(id, body)`; a key `id` inside a body is left out.
pub type Elements = Vec<(String, Map<String, Value>)>;

/// One change of a design.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Replace(Replacement),
    Patch(Patch),
}

/// The design is to be this. Only what differs is written. What the view does not show (hidden edges, values that JSON
/// cannot hold) stays as it is, unless it is named here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replacement {
    pub nodes: Elements,
    pub edges: Elements,
    /// Keys of `meta` to set, `name` and `description` among them.
    pub meta: Map<String, Value>,
    /// `meta` is all there is: what is not in it goes, but for `name` and `schema_version`.
    pub meta_is_whole: bool,
}

/// These parts of the design are to be like this. Null removes a key of an element, of its `data`, of its
/// `data.securityFlags`, or of `meta`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    pub nodes: ElementPatch,
    pub edges: ElementPatch,
    pub meta: Map<String, Value>,
}

/// One list's part of a [`Patch`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ElementPatch {
    /// Merged key by key into the element of the same id, or made into one.
    pub upsert: Elements,
    /// Ids. Those of nobody are no error; a node takes its edges along, but for those that the patch itself names.
    pub remove: Vec<String>,
}

impl Change {
    /// Whether it keeps the rules that hold for any document.
    ///
    /// # Errors
    /// Names the place and the rule.
    pub fn check(&self) -> Result<(), CreateError> {
        match self {
            Self::Replace(new) => {
                check_list(schema::NODES, schema::NODES, &new.nodes, limits::NODES_MAX)?;
                check_list(schema::EDGES, schema::EDGES, &new.edges, limits::EDGES_MAX)?;
                check_meta(&new.meta, false)
            }
            Self::Patch(patch) => {
                check_patch("nodes.upsert", "nodes.remove", &patch.nodes, limits::NODES_MAX)?;
                check_patch("edges.upsert", "edges.remove", &patch.edges, limits::EDGES_MAX)?;
                check_meta(&patch.meta, true)
            }
        }
    }

    /// The edges that it names, to tell which of them nobody can see.
    pub fn edges(&self) -> impl Iterator<Item = &str> {
        let edges = match self {
            Self::Replace(new) => &new.edges,
            Self::Patch(patch) => &patch.edges.upsert,
        };
        edges.iter().map(|(id, _)| id.as_str())
    }
}

fn check_patch(
    upsert: &'static str,
    remove: &'static str,
    patch: &ElementPatch,
    max: usize,
) -> Result<(), CreateError> {
    check_list(upsert, upsert, &patch.upsert, max)?;
    if max < patch.remove.len() {
        return Err(CreateError::TooMany { what: remove, max, got: patch.remove.len() });
    }
    let upserted: HashSet<&str> = patch.upsert.iter().map(|(id, _)| id.as_str()).collect();
    match patch.remove.iter().position(|id| upserted.contains(id.as_str())) {
        Some(at) => Err(unfit(format!("{remove}[{at}]"), "stands in upsert as well")),
        None => Ok(()),
    }
}

fn check_list(what: &'static str, path: &str, elements: &Elements, max: usize) -> Result<(), CreateError> {
    check_elements(what, elements, max)?;
    for (at, (_, body)) in elements.iter().enumerate() {
        for (key, value) in body {
            check_numbers(&format!("{path}[{at}].{key}"), value)?;
        }
    }
    Ok(())
}

fn check_meta(meta: &Map<String, Value>, null_removes: bool) -> Result<(), CreateError> {
    for (key, value) in meta {
        let path = format!("{}.{key}", schema::META);
        check_entry(&path, key, value, 1, &[])?;
        check_numbers(&path, value)?;
        match (key.as_str(), value) {
            (schema::META_NAME, Value::String(name)) => check_length(&path, name, 1, limits::NAME_CHARS_MAX)?,
            (schema::META_NAME, _) => return Err(unfit(path, "is a text, and every design has one")),
            (schema::META_DESCRIPTION, Value::String(text)) => {
                check_length(&path, text, 0, limits::DESCRIPTION_CHARS_MAX)?;
            }
            (schema::META_DESCRIPTION, Value::Null) if null_removes => {}
            (schema::META_DESCRIPTION, _) => return Err(unfit(path, "is a text")),
            (schema::META_SCHEMA_VERSION, version) if version.as_u64() != Some(schema::SCHEMA_VERSION) => {
                return Err(unfit(path, "is 1, and cannot be changed"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An integer that a JavaScript number cannot hold would lose its last digits in silence. Iterative; the depth has been
/// checked before.
fn check_numbers(path: &str, value: &Value) -> Result<(), CreateError> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Number(number) => {
                let is_safe = match (number.as_i64(), number.as_u64()) {
                    (Some(whole), _) => whole.unsigned_abs() <= limits::CLIENT_ID_MAX,
                    (None, Some(_)) => false,
                    (None, None) => true,
                };
                if !is_safe {
                    return Err(unfit(path.to_owned(), "holds an integer beyond 2^53: send it as a text"));
                }
            }
            Value::Array(values) => open.extend(values),
            Value::Object(entries) => open.extend(entries.values()),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    Ok(())
}

pub(super) const fn unfit(path: String, rule: &'static str) -> CreateError {
    CreateError::Unfit { path, rule }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("an object is meant") };
        object
    }

    fn patch(nodes: Value, remove: &[&str], meta: Value) -> Change {
        let upsert = vec![("n".to_owned(), object(nodes))];
        let remove = remove.iter().map(|id| (*id).to_owned()).collect();
        let nodes = ElementPatch { upsert, remove };
        Change::Patch(Patch { nodes, edges: ElementPatch::default(), meta: object(meta) })
    }

    #[test]
    fn a_change_is_held_to_the_rules_of_the_document() {
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        for (change, told) in [
            (patch(json!({"data": deep}), &[], json!({})), "nodes.upsert[0].data: nested deeper than 32"),
            (patch(json!({"__proto__": 1}), &[], json!({})), "nodes.upsert[0].__proto__: the key __proto__"),
            (patch(json!({"data": {"port": 9_007_199_254_740_993_i64}}), &[], json!({})), "beyond 2^53"),
            (patch(json!({}), &["a", "n"], json!({})), "nodes.remove[1]: stands in upsert as well"),
            (patch(json!({}), &[], json!({"name": ""})), "meta.name: between 1 and 255"),
            (patch(json!({}), &[], json!({"name": null})), "meta.name: is a text"),
            (patch(json!({}), &[], json!({"schema_version": 2})), "meta.schema_version: is 1"),
        ] {
            let error = change.check().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let good = json!({"description": null, "name": "Shop", "schema_version": 1, "x": 1e300});
        assert_eq!(patch(json!({"data": null}), &["a"], good).check(), Ok(()));
        let whole = Replacement { meta: object(json!({"description": null})), ..Replacement::default() };
        assert!(Change::Replace(whole).check().is_err(), "a value of its own is no removal");
    }
}
