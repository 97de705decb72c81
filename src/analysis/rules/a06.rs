//! ATL-A06: behind the gateway nobody knows any more who called.

use crate::analysis::context::Context;
use crate::analysis::model::{Authentication, Kind};
use crate::analysis::rule::Stride::{ElevationOfPrivilege, Repudiation};
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-A06",
    title: "The caller's identity is lost behind the gateway",
    severity: Severity::Low,
    stride: &[Repudiation, ElevationOfPrivilege],
    cwe: &[284],
    why: "Users come in with tokens that name them, and the gateway goes on with one fixed credential for all. The services behind can neither check what this user may do nor write down who did it, and whoever gets that credential is everybody.",
    remediation: "Pass the identity on: forward the verified token, or exchange it for one that is meant for the service (OAuth 2.0 token exchange, RFC 8693). Authenticate the gateway itself with mutual TLS or workload identity, beside the user's token.",
    references: &[
        Reference { name: "CWE-284", url: Some("https://cwe.mitre.org/data/definitions/284.html") },
        Reference { name: "Threagile: missing-identity-propagation", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (gateway, _) in context.nodes().filter(|(_, node)| node.kind == Kind::Gateway) {
        let edges = &context.model.edges;
        let ways_in = context.graph.into[gateway].iter().map(|(edge, _)| *edge);
        let Some(token) = ways_in.filter(|edge| edges[*edge].authentication == Authentication::Token).min() else {
            continue;
        };
        for (out, to) in &context.graph.out[gateway] {
            let is_static =
                matches!(edges[*out].authentication, Authentication::Basic | Authentication::Shared);
            if is_static && acts_for_users(context.model.nodes[*to].kind) {
                findings.push(
                    Finding::new(&RULE, [At::Edge(*out)])
                        .also([At::Node(gateway)])
                        .because([seen::authentication(context, token), seen::authentication(context, *out)]),
                );
            }
        }
    }
}

/// What a gateway calls for itself (logs, secrets, sign-in) needs no user.
fn acts_for_users(kind: Kind) -> bool {
    !matches!(kind, Kind::Monitor | Kind::Secret | Kind::Identity | Kind::Registry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn api(outside: &str, inside: &str) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("front", "api-gateway", "dmz")
            .node("orders", "microservice", "internal")
            .edge("visit", "user", "front", json!({"protocol": "HTTPS", "authentication": outside}))
            .edge("call", "front", "orders", json!({"protocol": "HTTPS", "authentication": inside}))
    }

    #[test]
    fn tokens_in_and_a_fixed_credential_out_are_found() {
        api("jwt", "basic").assert_steady("ATL-A06", &["call"]);
        api("oauth", "api key").assert_steady("ATL-A06", &["call"]);
    }

    #[test]
    fn an_identity_that_goes_on_or_was_never_there_is_not() {
        for inside in ["jwt", "mtls", "iam", ""] {
            api("jwt", inside).assert_steady("ATL-A06", &[]);
        }
        for outside in ["basic", "mtls", ""] {
            api(outside, "basic").assert_steady("ATL-A06", &[]);
        }
    }

    #[test]
    fn it_is_about_gateways_and_what_acts_for_users() {
        let lost = api("jwt", "basic");
        lost.clone().node_data("front", json!({"type": "web-server"})).assert_steady("ATL-A06", &[]);
        lost.clone().node_data("orders", json!({"type": "monitoring"})).assert_steady("ATL-A06", &[]);
        lost.clone().zone("orders", "dmz").assert_steady("ATL-A06", &["call"]);
        lost.without("visit").assert_steady("ATL-A06", &[]);
    }
}
