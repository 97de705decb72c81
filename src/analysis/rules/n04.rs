//! ATL-N04: a web application or API that strangers reach without passing a web application firewall.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind, Node};
use crate::analysis::rule::Stride::Tampering;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure::{self, Front};
use super::n03::Open;
use super::waf;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N04",
    title: "Web traffic arrives without passing a WAF",
    severity: Severity::Medium,
    stride: &[Tampering],
    cwe: &[693],
    why: "On at least one way from strangers to this application nothing looks into the requests. Injection, traversal and attacks on known flaws of libraries reach the code as they were sent; a firewall on another way does not help.",
    remediation: "Put a web application firewall (AWS WAF, Azure WAF, Cloud Armor, Cloudflare, ModSecurity) on every way in and start from its managed rule sets, first counting, then blocking. Let the application take connections from it alone, so that nobody goes round it.",
    references: &[
        Reference { name: "CWE-693", url: Some("https://cwe.mitre.org/data/definitions/693.html") },
        Reference { name: "Threagile: missing-waf", url: None },
        Reference { name: "checkov: ALBProtectedByWAF", url: None },
    ],
    check,
};

/// Looks into requests.
fn is_waf(node: &Node<'_>) -> bool {
    node.kind == Kind::Waf || node.is(Flag::Waf)
}

/// Passes requests on as they came.
fn lets_on(node: &Node<'_>) -> bool {
    use Kind::{Boundary, Cdn, Ddos, Dns, Firewall, Ids, LoadBalancer, Nat, Unknown};
    let is_passing =
        matches!(node.kind, Boundary | Cdn | Ddos | Dns | Firewall | Ids | LoadBalancer | Nat | Unknown);
    (is_passing || node.is_untrusted()) && !is_waf(node)
}

fn is_application(node: &Node<'_>) -> bool {
    node.kind.is_compute() || node.kind == Kind::Gateway
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let front = Front::of(context, lets_on, exposure::is_web_traffic);
    let open = Open::of(context);
    // What lies behind the first application is reached through it: it is there that a WAF is missing.
    for at in front.met(context, |node| is_application(node) && !is_waf(node)) {
        let ways = front.ways_into(at);
        let evidence = ways.first().into_iter().flat_map(|(edge, from)| {
            [
                exposure::protocol_evidence(context, *edge, "brings requests of strangers, no WAF on the way"),
                exposure::type_evidence(context, *from, "is no WAF"),
            ]
        });
        // A console that is open to strangers belongs behind a bastion: a WAF would only hide it.
        let is_console = open.way_into(context, at).is_some();
        let fix = if is_console { None } else { waf::insert(context, RULE.id, at, ways) };
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .also(ways.iter().map(|(edge, _)| At::Edge(*edge)))
                .because(evidence)
                .because(context.flag_evidence(at, Flag::Waf))
                .fix(fix),
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn shop() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("lb", "load-balancer-global", "dmz")
            .node("web", "web-server", "dmz")
            .edge("visit", "user", "lb", json!({"protocol": "HTTPS"}))
            .edge("pass", "lb", "web", json!({"protocol": "HTTPS", "port": 443}))
    }

    #[test]
    fn the_first_application_behind_the_internet_is_found() {
        shop().assert_steady("ATL-N04", &["web"]);
        for kind in ["api-gateway", "app-server", "kubernetes-cluster"] {
            shop().node_data("web", json!({"type": kind})).assert_steady("ATL-N04", &["web"]);
        }
        let further = shop().node("api", "api-gateway", "internal").edge("call", "web", "api", json!({}));
        further.assert_steady("ATL-N04", &["web"]);
    }

    #[test]
    fn a_waf_counts_when_it_is_on_every_way() {
        let guarded = shop().node_data("lb", json!({"type": "waf"}));
        guarded.assert_steady("ATL-N04", &[]);
        // Somebody drew another way round it.
        guarded.edge("round", "user", "web", json!({})).assert_steady("ATL-N04", &["web"]);
        // One that stands about guards nothing.
        shop().node("waf", "waf", "dmz").assert_steady("ATL-N04", &["web"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        for node in ["lb", "web"] {
            let has = shop().node_data(node, json!({"securityFlags": {"hasWAF": true}}));
            has.assert_steady("ATL-N04", &[]);
            let has_not = shop().node_data(node, json!({"securityFlags": {"hasWAF": false}}));
            has_not.assert_steady("ATL-N04", &["web"]);
        }
        shop().zone("user", "internal").assert_steady("ATL-N04", &[]);
        shop().zone("web", "external").assert_steady("ATL-N04", &[]);
        shop().node_data("web", json!({"type": "database"})).assert_steady("ATL-N04", &[]);
        shop().edge_data("pass", json!({"protocol": "SSH", "port": 22})).assert_steady("ATL-N04", &[]);
        shop().without("visit").assert_steady("ATL-N04", &[]);
    }

    #[test]
    fn a_boundary_passes_traffic_on() {
        let legacy = Drawing::new()
            .node("net", "network-zone", "external")
            .node("dmz", "network-zone", "dmz")
            .node("web", "web-server", "dmz")
            .edge("in", "net", "dmz", json!({"protocol": "HTTPS"}))
            .edge("on", "dmz", "web", json!({"protocol": "HTTPS"}));
        legacy.assert_steady("ATL-N04", &["web"]);
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
        fn in_any_drawing_the_fix_mends_and_brings_nothing_new(
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
