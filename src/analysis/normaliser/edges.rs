//! What an edge says about how it talks.

use std::collections::BTreeSet;

use atlas_crdt::view::{Element, edge_evidence};
use serde_json::{Map, Value};

use super::text::{is_said, short};
use crate::analysis::model::{Authentication, Edge, Encryption};
use crate::analysis::tables::protocols::{self, ANY, ANY_PORT, Family, Protocol, VAGUE};
use crate::analysis::tables::{auth, encryption};

/// The lowest port that is read out of the name of a protocol.
const PORT_MIN: u16 = 20;
/// Words of the longest name of a protocol.
const WORDS_MAX: usize = 4;

/// One thing that an edge says about its encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Where it stands: `data.protocol`.
    pub key: String,
    pub value: String,
    pub encryption: Encryption,
    /// The protocol or its port says it: this is how it talks, whatever else is claimed.
    pub is_spoken: bool,
}

/// What the text of a protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Spoken {
    protocol: Option<&'static Protocol>,
    encryption: Encryption,
    is_any: bool,
    port: Option<u16>,
}

pub(super) fn edge(element: &Element, source: usize, target: usize) -> Edge<'_> {
    let talk = Talk::of(element);
    let claims = talk.claims(element);
    let (encryption, is_contradicted) = judge(&claims);
    let said = |keys: &[&str]| {
        places(element).find_map(|(_, object)| {
            keys.iter().find_map(|key| object.get(*key).filter(|value| is_said(value)))
        })
    };
    let yes = |keys: &[&str]| said(keys).and_then(yes_or_no);
    let mut authentication = authentication(element);
    if authentication == Authentication::Unknown && encryption == Encryption::Mtls {
        authentication = Authentication::Mtls;
    }
    let limits = places(element).any(|(_, object)| {
        ["rateLimitValue", "rateLimit"]
            .iter()
            .any(|key| object.get(*key).is_some_and(|value| is_said(value) && value != false))
    });
    let is_both_ways = yes(&["bidirectional"]) == Some(true)
        || said(&["dataFlowDirection", "direction"]).and_then(Value::as_str).is_some_and(|text| {
            ["bidirectional", "both", "two-way", "inout"].contains(&text.trim().to_lowercase().as_str())
        });
    Edge {
        element,
        source,
        target,
        protocol: talk.protocol,
        is_any: talk.is_any,
        port: talk.port,
        encryption,
        is_contradicted,
        authentication,
        authorization: yes(&["authorizationEnabled", "authorization", "authorized"]),
        rate_limited: yes(&["rateLimited", "rateLimiting"]).or(limits.then_some(true)),
        is_both_ways,
    }
}

/// Everything that an edge says about its encryption, the strongest first.
#[must_use]
pub fn claims(element: &Element) -> Vec<Claim> {
    Talk::of(element).claims(element)
}

/// What an edge speaks, where it is said.
struct Talk {
    protocol: Option<&'static Protocol>,
    port: Option<u16>,
    is_any: bool,
    /// Where the protocol stands.
    protocol_key: &'static str,
    /// What the protocol or the port says about encryption.
    spoken: Option<Claim>,
    evidence: BTreeSet<String>,
}

impl Talk {
    fn of(element: &Element) -> Self {
        let data = super::data(element);
        let said = |key: &str| data.and_then(|data| data.get(key)).filter(|value| is_said(value));
        let text = said("protocol").map(short).unwrap_or_default();
        let spoken = spoken(&text);
        let port_value = said("port");
        let port = port_value.and_then(port_of).or(spoken.port);
        let is_any = spoken.is_any || port_value.is_some_and(is_any_port);
        let evidence = edge_evidence(element);
        let mut talk = Self {
            protocol: spoken.protocol,
            port,
            is_any,
            protocol_key: "data.protocol",
            spoken: None,
            evidence,
        };
        if spoken.encryption != Encryption::Unknown {
            talk.spoken = Some(claim("data.protocol", &text, spoken.encryption, true));
        }
        let is_bare = spoken.protocol.is_none_or(|protocol| protocol.family == Family::Other);
        if let Some(usual) = port.filter(|_| is_bare && talk.spoken.is_none()).and_then(protocols::at_port) {
            talk.protocol = Some(usual);
            talk.protocol_key = "data.port";
            if usual.encryption != Encryption::Unknown
                && let Some(port) = port
            {
                talk.spoken = Some(claim("data.port", &port.to_string(), usual.encryption, true));
            }
        }
        if talk.protocol.is_none() && !talk.is_any {
            talk.by_label();
        }
        talk
    }

    /// The label is asked last: only if neither protocol nor port say anything.
    fn by_label(&mut self) {
        let names: Vec<&'static Protocol> = self
            .evidence
            .iter()
            .filter(|word| !NO_PROTOCOLS.contains(&word.as_str()))
            .filter_map(|word| protocols::named(word))
            .collect();
        let mut told: Vec<&'static Protocol> = Vec::new();
        for protocol in names {
            if !told.contains(&protocol) {
                told.push(protocol);
            }
        }
        // "http/2" leaves "http" too; the longer word is meant.
        if self.evidence.contains("http/2") {
            told.retain(|protocol| protocol.name != "HTTP");
        }
        let specific: Vec<_> = told.iter().copied().filter(|protocol| !protocol.is_carrier()).collect();
        let carriers: Vec<_> =
            told.iter().copied().filter(|protocol| protocol.family == Family::Http).collect();
        let chosen = match (specific.as_slice(), carriers.as_slice(), told.as_slice()) {
            ([one], _, _) | ([], [one], _) | ([], [], [one]) => Some(*one),
            _ => None,
        };
        let ports: Vec<u16> = self.evidence.iter().filter_map(|word| word.parse().ok()).collect();
        let chosen = chosen.or_else(|| match ports.as_slice() {
            [port] if told.is_empty() => protocols::at_port(*port),
            _ => None,
        });
        self.protocol = chosen;
        self.protocol_key = "label";
        let says = carriers.first().copied().filter(|_| carriers.len() == 1).or(chosen);
        if let Some(protocol) = says.filter(|protocol| protocol.encryption != Encryption::Unknown) {
            let words: Vec<&str> = self.evidence.iter().map(String::as_str).collect();
            self.spoken = Some(claim("label", &words.join(" "), protocol.encryption, true));
        }
    }

    fn claims(&self, element: &Element) -> Vec<Claim> {
        let mut claims: Vec<Claim> = self.spoken.clone().into_iter().collect();
        let data = super::data(element);
        for key in TEXT_KEYS {
            if let Some(value) = data.and_then(|data| data.get(*key)).filter(|value| is_said(value))
                && let Some(encryption) = claimed(key, value)
            {
                claims.push(claim(&format!("data.{key}"), &short(value), encryption, false));
            }
        }
        for (path, object) in places(element) {
            for key in FLAG_KEYS {
                if let Some(encryption) = object.get(*key).and_then(|value| claimed(key, value)) {
                    let value = object.get(*key).map(short).unwrap_or_default();
                    claims.push(claim(&format!("{path}.{key}"), &value, encryption, false));
                }
            }
        }
        if claims.is_empty() {
            let words: Vec<&str> = self
                .evidence
                .iter()
                .map(String::as_str)
                .filter(|word| {
                    LABEL_WORDS.contains(word)
                        || word.starts_with("tls")
                        || word.starts_with("ssl")
                        || word.contains('.')
                })
                .collect();
            let about_tls: Vec<&str> =
                words.iter().copied().filter(|word| !word.starts_with("http")).collect();
            // Sorted, "1.0" stands before "tls": the version belongs behind it.
            let mut text: Vec<&str> = about_tls.iter().copied().filter(|word| !word.contains('.')).collect();
            text.extend(about_tls.iter().copied().filter(|word| word.contains('.')));
            if let Some(encryption) = encryption::of(&text.join(" ")).filter(|_| !text.is_empty()) {
                claims.push(claim("label", &text.join(" "), encryption, false));
            }
        }
        claims
    }
}

/// Keys of `data` that say in a text how an edge is encrypted.
const TEXT_KEYS: &[&str] = &["encryption", "encryptionInTransit", "tls", "tlsVersion", "ssl"];
/// Flags that say it.
const FLAG_KEYS: &[&str] = &["encrypted", "encryptedInTransit", "encryptionProtocol"];
/// Words of a label about encryption.
const LABEL_WORDS: &[&str] = &[
    "mtls",
    "tls",
    "ssl",
    "encrypted",
    "encryption",
    "unencrypted",
    "plaintext",
    "cleartext",
    "ipsec",
    "vpn",
];
/// Words of a label that are names of protocols, but more often of something else.
const NO_PROTOCOLS: &[&str] = &[
    "admin", "alerts", "api", "auth", "backup", "backups", "cache", "cdn", "database", "db", "internal",
    "internet", "jobs", "key", "none", "private", "public", "queue", "secret", "secrets", "storage", "vault",
    "any", "tls", "ssl", "mtls", "vpn", "iap", "sql",
];

fn claim(key: &str, value: &str, encryption: Encryption, is_spoken: bool) -> Claim {
    Claim { key: key.to_owned(), value: value.to_owned(), encryption, is_spoken }
}

/// What holds, and whether somebody says otherwise.
fn judge(claims: &[Claim]) -> (Encryption, bool) {
    let Some(first) = claims.first() else { return (Encryption::Unknown, false) };
    let is_contradicted =
        claims.iter().any(|claim| claim.encryption.is_encrypted() != first.encryption.is_encrypted());
    let encrypted =
        claims.iter().map(|claim| claim.encryption).filter(|encryption| encryption.is_encrypted());
    let encryption = match first.encryption {
        // HTTPS says that it is TLS; which one, others know.
        Encryption::Tls => {
            encrypted.skip(1).find(|encryption| *encryption != Encryption::Tls).unwrap_or(Encryption::Tls)
        }
        other => other,
    };
    (encryption, is_contradicted)
}

/// `data.securityFlags`, then `data` itself.
fn places(element: &Element) -> impl Iterator<Item = (&'static str, &Map<String, Value>)> {
    let data = super::data(element);
    let flags = data.and_then(|data| data.get("securityFlags")).and_then(Value::as_object);
    [("data.securityFlags", flags), ("data", data)]
        .into_iter()
        .filter_map(|(path, object)| Some((path, object?)))
}

fn claimed(key: &str, value: &Value) -> Option<Encryption> {
    match value {
        Value::Bool(true) => Some(Encryption::Tls),
        Value::Bool(false) => Some(Encryption::None),
        Value::String(text) if key.starts_with("tls") || key == "ssl" => {
            encryption::of(text).or_else(|| encryption::of(&format!("tls {text}")))
        }
        Value::Number(_) if key.starts_with("tls") => encryption::of(&format!("tls {}", short(value))),
        Value::String(text) => encryption::of(text),
        Value::Object(entries) => ["inTransit", "enabled", "protocol", "version", "type", "tls"]
            .iter()
            .find_map(|inner| claimed(if *inner == "version" { "tls" } else { "" }, entries.get(*inner)?)),
        _ => None,
    }
}

fn authentication(element: &Element) -> Authentication {
    let read = |value: &Value| match value {
        Value::Bool(false) => Some(Authentication::None),
        Value::String(text) => auth::of(text),
        Value::Object(entries) => {
            ["method", "type", "scheme", "kind"].iter().find_map(|key| auth::of(entries.get(*key)?.as_str()?))
        }
        _ => None,
    };
    let data = super::data(element);
    let texts =
        ["authentication", "auth", "authenticationType", "authType"].iter().filter_map(|key| data?.get(*key));
    let flags = places(element).flat_map(|(_, object)| {
        ["authenticationType", "authenticated"].into_iter().filter_map(|key| object.get(key))
    });
    texts.chain(flags).find_map(read).unwrap_or_default()
}

fn yes_or_no(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(says) => Some(*says),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "" | "unknown" | "tbd" | "n/a" => None,
            "false" | "no" | "none" | "off" | "disabled" => Some(false),
            _ => Some(true),
        },
        _ => None,
    }
}

fn port_of(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => {
            let text = text.trim().to_lowercase();
            let text = text.strip_suffix("/tcp").or_else(|| text.strip_suffix("/udp")).unwrap_or(&text);
            let text = text.strip_prefix("tcp/").or_else(|| text.strip_prefix("udp/")).unwrap_or(text);
            text.trim_start_matches(':').parse().ok()?
        }
        _ => return None,
    };
    let is_port = number.fract() == 0.0 && (1.0..=f64::from(u16::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that fits")]
    is_port.then_some(number as u16)
}

fn is_any_port(value: &Value) -> bool {
    let text = short(value).trim().to_lowercase();
    ANY.contains(&text.as_str()) || ANY_PORT.contains(&text.as_str())
}

/// Where the protocol of an edge stands, and in which words.
pub(super) fn protocol_said(edge: &Edge<'_>) -> Option<(&'static str, String)> {
    let talk = Talk::of(edge.element);
    talk.protocol?;
    let value = match talk.protocol_key {
        "label" => Vec::from_iter(talk.evidence).join(" "),
        key => short(super::data(edge.element)?.get(key.strip_prefix("data.")?)?),
    };
    Some((talk.protocol_key, value))
}

/// The words of a protocol that no table knows.
#[must_use]
pub fn odd_protocol(edge: &Edge<'_>) -> Option<String> {
    let said = super::data(edge.element)?.get("protocol").filter(|value| is_said(value)).map(short)?;
    let is_vague = VAGUE.contains(&said.trim().to_lowercase().as_str());
    (edge.protocol.is_none() && !edge.is_any && !is_vague).then_some(said)
}

fn spoken(text: &str) -> Spoken {
    let text = text.trim().to_lowercase();
    if text.is_empty() || VAGUE.contains(&text.as_str()) {
        return Spoken::default();
    }
    if ANY.contains(&text.as_str()) {
        return Spoken { is_any: true, ..Spoken::default() };
    }
    if let Some(protocol) = protocols::named(&text) {
        let encryption = if text == "mtls" { Encryption::Mtls } else { protocol.encryption };
        return Spoken { protocol: Some(protocol), encryption, ..Spoken::default() };
    }
    if let Some(protocol) = text.strip_suffix("-encrypted").and_then(protocols::named) {
        return Spoken { protocol: Some(protocol), encryption: Encryption::Tls, ..Spoken::default() };
    }
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "()[]+,;&→".contains(c))
        .flat_map(|word| {
            let is_whole = protocols::named(word).is_some();
            word.split(move |c: char| !is_whole && (c == '/' || c == ':'))
        })
        .filter(|word| !word.is_empty())
        .collect();
    let mut found: Vec<&'static Protocol> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let longest = (1..=WORDS_MAX.min(words.len() - at))
            .rev()
            .find_map(|length| Some((length, protocols::named(&words[at..at + length].join(" "))?)));
        match longest {
            Some((length, protocol)) => {
                found.push(protocol);
                at += length;
            }
            None => at += 1,
        }
    }
    let chosen = found
        .iter()
        .find(|protocol| !protocol.is_carrier())
        .or_else(|| found.iter().find(|protocol| protocol.family == Family::Http))
        .or(found.first())
        .copied();
    let port = match words.iter().filter_map(|word| word.parse().ok()).collect::<Vec<u16>>().as_slice() {
        // "HTTP 2" names no port.
        [port] if PORT_MIN <= *port => Some(*port),
        _ => None,
    };
    let worded = encryption::of(&text).filter(|_| !is_only_https(&found, &words));
    let encryption = worded.unwrap_or_else(|| encryption_of(&found));
    let protocol =
        chosen.or_else(|| (encryption != Encryption::Unknown).then(|| protocols::named("tls")).flatten());
    Spoken { protocol, encryption, is_any: false, port }
}

/// "https" is a word about encryption too; beside "http" it does not decide.
fn is_only_https(found: &[&'static Protocol], words: &[&str]) -> bool {
    found.iter().any(|protocol| protocol.encryption == Encryption::None)
        && !words.iter().any(|word| encryption::of(word).is_some() && !word.starts_with("http"))
}

/// The first that knows decides; plain and encrypted side by side is both.
fn encryption_of(found: &[&'static Protocol]) -> Encryption {
    let mut known = found
        .iter()
        .map(|protocol| protocol.encryption)
        .filter(|encryption| *encryption != Encryption::Unknown);
    let first = known.next().unwrap_or_default();
    if first == Encryption::None && known.any(Encryption::is_encrypted) { Encryption::Unknown } else { first }
}
