//! Puts a web application firewall into the ways that lead to a node. Not a rule of its own.

use std::collections::BTreeMap;

use atlas_crdt::view::canonical_text;
use serde_json::{Map, Value, json};

use crate::analysis::context::Context;
use crate::analysis::fix::{self, Fix};
use crate::analysis::graph::Way;
use crate::analysis::model::{Edge, Encryption};
use crate::analysis::report;
use crate::analysis::rule::At;

/// All `ways` lead to the new node, and on from it as they did. `None`: one of them cannot simply be led so. Nobody knows what
/// goes over an edge that lets everything through, and what begins at the target does not begin at the firewall.
pub(super) fn insert(context: &Context<'_>, rule: &str, target: usize, ways: &[Way]) -> Option<Fix> {
    let model = context.model;
    if ways.iter().map(|(at, _)| &model.edges[*at]).any(|edge| edge.is_any || edge.is_both_ways) {
        return None;
    }
    let is_node = |id: &str| model.nodes.binary_search_by(|node| node.id().cmp(id)).is_ok();
    let is_edge = |id: &str| model.edges.binary_search_by(|edge| edge.id().cmp(id)).is_ok();
    let fingerprint = report::fingerprint(model, rule, &[At::Node(target)]);
    let waf = unused(fix::new_id("waf", &fingerprint), model.nodes.len(), is_node);
    let mut near = Vec::new();
    let mut edges = Vec::new();
    let mut onward: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (at, from) in ways {
        let edge = &model.edges[*at];
        edges.push(json!({"id": edge.id(), "target": waf}));
        let from = model.nodes[*from].id().to_owned();
        if !near.contains(&from) && near.len() < NEAR_MAX {
            near.push(from);
        }
        let data = onward_data(edge);
        onward.entry(Value::Object(data.clone()).to_string()).or_insert(data);
    }
    near.push(model.nodes[target].id().to_owned());
    for (number, data) in onward.into_values().enumerate() {
        let id = unused(format!("{waf}-on-{}", number + 1), model.edges.len(), is_edge);
        edges.push(json!({
            "id": id,
            "source": waf,
            "target": model.nodes[target].id(),
            "type": "smoothstep",
            "data": data,
        }));
    }
    // A service of several zones: one that stands alone would be a new single point of failure.
    let mut data = json!({
        "type": "waf",
        "label": "Web application firewall",
        "securityFlags": {"highAvailability": true},
    });
    if let Some(zone) = zone_words(context, target) {
        data["zone"] = zone.into();
    }
    Some(Fix {
        title: "Insert a WAF",
        nodes: vec![json!({"id": waf, "type": "custom", "data": data})],
        edges,
        near: vec![(waf, near)],
        ..Fix::default()
    })
}

/// Nodes that a new one is said to stand near to, besides its target.
const NEAR_MAX: usize = 8;

/// The first of `id`, `id-2`, `id-3` … that none of so many elements has.
fn unused(id: String, taken: usize, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(&id) {
        return id;
    }
    (2..=taken + 2).map(|number| format!("{id}-{number}")).find(|id| !is_taken(id)).unwrap_or(id)
}

/// What is said of an edge and belongs to the connection as such: the new edge says it again.
const CARRIED: [&str; 8] = [
    "protocol",
    "port",
    "encryption",
    "authentication",
    "auth",
    "authorization",
    "rateLimit",
    "securityFlags",
];

/// What the new edge says: the same as the old one, except that a firewall which looks into requests speaks TLS when it
/// passes them on. Anything else would put a second plaintext hop where there was one.
fn onward_data(edge: &Edge<'_>) -> Map<String, Value> {
    let said = edge.element.body.get("data").and_then(Value::as_object);
    let mut data: Map<String, Value> = said
        .into_iter()
        .flatten()
        .filter(|(key, _)| CARRIED.contains(&key.as_str()))
        .filter_map(|(key, value)| Some((key.clone(), canonical(value)?)))
        .collect();
    if !data.get("securityFlags").is_some_and(Value::is_object) {
        data.insert("securityFlags".to_owned(), json!({}));
    }
    let is_bad =
        edge.is_any || edge.is_contradicted || matches!(edge.encryption, Encryption::None | Encryption::Weak);
    if is_bad {
        if let Some(flags) = data.get_mut("securityFlags").and_then(Value::as_object_mut) {
            for key in ["encrypted", "encryptionProtocol"] {
                flags.remove(key);
            }
        }
        data.insert("protocol".to_owned(), "HTTPS".into());
        data.insert("port".to_owned(), 443.into());
        data.insert("encryption".to_owned(), "TLS 1.3".into());
    }
    data
}

/// A value in the one way of writing it: what means the same makes the same fix. `None`: it says nothing.
fn canonical(value: &Value) -> Option<Value> {
    let value = serde_json::from_str(&canonical_text(value)).ok()?;
    let Value::Object(entries) = value else { return Some(value).filter(|value| !value.is_null()) };
    Some(Value::Object(entries.into_iter().filter(|(_, value)| !value.is_null()).collect()))
}

/// The zone of a node as somebody wrote it, or in a word that reads the same.
fn zone_words(context: &Context<'_>, at: usize) -> Option<String> {
    use crate::analysis::model::Zone::{App, Data, Edge, Management, Untrusted};
    let node = &context.model.nodes[at];
    let zone = node.zone?;
    let said = node.element.body.get("data").and_then(|data| data.get("zone")).and_then(Value::as_str);
    let word = match zone {
        Untrusted => "external",
        Edge => "dmz",
        App => "internal",
        Data => "data",
        Management => "management",
    };
    Some(said.filter(|said| !said.is_empty()).unwrap_or(word).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn shop(visit: Value) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .edge("visit", "user", "web", visit)
    }

    fn edge<'a>(edges: &'a [atlas_crdt::view::Element], id: &str) -> &'a Value {
        &edges.iter().find(|edge| edge.id == id).expect("the edge").body["data"]
    }

    #[test]
    fn the_firewall_stands_between_and_what_was_said_goes_on() {
        let said = json!({"protocol": "HTTPS", "port": 8443, "encryption": "mTLS", "authentication": "mtls"});
        let fixed = shop(said.clone()).assert_mended("ATL-N04").view();
        let waf = fixed.nodes.iter().find(|node| node.id.starts_with("waf-")).expect("a WAF");
        assert_eq!(waf.id.len(), "waf-".len() + 8);
        assert_eq!(waf.body["type"], "custom");
        assert_eq!((&waf.body["data"]["type"], &waf.body["data"]["zone"]), (&json!("waf"), &json!("dmz")));
        let visit = fixed.edges.iter().find(|edge| edge.id == "visit").expect("the edge");
        assert_eq!((&visit.body["source"], &visit.body["target"]), (&json!("user"), &json!(waf.id)));
        let on = fixed.edges.iter().find(|edge| edge.id != "visit").expect("the new edge");
        assert_eq!((&on.body["source"], &on.body["target"]), (&json!(waf.id), &json!("web")));
        assert_eq!(on.body["data"]["securityFlags"], json!({}));
        for (key, value) in said.as_object().expect("an object") {
            assert_eq!(on.body["data"][key], *value, "{key}");
        }
    }

    #[test]
    fn no_second_plaintext_hop_is_made() {
        for visit in [
            json!({"protocol": "HTTP", "port": 80, "authentication": "basic"}),
            json!({"protocol": "HTTP", "encryption": "TLS 1.3", "securityFlags": {"encrypted": true}}),
            json!({"protocol": "HTTPS", "encryption": "TLS 1.0"}),
        ] {
            let fixed = shop(visit).assert_mended("ATL-N04").view();
            let on = fixed.edges.iter().find(|edge| edge.id != "visit").expect("the new edge");
            assert_eq!(on.body["data"]["encryption"], "TLS 1.3");
        }
        shop(json!({})).assert_mended("ATL-N04");
    }

    #[test]
    fn where_it_is_not_mechanical_there_is_no_button() {
        let any = shop(json!({"protocol": "ANY", "port": "ANY"}));
        let console = shop(json!({"protocol": "HTTPS"})).zone("web", "management");
        let both = shop(json!({"protocol": "HTTPS", "bidirectional": true}));
        for drawing in [any, both, console] {
            assert_eq!(drawing.found("ATL-N04")[0].autofix, None);
        }
    }

    #[test]
    fn several_ways_in_share_one_firewall() {
        let two = shop(json!({"protocol": "HTTPS"}))
            .node("phone", "mobile-app", "external")
            .node("partner", "web-browser", "external")
            .edge("app", "phone", "web", json!({"protocol": "gRPC", "encryption": "TLS 1.3"}))
            .edge("also", "partner", "web", json!({"protocol": "HTTPS"}));
        let fixed = two.assert_mended("ATL-N04");
        assert!(fixed.found("ATL-N04").is_empty());
        let view = fixed.view();
        assert_eq!(view.nodes.len(), 5);
        assert_eq!(view.edges.len(), 3 + 2, "HTTPS once and gRPC once");
    }

    #[test]
    fn a_second_fix_at_the_same_place_makes_a_second_firewall() {
        let once = shop(json!({"protocol": "HTTPS"})).fixed("ATL-N04");
        let again = once.edge("round", "user", "web", json!({"protocol": "HTTPS"}));
        let twice = again.assert_mended("ATL-N04").view();
        let wafs: Vec<&str> =
            twice.nodes.iter().map(|node| node.id.as_str()).filter(|id| id.starts_with("waf-")).collect();
        assert_eq!(wafs.len(), 2);
        assert_eq!(wafs[1], format!("{}-2", wafs[0]));
        assert_eq!(edge(&twice.edges, "round")["protocol"], "HTTPS");
    }

    const TYPES: &str = "web-browser edge-cdn load-balancer-global waf firewall web-server api-gateway app-server \
                         kubernetes-cluster database message-queue network-zone";
    const ZONES: [&str; 6] = ["external", "dmz", "internal", "data", "management", ""];

    fn said() -> impl Strategy<Value = Value> {
        let protocol =
            prop::sample::select(vec!["HTTPS", "HTTP", "gRPC", "WebSocket", "ANY", "SSH", "PostgreSQL", ""]);
        let encryption = prop::sample::select(vec!["", "None", "TLS 1.0", "TLS 1.3", "mTLS"]);
        let authentication = prop::sample::select(vec!["", "none", "basic", "OAuth", "mtls"]);
        (protocol, encryption, authentication, any::<Option<bool>>(), prop::bool::weighted(0.1)).prop_map(
            |(protocol, encryption, authentication, limited, both)| {
                let mut data =
                    json!({"protocol": protocol, "encryption": encryption, "authentication": authentication});
                if let Some(limited) = limited {
                    data["securityFlags"] = json!({"rateLimited": limited});
                }
                if both {
                    data["bidirectional"] = true.into();
                }
                data
            },
        )
    }

    proptest! {
        #[test]
        fn in_any_drawing_it_mends_and_brings_nothing_new(
            nodes in prop::collection::vec((prop::sample::select(TYPES.split(' ').collect::<Vec<_>>()), prop::sample::select(&ZONES[..])), 1..8),
            edges in prop::collection::vec((0usize..8, 0usize..8, said()), 0..12),
        ) {
            let mut drawing = Drawing::new().node("user", "web-browser", "external");
            for (at, (kind, zone)) in nodes.iter().enumerate() {
                drawing = drawing.node(&format!("n{at}"), kind, zone);
            }
            let name = |at: usize| if at == 0 { "user".to_owned() } else { format!("n{}", (at - 1) % nodes.len()) };
            for (at, (from, to, data)) in edges.iter().enumerate() {
                drawing = drawing.edge(&format!("e{at}"), &name(*from), &name(*to), data.clone());
            }
            if drawing.found("ATL-N04").iter().any(|issue| issue.autofix.is_some()) {
                drawing.assert_mended("ATL-N04");
            }
        }
    }
}
