//! Puts a web application firewall into the ways that lead to a node. Not a rule of its own.

use std::collections::BTreeMap;

use atlas_crdt::view::canonical_text;
use atlas_crdt::view::cosmetic::DATA_COSMETIC;
use serde_json::{Map, Value, json};

use crate::analysis::context::Context;
use crate::analysis::fix::{self, Fix};
use crate::analysis::graph::Way;
use crate::analysis::model::{Edge, Encryption};
use crate::analysis::report;
use crate::analysis::rule::At;

use super::plaintext;

/// All `ways` lead to the new node, and on from it as they did. `None`: one of them cannot simply be led so. Nobody knows what
/// goes over an edge that lets everything through; what begins at the target does not begin at the firewall; and plaintext
/// that a gateway passes on would be another finding, were it the only plaintext there.
pub(super) fn insert(context: &Context<'_>, rule: &str, target: usize, ways: &[Way]) -> Option<Fix> {
    let model = context.model;
    let all = || ways.iter().map(|(at, _)| &model.edges[*at]);
    let passes_plaintext_on = || {
        plaintext::may_end_tls(context, target)
            && context.graph.out[target].iter().any(|(edge, _)| model.edges[*edge].is_plaintext())
    };
    if all().any(|edge| edge.is_any || edge.is_both_ways)
        || (all().any(Edge::is_plaintext) && passes_plaintext_on())
    {
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

/// What the new edge says: what rules see of the old one, except that a firewall which looks into requests speaks TLS when it
/// passes them on. Anything else would put a second plaintext hop where there was one.
fn onward_data(edge: &Edge<'_>) -> Map<String, Value> {
    let said = edge.element.body.get("data").and_then(Value::as_object);
    let mut data: Map<String, Value> = said
        .into_iter()
        .flatten()
        .filter(|(key, value)| !DATA_COSMETIC.contains(&key.as_str()) && !is_nothing(value))
        // 443 and 443.0 are one number, and one report.
        .filter_map(|(key, value)| Some((key.clone(), serde_json::from_str(&canonical_text(value)).ok()?)))
        .collect();
    data.entry("securityFlags").or_insert_with(|| json!({}));
    // A port that fits another protocol is a riddle of the old edge: it is not asked twice.
    let usual = edge.protocol.map_or(&[][..], |protocol| protocol.ports);
    if edge.port.is_some_and(|port| !usual.contains(&port)) {
        data.remove("port");
    }
    let is_bad = edge.is_contradicted || matches!(edge.encryption, Encryption::None | Encryption::Weak);
    if is_bad {
        if let Some(flags) = data.get_mut("securityFlags").and_then(Value::as_object_mut) {
            for key in ["encrypted", "encryptionProtocol"] {
                flags.remove(key);
            }
        }
        data.insert("protocol".to_owned(), "HTTPS".into());
        data.insert("port".to_owned(), 443.into());
        // Certificates at both ends say who calls: that is not lost.
        let is_mutual = edge.encryption == Encryption::Mtls;
        data.insert("encryption".to_owned(), if is_mutual { "mTLS" } else { "TLS 1.3" }.into());
    }
    // What only the label or the port says is written out: the new edge has no label.
    if let Some(protocol) = edge.protocol {
        data.entry("protocol").or_insert_with(|| protocol.name.into());
    }
    match edge.encryption {
        Encryption::Tls => data.entry("encryption").or_insert_with(|| "TLS".into()),
        Encryption::Mtls => data.entry("encryption").or_insert_with(|| "mTLS".into()),
        _ => return data,
    };
    data
}

/// Says as much as an absent key.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
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
    fn what_only_a_label_says_is_written_out() {
        let fixed = shop(json!({})).label("visit", "HTTPS:443").assert_mended("ATL-N04").view();
        let on = fixed.edges.iter().find(|edge| edge.id != "visit").expect("the new edge");
        assert_eq!(on.body["data"]["protocol"], "HTTPS");
        assert_eq!(on.body["data"]["encryption"], "TLS");
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
}
