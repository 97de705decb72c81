//! ATL-M01: an edge whose end is gone.

use crate::analysis::context::Context;
use crate::analysis::rule::{At, Evidence, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-M01",
    title: "A connection leads to nothing",
    severity: Severity::Low,
    stride: &[],
    cwe: &[1059],
    why: "One end of this connection is no component of the design, so no rule can judge what goes over it and no reader knows who is meant. Often the component was deleted, or stands in another drawing.",
    remediation: "Draw the missing component, outside systems such as a pager or a partner included, and connect the edge to it; or remove the edge.",
    references: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge) in context.model.dangling.iter().enumerate() {
        let at = At::Dangling(at);
        let evidence = ["source", "target"].into_iter().filter_map(|key| {
            let end = edge.element.body.get(key)?.as_str()?;
            edge.missing.iter().any(|missing| missing == end).then(|| Evidence {
                at,
                key: key.to_owned(),
                value: end.to_owned(),
                says: "no such component".to_owned(),
            })
        });
        findings.push(Finding::new(&RULE, [at]).because(evidence));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shop() -> Drawing {
        Drawing::new()
            .node("web", "web-server", "dmz")
            .node("db", "database", "data")
            .edge("query", "web", "db", json!({"protocol": "PostgreSQL", "encryption": "TLS"}))
    }

    #[test]
    fn an_edge_to_nowhere_is_found_and_comes_back_with_its_node() {
        let found = shop().edge("alert", "web", "pager", json!({"protocol": "HTTPS"})).found("ATL-M01");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].elements, ["alert"]);
        let evidence = &found[0].evidence[0];
        assert_eq!((evidence.key.as_str(), evidence.value.as_str()), ("target", "pager"));
        let drawn = shop().node("pager", "saas", "external").edge("alert", "web", "pager", json!({"protocol": "HTTPS"}));
        assert!(drawn.found("ATL-M01").is_empty());
    }

    #[test]
    fn a_deleted_node_leaves_its_edges_in_the_air() {
        assert!(shop().found("ATL-M01").is_empty());
        assert_eq!(shop().without("db").about("ATL-M01"), ["query"]);
        assert!(shop().without("db").without("query").found("ATL-M01").is_empty());
    }

    #[test]
    fn what_the_edge_carries_does_not_matter() {
        let dangling = shop().without("db");
        for data in [json!({"protocol": null}), json!({"encryption": "None"}), json!({"label": "Orders"})] {
            assert_eq!(dangling.clone().edge_data("query", data).about("ATL-M01"), ["query"]);
        }
    }
}
