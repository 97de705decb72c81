//! ATL-M04: a component that nothing is connected to.

use crate::analysis::context::Context;
use crate::analysis::model::Kind;
use crate::analysis::rule::{At, Evidence, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-M04",
    title: "A component without connections",
    severity: Severity::Info,
    stride: &[],
    cwe: &[1059],
    why: "Nothing leads to this component and nothing comes from it, so what it protects, stores or serves cannot be judged. A firewall that stands beside the traffic filters none of it.",
    remediation: "Connect the component to what uses it. Put filters such as firewalls and WAFs into the way of the traffic; remove what is no part of the design.",
    references: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let mut is_connected = vec![false; context.model.nodes.len()];
    for edge in &context.model.edges {
        is_connected[edge.source] = true;
        is_connected[edge.target] = true;
    }
    // An edge into the air shows at least that its other end is used.
    for edge in &context.model.dangling {
        for end in ["source", "target"] {
            let id = edge.element.body.get(end).and_then(serde_json::Value::as_str);
            if let Some(at) = id.and_then(|id| context.model.place(id)) {
                is_connected[at] = true;
            }
        }
    }
    for (at, node) in context.nodes() {
        if !is_connected[at] && node.kind != Kind::Boundary {
            let evidence = Evidence {
                at: At::Node(at),
                key: "connections".to_owned(),
                value: "0".to_owned(),
                says: "stands alone".to_owned(),
            };
            findings.push(Finding::new(&RULE, [At::Node(at)]).because([evidence]));
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
    fn a_node_without_edges_is_found() {
        assert!(shop().about("ATL-M04").is_empty());
        assert_eq!(shop().node("ids", "ids-ips", "security").about("ATL-M04"), ["ids"]);
        assert_eq!(shop().without("query").about("ATL-M04"), ["db", "web"]);
    }

    #[test]
    fn any_edge_connects_and_containers_need_none() {
        let shop = shop().node("ids", "ids-ips", "security");
        assert!(shop.clone().edge("tap", "db", "ids", json!({})).about("ATL-M04").is_empty());
        assert!(shop.clone().edge("alert", "ids", "pager", json!({})).about("ATL-M04").is_empty(), "into the air");
        assert!(shop.node_data("ids", json!({"type": "vpc-vnet"})).about("ATL-M04").is_empty());
    }

    #[test]
    fn words_and_places_do_not_matter() {
        let alone = shop().node("ids", "ids-ips", "security");
        for same in [alone.clone().at("ids", 3, 4), alone.clone().zone("ids", ""), alone.node_data("ids", json!({"label": "x"}))] {
            assert_eq!(same.about("ATL-M04"), ["ids"]);
        }
    }
}
