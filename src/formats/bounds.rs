//! The limits of the document, held before it is made, with the place in the file where one is broken.

use atlas_crdt::limits;
use atlas_crdt::schema;
use serde_json::{Map, Value};

use super::ImportError;
use super::report::{ImportReport, below};

/// The largest integer up to which every integer is a JavaScript number.
const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

pub(super) fn at_most(path: &str, rule: &'static str, max: usize, got: usize) -> Result<(), ImportError> {
    if got <= max {
        return Ok(());
    }
    Err(ImportError::Limit { path: path.to_owned(), rule, max, got })
}

pub(super) fn chars(path: &str, rule: &'static str, text: &str, max: usize) -> Result<(), ImportError> {
    at_most(path, rule, max, text.chars().count())
}

/// The body of a node or an edge, id excluded.
pub(super) fn element(
    path: &str,
    body: &Map<String, Value>,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    label(&below(path, "label"), body.get("label"))?;
    if let Some(data) = body.get(schema::DATA) {
        label(&below(&below(path, schema::DATA), "label"), data.get("label"))?;
    }
    entries(path, body, 1, &[schema::DATA, schema::SECURITY_FLAGS], report)
}

/// An entry of `meta`.
pub(super) fn entry(
    path: &str,
    key: &str,
    value: &Value,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    check_key(path, key)?;
    check_value(path, value, 1, report)
}

fn label(path: &str, label: Option<&Value>) -> Result<(), ImportError> {
    match label {
        Some(Value::String(label)) => chars(path, "label_chars_max", label, limits::LABEL_CHARS_MAX),
        _ => Ok(()),
    }
}

/// Each entry is a value of its own in the document. `shared` names the entry that is a map of such entries itself,
/// and the one inside of that.
fn entries(
    path: &str,
    map: &Map<String, Value>,
    depth: usize,
    shared: &[&str],
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    for (key, value) in map {
        let path = below(path, key);
        check_key(&path, key)?;
        match (shared, value) {
            ([first, inner @ ..], Value::Object(map)) if key == first => {
                entries(&path, map, depth + 1, inner, report)?;
            }
            _ => check_value(&path, value, depth, report)?,
        }
    }
    Ok(())
}

fn check_key(path: &str, key: &str) -> Result<(), ImportError> {
    at_most(path, "key_bytes_max", limits::KEY_BYTES_MAX, key.len())
}

/// Depth, keys and number of values, counted as the document does. `depth` is that of the value itself.
fn check_value(
    path: &str,
    value: &Value,
    depth: usize,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let mut values = 0;
    let mut open = vec![(value, depth)];
    while let Some((value, depth)) = open.pop() {
        values += 1;
        at_most(path, "any_depth_max", limits::ANY_DEPTH_MAX, depth)?;
        match value {
            Value::Array(values) => open.extend(values.iter().map(|value| (value, depth + 1))),
            Value::Object(entries) => {
                for (key, value) in entries {
                    check_key(path, key)?;
                    open.push((value, depth + 1));
                }
            }
            Value::Number(number) if !is_safe(number) => {
                let stored = Value::from(number.as_f64().unwrap_or_default());
                report.changed(path, "number_precision", value, &stored);
            }
            _ => {}
        }
    }
    at_most(path, "any_values_max", limits::ANY_VALUES_MAX, values)
}

/// Floats are what they are; an integer may be too large to be exact.
fn is_safe(number: &serde_json::Number) -> bool {
    match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => whole.unsigned_abs() <= SAFE_INTEGER_MAX,
        (None, Some(_)) => false,
        (None, None) => true,
    }
}
