//! ATL-M05: kinds, zones and protocols that are not said, or in words that no table knows.

use atlas_crdt::view::{judged_label, node_type};

use crate::analysis::context::Context;
use crate::analysis::model::Kind;
use crate::analysis::normaliser;
use crate::analysis::rule::{At, Evidence, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-M05",
    title: "The analysis does not know what this is",
    severity: Severity::Info,
    stride: &[],
    cwe: &[1059],
    why: "What this element is, in which zone it stands or what it speaks is not said, or in words that fit nothing known. Rules that need to know it stay silent here, so the score says less than it could.",
    remediation: "Choose a type from the palette, a zone such as external, dmz, app, data or management, and a protocol by its usual name.",
    references: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        let mut evidence = Vec::new();
        let mut odd = |key: &str, value: &str, says: &str| {
            evidence.push(Evidence {
                at: At::Node(at),
                key: key.to_owned(),
                value: value.to_owned(),
                says: says.to_owned(),
            });
        };
        if node.kind == Kind::Unknown {
            odd("data.type", node_type(node.element).unwrap_or_default(), "unknown kind");
            if let Some(label) = judged_label(node.element).and_then(serde_json::Value::as_str) {
                odd("data.label", label, "tells no kind");
            }
        }
        if node.zone.is_none() && node.kind != Kind::Boundary {
            odd("data.zone", &normaliser::zone_words(node), "unknown zone");
        }
        if !evidence.is_empty() {
            findings.push(Finding::new(&RULE, [At::Node(at)]).because(evidence));
        }
    }
    for (at, edge, ..) in context.edges() {
        if edge.protocol.is_none() && !edge.is_any {
            let value = normaliser::odd_protocol(edge).unwrap_or_default();
            let evidence = Evidence {
                at: At::Edge(at),
                key: "data.protocol".to_owned(),
                value,
                says: "unknown protocol".to_owned(),
            };
            findings.push(Finding::new(&RULE, [At::Edge(at)]).because([evidence]));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn about(node: Value, edge: Value) -> Vec<String> {
        let shop = Drawing::new().node("web", "web-server", "dmz").node_with("db", "database", "data", node);
        shop.edge("query", "web", "db", edge).about("ATL-M05")
    }

    #[test]
    fn words_that_no_table_knows_are_found() {
        let fine = json!({"protocol": "PostgreSQL"});
        assert!(about(json!({}), fine.clone()).is_empty());
        assert_eq!(about(json!({"type": "gizmo", "label": "Flux"}), fine.clone()), ["db"]);
        assert_eq!(about(json!({"zone": "Wonderland"}), fine), ["db"]);
        assert_eq!(about(json!({}), json!({"protocol": "Frobnicate"})), ["query"]);
        let both = about(json!({"type": "gizmo", "label": "Flux", "zone": "Wonderland"}), json!({"protocol": "Frob"}));
        assert_eq!(both, ["db", "query"], "one finding for each element");
    }

    #[test]
    fn what_is_not_said_at_all_is_found_too() {
        assert_eq!(about(json!({"zone": null}), json!({})), ["db", "query"]);
        assert_eq!(about(json!({"zone": "Cloud"}), json!({"protocol": "Various"})), ["db", "query"]);
    }

    #[test]
    fn what_is_said_elsewhere_is_no_riddle() {
        assert!(about(json!({}), json!({"protocol": "ANY"})).is_empty());
        assert!(about(json!({"type": "gizmo", "label": "PostgreSQL"}), json!({"protocol": "ANY"})).is_empty());
        assert!(about(json!({}), json!({"protocol": "Frobnicate", "port": 5432})).is_empty(), "the port says it");
    }
}
