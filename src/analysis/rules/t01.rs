//! ATL-T01: plaintext across a trust boundary.

use crate::analysis::context::Context;
use crate::analysis::model::Zone;
use crate::analysis::rule::Stride::{InformationDisclosure, Tampering};
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::plaintext::{self, Plaintext};

pub(super) const RULE: Rule = Rule {
    id: "ATL-T01",
    title: "Plaintext crosses a trust boundary",
    severity: Severity::High,
    stride: &[InformationDisclosure, Tampering],
    cwe: &[319],
    why: "Whoever sits between two zones reads and changes everything that goes over this connection, passwords and sessions included.",
    remediation: "Use HTTPS or the protocol's own TLS, version 1.2 at least, and refuse plaintext at the target.",
    references: &[Reference {
        name: "Threagile: unencrypted-communication",
        url: None,
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        if plaintext::of(context, at) != Some(Plaintext::AcrossZones) {
            continue;
        }
        let is_inside = [source, target].iter().all(|end| Some(Zone::App) <= end.zone);
        let severity = if is_inside { Severity::Medium } else { Severity::High };
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .severity(severity)
                .confidence(context.sure_of_encryption(edge))
                .because(context.encryption_evidence(at))
                .because([context.zone_evidence(edge.source), context.zone_evidence(edge.target)])
                .fix(plaintext::encrypt(edge)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::rule::Severity;
    use crate::analysis::testing::Drawing;

    fn shop(protocol: &str) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .edge("visit", "user", "web", json!({"protocol": protocol}))
    }

    #[test]
    fn plaintext_between_zones_is_found() {
        assert_eq!(shop("HTTP").subjects("ATL-T01"), [["visit"]]);
    }

    #[test]
    fn encryption_or_one_zone_or_silence_is_not() {
        assert!(shop("HTTPS").subjects("ATL-T01").is_empty());
        assert!(shop("TCP").subjects("ATL-T01").is_empty(), "nothing is said about encryption");
        assert!(shop("HTTP").zone("web", "external").subjects("ATL-T01").is_empty());
        assert!(shop("HTTP").zone("web", "somewhere").subjects("ATL-T01").is_empty(), "an unknown zone is no other zone");
    }

    #[test]
    fn between_inner_zones_it_weighs_less_and_a_contradiction_is_less_sure() {
        let inner = shop("HTTP").zone("user", "internal").zone("web", "management");
        assert_eq!(inner.found("ATL-T01")[0].severity, Severity::Medium);
        assert_eq!(shop("HTTP").found("ATL-T01")[0].severity, Severity::High);
        let claimed = shop("HTTP").edge_data("visit", json!({"encryption": "TLS 1.3"}));
        assert_eq!(claimed.found("ATL-T01")[0].confidence, 0.6);
    }
}
