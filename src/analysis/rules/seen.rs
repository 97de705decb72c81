//! Pieces of evidence and questions that more than one rule needs. Not a rule of its own.

use atlas_crdt::view::canonical_text;
use serde_json::Value;

use crate::analysis::context::Context;
use crate::analysis::model::{Authentication, Edge, Kind, Node};
use crate::analysis::rule::{At, Evidence};
use crate::analysis::tables::auth;

/// Elements that a finding about the whole design marks at most, and shows as evidence.
pub(super) const MARKED_MAX: usize = 100;
pub(super) const SHOWN_MAX: usize = 10;

/// What says how the callers of an edge are known.
pub(super) fn authentication(context: &Context<'_>, at: usize) -> Evidence {
    let edge = &context.model.edges[at];
    let says = match edge.authentication {
        Authentication::None => "no authentication",
        Authentication::Anonymous => "anonymous callers",
        Authentication::Basic => "user name and password with each request",
        Authentication::Shared => "a secret that several know",
        Authentication::Token => "a token for each user",
        Authentication::Mtls => "certificates at both ends",
        Authentication::Iam => "an identity of the platform",
        Authentication::Unknown => "unknown",
    };
    let data = edge.element.body.get("data").unwrap_or(&Value::Null);
    let flags = &data["securityFlags"];
    let texts =
        ["authentication", "auth", "authenticationType", "authType"].map(|key| ("data", key, data.get(key)));
    let others = [("data.securityFlags", flags), ("data", data)].into_iter().flat_map(|(place, values)| {
        ["authenticationType", "authenticated"].map(|key| (place, key, values.get(key)))
    });
    // Several may be said; what counted is shown.
    let found = texts.into_iter().chain(others).find_map(|(place, key, value)| {
        let reading = match value? {
            Value::Bool(false) => Some(Authentication::None),
            Value::String(text) => auth::of(text),
            _ => None,
        };
        (reading == Some(edge.authentication)).then_some((format!("{place}.{key}"), short(value?)?))
    });
    let (key, value) = found.unwrap_or_else(|| ("authentication".to_owned(), says.to_owned()));
    Evidence { at: At::Edge(at), key, value, says: says.to_owned() }
}

/// What says that nobody asks whether a caller may.
pub(super) fn authorization(context: &Context<'_>, at: usize) -> Evidence {
    let says = "callers are not checked for what they may do";
    let data = context.model.edges[at].element.body.get("data").unwrap_or(&Value::Null);
    let places = [("data.securityFlags", &data["securityFlags"]), ("data", data)];
    let found = places.iter().find_map(|(place, values)| {
        ["authorizationEnabled", "authorization", "authorized"]
            .iter()
            .find_map(|key| Some((format!("{place}.{key}"), short(values.get(*key)?)?)))
    });
    let (key, value) = found.unwrap_or_else(|| ("authorization".to_owned(), says.to_owned()));
    Evidence { at: At::Edge(at), key, value, says: says.to_owned() }
}

fn short(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(canonical_text(value)),
        _ => None,
    }
}

/// Something computed from the whole drawing, said of one of its elements.
pub(super) fn computed(at: At, key: &str, value: impl Into<String>, says: &str) -> Evidence {
    Evidence { at, key: key.to_owned(), value: value.into(), says: says.to_owned() }
}

/// Where strangers are: people, foreign systems and the internet itself, not what filters or serves them.
pub(super) fn is_stranger(node: &Node<'_>) -> bool {
    let is_origin =
        matches!(node.kind, Kind::Client | Kind::Boundary | Kind::Unknown) || node.kind.is_compute();
    node.is_untrusted() && is_origin
}

/// Strangers, and what passes them on out there, such as a CDN.
pub(super) fn brings_strangers(node: &Node<'_>) -> bool {
    is_stranger(node) || node.is_untrusted() && passes_on(node.kind)
}

/// Lets connections through. Who passes a VPN or a bastion host has signed in there.
pub(super) fn passes_on(kind: Kind) -> bool {
    kind == Kind::Boundary || kind.is_forwarder() && kind != Kind::Bastion
}

/// The ends at which connections over this edge arrive.
pub(super) fn targets(edge: &Edge<'_>) -> impl Iterator<Item = usize> {
    std::iter::once(edge.target).chain(edge.is_both_ways.then_some(edge.source))
}

/// All nodes that share an edge with this one, whichever way it leads.
pub(super) fn neighbours<'a>(context: &'a Context<'_>, node: usize) -> impl Iterator<Item = usize> + 'a {
    let (out, into) = (&context.graph.out[node], &context.graph.into[node]);
    out.iter().chain(into).map(|(_, other)| *other)
}
