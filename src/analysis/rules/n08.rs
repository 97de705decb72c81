//! ATL-N08: a connection that lets everything through.

use crate::analysis::context::Context;
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N08",
    title: "Any protocol or any port is allowed",
    severity: Severity::High,
    stride: &[ElevationOfPrivilege],
    cwe: &[284],
    why: "A rule that allows everything is no rule: every service of the target can be tried, those that nobody thinks of included. It usually stays from a test, and it makes all other filtering on this way worthless.",
    remediation: "Write down which protocol and port the target needs and allow only these, from the source's security group or address range (no 0.0.0.0/0 with all ports). Turn on flow logs for a week to see what is really used.",
    references: &[
        Reference { name: "CWE-284", url: Some("https://cwe.mitre.org/data/definitions/284.html") },
        Reference { name: "checkov: VPCHasRestrictedSG", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        if !edge.is_any {
            continue;
        }
        let is_from_outside = source.is_untrusted() || (edge.is_both_ways && target.is_untrusted());
        let severity = if is_from_outside { Severity::Critical } else { Severity::High };
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .severity(severity)
                .because([exposure::protocol_evidence(context, at, "any protocol or any port")])
                .because(exposure::said_evidence(context, at, "port", "any protocol or any port"))
                .because([context.zone_evidence(edge.source)]),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::rule::Severity;
    use crate::analysis::testing::Drawing;

    fn open(from: &str) -> Drawing {
        Drawing::new()
            .node("a", "app-server", from)
            .node("b", "app-server", "internal")
            .edge("all", "a", "b", json!({"protocol": "ANY", "port": "ANY"}))
    }

    #[test]
    fn any_protocol_or_any_port_is_found() {
        open("dmz").assert_steady("ATL-N08", &["all"]);
        open("dmz").edge_data("all", json!({"port": 443})).assert_steady("ATL-N08", &["all"]);
        open("dmz").edge_data("all", json!({"protocol": "TCP", "port": "0-65535"})).assert_steady("ATL-N08", &["all"]);
    }

    #[test]
    fn from_outside_it_is_worse() {
        assert_eq!(open("dmz").found("ATL-N08")[0].severity, Severity::High);
        assert_eq!(open("external").found("ATL-N08")[0].severity, Severity::Critical);
        let out = open("dmz").zone("b", "external");
        assert_eq!(out.found("ATL-N08")[0].severity, Severity::High);
        let both = out.edge_data("all", json!({"bidirectional": true}));
        assert_eq!(both.found("ATL-N08")[0].severity, Severity::Critical);
    }

    #[test]
    fn a_known_protocol_and_port_or_silence_is_not() {
        open("external").edge_data("all", json!({"protocol": "HTTPS", "port": 443})).assert_steady("ATL-N08", &[]);
        open("external").edge_data("all", json!({"protocol": null, "port": null})).assert_steady("ATL-N08", &[]);
        open("external").edge_data("all", json!({"protocol": "Various", "port": null})).assert_steady("ATL-N08", &[]);
    }
}
