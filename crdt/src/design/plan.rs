//! What of a change has to be written, given what the design shows now. Pure: plain data in, a list of writes out.
//!
//! Compared is the view, so that taking a snapshot and putting it back writes nothing: what the view repairs stays as it is
//! in the document, and what it hides is left alone.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::change::{Change, ElementPatch, Elements, Patch, Replacement, unfit};
use super::create::CreateError;
use crate::schema;
use crate::view::{DesignView, Element};

type Json = Map<String, Value>;

/// Everything that is to be written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan<'a> {
    pub(super) nodes: Writes<'a>,
    pub(super) edges: Writes<'a>,
    pub(super) meta: Entries<'a>,
}

/// What is written into one root of elements: removals first.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Writes<'a> {
    pub(super) remove: Vec<&'a str>,
    pub(super) elements: Vec<(&'a str, Write<'a>)>,
}

/// What is written into one map.
pub(super) type Entries<'a> = Vec<(&'a str, Write<'a>)>;

/// What is written under one key.
#[derive(Debug, PartialEq)]
pub(super) enum Write<'a> {
    Set(&'a Value),
    Remove,
    /// A shared map: these of its entries. `was` is what it shows now, if it is an object at all: should it turn out to be
    /// a plain one, a shared map takes its place and its content.
    Into {
        was: Option<&'a Json>,
        entries: Entries<'a>,
    },
    /// A new element.
    Make(Cow<'a, Json>),
}

impl Plan<'_> {
    pub(super) fn is_empty(&self) -> bool {
        let writes = |writes: &Writes| !writes.remove.is_empty() || !writes.elements.is_empty();
        !writes(&self.nodes) && !writes(&self.edges) && self.meta.is_empty()
    }
}

/// The keys of an element that hold shared maps, one inside the other.
pub(super) const SHARED: [&str; 2] = [schema::DATA, schema::SECURITY_FLAGS];

/// What `change` comes to.
///
/// # Errors
/// It would put something else in the place of a shared map.
pub(super) fn plan<'a>(view: &'a DesignView, change: &'a Change) -> Result<Plan<'a>, CreateError> {
    match change {
        Change::Replace(new) => replace(view, new),
        Change::Patch(patch) => patched(view, patch),
    }
}

fn replace<'a>(view: &'a DesignView, new: &'a Replacement) -> Result<Plan<'a>, CreateError> {
    let manner = Manner { is_whole: true, repaired: HashSet::new() };
    let gone = |shown: &'a [Element], wanted: &Elements| {
        let wanted: HashSet<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
        shown.iter().map(|element| element.id.as_str()).filter(|id| !wanted.contains(id)).collect()
    };
    let mut meta = manner.entries(schema::META, Some(&view.meta), Some(&new.meta), &[])?;
    // Keys that nobody can take away, and all of them when only some are given.
    meta.retain(|(key, write)| {
        *write != Write::Remove
            || (new.meta_is_whole && ![schema::META_NAME, schema::META_SCHEMA_VERSION].contains(key))
    });
    Ok(Plan {
        nodes: Writes {
            remove: gone(&view.nodes, &new.nodes),
            elements: manner.elements(schema::NODES, &nodes(view), &new.nodes)?,
        },
        edges: Writes {
            remove: gone(&view.edges, &new.edges),
            elements: manner.elements(schema::EDGES, &edges(view), &new.edges)?,
        },
        meta,
    })
}

fn patched<'a>(view: &'a DesignView, patch: &'a Patch) -> Result<Plan<'a>, CreateError> {
    let repaired = view.integrity.repaired.iter();
    let manner = Manner {
        is_whole: false,
        repaired: repaired.map(|repair| (repair.element.as_str(), repair.field.as_str())).collect(),
    };
    let (nodes, edges) = (nodes(view), edges(view));
    let mut plan = Plan {
        nodes: Writes {
            remove: ids(&patch.nodes).collect(),
            elements: manner.elements("nodes.upsert", &nodes, &patch.nodes.upsert)?,
        },
        edges: Writes {
            remove: ids(&patch.edges).collect(),
            elements: manner.elements("edges.upsert", &edges, &patch.edges.upsert)?,
        },
        meta: manner.entries(schema::META, Some(&view.meta), Some(&patch.meta), &[])?,
    };
    plan.edges.remove.extend(edges_of_removed(patch, &nodes, &edges));
    Ok(plan)
}

/// The edges of the nodes that go, but for those that the patch speaks of itself. A node that is gone already takes
/// nothing along: a patch that is sent twice does not touch what others have done since.
fn edges_of_removed<'a>(
    patch: &Patch,
    nodes: &HashMap<&'a str, &'a Json>,
    edges: &HashMap<&'a str, &'a Json>,
) -> Vec<&'a str> {
    let going: HashSet<&str> = ids(&patch.nodes).filter(|id| nodes.contains_key(id)).collect();
    let upserted = patch.edges.upsert.iter().map(|(id, _)| id.as_str());
    let named: HashSet<&str> = upserted.chain(ids(&patch.edges)).collect();
    let hangs = |body: &Json| {
        let mut ends = [schema::SOURCE, schema::TARGET].into_iter();
        ends.any(|end| body.get(end).and_then(Value::as_str).is_some_and(|end| going.contains(end)))
    };
    let hanging = edges.iter().filter(|(id, body)| !named.contains(*id) && hangs(body));
    let mut hanging: Vec<&str> = hanging.map(|(id, _)| *id).collect();
    hanging.sort_unstable();
    hanging
}

fn ids(patch: &ElementPatch) -> impl Iterator<Item = &str> {
    patch.remove.iter().map(String::as_str)
}

fn nodes(view: &DesignView) -> HashMap<&str, &Json> {
    view.nodes.iter().map(|node| (node.id.as_str(), &node.body)).collect()
}

/// Those that are hidden, too.
fn edges(view: &DesignView) -> HashMap<&str, &Json> {
    let hidden = view.integrity.hidden_edges.iter().map(|hidden| &hidden.edge);
    view.edges.iter().chain(hidden).map(|edge| (edge.id.as_str(), &edge.body)).collect()
}

/// How what is wanted is understood.
struct Manner<'a> {
    /// What is not wanted goes, and null is a value. Otherwise it stays, and null removes.
    is_whole: bool,
    /// Elements and fields that the view shows otherwise than they stand in the document: written even when they look
    /// alike.
    repaired: HashSet<(&'a str, &'a str)>,
}

impl<'a> Manner<'a> {
    fn elements(
        &self,
        path: &str,
        shown: &HashMap<&'a str, &'a Json>,
        wanted: &'a Elements,
    ) -> Result<Vec<(&'a str, Write<'a>)>, CreateError> {
        let mut writes = Vec::new();
        for (at, (id, body)) in wanted.iter().enumerate() {
            let path = format!("{path}[{at}]");
            let Some(was) = shown.get(id.as_str()).copied() else {
                writes.push((id.as_str(), Write::Make(self.new_element(&path, body)?)));
                continue;
            };
            let mut entries = self.entries(&path, Some(was), Some(body), &SHARED)?;
            for (key, value) in body {
                let is_repaired = self.repaired.contains(&(id.as_str(), key.as_str()));
                if is_repaired && !entries.iter().any(|(written, _)| written == key) {
                    entries.push((key.as_str(), Write::Set(value)));
                }
            }
            if !entries.is_empty() {
                writes.push((id.as_str(), Write::Into { was: Some(was), entries }));
            }
        }
        Ok(writes)
    }

    fn new_element(&self, path: &str, body: &'a Json) -> Result<Cow<'a, Json>, CreateError> {
        let is_object =
            |value: Option<&Value>| value.is_none_or(|value| value.is_object() || value.is_null());
        let flags = body.get(schema::DATA).and_then(|data| data.get(schema::SECURITY_FLAGS));
        if !is_object(body.get(schema::DATA)) || !is_object(flags) {
            return Err(not_an_object(path));
        }
        let mut body = Cow::Borrowed(body);
        if !self.is_whole {
            without_nulls(body.to_mut(), &SHARED);
        }
        Ok(body)
    }

    /// What is written so that `was` becomes like `wanted`. `shared`: the key that holds a shared map, and the one inside
    /// of that.
    fn entries(
        &self,
        path: &str,
        was: Option<&'a Json>,
        wanted: Option<&'a Json>,
        shared: &[&str],
    ) -> Result<Entries<'a>, CreateError> {
        let mut entries = Vec::new();
        for (key, value) in wanted.into_iter().flatten() {
            let now = was.and_then(|was| was.get(key));
            let is_same = now.is_some_and(|now| is_same(now, value));
            if key == schema::ID && shared == SHARED {
                continue; // the key of the root says it
            }
            if shared.first() == Some(&key.as_str()) && !is_same {
                let Value::Object(value) = value else {
                    return Err(not_an_object(&format!("{path}.{key}")));
                };
                let was = now.and_then(Value::as_object);
                let inner = self.entries(&format!("{path}.{key}"), was, Some(value), &shared[1..])?;
                if !inner.is_empty() || was.is_none() {
                    entries.push((key.as_str(), Write::Into { was, entries: inner }));
                }
            } else if !self.is_whole && value.is_null() {
                entries.push((key.as_str(), Write::Remove));
            } else if !is_same {
                entries.push((key.as_str(), Write::Set(value)));
            }
        }
        let absent = |key: &&String| wanted.is_none_or(|wanted| !wanted.contains_key(*key));
        for key in was.into_iter().flat_map(Map::keys).filter(|key| self.is_whole && absent(key)) {
            if shared.first() != Some(&key.as_str()) {
                entries.push((key.as_str(), Write::Remove));
                continue;
            }
            // A shared map stays, however empty.
            let was = was.and_then(|was| was.get(key)).and_then(Value::as_object);
            let inner = self.entries(path, was, None, &shared[1..])?;
            if !inner.is_empty() {
                entries.push((key.as_str(), Write::Into { was, entries: inner }));
            }
        }
        Ok(entries)
    }
}

fn not_an_object(path: &str) -> CreateError {
    unfit(
        path.to_owned(),
        "`data` and `securityFlags` are objects, and stay so: remove their keys one by one",
    )
}

/// Of a new element, a key that is to be removed is a key that is not there.
fn without_nulls(body: &mut Json, shared: &[&str]) {
    body.retain(|_, value| !value.is_null());
    if let [first, inner @ ..] = shared
        && let Some(Value::Object(map)) = body.get_mut(*first)
    {
        without_nulls(map, inner);
    }
}

/// Whether both read alike once they are in the document, where numbers are JavaScript's. Recursive: what is wanted has a
/// bounded depth.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        (a, b) => a == b,
    }
}
