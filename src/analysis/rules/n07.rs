//! ATL-N07: everything stands in one segment.

use crate::analysis::context::Context;
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};
use crate::analysis::tables::weights::WORKLOADS_MANY;

use super::seen::{MARKED_MAX, SHOWN_MAX};

pub(super) const RULE: Rule = Rule {
    id: "ATL-N07",
    title: "No network segmentation",
    severity: Severity::Medium,
    stride: &[ElevationOfPrivilege],
    cwe: &[653],
    why: "All workloads stand in one zone, with no network or subnet drawn around any of them. Whoever takes over the weakest of them meets no further border on the way to the most valuable.",
    remediation: "Draw the tiers as networks: a subnet for the edge, one for applications, one for data, each with security groups that name who may talk to whom. In Kubernetes start from a network policy that denies everything.",
    references: &[
        Reference { name: "CWE-653", url: Some("https://cwe.mitre.org/data/definitions/653.html") },
        Reference { name: "Threagile: missing-network-segmentation", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let workloads: Vec<_> = context.nodes().filter(|(_, node)| node.kind.is_workload()).collect();
    let Some((_, node)) = workloads.first().copied() else { return };
    let is_flat = node.zone.is_some()
        && workloads.iter().all(|(_, other)| other.zone == node.zone && other.container.is_none());
    if !is_flat || workloads.len() < WORKLOADS_MANY {
        return;
    }
    let marked = workloads.iter().take(MARKED_MAX).map(|(at, _)| At::Node(*at));
    let shown = workloads.iter().take(SHOWN_MAX).map(|(at, _)| context.zone_evidence(*at));
    findings.push(Finding::new(&RULE, []).also(marked).because(shown));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn flat(workloads: usize) -> Drawing {
        let kinds = ["web-server", "app-server", "database", "cache", "kubernetes-cluster"];
        (0..workloads).fold(Drawing::new(), |drawing, number| {
            drawing.node(&format!("w{number}"), kinds[number % kinds.len()], "internal")
        })
    }

    #[test]
    fn five_workloads_in_one_zone_are_found() {
        flat(5).assert_count("ATL-N07", 1);
        flat(9).assert_count("ATL-N07", 1);
        assert_eq!(flat(5).found("ATL-N07")[0].elements.len(), 5);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        flat(4).assert_count("ATL-N07", 0);
        flat(5).zone("w2", "data").assert_count("ATL-N07", 0);
        flat(5).zone("w2", "somewhere").assert_count("ATL-N07", 0);
        flat(5).node_data("w2", json!({"type": "firewall"})).assert_count("ATL-N07", 0);
        let drawn = flat(5).container("net", "subnet", "internal", [0, 0, 500, 500]);
        drawn.clone().assert_count("ATL-N07", 1);
        drawn.at("w2", 100, 100).assert_count("ATL-N07", 0);
    }

    #[test]
    fn what_is_no_workload_does_not_matter() {
        let more = flat(5).node("user", "web-browser", "external").node("logs", "monitoring", "management");
        more.assert_count("ATL-N07", 1);
    }
}
