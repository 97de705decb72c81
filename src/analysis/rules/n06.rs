//! ATL-N06: a store shares its segment with something that strangers talk to.

use std::collections::BTreeMap;

use crate::analysis::context::Context;
use crate::analysis::model::{Node, Zone};
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N06",
    title: "Datastore shares a segment with an exposed node",
    severity: Severity::Medium,
    stride: &[ElevationOfPrivilege],
    cwe: &[653],
    why: "What strangers talk to is what they take over first. From there the store lies in the same network segment, so every port of it can be tried without crossing another filter.",
    remediation: "Give data its own subnets without a route to or from the internet, and let only the application tier in, by security group and port. What is exposed moves to a subnet of the edge.",
    references: &[
        Reference { name: "CWE-653", url: Some("https://cwe.mitre.org/data/definitions/653.html") },
        Reference { name: "Threagile: missing-network-segmentation", url: None },
    ],
    check,
};

/// The innermost container; where nothing contains a node, its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Container(usize),
    Zone(Zone),
}

impl Segment {
    fn of(node: &Node<'_>) -> Option<Self> {
        node.container.map(Self::Container).or_else(|| node.zone.map(Self::Zone))
    }
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    // Of each segment the first exposed nodes: two, since a store may be one of them.
    let mut exposed: BTreeMap<Segment, Vec<usize>> = BTreeMap::new();
    for (at, node) in context.nodes() {
        if let Some(segment) = Segment::of(node)
            // Filters run nobody's code: they are no foothold.
            && !exposure::is_filter(node)
            && exposure::is_exposed(context, at)
        {
            let known = exposed.entry(segment).or_default();
            if known.len() < 2 {
                known.push(at);
            }
        }
    }
    for (at, node) in context.nodes() {
        let neighbours = Segment::of(node).and_then(|segment| Some((segment, exposed.get(&segment)?)));
        let Some((segment, neighbours)) = neighbours.filter(|_| node.kind.is_store()) else { continue };
        let Some(other) = neighbours.iter().copied().find(|other| *other != at) else { continue };
        let mut finding = Finding::new(&RULE, [At::Node(at)]).also([At::Node(other)]);
        match segment {
            Segment::Container(container) => {
                let says = "is the innermost container of both";
                finding = finding.also([At::Node(container)]).because([exposure::type_evidence(
                    context, container, says,
                )]);
            }
            Segment::Zone(_) => {
                finding = finding.because([context.zone_evidence(at), context.zone_evidence(other)]);
            }
        }
        findings.push(finding.because(exposure::exposure_evidence(context, other)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn flat() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "internal")
            .node("db", "database", "internal")
            .edge("visit", "user", "web", json!({"protocol": "HTTPS"}))
    }

    /// Both in one network of their own.
    fn contained() -> Drawing {
        flat()
            .container("net", "vpc-vnet", "internal", [0, 0, 1_000, 500])
            .at("web", 100, 100)
            .at("db", 500, 100)
    }

    #[test]
    fn a_store_in_the_zone_of_something_exposed_is_found() {
        flat().assert_steady("ATL-N06", &["db"]);
        assert_eq!(flat().subjects("ATL-N06"), [["db", "web"]]);
        let public =
            flat().without("visit").node_data("web", json!({"securityFlags": {"directInternetAccess": true}}));
        public.assert_steady("ATL-N06", &["db"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        flat().without("visit").assert_steady("ATL-N06", &[]);
        flat().zone("db", "data").assert_steady("ATL-N06", &[]);
        flat().zone("user", "management").assert_steady("ATL-N06", &[]);
        flat().zone("db", "somewhere").zone("web", "somewhere").assert_steady("ATL-N06", &[]);
        flat().node_data("db", json!({"type": "app-server"})).assert_steady("ATL-N06", &[]);
        flat().node_data("web", json!({"type": "firewall"})).assert_steady("ATL-N06", &[]);
    }

    #[test]
    fn containers_say_more_than_zones() {
        contained().assert_steady("ATL-N06", &["db"]);
        contained().at("db", 700, 300).assert_steady("ATL-N06", &["db"]);
        // Outside, or in a subnet of its own.
        contained().at("db", 5_000, 100).assert_steady("ATL-N06", &[]);
        let split = contained().container("data-net", "subnet", "data", [450, 50, 400, 300]);
        split.assert_steady("ATL-N06", &[]);
        // Another zone does not help inside one container.
        contained().zone("db", "data").assert_steady("ATL-N06", &["db"]);
    }

    #[test]
    fn a_store_is_not_its_own_neighbour() {
        let open = flat().without("visit").edge("query", "user", "db", json!({}));
        open.assert_steady("ATL-N06", &[]);
        let both = flat().edge("query", "user", "db", json!({}));
        both.assert_steady("ATL-N06", &["db"]);
        assert_eq!(both.subjects("ATL-N06"), [["db", "web"]]);
    }
}
