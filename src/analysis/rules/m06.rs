//! ATL-M06: a component that says another zone than the container it stands in.

use crate::analysis::context::Context;
use crate::analysis::model::{Kind, Zone};
use crate::analysis::normaliser;
use crate::analysis::rule::{At, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-M06",
    title: "A component stands in a container of another zone",
    severity: Severity::Low,
    stride: &[],
    cwe: &[1059],
    why: "The component says one zone and lies inside a network that says another. Whoever builds from the drawing puts it where it does not belong, and rules about boundaries judge it by what it says.",
    remediation: "Move the component into the network of its zone, or correct the zone of either.",
    references: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        // Networks stand in networks: a VPC holds subnets of all zones.
        if node.kind == Kind::Boundary {
            continue;
        }
        let Some(own) = normaliser::own_zone(node) else { continue };
        let Some((container, zone)) = zone_around(context, at) else { continue };
        if own != zone {
            findings.push(
                Finding::new(&RULE, [At::Node(at)])
                    .also([At::Node(container)])
                    .because([context.zone_evidence(at), context.zone_evidence(container)]),
            );
        }
    }
}

/// The container whose zone holds for what lies in it: the innermost that says one.
fn zone_around(context: &Context<'_>, at: usize) -> Option<(usize, Zone)> {
    let nodes = &context.model.nodes;
    normaliser::containers_of(nodes, at)
        .find_map(|container| Some((container, normaliser::own_zone(&nodes[container])?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    /// A database in a subnet in a VPC.
    fn shop(database: &str, subnet: &str, vpc: &str) -> Drawing {
        Drawing::new()
            .container("vpc", "vpc-vnet", vpc, [0, 0, 1_000, 1_000])
            .container("subnet", "subnet", subnet, [100, 100, 400, 400])
            .node("db", "database", database)
            .at("db", 200, 200)
    }

    #[test]
    fn another_zone_than_that_of_the_container_is_found() {
        assert_eq!(shop("data", "dmz", "").subjects("ATL-M06"), [["db", "subnet"]]);
        assert_eq!(shop("data", "", "dmz").subjects("ATL-M06"), [["db", "vpc"]]);
    }

    #[test]
    fn one_zone_or_silence_is_no_conflict() {
        assert!(shop("data", "Data Tier", "dmz").subjects("ATL-M06").is_empty(), "the innermost counts");
        assert!(shop("", "dmz", "app").subjects("ATL-M06").is_empty());
        assert!(shop("data", "", "Cloud").subjects("ATL-M06").is_empty());
        assert!(shop("data", "dmz", "").at("db", 5_000, 0).subjects("ATL-M06").is_empty(), "outside");
    }

    #[test]
    fn where_it_lies_inside_does_not_matter() {
        let inside = shop("data", "dmz", "").at("db", 101, 333).node_data("db", json!({"label": "DMZ"}));
        assert_eq!(inside.subjects("ATL-M06"), [["db", "subnet"]]);
    }
}
