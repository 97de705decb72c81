//! ATL-N02: the presentation tier talks to a datastore itself.

use crate::analysis::context::Context;
use crate::analysis::model::{Kind, Node, Zone};
use crate::analysis::rule::Stride::{ElevationOfPrivilege, Tampering};
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N02",
    title: "Presentation tier talks to a datastore directly",
    severity: Severity::High,
    stride: &[Tampering, ElevationOfPrivilege],
    cwe: &[501],
    why: "The part that strangers attack first holds the credentials of the data and speaks its query language. Whoever takes over the front end, or injects into it, has the whole store, with no tier between that could refuse.",
    remediation: "Put an application tier or an API in a private subnet between them, give only that tier credentials and a route to the store, and let the front end ask for business operations instead of rows.",
    references: &[
        Reference { name: "CWE-501", url: Some("https://cwe.mitre.org/data/definitions/501.html") },
        Reference { name: "Threagile: unguarded-direct-datastore-access", url: None },
    ],
    check,
};

/// What of the presentation tier may not talk to which store, and how sure it is that it belongs to that tier.
fn judge(source: &Node<'_>, target: &Node<'_>) -> Option<Confidence> {
    let is_records = matches!(target.kind, Kind::Database | Kind::Cache | Kind::Queue);
    match source.kind {
        // A server of pages far inside is the application tier itself.
        Kind::Web if is_records => match source.zone {
            Some(Zone::Edge) => Some(Confidence::SURE),
            None => Some(Confidence::LIKELY),
            Some(_) => None,
        },
        // A program on a desk. That of an administrator stands in the management.
        Kind::Client if is_records && source.zone != Some(Zone::Management) => Some(Confidence::SURE),
        // In front of caches and queues these are usual.
        Kind::Cdn | Kind::Waf | Kind::LoadBalancer | Kind::Gateway
            if target.kind == Kind::Database && source.zone == Some(Zone::Edge) =>
        {
            Some(Confidence::SURE)
        }
        _ => None,
    }
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        // ATL-N01 speaks about edges from the untrusted zone.
        if source.is_untrusted() || target.is_untrusted() {
            continue;
        }
        let back = if edge.is_both_ways { judge(target, source) } else { None };
        let Some((confidence, front, store)) = judge(source, target)
            .map(|confidence| (confidence, edge.source, edge.target))
            .or_else(|| back.map(|confidence| (confidence, edge.target, edge.source)))
        else {
            continue;
        };
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .also([At::Node(store)])
                .confidence(confidence)
                .because([
                    exposure::type_evidence(context, front, "belongs to the presentation tier"),
                    context.zone_evidence(front),
                    exposure::type_evidence(context, store, "is a datastore"),
                ]),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn two_tiers() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .node("db", "database", "data")
            .edge("visit", "user", "web", json!({"protocol": "HTTPS"}))
            .edge("query", "web", "db", json!({"protocol": "MySQL"}))
    }

    #[test]
    fn a_front_end_with_a_database_is_found() {
        two_tiers().assert_steady("ATL-N02", &["query"]);
        two_tiers().node_data("db", json!({"type": "cache"})).assert_steady("ATL-N02", &["query"]);
        let balanced = two_tiers().node_data("web", json!({"type": "load-balancer-global"}));
        balanced.assert_steady("ATL-N02", &["query"]);
        let desk = two_tiers().node_data("web", json!({"type": "web-browser"})).zone("web", "internal");
        desk.assert_steady("ATL-N02", &["query"]);
    }

    #[test]
    fn an_application_tier_between_them_is_right() {
        let three = two_tiers()
            .without("query")
            .node("app", "app-server", "internal")
            .edge("call", "web", "app", json!({"protocol": "HTTPS"}))
            .edge("query", "app", "db", json!({"protocol": "MySQL"}));
        three.assert_steady("ATL-N02", &[]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        two_tiers().node_data("web", json!({"type": "app-server"})).assert_steady("ATL-N02", &[]);
        two_tiers().zone("web", "private").assert_steady("ATL-N02", &[]);
        two_tiers().node_data("db", json!({"type": "object-storage"})).assert_steady("ATL-N02", &[]);
        two_tiers().node_data("db", json!({"type": "microservice"})).assert_steady("ATL-N02", &[]);
        let back = two_tiers().without("query").edge("push", "db", "web", json!({}));
        back.assert_steady("ATL-N02", &[]);
        back.edge_data("push", json!({"bidirectional": true})).assert_steady("ATL-N02", &["push"]);
    }

    #[test]
    fn an_edge_of_strangers_is_another_rules() {
        let direct = two_tiers().edge("direct", "user", "db", json!({}));
        direct.assert_steady("ATL-N02", &["query"]);
        direct.assert_steady("ATL-N01", &["db"]);
    }

    #[test]
    fn without_a_zone_it_is_less_sure() {
        let somewhere = two_tiers().zone("web", "somewhere");
        somewhere.assert_steady("ATL-N02", &["query"]);
        assert_eq!(somewhere.found("ATL-N02")[0].confidence, 0.7);
        assert_eq!(two_tiers().found("ATL-N02")[0].confidence, 1.0);
    }
}
