//! ATL-M07: one name for two things, and edges that lead nowhere else.

use std::collections::BTreeMap;

use crate::analysis::context::Context;
use crate::analysis::rule::{At, Evidence, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-M07",
    title: "Two elements with one id, or a connection to itself",
    severity: Severity::Low,
    stride: &[],
    cwe: &[1059],
    why: "An id that two elements share makes every reference to it ambiguous, and a connection from a component to itself says nothing about how data flows. Both come from copies and imports that went wrong.",
    remediation: "Give each element an id of its own. Remove the connection, or draw the second instance that it really leads to.",
    references: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        if edge.source == edge.target {
            let evidence = Evidence {
                at: At::Edge(at),
                key: "target".to_owned(),
                value: context.model.nodes[edge.target].id().to_owned(),
                says: "is the source too".to_owned(),
            };
            findings.push(Finding::new(&RULE, [At::Edge(at)]).because([evidence]));
        }
    }
    let nodes = context.nodes().map(|(at, node)| (node.id(), At::Node(at)));
    let edges = context.edges().map(|(at, edge, ..)| (edge.id(), At::Edge(at)));
    let mut by_id: BTreeMap<&str, Vec<At>> = BTreeMap::new();
    for (id, at) in nodes.chain(edges) {
        by_id.entry(id).or_default().push(at);
    }
    for (id, all) in by_id {
        if let [first, others @ ..] = all.as_slice()
            && !others.is_empty()
        {
            let evidence = Evidence {
                at: *first,
                key: "id".to_owned(),
                value: id.to_owned(),
                says: format!("the id of {} elements", all.len()),
            };
            findings.push(Finding::new(&RULE, [*first]).also(others.to_vec()).because([evidence]));
        }
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
            .edge("query", "web", "db", json!({"protocol": "PostgreSQL"}))
    }

    #[test]
    fn an_edge_to_itself_is_found() {
        assert!(shop().about("ATL-M07").is_empty());
        let turned = shop().edge("loop", "web", "web", json!({"protocol": "HTTPS"}));
        assert_eq!(turned.subjects("ATL-M07"), [["loop"]]);
        assert!(turned.without("loop").about("ATL-M07").is_empty());
        assert!(shop().edge("back", "db", "web", json!({})).about("ATL-M07").is_empty());
    }

    #[test]
    fn an_id_that_two_elements_share_is_found() {
        assert_eq!(shop().edge("web", "db", "web", json!({})).about("ATL-M07"), ["web"]);
        assert_eq!(shop().node("db", "database", "data").about("ATL-M07"), ["db"]);
        assert!(shop().edge("other", "web", "db", json!({})).about("ATL-M07").is_empty(), "two ways to talk");
    }

    #[test]
    fn what_the_edge_says_does_not_matter() {
        let turned = shop().edge("loop", "web", "web", json!({"protocol": "HTTPS"}));
        for same in [json!({"protocol": "HTTP"}), json!({"encryption": "TLS"}), json!({"protocol": null})] {
            assert_eq!(turned.clone().edge_data("loop", same).about("ATL-M07"), ["loop"]);
        }
    }
}
