//! ATL-L01: nobody would notice.

use serde_json::Value;

use crate::analysis::context::Context;
use crate::analysis::fix::{self, Fix};
use crate::analysis::model::{Kind, Node};
use crate::analysis::report;
use crate::analysis::rule::Stride::Repudiation;
use crate::analysis::rule::{At, Evidence, Finding, Reference, Rule, Severity};
use crate::analysis::tables::weights::WORKLOADS_SOME;

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-L01",
    title: "Critical components that nothing monitors",
    severity: Severity::Medium,
    stride: &[Repudiation],
    cwe: &[778],
    why: "Entry points, stores and vaults are where attacks begin and end, and here their logs lead nowhere. Breaches are then found by strangers, months later, and nobody can say any more what was taken.",
    remediation: "Send their logs and metrics to one place that they cannot change: CloudWatch and CloudTrail, Azure Monitor with Sentinel, Cloud Logging, or a SIEM of your own. Alert on sign-ins, denied access and unusual reads, and keep the logs a year.",
    references: &[
        Reference { name: "CWE-778", url: Some("https://cwe.mitre.org/data/definitions/778.html") },
        Reference {
            name: "OWASP Top 10 A09:2021",
            url: Some("https://owasp.org/Top10/A09_2021-Security_Logging_and_Monitoring_Failures/"),
        },
    ],
    check,
};

/// Unwatched nodes up to which one press of a button connects all of them.
const EDGES_MAX: usize = 200;

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    if context.nodes().filter(|(_, node)| node.kind.is_workload()).count() < WORKLOADS_SOME {
        return;
    }
    let (unwatched, watched) = critical(context);
    // Where some are watched, the lines of the others may merely not be drawn.
    if unwatched.is_empty() || !watched.is_empty() {
        return;
    }
    findings.push(
        Finding::new(&RULE, [])
            .also(unwatched.iter().take(seen::MARKED_MAX).map(|at| At::Node(*at)))
            .because(unwatched.iter().take(seen::SHOWN_MAX).map(|at| unseen(context, *at)))
            .fix(add_monitoring(context, &unwatched)),
    );
}

/// The critical nodes that nothing monitors, and those that something does.
pub(super) fn critical(context: &Context<'_>) -> (Vec<usize>, Vec<usize>) {
    let watched = watched(context);
    let critical = context.nodes().filter(|(at, node)| is_critical(context, *at, node)).map(|(at, _)| at);
    critical.partition(|at| !watched[*at])
}

/// Whoever reaches a monitor sends something there; whom a monitor reaches it asks.
fn watched(context: &Context<'_>) -> Vec<bool> {
    let monitors =
        || context.nodes().filter(|(_, node)| node.kind == Kind::Monitor).map(|(at, _)| at);
    let mut watched = context.graph.reach(monitors(), |_, _| true);
    let mut waiting: Vec<usize> = monitors().collect();
    let mut sends = vec![false; watched.len()];
    while let Some(node) = waiting.pop() {
        for (_, from) in &context.graph.into[node] {
            if !std::mem::replace(&mut sends[*from], true) {
                waiting.push(*from);
            }
        }
    }
    for (watched, sends) in watched.iter_mut().zip(sends) {
        *watched |= sends;
    }
    watched
}

/// What holds data, secrets and accounts, and what strangers reach first. What is out there is not ours to watch.
fn is_critical(context: &Context<'_>, at: usize, node: &Node<'_>) -> bool {
    if node.is_untrusted() || matches!(node.kind, Kind::Boundary | Kind::Client | Kind::Monitor) {
        return false;
    }
    let nodes = &context.model.nodes;
    node.kind.is_sensitive() || context.graph.into[at].iter().any(|(_, from)| seen::brings_strangers(&nodes[*from]))
}

fn unseen(context: &Context<'_>, at: usize) -> Evidence {
    let is_store = context.model.nodes[at].kind.is_sensitive();
    let value = if is_store { "sensitive" } else { "entry" };
    seen::computed(At::Node(at), "monitored", value, "no monitoring is reached from here, or reaches here")
}

/// A monitoring service that is not there yet, and its id.
pub(super) fn new_monitor(context: &Context<'_>) -> (String, Value) {
    let id = fix::new_id("monitoring", &report::fingerprint(context.model, RULE.id, &[]));
    let node = fix::management_node(&id, "monitoring", "Monitoring");
    (id, node)
}

/// A monitoring service in the management zone that every unwatched node writes to.
fn add_monitoring(context: &Context<'_>, unwatched: &[usize]) -> Option<Fix> {
    if EDGES_MAX < unwatched.len() {
        return None;
    }
    let (monitoring, node) = new_monitor(context);
    let ids = || unwatched.iter().map(|at| context.model.nodes[*at].id());
    let edges: Vec<Value> =
        ids().map(|id| fix::tls_edge(&fix::edge_id(&monitoring, id), id, &monitoring, None)).collect();
    Some(Fix {
        title: "Add monitoring",
        nodes: vec![node],
        edges,
        near: vec![(monitoring, ids().take(3).map(str::to_owned).collect())],
        ..Fix::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shop() -> Drawing {
        let tls = || json!({"protocol": "HTTPS"});
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .node("app", "app-server", "internal")
            .node("orders", "database", "data")
            .edge("visit", "user", "web", tls())
            .edge("call", "web", "app", tls())
            .edge("query", "app", "orders", json!({"protocol": "PostgreSQL", "encryption": "TLS"}))
    }

    fn watched(sources: &[&str]) -> Drawing {
        sources.iter().fold(shop().node("logs", "monitoring", "management"), |drawing, source| {
            drawing.edge(&format!("log-{source}"), source, "logs", json!({"protocol": "HTTPS"}))
        })
    }

    #[test]
    fn critical_nodes_that_nothing_monitors_are_found_once() {
        shop().assert_steady("ATL-L01", &["orders"]);
        assert_eq!(shop().subjects("ATL-L01"), [["orders", "web"]]);
        assert_eq!(shop().found("ATL-L01")[0].confidence, 1.0);
    }

    #[test]
    fn monitoring_that_all_reach_or_that_reaches_all_is_not() {
        watched(&["web", "orders"]).assert_count("ATL-L01", 0);
        watched(&["app", "orders"]).assert_count("ATL-L01", 0);
        watched(&[]).edge("scrape", "logs", "app", json!({})).edge("ask", "logs", "web", json!({})).assert_count(
            "ATL-L01",
            0,
        );
    }

    #[test]
    fn where_some_are_watched_the_lines_of_the_others_may_not_be_drawn() {
        watched(&["web"]).assert_count("ATL-L01", 0);
        watched(&["orders"]).assert_count("ATL-L01", 0);
        assert_eq!(watched(&[]).found("ATL-L01")[0].confidence, 1.0, "a monitor that sees nobody");
    }

    #[test]
    fn small_designs_and_those_without_anything_critical_need_none() {
        shop().without("app").without("call").without("query").assert_count("ATL-L01", 0);
        let plain = shop().node_data("orders", json!({"type": "app-server"}));
        assert_eq!(plain.subjects("ATL-L01"), [["web"]]);
        plain.zone("user", "internal").assert_count("ATL-L01", 0);
    }

    #[test]
    fn the_fix_adds_monitoring_for_those_who_lack_it() {
        let fixed = shop().assert_mended("ATL-L01");
        assert_eq!(fixed.view().nodes.len(), 5);
        assert_eq!(fixed.view().edges.len(), 5);
        watched(&[]).assert_mended("ATL-L01");
        let patch = shop().found("ATL-L01")[0].autofix.clone().unwrap();
        let node = &patch["patch"]["nodes"]["upsert"][0];
        assert_eq!((&node["type"], &node["data"]["zone"]), (&json!("custom"), &json!("management")));
        assert_eq!(patch["place"][node["id"].as_str().unwrap()]["near"], json!(["orders", "web"]));
        assert_eq!(patch["patch"]["edges"]["upsert"][0]["data"]["securityFlags"]["authenticated"], true);
    }
}
