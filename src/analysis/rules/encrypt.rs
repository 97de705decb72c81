//! What mends an edge without encryption. Not a rule of its own.

use std::collections::BTreeSet;
use std::ops::Range;

use atlas_crdt::view::Element;
use serde_json::{Value, json};

use super::plaintext::{self, Plaintext};
use super::seen;
use crate::analysis::context::Context;
use crate::analysis::fix::Fix;
use crate::analysis::model::{Edge, Encryption};
use crate::analysis::normaliser::{self, Claim};

/// Edges that one press of a button changes at most.
const EDGES_MAX: usize = 50;

/// A protocol, what it is called with TLS, and the ports of both; others stay.
struct Secured {
    plain: &'static str,
    with_tls: &'static str,
    title: &'static str,
    ports: &'static [(u16, u16)],
}

const SECURED: [Secured; 7] = [
    Secured { plain: "HTTP", with_tls: "HTTPS", title: "Use HTTPS", ports: &[(80, 443), (8080, 8443)] },
    Secured {
        plain: "WS",
        with_tls: "WSS",
        title: "Use secure WebSockets",
        ports: &[(80, 443), (8080, 8443)],
    },
    Secured { plain: "AMQP", with_tls: "AMQPS", title: "Use AMQPS", ports: &[(5672, 5671)] },
    Secured { plain: "MQTT", with_tls: "MQTTS", title: "Use MQTT over TLS", ports: &[(1883, 8883)] },
    Secured { plain: "LDAP", with_tls: "LDAPS", title: "Use LDAPS", ports: &[(389, 636), (3268, 3269)] },
    Secured { plain: "SMTP", with_tls: "SMTPS", title: "Use SMTPS", ports: &[(25, 465), (587, 465)] },
    Secured {
        plain: "Kafka plaintext",
        with_tls: "SASL_SSL",
        title: "Use Kafka over TLS",
        ports: &[(9092, 9093)],
    },
];

/// Turns encryption on: the protocol's own form with TLS where it has one, else TLS below what is spoken. `None` where
/// something else would have to be spoken (Telnet, FTP), or nobody knows what is (any protocol).
///
/// Where TLS then ends at a load balancer or the like, what leaves it is encrypted as well: one finding is not mended by
/// making others of its neighbours.
pub(super) fn encrypt(context: &Context<'_>, at: usize) -> Option<Fix> {
    let mut fix = one(&context.model.edges[at])?;
    if !context.model.edges[at].encryption.is_encrypted() {
        add_behind(context, [at], &mut fix)?;
    }
    Some(fix)
}

/// Encrypts as well what would be plaintext behind the end of TLS once these edges are encrypted. `None`: not possible, or
/// too many.
pub(super) fn add_behind(
    context: &Context<'_>,
    secured: impl IntoIterator<Item = usize>,
    fix: &mut Fix,
) -> Option<()> {
    for behind in behind(context, secured.into_iter().collect())? {
        let more = one(&context.model.edges[behind])?;
        fix.edges.extend(more.edges);
        fix.labels.extend(more.labels);
    }
    Some(())
}

fn behind(context: &Context<'_>, start: Vec<usize>) -> Option<BTreeSet<usize>> {
    let edges = &context.model.edges;
    let mut secured: BTreeSet<usize> = start.iter().copied().collect();
    let mut waiting = start.clone();
    while let Some(edge) = waiting.pop() {
        for front in seen::targets(&edges[edge]).filter(|node| plaintext::may_end_tls(context, *node)) {
            let is_encrypted =
                |other: usize| edges[other].encryption.is_encrypted() || secured.contains(&other);
            if !plaintext::all_come_in(context, front, is_encrypted) {
                continue;
            }
            for (out, _) in &context.graph.out[front] {
                let is_moved =
                    matches!(plaintext::of(context, *out), Some(Plaintext::AcrossZones | Plaintext::InZone));
                if is_moved && secured.insert(*out) {
                    waiting.push(*out);
                }
            }
            if EDGES_MAX < secured.len() - start.len() {
                return None;
            }
        }
    }
    for edge in start {
        secured.remove(&edge);
    }
    Some(secured)
}

fn one(edge: &Edge<'_>) -> Option<Fix> {
    if edge.is_any {
        return None;
    }
    let claims = normaliser::claims(edge.element);
    let is_spoken_plain = claims.iter().any(|claim| claim.is_spoken && !is_sound(claim.encryption));
    let text = said(edge, "protocol").and_then(Value::as_str).unwrap_or_default();
    let secured = SECURED.iter().find(|secured| {
        let is_it = edge.protocol.is_some_and(|protocol| protocol.name == secured.plain);
        is_it || is_spoken_plain && word(text, secured.plain).is_some()
    });
    let Some(secured) = secured else {
        // With TLS beside it, a protocol that is plaintext by itself would contradict itself.
        return (!is_spoken_plain).then(|| fix(edge, "Turn on TLS", &tls(edge, &claims)));
    };
    let mut data = tls(edge, &claims);
    data["protocol"] = secured_text(text, secured)?.into();
    let secured_port =
        |port| secured.ports.iter().find(|(plain, _)| *plain == port).map_or(port, |(_, secured)| *secured);
    if let Some(port) = edge.port.filter(|_| said(edge, "port").is_some()) {
        data["port"] = secured_port(port).into();
    }
    let label = edge.port.or_else(|| labelled_port(edge)).map_or_else(
        || secured.with_tls.to_owned(),
        |port| format!("{}:{}", secured.with_tls, secured_port(port)),
    );
    let mut fix = fix(edge, secured.title, &data);
    fix.labels.push((edge.id().to_owned(), label));
    Some(fix)
}

fn fix(edge: &Edge<'_>, title: &'static str, data: &Value) -> Fix {
    Fix { title, edges: vec![json!({"id": edge.id(), "data": data})], ..Fix::default() }
}

const fn is_sound(encryption: Encryption) -> bool {
    matches!(encryption, Encryption::Tls | Encryption::Mtls)
}

/// The protocol's text with the secured name in place of the plain one; what else it says stays, as long as all of it is
/// then read as encrypted.
fn secured_text(text: &str, secured: &Secured) -> Option<String> {
    let Some(at) = word(text, secured.plain).filter(|_| secured.plain.len() < text.len()) else {
        return Some(secured.with_tls.to_owned());
    };
    let mut changed = text.to_owned();
    changed.replace_range(at, secured.with_tls);
    let Value::Object(body) = json!({"data": {"protocol": changed}}) else { return None };
    let claims = normaliser::claims(&Element { id: String::new(), body });
    (!claims.is_empty() && claims.iter().all(|claim| is_sound(claim.encryption))).then_some(changed)
}

/// Where a word stands in a text, in capitals or not.
fn word(text: &str, word: &str) -> Option<Range<usize>> {
    let is_edge = |char: Option<char>| !char.is_some_and(char::is_alphanumeric);
    text.to_ascii_lowercase()
        .match_indices(&word.to_ascii_lowercase())
        .map(|(at, _)| at..at + word.len())
        .find(|range| {
            is_edge(text[..range.start].chars().next_back()) && is_edge(text[range.end..].chars().next())
        })
}

/// What every encrypted edge says about itself, and what takes back each claim that it is not.
fn tls(edge: &Edge<'_>, claims: &[Claim]) -> Value {
    let mut data = json!({"securityFlags": {"encrypted": true}});
    let is_mutual =
        |key: &str| claims.iter().any(|claim| claim.key == key && claim.encryption == Encryption::Mtls);
    if !is_mutual("data.encryption") {
        data["encryption"] = "TLS 1.3".into();
    }
    let protocol = "data.securityFlags.encryptionProtocol";
    if said(edge, "encryptionProtocol").is_some() && !is_mutual(protocol) {
        data["securityFlags"]["encryptionProtocol"] = "TLS-1.3".into();
    }
    for claim in claims.iter().filter(|claim| !claim.is_spoken && !is_sound(claim.encryption)) {
        let Some(key) = claim.key.strip_prefix("data.") else { continue };
        match key.strip_prefix("securityFlags.") {
            Some(flag) => data["securityFlags"][flag] = sound(flag),
            None => data[key] = sound(key),
        }
    }
    data
}

/// What stands under a key about encryption when there is some.
fn sound(key: &str) -> Value {
    match key {
        "encryption" | "encryptionInTransit" | "tls" | "ssl" => "TLS 1.3".into(),
        "encryptionProtocol" => "TLS-1.3".into(),
        "tlsVersion" => "1.3".into(),
        _ => true.into(),
    }
}

/// The one port that a label names.
fn labelled_port(edge: &Edge<'_>) -> Option<u16> {
    let evidence = atlas_crdt::view::edge_evidence(edge.element);
    let mut ports = evidence.iter().filter_map(|word| word.parse().ok());
    ports.next().filter(|_| ports.next().is_none())
}

/// What stands in the data of an edge, or among its flags. Null and nothing are one.
fn said<'a>(edge: &'a Edge<'_>, key: &str) -> Option<&'a Value> {
    let data = edge.element.body.get("data")?;
    let places = [data["securityFlags"].get(key), data.get(key)];
    places.into_iter().flatten().find(|value| !value.is_null())
}
