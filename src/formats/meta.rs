//! What a file says about the design as a whole.

use atlas_crdt::limits;
use atlas_crdt::schema;
use serde_json::{Map, Value};

use super::ImportError;
use super::bounds;
use super::report::{ImportReport, below};

/// The name of a design whose file has none.
const DEFAULT_NAME: &str = "Imported design";

/// Name, description, and every other top-level key.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) meta: Map<String, Value>,
}

/// Takes the top-level keys that are left of a file.
pub(super) fn take(mut file: Map<String, Value>, report: &mut ImportReport) -> About {
    let name = match file.get(schema::META_NAME) {
        Some(Value::String(name)) if !name.trim().is_empty() => {
            let name = name.clone();
            file.remove(schema::META_NAME);
            name
        }
        _ => guess_name(&mut file, report),
    };
    let description = match file.remove(schema::META_DESCRIPTION) {
        Some(Value::String(description)) => Some(description),
        Some(Value::Null) => {
            report.dropped(schema::META_DESCRIPTION, "null");
            None
        }
        Some(odd) => {
            file.insert(schema::META_DESCRIPTION.to_owned(), odd);
            None
        }
        None => None,
    };
    About { name, description, meta: free_own_keys(file, report) }
}

/// From another key that tells it, or none at all.
fn guess_name(file: &mut Map<String, Value>, report: &mut ImportReport) -> String {
    if let Some(Value::Null) = file.get(schema::META_NAME) {
        file.remove(schema::META_NAME);
        report.dropped(schema::META_NAME, "null");
    }
    let candidates = [
        ("projectName", file.get("projectName")),
        ("metadata.name", file.get("metadata").and_then(|metadata| metadata.get("name"))),
    ];
    let found = candidates.into_iter().find_map(|(path, value)| {
        let name = value?.as_str()?.trim();
        (!name.is_empty()).then(|| (path, name.to_owned()))
    });
    let (name, confidence) = match found {
        Some((path, name)) => {
            let cut: String = name.chars().take(limits::NAME_CHARS_MAX).collect();
            if cut.len() < name.len() {
                report.changed(path, "name_chars_max", &name.into(), &cut.as_str().into());
            }
            (cut, 0.9)
        }
        None => (DEFAULT_NAME.to_owned(), 0.1),
    };
    report.guessed(schema::META_NAME, &name.as_str().into(), confidence);
    if let Some(Value::String(blank)) = file.get(schema::META_NAME) {
        report.changed(schema::META_NAME, "blank_name", &blank.as_str().into(), &name.as_str().into());
        file.remove(schema::META_NAME);
    }
    name
}

/// Keys that mean something of our own in `meta` move aside.
fn free_own_keys(mut meta: Map<String, Value>, report: &mut ImportReport) -> Map<String, Value> {
    for own in [schema::META_SCHEMA_VERSION, schema::META_NAME, schema::META_DESCRIPTION] {
        if let Some(value) = meta.remove(own) {
            insert_beside(&mut meta, own, value, own, report);
        }
    }
    meta
}

/// Keeps the value under `key` with the first suffix that is free.
pub(super) fn insert_beside(
    meta: &mut Map<String, Value>,
    key: &str,
    value: Value,
    path: &str,
    report: &mut ImportReport,
) {
    let mut suffix = 2;
    let mut free = format!("{key}-{suffix}");
    while meta.contains_key(&free) {
        suffix += 1;
        free = format!("{key}-{suffix}");
    }
    report.changed(path, "renamed_key", &key.into(), &free.as_str().into());
    meta.insert(free, value);
}

impl About {
    /// The limits of everything here.
    pub(super) fn check(&self, report: &mut ImportReport) -> Result<(), ImportError> {
        bounds::chars(schema::META_NAME, "name_chars_max", &self.name, limits::NAME_CHARS_MAX)?;
        if let Some(description) = &self.description {
            let max = limits::DESCRIPTION_CHARS_MAX;
            bounds::chars(schema::META_DESCRIPTION, "description_chars_max", description, max)?;
        }
        for (key, value) in &self.meta {
            bounds::entry(&below("", key), key, value, report)?;
        }
        Ok(())
    }
}
