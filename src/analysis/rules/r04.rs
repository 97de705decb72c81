//! ATL-R04: services that wait for each other in a circle, and services that everything hangs on.

use crate::analysis::context::Context;
use crate::analysis::model::{Edge, Kind, Node};
use crate::analysis::rule::Stride::DenialOfService;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};
use crate::analysis::tables::protocols::Family;
use crate::analysis::tables::weights::HUB_DEGREE;

use super::exposure;
use super::seen::SHOWN_MAX;

pub(super) const RULE: Rule = Rule {
    id: "ATL-R04",
    title: "Services call each other in a circle, or hang on one hub",
    severity: Severity::Low,
    stride: &[DenialOfService],
    cwe: &[],
    why: "In a circle of calls each service waits for the next, so one that is slow stops all of them, and none can be started or changed alone. A hub with very many neighbours does the same to everybody around it.",
    remediation: "Break the circle at its least urgent call: publish an event to a queue instead of waiting for an answer. Split a hub along what its neighbours want from it, and give every call a timeout, a circuit breaker and a limit on concurrent requests.",
    references: &[Reference {
        name: "Nygard, Release It!: integration points and cascading failures",
        url: None,
    }],
    check,
};

/// Waits for answers of others.
fn is_caller(node: &Node<'_>) -> bool {
    node.kind.is_compute() || matches!(node.kind, Kind::Gateway | Kind::Identity | Kind::Unknown)
}

/// A caller, or something over which callers reach each other.
fn may_turn(node: &Node<'_>) -> bool {
    let is_passing = matches!(node.kind, Kind::LoadBalancer | Kind::Waf | Kind::Firewall);
    !node.is_untrusted() && (is_caller(node) || is_passing)
}

/// Somebody waits at its start.
fn is_awaited(edge: &Edge<'_>) -> bool {
    !matches!(exposure::family(edge), Some(Family::Queue | Family::Monitoring | Family::Tunnel))
}

/// Said to have many neighbours for a reason.
fn may_be_hub(node: &Node<'_>) -> bool {
    node.kind.is_workload() || matches!(node.kind, Kind::Gateway | Kind::Unknown)
}

/// Every node of a well watched and guarded design has these as neighbours.
fn is_counted(node: &Node<'_>) -> bool {
    !matches!(node.kind, Kind::Monitor | Kind::Secret | Kind::Waf | Kind::Boundary)
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    circles(context, findings);
    hubs(context, findings);
}

fn circles(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let (nodes, edges) = (&context.model.nodes, &context.model.edges);
    let cycles = context.graph.cycles(|edge, from, to| {
        // An edge that is drawn once and goes both ways is no circle.
        edges[edge].target == to && is_awaited(&edges[edge]) && may_turn(&nodes[from]) && may_turn(&nodes[to])
    });
    let mut circle_of = vec![usize::MAX; nodes.len()];
    let mut drawn: Vec<Vec<usize>> = vec![Vec::new(); cycles.len()];
    for (number, members) in cycles.iter().enumerate() {
        for member in members {
            circle_of[*member] = number;
        }
    }
    for (at, edge) in edges.iter().enumerate() {
        let number = circle_of[edge.source];
        if number != usize::MAX && number == circle_of[edge.target] && is_awaited(edge) {
            drawn[number].push(at);
        }
    }
    for (members, drawn) in cycles.iter().zip(drawn) {
        let (callers, passed): (Vec<usize>, Vec<usize>) =
            members.iter().partition(|member| is_caller(&nodes[**member]));
        if callers.len() < 2 {
            continue;
        }
        let evidence = drawn.iter().take(SHOWN_MAX).map(|edge| {
            exposure::protocol_evidence(context, *edge, "is a call within the circle, answered before it goes on")
        });
        findings.push(
            Finding::new(&RULE, callers.into_iter().map(At::Node))
                .also(passed.into_iter().map(At::Node))
                .also(drawn.iter().map(|edge| At::Edge(*edge)))
                .because(evidence),
        );
    }
}

fn hubs(context: &Context<'_>, findings: &mut Vec<Finding>) {
    // The last node that each was counted as a neighbour of.
    let mut counted_for = vec![usize::MAX; context.model.nodes.len()];
    for (at, node) in context.nodes() {
        if !may_be_hub(node) {
            continue;
        }
        let mut degree = 0;
        for (_, other) in context.graph.out[at].iter().chain(&context.graph.into[at]) {
            let is_new = std::mem::replace(&mut counted_for[*other], at) != at;
            if is_new && *other != at && is_counted(&context.model.nodes[*other]) {
                degree += 1;
            }
        }
        if HUB_DEGREE < degree {
            findings.push(Finding::new(&RULE, [At::Node(at)]).because([exposure::computed(
                At::Node(at),
                "neighbours",
                degree.to_string(),
                "are joined to it by edges",
            )]));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn circle() -> Drawing {
        Drawing::new()
            .node("a", "microservice", "internal")
            .node("b", "microservice", "internal")
            .node("c", "api-gateway", "internal")
            .node("d", "microservice", "internal")
            .edge("ab", "a", "b", json!({"protocol": "gRPC"}))
            .edge("bc", "b", "c", json!({"protocol": "HTTPS"}))
            .edge("ca", "c", "a", json!({}))
            .edge("ad", "a", "d", json!({}))
    }

    #[test]
    fn a_circle_of_calls_is_one_finding_about_its_nodes() {
        circle().assert_steady("ATL-R04", &["a"]);
        assert_eq!(circle().subjects("ATL-R04"), [["a", "b", "c", "ab", "bc", "ca"]]);
        let fingerprint = |drawing: &Drawing| drawing.found("ATL-R04")[0].fingerprint.clone();
        let more = circle().edge("ba", "b", "a", json!({}));
        assert_eq!(fingerprint(&more), fingerprint(&circle()), "it is about the nodes");
        assert_ne!(fingerprint(&circle().edge("da", "d", "a", json!({}))), fingerprint(&circle()));
    }

    #[test]
    fn each_of_these_changes_breaks_it() {
        circle().without("ca").assert_steady("ATL-R04", &[]);
        circle().edge_data("bc", json!({"protocol": "Kafka"})).assert_steady("ATL-R04", &[]);
        for kind in ["message-queue", "database", "monitoring", "web-browser"] {
            circle().node_data("b", json!({"type": kind})).assert_steady("ATL-R04", &[]);
        }
        circle().zone("b", "external").assert_steady("ATL-R04", &[]);
        let both = circle().without("ca").edge_data("ab", json!({"bidirectional": true}));
        both.assert_steady("ATL-R04", &[]);
    }

    #[test]
    fn a_load_balancer_belongs_to_a_circle_but_is_not_what_it_is_about() {
        let spread = circle().node_data("c", json!({"type": "load-balancer-internal"}));
        assert_eq!(spread.subjects("ATL-R04"), [["a", "b", "c", "ab", "bc", "ca"]]);
        let alone = spread.node_data("b", json!({"type": "load-balancer-internal"}));
        alone.assert_steady("ATL-R04", &[]);
    }

    fn hub(kind: &str, neighbours: usize, neighbour: &str) -> Drawing {
        (0..neighbours).fold(Drawing::new().node("hub", kind, "internal"), |drawing, number| {
            let (node, edge) = (format!("n{number}"), format!("e{number}"));
            drawing.node(&node, neighbour, "internal").edge(&edge, &node, "hub", json!({}))
        })
    }

    #[test]
    fn more_than_ten_neighbours_make_a_hub() {
        for kind in ["app-server", "database", "message-queue", "api-gateway"] {
            hub(kind, 11, "microservice").assert_steady("ATL-R04", &["hub"]);
            hub(kind, 10, "microservice").assert_steady("ATL-R04", &[]);
        }
        let twice = hub("app-server", 10, "microservice").edge("again", "n0", "hub", json!({}));
        twice.assert_steady("ATL-R04", &[]);
        hub("app-server", 11, "monitoring").assert_steady("ATL-R04", &[]);
        for kind in ["monitoring", "secrets-manager", "load-balancer-internal"] {
            hub(kind, 30, "microservice").assert_steady("ATL-R04", &[]);
        }
    }
}
