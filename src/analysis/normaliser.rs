//! From the words of a drawing to the model. Table-driven: every word stands in `analysis/tables`.
//!
//! It reads what the semantic hash covers and nothing else, so that equal hashes mean equal models: no label of a node whose
//! type is known, no labels of edges but what [`edge_evidence`](atlas_crdt::view::edge_evidence) leaves of them, no positions
//! but which container holds what, and none of the cosmetic keys.

mod edges;
mod flags;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_files;
#[cfg(test)]
mod tests_readings;
mod text;

use atlas_crdt::view::kinds::type_key;
use atlas_crdt::view::{DesignView, Element, judged_label, node_type};
use serde_json::{Map, Value};

use super::model::{Dangling, Edge, Encryption, Flag, Flags, Kind, Model, Node, Zone};
use super::tables::zones::Reading;
use super::tables::{kinds, words, zones};

pub use edges::{Claim, claims, odd_protocol};
pub use flags::{Statement, contradictions, statements};

/// Where a node may say its zone, the first that is there counts.
const ZONE_KEYS: [&str; 4] = ["zone", "trustZone", "securityZone", "networkZone"];
/// Steps out of containers before one gives up: a view has no cycles.
const DEPTH_MAX: usize = 64;

/// The model of a design.
#[must_use]
pub fn model(view: &DesignView) -> Model<'_> {
    let mut nodes: Vec<Node<'_>> = view
        .nodes
        .iter()
        .zip(view.containers())
        .map(|(element, container)| node(element, container))
        .collect();
    inherit_zones(&mut nodes);
    let place = |id: &str| nodes.binary_search_by(|node| node.element.id.as_str().cmp(id)).ok();
    let mut edges = Vec::with_capacity(view.edges.len());
    let mut dangling: Vec<Dangling<'_>> = Vec::new();
    for element in &view.edges {
        let end = |key| element.body.get(key).and_then(Value::as_str).and_then(place);
        match (end("source"), end("target")) {
            (Some(source), Some(target)) => edges.push(edges::edge(element, source, target)),
            _ => dangling.push(Dangling { element, missing: &[] }),
        }
    }
    let hidden = view.integrity.hidden_edges.iter();
    dangling.extend(hidden.map(|hidden| Dangling { element: &hidden.edge, missing: &hidden.missing }));
    dangling.sort_by(|a, b| a.element.id.cmp(&b.element.id));
    Model { nodes, edges, dangling }
}

fn node(element: &Element, container: Option<usize>) -> Node<'_> {
    let (kind, is_kind_guessed) = kind(element);
    let zone = match zone_said(element).map(zones::of) {
        Some(Reading::Zone(zone)) => Some(zone),
        None | Some(Reading::Vague | Reading::Odd) => None,
    };
    let mut flags = Flags::default();
    for statement in statements(element) {
        flags.set(statement.flag, statement.says);
    }
    Node { element, kind, is_kind_guessed, zone, container, flags }
}

/// The kind, and whether it comes from the label.
fn kind(element: &Element) -> (Kind, bool) {
    let known = node_type(element).and_then(|word| kinds::of_type(&type_key(word)));
    if let Some(kind) = known {
        return (kind, false);
    }
    let told = judged_label(element).and_then(Value::as_str).and_then(words::of_label);
    (told.unwrap_or(Kind::Unknown), told.is_some())
}

/// Nodes that say nothing about their zone stand in that of their container; clients are strangers.
fn inherit_zones(nodes: &mut [Node<'_>]) {
    let inherited: Vec<Option<Zone>> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let stranger = (node.kind == Kind::Client).then_some(Zone::Untrusted);
            node.zone
                .or_else(|| containers_of(nodes, at).find_map(|container| nodes[container].zone))
                .or(stranger)
        })
        .collect();
    for (node, zone) in nodes.iter_mut().zip(inherited) {
        node.zone = zone;
    }
}

/// The containers around a node, the innermost first.
pub fn containers_of(nodes: &[Node<'_>], at: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(nodes[at].container, |container| nodes[*container].container).take(DEPTH_MAX)
}

/// The zone that a node says itself, whatever stands around it.
#[must_use]
pub fn own_zone(node: &Node<'_>) -> Option<Zone> {
    match zones::of(zone_said(node.element)?) {
        Reading::Zone(zone) => Some(zone),
        Reading::Vague | Reading::Odd => None,
    }
}

fn data(element: &Element) -> Option<&Map<String, Value>> {
    element.body.get("data").and_then(Value::as_object)
}

fn zone_said(element: &Element) -> Option<&str> {
    let data = data(element)?;
    ZONE_KEYS.iter().filter_map(|key| data.get(*key)?.as_str()).map(str::trim).find(|text| !text.is_empty())
}

/// What a node says about its zone, as it stands there; empty: nothing.
#[must_use]
pub fn zone_words(node: &Node<'_>) -> String {
    zone_said(node.element).unwrap_or_default().to_owned()
}

/// Key, value and reading of what says a flag.
#[must_use]
pub fn flag_evidence(node: &Node<'_>, flag: Flag) -> Option<(String, String, String)> {
    let found = statements(node.element).into_iter().find(|statement| statement.flag == flag)?;
    let says = if found.says { "yes" } else { "no" };
    let value = found.shown();
    Some((found.key, value, says.to_owned()))
}

/// Key, value and reading of what says which protocol an edge speaks.
#[must_use]
pub fn protocol_evidence(edge: &Edge<'_>) -> Option<(String, String, String)> {
    let (key, value) = edges::protocol_said(edge)?;
    Some((key.to_owned(), value, edge.protocol?.name.to_owned()))
}

/// Key, value and reading of everything that says how an edge is encrypted, the strongest first.
#[must_use]
pub fn encryption_evidence(edge: &Edge<'_>) -> Vec<(String, String, String)> {
    claims(edge.element)
        .into_iter()
        .map(|claim| (claim.key, claim.value, encryption_word(claim.encryption).to_owned()))
        .collect()
}

/// How a kind is shown.
#[must_use]
pub const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Client => "client",
        Kind::Cdn => "CDN",
        Kind::Dns => "DNS",
        Kind::Ddos => "DDoS protection",
        Kind::Waf => "WAF",
        Kind::Firewall => "firewall",
        Kind::Ids => "IDS/IPS",
        Kind::Dam => "activity monitoring",
        Kind::Bastion => "bastion or VPN",
        Kind::Nat => "NAT or egress proxy",
        Kind::LoadBalancer => "load balancer",
        Kind::Gateway => "API gateway",
        Kind::Web => "web server",
        Kind::Compute => "compute",
        Kind::Kubernetes => "Kubernetes",
        Kind::Database => "database",
        Kind::Cache => "cache",
        Kind::Queue => "queue",
        Kind::ObjectStore => "object storage",
        Kind::Secret => "vault",
        Kind::Identity => "identity provider",
        Kind::Monitor => "monitoring",
        Kind::Cicd => "CI/CD",
        Kind::Registry => "image registry",
        Kind::Llm => "third party",
        Kind::Boundary => "network",
        Kind::Unknown => "unknown",
    }
}

/// How a reading of encryption is shown.
#[must_use]
pub const fn encryption_word(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::None => "plaintext",
        Encryption::Weak => "obsolete TLS or SSL",
        Encryption::Tls => "TLS",
        Encryption::Mtls => "mutual TLS",
        Encryption::Unknown => "unknown",
    }
}

/// Known attributes among all that rules ask about, 0.0 to 1.0; 1.0 for an empty model.
#[must_use]
pub fn coverage(model: &Model<'_>) -> f64 {
    let (mut known, mut asked) = (0_u32, 0_u32);
    let mut ask = |is_known: bool| {
        asked += 1;
        known += u32::from(is_known);
    };
    for node in &model.nodes {
        ask(node.kind != Kind::Unknown);
        ask(node.zone.is_some());
        if node.kind.is_store() {
            ask(node.flags.get(Flag::AtRest).is_some());
        }
        if matches!(node.kind, Kind::Database | Kind::ObjectStore) {
            ask(node.flags.get(Flag::Backup).is_some());
        }
        if node.kind.is_sensitive() {
            ask(node.flags.get(Flag::Audit).is_some());
        }
    }
    for edge in &model.edges {
        ask(edge.protocol.is_some() || edge.is_any);
        ask(edge.is_any || edge.encryption != Encryption::Unknown);
        ask(edge.authentication != super::model::Authentication::Unknown);
    }
    if asked == 0 { 1.0 } else { f64::from(known) / f64::from(asked) }
}
