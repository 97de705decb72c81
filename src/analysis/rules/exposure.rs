//! Where strangers come from, what they meet first, and how a rule shows it. Not a rule of its own.

use atlas_crdt::view::canonical_text;
use serde_json::Value;

use crate::analysis::context::Context;
use crate::analysis::graph::Way;
use crate::analysis::model::{Edge, Flag, Kind, Node};
use crate::analysis::rule::{At, Evidence};
use crate::analysis::tables::protocols::Family;

pub(super) use super::seen::computed;

/// Whoever sends from here is not trusted: in the untrusted zone, and not there in order to filter.
pub(super) fn sends_untrusted(node: &Node<'_>) -> bool {
    use Kind::{Bastion, Dam, Ddos, Firewall, Ids, Nat, Waf};
    node.is_untrusted() && !matches!(node.kind, Bastion | Dam | Ddos | Firewall | Ids | Nat | Waf)
}

/// The ways by which strangers come straight into a node, that of the lowest edge first.
pub(super) fn ways_of_strangers<'a>(context: &'a Context<'_>, node: usize) -> impl Iterator<Item = Way> + 'a {
    let ways = context.graph.into[node].iter().copied();
    ways.filter(|(_, from)| sends_untrusted(&context.model.nodes[*from]))
}

/// Strangers come straight in, or it is said to be public. What is theirs anyway is not exposed.
pub(super) fn is_exposed(context: &Context<'_>, at: usize) -> bool {
    let node = &context.model.nodes[at];
    !node.is_untrusted() && (node.is(Flag::Internet) || ways_of_strangers(context, at).next().is_some())
}

/// What makes a node exposed: the first edge of strangers, and what it says itself.
pub(super) fn exposure_evidence(context: &Context<'_>, node: usize) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if let Some((edge, from)) = ways_of_strangers(context, node).next() {
        evidence.push(protocol_evidence(context, edge, "leads straight in from the untrusted zone"));
        evidence.push(context.zone_evidence(from));
    }
    if context.model.nodes[node].is(Flag::Internet) {
        evidence.extend(context.flag_evidence(node, Flag::Internet));
    }
    evidence
}

pub(super) fn family(edge: &Edge<'_>) -> Option<Family> {
    edge.protocol.map(|protocol| protocol.family)
}

/// Shells, desktops and consoles of machines.
pub(super) fn is_administration(edge: &Edge<'_>) -> bool {
    family(edge) == Some(Family::Admin)
}

/// It may carry requests of a browser or of a client of an API.
pub(super) fn is_web_traffic(edge: &Edge<'_>) -> bool {
    matches!(family(edge), None | Some(Family::Http | Family::Other | Family::Dns))
}

/// What an edge says about its protocol, or about its port where it says nothing else, as it stands there.
pub(super) fn protocol_evidence(context: &Context<'_>, at: usize, says: &str) -> Evidence {
    said_evidence(context, at, "protocol", says)
        .or_else(|| said_evidence(context, at, "port", says))
        .unwrap_or_else(|| {
            let name = context.model.edges[at].protocol.map_or("not said", |protocol| protocol.name);
            computed(At::Edge(at), "protocol", name, says)
        })
}

/// What an edge says under a key of its data.
pub(super) fn said_evidence(context: &Context<'_>, at: usize, key: &str, says: &str) -> Option<Evidence> {
    let value = match context.model.edges[at].element.body.get("data")?.get(key)? {
        Value::String(text) if !text.is_empty() => text.clone(),
        number @ Value::Number(_) => canonical_text(number),
        _ => return None,
    };
    Some(computed(At::Edge(at), &format!("data.{key}"), value, says))
}

/// Takes the connections of strangers and answers them, or spreads them over those that do.
pub(super) fn is_service(node: &Node<'_>) -> bool {
    node.kind.is_compute() || matches!(node.kind, Kind::LoadBalancer | Kind::Gateway)
}

/// Stands in front of services and is none.
pub(super) fn is_filter(node: &Node<'_>) -> bool {
    use Kind::{Boundary, Cdn, Ddos, Dns, Firewall, Ids, Nat, Waf};
    matches!(node.kind, Boundary | Cdn | Ddos | Dns | Firewall | Ids | Nat | Waf)
}

/// The type of a node, as it stands there.
pub(super) fn type_evidence(context: &Context<'_>, at: usize, says: &str) -> Evidence {
    let data = context.model.nodes[at].element.body.get("data");
    let value = data.and_then(|data| data.get("type")).and_then(Value::as_str).unwrap_or_default();
    computed(At::Node(at), "data.type", value, says)
}

/// What strangers meet first, when some kinds of nodes let them on and others do not.
#[derive(Debug)]
pub(super) struct Front {
    /// For each node the ways by which strangers come in, the lowest edge first.
    ways: Vec<Vec<Way>>,
}

impl Front {
    /// Walks from all nodes of the untrusted zone over those for which `lets_on` holds, starts included, by edges for which
    /// `may_pass` holds. The first node that lets nobody on is met, and nothing behind it.
    pub(super) fn of(
        context: &Context<'_>,
        lets_on: impl Fn(&Node<'_>) -> bool,
        may_pass: impl Fn(&Edge<'_>) -> bool,
    ) -> Self {
        let (nodes, edges) = (&context.model.nodes, &context.model.edges);
        let starts =
            context.nodes().filter(|(_, node)| node.is_untrusted() && lets_on(node)).map(|(at, _)| at);
        let reached = context.graph.reach_through(
            starts,
            |node| lets_on(&nodes[node]),
            |edge, _| may_pass(&edges[edge]),
        );
        let mut ways = vec![Vec::new(); nodes.len()];
        for (from, node) in context.nodes() {
            if !reached[from] || !lets_on(node) {
                continue;
            }
            for (edge, to) in &context.graph.out[from] {
                if may_pass(&edges[*edge]) {
                    ways[*to].push((*edge, from));
                }
            }
        }
        for ways in &mut ways {
            ways.sort_unstable();
        }
        Self { ways }
    }

    /// The ways by which strangers come in.
    pub(super) fn ways_into(&self, node: usize) -> &[Way] {
        &self.ways[node]
    }

    /// The nodes outside the untrusted zone that are met, and for which `is_asked_for` holds.
    pub(super) fn met<'a>(
        &'a self,
        context: &'a Context<'_>,
        is_asked_for: impl Fn(&Node<'_>) -> bool + 'a,
    ) -> impl Iterator<Item = usize> + 'a {
        context
            .nodes()
            .filter(move |(at, node)| {
                !self.ways[*at].is_empty() && !node.is_untrusted() && is_asked_for(node)
            })
            .map(|(at, _)| at)
    }
}
