//! ATL-A03: weak authentication across a boundary.

use crate::analysis::context::Context;
use crate::analysis::model::Authentication;
use crate::analysis::rule::Stride::Spoofing;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-A03",
    title: "Weak authentication across a trust boundary",
    severity: Severity::Medium,
    stride: &[Spoofing],
    cwe: &[522, 306],
    why: "Passwords and keys that go with every request, or that several share, are copied into scripts, logs and chats, and nobody can tell afterwards who used them. They stay valid for years, since changing them breaks everybody at once.",
    remediation: "Use tokens that expire and name their holder: OAuth 2.0 or OpenID Connect for people, workload identity (IAM roles, managed identities, SPIFFE) or mutual TLS for services. Where a key must stay, give one to each caller, limit it to what it needs and rotate it from a vault.",
    references: &[
        Reference { name: "CWE-522", url: Some("https://cwe.mitre.org/data/definitions/522.html") },
        Reference {
            name: "ATT&CK T1078 Valid Accounts",
            url: Some("https://attack.mitre.org/techniques/T1078/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        let severity = match edge.authentication {
            Authentication::Anonymous => Severity::High,
            Authentication::Basic | Authentication::Shared => RULE.severity,
            _ => continue,
        };
        if context.crosses_zones(edge) {
            findings.push(
                Finding::new(&RULE, [At::Edge(at)])
                    .severity(severity)
                    .because([seen::authentication(context, at)])
                    .because([context.zone_evidence(edge.source), context.zone_evidence(edge.target)]),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::rule::Severity;
    use crate::analysis::testing::Drawing;

    fn call(authentication: &str) -> Drawing {
        Drawing::new()
            .node("partner", "app-server", "dmz")
            .node("orders", "microservice", "internal")
            .edge("call", "partner", "orders", json!({"protocol": "HTTPS", "authentication": authentication}))
    }

    #[test]
    fn passwords_keys_and_nobody_in_particular_are_found() {
        for weak in ["basic", "api key", "anonymous"] {
            call(weak).assert_steady("ATL-A03", &["call"]);
        }
        assert_eq!(call("basic").found("ATL-A03")[0].severity, Severity::Medium);
        assert_eq!(call("anonymous").found("ATL-A03")[0].severity, Severity::High);
    }

    #[test]
    fn strong_means_and_silence_are_not() {
        for strong in ["jwt", "oauth", "mtls", "iam", "none", ""] {
            call(strong).assert_steady("ATL-A03", &[]);
        }
    }

    #[test]
    fn only_a_known_boundary_counts() {
        call("basic").zone("partner", "internal").assert_steady("ATL-A03", &[]);
        call("basic").zone("partner", "somewhere").assert_steady("ATL-A03", &[]);
        call("basic").zone("partner", "external").assert_steady("ATL-A03", &["call"]);
        call("basic").node_data("orders", json!({"type": "database"})).assert_steady("ATL-A03", &["call"]);
    }
}
