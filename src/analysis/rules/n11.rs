//! ATL-N11: servers talk to the internet without a filter.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::{exposure, n10};

pub(super) const RULE: Rule = Rule {
    id: "ATL-N11",
    title: "Unfiltered traffic to the internet",
    severity: Severity::Low,
    stride: &[InformationDisclosure],
    cwe: &[923],
    why: "The server opens connections to the untrusted zone without a proxy, a NAT gateway or a firewall on the way. Malware fetches its tools and sends data home over exactly such connections, and nobody can say afterwards where they went.",
    remediation: "Send outgoing traffic through an egress proxy, a NAT gateway with a network firewall, or an egress gateway of the mesh, with a list of allowed host names. Log what is denied.",
    references: &[Reference { name: "CWE-923", url: Some("https://cwe.mitre.org/data/definitions/923.html") }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        let is_server = source.kind.is_compute() && !source.is_untrusted() && !n10::is_data_tier(source);
        let is_filtered = source.is(Flag::EgressFilter) || source.is(Flag::Firewall);
        // An edge that goes both ways to a browser is a visit, drawn from the other end.
        let is_visit = edge.is_both_ways && target.kind == Kind::Client;
        if !is_server || is_filtered || is_visit || !target.is_untrusted() || target.kind.is_forwarder() {
            continue;
        }
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .also([At::Node(edge.source)])
                .because([
                    exposure::protocol_evidence(context, at, "leads out, with nothing between that filters"),
                    context.zone_evidence(edge.source),
                    context.zone_evidence(edge.target),
                ])
                .because(context.flag_evidence(edge.source, Flag::EgressFilter)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn fetch() -> Drawing {
        Drawing::new()
            .node("app", "app-server", "internal")
            .node("api", "microservice", "external")
            .edge("fetch", "app", "api", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn a_server_that_talks_out_is_found() {
        fetch().assert_steady("ATL-N11", &["fetch"]);
        fetch().zone("app", "somewhere").assert_steady("ATL-N11", &["fetch"]);
    }

    #[test]
    fn something_between_filters_it() {
        for kind in ["nat-gateway", "firewall", "egress-proxy"] {
            let led = fetch()
                .without("fetch")
                .node("exit", kind, "dmz")
                .edge("out", "app", "exit", json!({"protocol": "HTTPS"}))
                .edge("on", "exit", "api", json!({"protocol": "HTTPS"}));
            led.assert_steady("ATL-N11", &[]);
            led.edge("round", "app", "api", json!({})).assert_steady("ATL-N11", &["round"]);
        }
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        fetch().zone("api", "dmz").assert_steady("ATL-N11", &[]);
        fetch().zone("app", "external").assert_steady("ATL-N11", &[]);
        fetch().node_data("app", json!({"type": "monitoring"})).assert_steady("ATL-N11", &[]);
        for flag in ["egressFiltering", "hasFirewall"] {
            let filtered = |value: bool| fetch().node_data("app", json!({"securityFlags": {flag: value}}));
            filtered(true).assert_steady("ATL-N11", &[]);
            filtered(false).assert_steady("ATL-N11", &["fetch"]);
        }
        let visit = fetch()
            .node_data("api", json!({"type": "web-browser"}))
            .edge_data("fetch", json!({"bidirectional": true}));
        visit.assert_steady("ATL-N11", &[]);
    }

    #[test]
    fn the_data_tier_is_another_rules() {
        let data = fetch().zone("app", "data");
        data.assert_steady("ATL-N11", &[]);
        data.assert_steady("ATL-N10", &["fetch"]);
    }
}
