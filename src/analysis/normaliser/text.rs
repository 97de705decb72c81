//! Values as short texts.

use atlas_crdt::view::canonical_text;
use serde_json::Value;

/// A value as evidence shows it. What JSON holds for equal reads alike: 443 and 443.0, keys in any order.
pub(super) fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => canonical_text(other),
    }
}

/// A key without anything but letters and digits, in lower case.
pub(super) fn folded(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Null, and what is empty, is as if it were not there.
pub(super) fn is_said(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
