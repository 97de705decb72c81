//! Which rule speaks about a plaintext edge: exactly one does. Not a rule of its own.

use crate::analysis::context::Context;
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
    /// T02. Also where a zone is unknown: that is no other zone.
    InZone,
}

/// `None`: it is encrypted, or nobody knows.
pub(super) fn of(context: &Context<'_>, at: usize) -> Option<Plaintext> {
    let edge = &context.model.edges[at];
    // What a node says to itself goes over no network (M07).
    if !edge.is_plaintext() || edge.source == edge.target || edge.is_any && !is_said(context, at) {
        return None;
    }
    if edge.protocol.is_some_and(|protocol| protocol.is_legacy) {
        return Some(Plaintext::Legacy);
    }
    if leads_to_store(context, edge) {
        return Some(Plaintext::ToStore);
    }
    if ends_tls(context, at) {
        return Some(Plaintext::EndsHere);
    }
    if context.crosses_zones(edge) { Some(Plaintext::AcrossZones) } else { Some(Plaintext::InZone) }
}

/// The connection is opened towards a store.
pub(super) fn leads_to_store(context: &Context<'_>, edge: &Edge<'_>) -> bool {
    let nodes = &context.model.nodes;
    nodes[edge.target].kind.is_store() || edge.is_both_ways && nodes[edge.source].kind.is_store()
}

/// It leaves where encrypted connections end: something that passes traffic on, and all that comes in is encrypted. An edge
/// that goes both ways comes in as well.
fn ends_tls(context: &Context<'_>, at: usize) -> bool {
    let source = context.model.edges[at].source;
    may_end_tls(context, source)
        && all_come_in(context, source, |other| context.model.edges[other].encryption.is_encrypted())
        && context.graph.into[source].iter().any(|(_, from)| *from != source)
}

/// Where connections are taken apart and made anew.
pub(super) fn may_end_tls(context: &Context<'_>, node: usize) -> bool {
    matches!(context.model.nodes[node].kind, Kind::LoadBalancer | Kind::Cdn | Kind::Gateway | Kind::Waf)
}

/// What a node says to itself brings nothing in.
pub(super) fn all_come_in(context: &Context<'_>, node: usize, so: impl Fn(usize) -> bool) -> bool {
    context.graph.into[node].iter().all(|(edge, from)| *from == node || so(*edge))
}

/// An edge for any protocol is open to more than plaintext (N08), unless somebody wrote that it is not encrypted: a usual
/// port alone is not that.
fn is_said(context: &Context<'_>, at: usize) -> bool {
    context.encryption_evidence(at).iter().any(|piece| piece.key != "data.port")
}
