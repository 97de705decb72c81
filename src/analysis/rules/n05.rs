//! ATL-N05: strangers talk to a server with nothing in front of it.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind, Node};
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};
use crate::analysis::tables::protocols::Family;

use super::exposure::{self, Front};

pub(super) const RULE: Rule = Rule {
    id: "ATL-N05",
    title: "Unguarded entry from the internet",
    severity: Severity::High,
    stride: &[ElevationOfPrivilege],
    cwe: &[501],
    why: "Strangers open connections to the machine that runs the code, to every port that it happens to listen on. There is no place where traffic is filtered, counted or cut off, and each flaw of the operating system and the server is reachable.",
    remediation: "Let a load balancer, an API gateway or a firewall take the connections and give the server a private address only. Allow its security group nothing but the service port from that front.",
    references: &[
        Reference { name: "CWE-501", url: Some("https://cwe.mitre.org/data/definitions/501.html") },
        Reference { name: "Threagile: unguarded-access-from-internet", url: None },
        Reference {
            name: "ATT&CK T1190 Exploit Public-Facing Application",
            url: Some("https://attack.mitre.org/techniques/T1190/"),
        },
    ],
    check,
};

/// Filters or takes connections in the place of others.
fn is_guard(node: &Node<'_>) -> bool {
    use Kind::{Bastion, Cdn, Ddos, Firewall, Gateway, LoadBalancer, Waf};
    matches!(node.kind, Bastion | Cdn | Ddos | Firewall | Gateway | LoadBalancer | Waf)
        || node.is(Flag::Firewall)
        || node.is(Flag::Waf)
}

/// Passes connections on without any filter.
fn lets_on(node: &Node<'_>) -> bool {
    let is_passing = matches!(node.kind, Kind::Boundary | Kind::Ids | Kind::Dns);
    (is_passing || node.is_untrusted()) && !is_guard(node)
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let front = Front::of(context, lets_on, |edge| exposure::family(edge) != Some(Family::Tunnel));
    for at in front.met(context, |node| node.kind.is_compute() && !is_guard(node)) {
        let ways = front.ways_into(at);
        let is_straight = |from: usize| context.model.nodes[from].is_untrusted();
        let straight = ways.iter().find(|(_, from)| is_straight(*from));
        let Some((edge, from)) = straight.or_else(|| ways.first()).copied() else { continue };
        let confidence = if straight.is_some() { Confidence::SURE } else { Confidence::LIKELY };
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .also(ways.iter().map(|(edge, _)| At::Edge(*edge)))
                .confidence(confidence)
                .because([
                    exposure::protocol_evidence(context, edge, "brings strangers to the server itself"),
                    context.zone_evidence(from),
                    exposure::type_evidence(context, at, "runs code"),
                ])
                .because(context.flag_evidence(at, Flag::Firewall)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shop() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .edge("visit", "user", "web", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn a_server_that_strangers_talk_to_is_found() {
        for kind in ["web-server", "app-server", "kubernetes-cluster"] {
            shop().node_data("web", json!({"type": kind})).assert_steady("ATL-N05", &["web"]);
        }
        // Only where they come in.
        let further = shop().node("app", "app-server", "internal").edge("call", "web", "app", json!({}));
        further.assert_steady("ATL-N05", &["web"]);
    }

    #[test]
    fn something_in_front_guards_it_on_that_way_only() {
        for kind in ["firewall", "load-balancer-global", "api-gateway", "waf", "edge-cdn"] {
            let guarded = shop()
                .without("visit")
                .node("front", kind, "dmz")
                .edge("in", "user", "front", json!({"protocol": "HTTPS"}))
                .edge("on", "front", "web", json!({"protocol": "HTTPS"}));
            guarded.assert_steady("ATL-N05", &[]);
            guarded.edge("round", "user", "web", json!({})).assert_steady("ATL-N05", &["web"]);
        }
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        shop().zone("user", "internal").assert_steady("ATL-N05", &[]);
        shop().zone("web", "external").assert_steady("ATL-N05", &[]);
        shop().edge_data("visit", json!({"protocol": "IPsec"})).assert_steady("ATL-N05", &[]);
        for kind in ["api-gateway", "load-balancer-global", "bastion-host", "database"] {
            shop().node_data("web", json!({"type": kind})).assert_steady("ATL-N05", &[]);
        }
        let has = |value: bool| shop().node_data("web", json!({"securityFlags": {"hasFirewall": value}}));
        has(true).assert_steady("ATL-N05", &[]);
        has(false).assert_steady("ATL-N05", &["web"]);
    }

    #[test]
    fn over_a_boundary_it_is_less_sure() {
        let legacy = Drawing::new()
            .node("net", "network-zone", "external")
            .node("dmz", "network-zone", "dmz")
            .node("web", "web-server", "dmz")
            .edge("in", "net", "dmz", json!({"protocol": "HTTPS"}))
            .edge("on", "dmz", "web", json!({"protocol": "HTTPS"}));
        legacy.assert_steady("ATL-N05", &["web"]);
        assert_eq!(legacy.found("ATL-N05")[0].confidence, 0.7);
        let straight = legacy.edge("round", "net", "web", json!({"protocol": "HTTPS"}));
        assert_eq!(straight.found("ATL-N05")[0].confidence, 1.0);
    }
}
