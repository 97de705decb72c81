//! ATL-A01: a sensitive target that lets everybody in.

use crate::analysis::context::Context;
use crate::analysis::model::{Authentication, Edge};
use crate::analysis::rule::Stride::Spoofing;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-A01",
    title: "No authentication into a sensitive target",
    severity: Severity::High,
    stride: &[Spoofing],
    cwe: &[306],
    why: "Whoever reaches the network of this store, vault or identity provider is served, without being asked who they are. One foothold anywhere near is then enough for all the data behind it.",
    remediation: "Let each caller prove itself: mutual TLS between services, IAM or workload identity in the cloud, credentials that a vault makes for the moment. Turn off trust by address (`trust` in pg_hba.conf, Redis without ACLs, anonymous binds).",
    references: &[
        Reference { name: "CWE-306", url: Some("https://cwe.mitre.org/data/definitions/306.html") },
        Reference { name: "Threagile: missing-authentication", url: None },
        Reference {
            name: "OWASP Top 10 A07:2021",
            url: Some("https://owasp.org/Top10/A07_2021-Identification_and_Authentication_Failures/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        let Some(target) = seen::targets(edge).find(|end| context.model.nodes[*end].kind.is_sensitive()) else {
            continue;
        };
        if lets_anybody_in(context, edge) {
            findings.push(
                Finding::new(&RULE, [At::Edge(at)])
                    .also([At::Node(target)])
                    .because([seen::authentication(context, at)]),
            );
        }
    }
}

/// Anonymous callers from another zone are the business of A03.
fn lets_anybody_in(context: &Context<'_>, edge: &Edge<'_>) -> bool {
    match edge.authentication {
        Authentication::None => true,
        Authentication::Anonymous => !context.crosses_zones(edge),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn query(data: Value) -> Drawing {
        Drawing::new()
            .node("app", "app-server", "internal")
            .node("orders", "database", "data")
            .edge("query", "app", "orders", json!({"protocol": "PostgreSQL", "encryption": "TLS"}))
            .edge_data("query", data)
    }

    #[test]
    fn nothing_but_a_known_lack_of_authentication_is_found() {
        query(json!({"authentication": "none"})).assert_steady("ATL-A01", &["query"]);
        query(json!({"securityFlags": {"authenticated": false}})).assert_steady("ATL-A01", &["query"]);
        query(json!({"securityFlags": {"authenticationType": "none"}})).assert_steady("ATL-A01", &["query"]);
        query(json!({})).assert_steady("ATL-A01", &[]);
        for strong in ["mtls", "iam", "jwt"] {
            query(json!({"authentication": strong})).assert_steady("ATL-A01", &[]);
        }
    }

    #[test]
    fn it_is_about_sensitive_targets() {
        let open = query(json!({"authentication": "none"}));
        for kind in ["cache", "message-queue", "object-storage", "secrets-manager", "identity"] {
            open.clone().node_data("orders", json!({"type": kind})).assert_steady("ATL-A01", &["query"]);
        }
        open.clone().node_data("orders", json!({"type": "app-server"})).assert_steady("ATL-A01", &[]);
        let turned = open.without("query").edge("query", "orders", "app", json!({"authentication": "none"}));
        turned.assert_steady("ATL-A01", &[]);
        turned.edge_data("query", json!({"bidirectional": true})).assert_steady("ATL-A01", &["query"]);
    }

    #[test]
    fn anonymous_callers_are_found_once() {
        let anonymous = query(json!({"authentication": "anonymous"}));
        anonymous.assert_steady("ATL-A01", &[]);
        assert_eq!(anonymous.about("ATL-A03"), ["query"]);
        let inside = anonymous.zone("app", "data");
        inside.assert_steady("ATL-A01", &["query"]);
        assert!(inside.found("ATL-A03").is_empty());
    }

    #[test]
    fn what_was_seen_is_shown() {
        let shown = &query(json!({"securityFlags": {"authenticated": false}})).found("ATL-A01")[0].evidence;
        assert!(shown.iter().any(|piece| {
            piece.element == "query" && piece.key == "data.securityFlags.authenticated" && piece.value == "false"
        }));
    }
}
