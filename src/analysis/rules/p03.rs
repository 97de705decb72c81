//! ATL-P03: a service that can be made to ask for others.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind, Node};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};
use crate::analysis::tables::protocols::Family;

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-P03",
    title: "Public service that can be made to call internal ones",
    severity: Severity::Medium,
    stride: &[InformationDisclosure],
    cwe: &[918],
    why: "Strangers reach this service, it fetches what it is told to, and nothing limits where it may go. One address in a parameter then reads internal services or the cloud's metadata, and with it the credentials of the machine.",
    remediation: "Let it call only listed names, through a proxy that refuses private and link-local addresses, after resolving and again after redirects. Require IMDSv2 with a hop limit of 1, and filter egress by security group or network policy.",
    references: &[
        Reference { name: "CWE-918", url: Some("https://cwe.mitre.org/data/definitions/918.html") },
        Reference {
            name: "OWASP Top 10 A10:2021",
            url: Some("https://owasp.org/Top10/A10_2021-Server-Side_Request_Forgery_%28SSRF%29/"),
        },
        Reference { name: "Threagile: server-side-request-forgery", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let nodes = &context.model.nodes;
    let strangers = context.nodes().filter(|(_, node)| seen::brings_strangers(node)).map(|(at, _)| at);
    // Stores answer; they do not pass calls on.
    let reached = context.graph.reach(strangers, |_, to| !nodes[to].kind.is_store());
    for (at, node) in context.nodes() {
        let is_public = reached[at] && node.kind.is_compute() && !node.is_untrusted();
        if !is_public || !may_be_made_to_ask(node) {
            continue;
        }
        let call = context.graph.out[at].iter().find(|(edge, to)| {
            let protocol = context.model.edges[*edge].protocol;
            protocol.is_some_and(|protocol| protocol.family == Family::Http) && is_internal(&nodes[*to])
        });
        if let Some((edge, to)) = call {
            findings.push(
                Finding::new(&RULE, [At::Node(at)])
                    .also([At::Edge(*edge)])
                    .because(context.flag_evidence(at, Flag::FetchesUrls))
                    .because(context.flag_evidence(at, Flag::EgressFilter))
                    .because([context.zone_evidence(*to)]),
            );
        }
    }
}

/// It says that it fetches addresses of others, or that its egress is open; and not that the other is otherwise.
fn may_be_made_to_ask(node: &Node<'_>) -> bool {
    node.is(Flag::FetchesUrls) && !node.is(Flag::EgressFilter)
        || node.is_not(Flag::EgressFilter) && !node.is_not(Flag::FetchesUrls)
}

/// Logs are written to, not read from.
fn is_internal(target: &Node<'_>) -> bool {
    !target.is_untrusted() && !matches!(target.kind, Kind::Llm | Kind::Client | Kind::Monitor | Kind::Boundary)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn preview(flags: Value) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node_with("web", "web-server", "dmz", json!({"securityFlags": flags}))
            .node("admin", "app-server", "internal")
            .edge("visit", "user", "web", json!({"protocol": "HTTPS"}))
            .edge("call", "web", "admin", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn a_public_service_that_fetches_or_may_go_anywhere_is_found() {
        preview(json!({"fetchesUrls": true})).assert_steady("ATL-P03", &["web"]);
        preview(json!({"egressFiltering": false})).assert_steady("ATL-P03", &["web"]);
        preview(json!({"egressFiltering": false, "fetchesUrls": true})).assert_steady("ATL-P03", &["web"]);
    }

    #[test]
    fn filtered_egress_or_silence_is_not() {
        preview(json!({})).assert_steady("ATL-P03", &[]);
        preview(json!({"fetchesUrls": true, "egressFiltering": true})).assert_steady("ATL-P03", &[]);
        preview(json!({"fetchesUrls": false, "egressFiltering": false})).assert_steady("ATL-P03", &[]);
    }

    #[test]
    fn strangers_must_reach_it_and_it_must_call_something_inside() {
        let open = preview(json!({"fetchesUrls": true}));
        open.clone().zone("user", "internal").assert_steady("ATL-P03", &[]);
        open.clone().without("visit").assert_steady("ATL-P03", &[]);
        open.clone().without("call").assert_steady("ATL-P03", &[]);
        open.clone().zone("admin", "external").assert_steady("ATL-P03", &[]);
        open.clone().node_data("admin", json!({"type": "monitoring"})).assert_steady("ATL-P03", &[]);
        open.clone().edge_data("call", json!({"protocol": "PostgreSQL"})).assert_steady("ATL-P03", &[]);
        open.clone().edge_data("call", json!({"protocol": "HTTP"})).assert_steady("ATL-P03", &["web"]);
        open.clone().node_data("web", json!({"type": "load-balancer"})).assert_steady("ATL-P03", &[]);
        let behind = open
            .without("visit")
            .node("front", "load-balancer", "dmz")
            .edge("visit", "user", "front", json!({}))
            .edge("pass", "front", "web", json!({}));
        behind.assert_steady("ATL-P03", &["web"]);
    }
}
