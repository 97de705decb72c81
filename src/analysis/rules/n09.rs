//! ATL-N09: an edge that skips a tier on its way inwards.

use crate::analysis::context::Context;
use crate::analysis::model::{Node, Zone};
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};
use crate::analysis::tables::weights::ZONE_STEP;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N09",
    title: "Connection skips a tier inwards",
    severity: Severity::High,
    stride: &[ElevationOfPrivilege],
    cwe: &[501],
    why: "Each tier exists to check what comes from the one before. This connection goes round one of them, so whatever that tier filters, authenticates or logs does not happen here, and the inner tier trusts callers that it was never meant to see.",
    remediation: "Lead it over the tier between: strangers end at the edge (load balancer, gateway, WAF), the edge calls applications, applications call data. Remove the route and the security group rule that allow the shortcut.",
    references: &[Reference { name: "CWE-501", url: Some("https://cwe.mitre.org/data/definitions/501.html") }],
    check,
};

/// How many levels inwards, if both are known. The management is no tier.
fn is_skip(from: &Node<'_>, to: &Node<'_>) -> bool {
    let (Some(outer), Some(inner)) = (from.zone, to.zone) else { return false };
    let is_tier = outer != Zone::Management && inner != Zone::Management;
    is_tier && !to.kind.is_store() && outer.level() + ZONE_STEP < inner.level()
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        if is_skip(source, target) || (edge.is_both_ways && is_skip(target, source)) {
            findings.push(
                Finding::new(&RULE, [At::Edge(at)])
                    .because([context.zone_evidence(edge.source), context.zone_evidence(edge.target)]),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn call(from: &str, to: &str) -> Drawing {
        Drawing::new()
            .node("a", "app-server", from)
            .node("b", "app-server", to)
            .edge("call", "a", "b", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn two_levels_inwards_are_found() {
        for (from, to) in [("external", "internal"), ("external", "data"), ("dmz", "data")] {
            call(from, to).assert_steady("ATL-N09", &["call"]);
        }
    }

    #[test]
    fn one_level_none_or_outwards_is_not() {
        for (from, to) in [
            ("external", "dmz"),
            ("dmz", "internal"),
            ("internal", "data"),
            ("data", "data"),
            ("data", "dmz"),
            ("somewhere", "data"),
            ("external", "somewhere"),
        ] {
            call(from, to).assert_steady("ATL-N09", &[]);
        }
    }

    #[test]
    fn the_management_and_stores_are_other_rules() {
        call("dmz", "management").assert_steady("ATL-N09", &[]);
        call("management", "data").assert_steady("ATL-N09", &[]);
        call("dmz", "data").node_data("b", json!({"type": "database"})).assert_steady("ATL-N09", &[]);
    }

    #[test]
    fn the_other_direction_counts_when_traffic_begins_there() {
        call("data", "dmz").edge_data("call", json!({"bidirectional": true})).assert_steady("ATL-N09", &["call"]);
        call("external", "internal").edge_data("call", json!({"port": 1234})).assert_steady("ATL-N09", &["call"]);
    }
}
