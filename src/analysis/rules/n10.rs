//! ATL-N10: the data tier talks out to strangers.

use crate::analysis::context::Context;
use crate::analysis::model::{Node, Zone};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N10",
    title: "Data tier sends to the untrusted zone",
    severity: Severity::High,
    stride: &[InformationDisclosure],
    cwe: &[201],
    why: "A datastore that may open connections to the internet is the straightest way out for everything it holds. Whoever gets code or a query to run in it sends the data wherever they like, and no tier sees it.",
    remediation: "Deny outgoing traffic from the data subnets: no NAT route, no public address, endpoints of the cloud (PrivateLink, Private Service Connect) for backups and updates. Exports go through an application with an allow-list and data loss prevention.",
    references: &[
        Reference { name: "CWE-201", url: Some("https://cwe.mitre.org/data/definitions/201.html") },
        Reference {
            name: "ATT&CK T1567 Exfiltration Over Web Service",
            url: Some("https://attack.mitre.org/techniques/T1567/"),
        },
    ],
    check,
};

/// Holds data, or stands where it is held.
pub(super) fn is_data_tier(node: &Node<'_>) -> bool {
    node.zone == Some(Zone::Data) || (node.kind.is_store() && !node.is_untrusted())
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        // What filters or delivers at the border is not where the data ends up.
        if !is_data_tier(source) || !target.is_untrusted() || target.kind.is_forwarder() {
            continue;
        }
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .also([At::Node(edge.source)])
                .because([
                    exposure::type_evidence(context, edge.source, "belongs to the data tier"),
                    context.zone_evidence(edge.source),
                    context.zone_evidence(edge.target),
                ]),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn export() -> Drawing {
        Drawing::new()
            .node("db", "database", "data")
            .node("partner", "app-server", "external")
            .edge("send", "db", "partner", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn data_that_leaves_straight_is_found() {
        export().assert_steady("ATL-N10", &["send"]);
        export().zone("db", "internal").assert_steady("ATL-N10", &["send"]);
        export().node_data("db", json!({"type": "app-server"})).assert_steady("ATL-N10", &["send"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        export().zone("partner", "dmz").assert_steady("ATL-N10", &[]);
        export().zone("partner", "somewhere").assert_steady("ATL-N10", &[]);
        export().zone("db", "external").assert_steady("ATL-N10", &[]);
        export().node_data("db", json!({"type": "app-server"})).zone("db", "internal").assert_steady("ATL-N10", &[]);
        export().node_data("partner", json!({"type": "edge-cdn"})).assert_steady("ATL-N10", &[]);
        let query = export().without("send").edge("query", "partner", "db", json!({}));
        query.assert_steady("ATL-N10", &[]);
    }

    #[test]
    fn over_an_application_it_is_filtered() {
        let led = export()
            .without("send")
            .node("app", "app-server", "internal")
            .edge("read", "app", "db", json!({}))
            .edge("send", "app", "partner", json!({}));
        led.assert_steady("ATL-N10", &[]);
    }
}
