//! Which rule speaks about a plaintext edge: exactly one does. And what mends it.

use serde_json::{Value, json};

use crate::analysis::context::Context;
use crate::analysis::fix::Fix;
use crate::analysis::model::{Edge, Encryption, Kind};

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
    if !edge.is_plaintext() || edge.is_any && !is_said(context, at) {
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

/// It leaves where encrypted connections end: something that passes traffic on, and all that comes in is encrypted.
fn ends_tls(context: &Context<'_>, at: usize) -> bool {
    let source = context.model.edges[at].source;
    let kind = context.model.nodes[source].kind;
    if !matches!(kind, Kind::LoadBalancer | Kind::Cdn | Kind::Gateway | Kind::Waf) {
        return false;
    }
    let edges = &context.model.edges;
    let mut ways_in = context.graph.into[source].iter().filter(|(other, _)| *other != at).peekable();
    ways_in.peek().is_some() && ways_in.all(|(other, _)| edges[*other].encryption.is_encrypted())
}

/// An edge for any protocol is open to more than plaintext (N08), unless somebody wrote that it is not encrypted.
fn is_said(context: &Context<'_>, at: usize) -> bool {
    context.encryption_evidence(at).iter().any(|piece| piece.key.to_ascii_lowercase().contains("encrypt"))
}

/// A protocol, what it is called with TLS, and the ports of both; others stay.
struct Secured {
    plain: &'static str,
    secured: &'static str,
    title: &'static str,
    ports: &'static [(u16, u16)],
}

const SECURED: [Secured; 6] = [
    Secured { plain: "HTTP", secured: "HTTPS", title: "Use HTTPS", ports: &[(80, 443), (8080, 8443)] },
    Secured {
        plain: "WS",
        secured: "WSS",
        title: "Use secure WebSockets",
        ports: &[(80, 443), (8080, 8443)],
    },
    Secured { plain: "AMQP", secured: "AMQPS", title: "Use AMQPS", ports: &[(5672, 5671)] },
    Secured { plain: "MQTT", secured: "MQTTS", title: "Use MQTT over TLS", ports: &[(1883, 8883)] },
    Secured { plain: "LDAP", secured: "LDAPS", title: "Use LDAPS", ports: &[(389, 636), (3268, 3269)] },
    Secured { plain: "SMTP", secured: "SMTPS", title: "Use SMTPS", ports: &[(25, 465), (587, 465)] },
];

/// Turns encryption on: the protocol's own form with TLS where it has one, else TLS below what is spoken. `None` where
/// something else would have to be spoken (Telnet, FTP), or nobody knows what is (any protocol).
pub(super) fn encrypt(edge: &Edge<'_>) -> Option<Fix> {
    if edge.is_any {
        return None;
    }
    let secured =
        edge.protocol.and_then(|protocol| SECURED.iter().find(|secured| secured.plain == protocol.name));
    if let Some(secured) = secured {
        let mut data = tls(edge);
        data["protocol"] = secured.secured.into();
        let port = edge.port.map(|port| {
            secured.ports.iter().find(|(plain, _)| *plain == port).map_or(port, |(_, secured)| *secured)
        });
        if let Some(port) = port
            && said(edge, "port").is_some()
        {
            data["port"] = port.into();
        }
        let label =
            port.map_or_else(|| secured.secured.to_owned(), |port| format!("{}:{port}", secured.secured));
        return Some(Fix {
            title: secured.title,
            edges: vec![json!({"id": edge.id(), "data": data})],
            labels: vec![(edge.id().to_owned(), label)],
            ..Fix::default()
        });
    }
    match edge.protocol.map_or(Encryption::Unknown, |protocol| protocol.encryption) {
        // It would contradict itself with TLS.
        Encryption::None | Encryption::Weak => None,
        _ => Some(Fix {
            title: "Turn on TLS",
            edges: vec![json!({"id": edge.id(), "data": tls(edge)})],
            ..Fix::default()
        }),
    }
}

/// What every encrypted edge says about itself.
fn tls(edge: &Edge<'_>) -> Value {
    let mut data = json!({"encryption": "TLS 1.3", "securityFlags": {"encrypted": true}});
    if said(edge, "encryptionProtocol").is_some() {
        data["securityFlags"]["encryptionProtocol"] = "TLS-1.3".into();
    }
    data
}

/// What stands in the data of an edge, or among its flags. Null is nothing.
fn said<'a>(edge: &'a Edge<'_>, key: &str) -> Option<&'a Value> {
    let data = edge.element.body.get("data")?;
    data["securityFlags"].get(key).or_else(|| data.get(key)).filter(|value| !value.is_null())
}
