//! ATL-A02: a public application that nothing says who its users are.

use crate::analysis::context::Context;
use crate::analysis::model::{Authentication, Flag, Kind, Node};
use crate::analysis::rule::Stride::Spoofing;
use crate::analysis::rule::{At, Confidence, Evidence, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-A02",
    title: "Public application without a sign of identity",
    severity: Severity::Medium,
    stride: &[Spoofing],
    cwe: &[287],
    why: "Strangers reach this application, and nothing in the design says how it tells one from another: no identity provider, no token, no certificate. What is not drawn is often not built, or built once in each service.",
    remediation: "Put sign-in at the front: OpenID Connect with an identity provider (Entra ID, Cognito, Keycloak, Auth0), checked by the gateway or load balancer, and tokens that each service verifies. If the content is meant for everybody, say so and accept this finding.",
    references: &[
        Reference { name: "CWE-287", url: Some("https://cwe.mitre.org/data/definitions/287.html") },
        Reference { name: "Threagile: missing-identity-store", url: None },
        Reference {
            name: "OWASP Top 10 A07:2021",
            url: Some("https://owasp.org/Top10/A07_2021-Identification_and_Authentication_Failures/"),
        },
    ],
    check,
};

/// Walks in from strangers, through whatever passes traffic on, to the first applications, and not past a sign of
/// identity: what stands behind one is covered by it.
fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let nodes = &context.model.nodes;
    let knows_identity = knows_identity(context);
    let has_sign = |node: usize| knows_identity[node] || says_identity(context, node);
    let mut reached = vec![false; nodes.len()];
    let mut waiting: Vec<usize> = Vec::new();
    for (at, node) in context.nodes() {
        if seen::brings_strangers(node) && !has_sign(at) {
            reached[at] = true;
            waiting.push(at);
        }
    }
    while let Some(from) = waiting.pop() {
        for (_, to) in &context.graph.out[from] {
            if reached[*to] || seen::is_stranger(&nodes[*to]) || has_sign(*to) {
                continue;
            }
            reached[*to] = true;
            if is_application(&nodes[*to]) {
                findings.push(finding(context, *to));
            } else if seen::passes_on(nodes[*to].kind) {
                waiting.push(*to);
            }
        }
    }
}

fn is_application(node: &Node<'_>) -> bool {
    node.kind.is_compute() || node.kind == Kind::Gateway
}

fn finding(context: &Context<'_>, node: usize) -> Finding {
    let mut said: Vec<Evidence> = Vec::new();
    if context.model.nodes[node].is_not(Flag::Identity) {
        said.extend(context.flag_evidence(node, Flag::Identity));
    }
    let open = callers(context, node).find(|edge| is_open(context, *edge));
    said.extend(open.map(|edge| seen::authentication(context, edge)));
    let confidence = if said.is_empty() { Confidence::LIKELY } else { Confidence::SURE };
    // Which of several ways was walked first is chance; the first by its place among all edges is not.
    let way_in = callers(context, node).min();
    Finding::new(&RULE, [At::Node(node)])
        .confidence(confidence)
        .because(said)
        .because([seen::computed(
            At::Node(node),
            "reached",
            "from zone 0",
            "strangers reach it, and nothing on the way knows them",
        )])
        .also(way_in.map(At::Edge))
}

fn is_open(context: &Context<'_>, edge: usize) -> bool {
    matches!(context.model.edges[edge].authentication, Authentication::None | Authentication::Anonymous)
}

/// The node, or a caller of it, says that callers are known. Weak ways are A03's business.
fn says_identity(context: &Context<'_>, node: usize) -> bool {
    let says = [Flag::Identity, Flag::Mfa, Flag::Rbac].into_iter().any(|flag| context.model.nodes[node].is(flag));
    let edges = &context.model.edges;
    says || callers(context, node).any(|edge| {
        edges[edge].authentication != Authentication::Unknown && !is_open(context, edge)
    })
}

/// The edges by which others call a node.
fn callers<'a>(context: &'a Context<'_>, node: usize) -> impl Iterator<Item = usize> + 'a {
    context.graph.into[node].iter().filter(move |(_, from)| *from != node).map(|(edge, _)| *edge)
}

/// Whatever is linked with an identity provider, and the services whose calls lead there.
fn knows_identity(context: &Context<'_>) -> Vec<bool> {
    let nodes = &context.model.nodes;
    let serves = |node: usize| nodes[node].kind.is_compute() || nodes[node].kind.is_forwarder();
    let providers = || context.nodes().filter(|(_, node)| node.kind == Kind::Identity).map(|(at, _)| at);
    let mut knows = vec![false; nodes.len()];
    let mut waiting: Vec<usize> = Vec::new();
    for other in providers().flat_map(|at| seen::neighbours(context, at)) {
        let signs_in = serves(other) || nodes[other].kind == Kind::Client;
        if signs_in && !std::mem::replace(&mut knows[other], true) {
            waiting.push(other);
        }
    }
    // Whom a provider calls may stand behind a firewall.
    let mut calling: Vec<usize> = providers().collect();
    let mut called = vec![false; nodes.len()];
    while let Some(node) = calling.pop() {
        for (_, to) in &context.graph.out[node] {
            if serves(*to) && !std::mem::replace(&mut called[*to], true) {
                if !std::mem::replace(&mut knows[*to], true) {
                    waiting.push(*to);
                }
                if seen::passes_on(nodes[*to].kind) {
                    calling.push(*to);
                }
            }
        }
    }
    while let Some(node) = waiting.pop() {
        for (_, from) in &context.graph.into[node] {
            if serves(*from) && !std::mem::replace(&mut knows[*from], true) {
                waiting.push(*from);
            }
        }
    }
    knows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shop() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("front", "load-balancer-global", "dmz")
            .node("web", "web-server", "dmz")
            .node("app", "app-server", "internal")
            .edge("visit", "user", "front", json!({"protocol": "HTTPS"}))
            .edge("pass", "front", "web", json!({"protocol": "HTTPS"}))
            .edge("call", "web", "app", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn the_first_application_that_strangers_reach_is_found() {
        shop().assert_steady("ATL-A02", &["web"]);
        assert_eq!(shop().found("ATL-A02")[0].confidence, 0.7);
        shop().node_data("web", json!({"type": "api-gateway"})).assert_steady("ATL-A02", &["web"]);
        shop().without("pass").edge("direct", "front", "app", json!({})).assert_steady("ATL-A02", &["app"]);
    }

    #[test]
    fn any_sign_of_identity_on_the_way_is_enough() {
        for means in ["jwt", "oidc", "mtls", "iam"] {
            shop().edge_data("pass", json!({"authentication": means})).assert_steady("ATL-A02", &[]);
            shop().edge_data("visit", json!({"authentication": means})).assert_steady("ATL-A02", &[]);
        }
        for flags in [json!({"authEnabled": true}), json!({"mfaRequired": true}), json!({"rbacEnabled": true})] {
            shop().node_data("web", json!({"securityFlags": flags})).assert_steady("ATL-A02", &[]);
        }
        let with_login = shop().node("login", "identity", "management");
        for asking in ["user", "front", "web", "app"] {
            let asked = with_login.clone().edge("ask", asking, "login", json!({"protocol": "HTTPS"}));
            asked.assert_steady("ATL-A02", &[]);
        }
        let called = with_login.clone().edge("notify", "login", "front", json!({"protocol": "HTTPS"}));
        called.without("visit").edge("direct", "user", "web", json!({})).assert_steady("ATL-A02", &[]);
        with_login.assert_steady("ATL-A02", &["web"]);
        shop().node_data("front", json!({"type": "vpn-gateway"})).assert_steady("ATL-A02", &[]);
    }

    #[test]
    fn what_only_looks_like_a_sign_is_none() {
        let logged = shop()
            .node("login", "identity", "management")
            .node("logs", "monitoring", "management")
            .edge("log", "web", "logs", json!({}))
            .edge("audit", "login", "logs", json!({}));
        logged.assert_steady("ATL-A02", &["web"]);
        let to_itself = shop().edge("own", "web", "web", json!({"authentication": "jwt"}));
        to_itself.assert_steady("ATL-A02", &["web"]);
        shop().edge_data("call", json!({"authentication": "jwt"})).assert_steady("ATL-A02", &["web"]);
    }

    #[test]
    fn strangers_must_reach_it() {
        shop().zone("user", "internal").assert_steady("ATL-A02", &[]);
        shop().without("visit").assert_steady("ATL-A02", &[]);
        shop().node_data("web", json!({"type": "database"})).assert_steady("ATL-A02", &[]);
    }

    #[test]
    fn a_front_out_there_brings_strangers_who_are_not_drawn() {
        let front = shop().without("user").without("visit").zone("front", "external");
        front.clone().assert_steady("ATL-A02", &["web"]);
        let signed_in = front.node_data("front", json!({"securityFlags": {"authEnabled": true}}));
        signed_in.assert_steady("ATL-A02", &[]);
    }

    #[test]
    fn said_to_be_open_it_is_certain() {
        let said = shop().edge_data("pass", json!({"authentication": "none"}));
        assert_eq!(said.found("ATL-A02")[0].confidence, 1.0);
        let said = shop().node_data("web", json!({"securityFlags": {"authEnabled": false}}));
        said.assert_steady("ATL-A02", &["web"]);
        assert_eq!(said.found("ATL-A02")[0].confidence, 1.0);
    }
}
