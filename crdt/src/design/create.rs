//! A new document as one update.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use yrs::{Any, Doc, Map, MapPrelim, MapRef, ReadTxn, StateVector, Transact, TransactionMut};

use crate::gate::PROTOTYPE;
use crate::ids::ClientId;
use crate::limits;
use crate::schema;

/// What a new design begins with. Elements are given as `(id, body)`; a key `id` inside a body is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewDesign {
    pub name: String,
    pub description: Option<String>,
    /// Further keys of `meta`. `name`, `description` and `schema_version` are set from elsewhere and ignored here.
    pub meta: serde_json::Map<String, Value>,
    pub nodes: Vec<(String, serde_json::Map<String, Value>)>,
    pub edges: Vec<(String, serde_json::Map<String, Value>)>,
}

/// The design breaks a rule of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("{what}: at most {max}, not {got}")]
    TooMany { what: &'static str, max: usize, got: usize },
    #[error("{path}: between {min} and {max} characters, not {got}")]
    Length { path: String, min: usize, max: usize, got: usize },
    #[error("{path}: nested deeper than {max}")]
    TooDeep { path: String, max: usize },
    #[error("{path}: more than {max} values in one")]
    TooManyValues { path: String, max: usize },
    #[error("{path}: a key of more than {max} bytes")]
    KeyTooLong { path: String, max: usize },
    /// JavaScript would take it for an object's prototype.
    #[error("{path}: the key __proto__")]
    PrototypeKey { path: String },
    #[error("{path}: the id stands there twice")]
    DuplicateId { path: String },
    #[error("the encoded design has {got} bytes, and {max} are allowed")]
    TooLarge { max: usize, got: usize },
    /// Of a change: something cannot stand where it is to be put.
    #[error("{path}: {rule}")]
    Unfit { path: String, rule: &'static str },
}

/// One update v1, written by `client`, that turns an empty document into this design. `data` and `data.securityFlags`
/// of every element are Y.Maps, created even when they are missing; everything else is plain JSON, key by key.
///
/// The client id must be fresh and is never used again.
pub fn create(client: ClientId, new: &NewDesign) -> Result<Bytes, CreateError> {
    check(new)?;
    let doc = Doc::with_options(super::options(client));
    let roots = schema::ROOTS.map(|root| doc.get_or_insert_map(root));
    let [nodes, edges, meta, _comments] = roots;
    let mut txn = doc.transact_mut();
    meta.insert(&mut txn, schema::META_SCHEMA_VERSION, any(&Value::from(schema::SCHEMA_VERSION)));
    meta.insert(&mut txn, schema::META_NAME, new.name.as_str());
    if let Some(description) = &new.description {
        meta.insert(&mut txn, schema::META_DESCRIPTION, description.as_str());
    }
    insert_entries(&meta, &mut txn, &new.meta, &OWN_META);
    for (id, body) in &new.nodes {
        insert_element(&nodes, &mut txn, id, body);
    }
    for (id, body) in &new.edges {
        insert_element(&edges, &mut txn, id, body);
    }
    let update = txn.encode_diff_v1(&StateVector::default());
    if limits::DOCUMENT_BYTES_MAX < update.len() {
        return Err(CreateError::TooLarge { max: limits::DOCUMENT_BYTES_MAX, got: update.len() });
    }
    Ok(Bytes::from(update))
}

/// Keys of `meta` that never come from [`NewDesign::meta`].
const OWN_META: [&str; 3] = [schema::META_SCHEMA_VERSION, schema::META_NAME, schema::META_DESCRIPTION];

pub(super) fn insert_element(
    root: &MapRef,
    txn: &mut TransactionMut,
    id: &str,
    body: &serde_json::Map<String, Value>,
) {
    let element = root.insert(txn, id, MapPrelim::default());
    insert_entries(&element, txn, body, &[schema::ID, schema::DATA]);
    let data = insert_shared(&element, txn, schema::DATA, body.get(schema::DATA), &[schema::SECURITY_FLAGS]);
    if let Some((data, data_body)) = data {
        let flags = data_body.and_then(|body| body.get(schema::SECURITY_FLAGS));
        insert_shared(&data, txn, schema::SECURITY_FLAGS, flags, &[]);
    }
}

/// A Y.Map under `key` with the entries of `value`, `except` some; an empty one when there is no value. A value that is
/// no object stays as it is: it cannot be merged anyway, and must survive a round trip.
fn insert_shared<'a>(
    parent: &MapRef,
    txn: &mut TransactionMut,
    key: &str,
    value: Option<&'a Value>,
    except: &[&str],
) -> Option<(MapRef, Option<&'a serde_json::Map<String, Value>>)> {
    let entries = match value {
        None => None,
        Some(Value::Object(entries)) => Some(entries),
        Some(odd) => {
            parent.insert(txn, key, any(odd));
            return None;
        }
    };
    let map = parent.insert(txn, key, MapPrelim::default());
    if let Some(entries) = entries {
        insert_entries(&map, txn, entries, except);
    }
    Some((map, entries))
}

pub(super) fn insert_entries(
    map: &MapRef,
    txn: &mut TransactionMut,
    entries: &serde_json::Map<String, Value>,
    except: &[&str],
) {
    for (key, value) in entries.iter().filter(|(key, _)| !except.contains(&key.as_str())) {
        map.insert(txn, key.as_str(), any(value));
    }
}

/// JSON as a Yjs value. Numbers become what JavaScript would make of them: integers beyond 2^53 lose their last digits.
/// Recursive: [`check`] has bounded the depth.
pub(super) fn any(value: &Value) -> Any {
    match value {
        Value::Null => Any::Null,
        Value::Bool(value) => Any::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if whole.unsigned_abs() <= limits::CLIENT_ID_MAX => Any::Number(whole.into()),
            _ => Any::Number(number.as_f64().unwrap_or_default().into()),
        },
        Value::String(text) => Any::String(text.as_str().into()),
        Value::Array(values) => Any::Array(values.iter().map(any).collect()),
        Value::Object(entries) => {
            Any::Map(Arc::new(entries.iter().map(|(key, value)| (key.clone(), any(value))).collect()))
        }
    }
}

fn check(new: &NewDesign) -> Result<(), CreateError> {
    check_length("name", &new.name, 1, limits::NAME_CHARS_MAX)?;
    if let Some(description) = &new.description {
        check_length("description", description, 0, limits::DESCRIPTION_CHARS_MAX)?;
    }
    for (key, value) in &new.meta {
        check_entry(&format!("meta.{key}"), key, value, 1, &[])?;
    }
    check_elements(schema::NODES, &new.nodes, limits::NODES_MAX)?;
    check_elements(schema::EDGES, &new.edges, limits::EDGES_MAX)
}

pub(super) fn check_elements(
    what: &'static str,
    elements: &[(String, serde_json::Map<String, Value>)],
    max: usize,
) -> Result<(), CreateError> {
    if max < elements.len() {
        return Err(CreateError::TooMany { what, max, got: elements.len() });
    }
    let mut seen = HashSet::with_capacity(elements.len());
    for (at, (id, body)) in elements.iter().enumerate() {
        let path = format!("{what}[{at}]");
        check_length(&format!("{path}.id"), id, 1, limits::ELEMENT_ID_CHARS_MAX)?;
        if !seen.insert(id.as_str()) {
            return Err(CreateError::DuplicateId { path });
        }
        for (key, value) in body {
            check_entry(&format!("{path}.{key}"), key, value, 1, &SHARED)?;
        }
        for label in [body.get("label"), body.get(schema::DATA).and_then(|data| data.get("label"))] {
            if let Some(Value::String(label)) = label {
                check_length(&format!("{path}.label"), label, 0, limits::LABEL_CHARS_MAX)?;
            }
        }
    }
    Ok(())
}

pub(super) fn check_length(path: &str, text: &str, min: usize, max: usize) -> Result<(), CreateError> {
    let got = text.chars().count();
    if (min..=max).contains(&got) {
        return Ok(());
    }
    Err(CreateError::Length { path: path.to_owned(), min, max, got })
}

/// Keys that become Y.Maps in each other, the outermost first: see [`create`].
const SHARED: [&str; 2] = [schema::DATA, schema::SECURITY_FLAGS];

/// One key with its value, at `depth`. `shared`: the keys that become Y.Maps from here on, whose entries are values of
/// their own.
pub(super) fn check_entry(
    path: &str,
    key: &str,
    value: &Value,
    depth: usize,
    shared: &[&str],
) -> Result<(), CreateError> {
    if key == PROTOTYPE {
        return Err(CreateError::PrototypeKey { path: path.to_owned() });
    }
    if limits::KEY_BYTES_MAX < key.len() {
        return Err(CreateError::KeyTooLong { path: path.to_owned(), max: limits::KEY_BYTES_MAX });
    }
    match (shared, value) {
        ([first, inner @ ..], Value::Object(entries)) if key == *first => entries
            .iter()
            .try_for_each(|(key, value)| check_entry(&format!("{path}.{key}"), key, value, depth + 1, inner)),
        _ => check_value(path, value, depth),
    }
}

/// Iterative, so that no depth can hurt. The bound of the depth holds for the value as it would stand in `meta` or in an
/// element, which is stricter than what the gate asks of values further inside. Values are counted as the gate counts
/// them: what is stored under one key counts together.
fn check_value(path: &str, value: &Value, depth: usize) -> Result<(), CreateError> {
    let key_too_long = || CreateError::KeyTooLong { path: path.to_owned(), max: limits::KEY_BYTES_MAX };
    let mut open = vec![(value, depth)];
    let mut values = 0;
    while let Some((value, depth)) = open.pop() {
        values += 1;
        if limits::ANY_VALUES_MAX < values {
            return Err(CreateError::TooManyValues { path: path.to_owned(), max: limits::ANY_VALUES_MAX });
        }
        if limits::ANY_DEPTH_MAX < depth {
            return Err(CreateError::TooDeep { path: path.to_owned(), max: limits::ANY_DEPTH_MAX });
        }
        match value {
            Value::Array(values) => open.extend(values.iter().map(|value| (value, depth + 1))),
            Value::Object(entries) => {
                if entries.contains_key(PROTOTYPE) {
                    return Err(CreateError::PrototypeKey { path: path.to_owned() });
                }
                if entries.keys().any(|key| limits::KEY_BYTES_MAX < key.len()) {
                    return Err(key_too_long());
                }
                open.extend(entries.values().map(|value| (value, depth + 1)));
            }
            _ => {}
        }
    }
    Ok(())
}
