//! ATL-R01: a single point of failure between the entries and the data.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::DenialOfService;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-R01",
    title: "Single point of failure on the way to the data",
    severity: Severity::Medium,
    stride: &[DenialOfService],
    cwe: &[],
    why: "Every way from the entries to the data leads through this one component. When it fails, is patched or is flooded, the whole service stands still, however redundant everything else is.",
    remediation: "Run two or more instances of it in different availability zones behind health checks (an auto scaling group, several replicas with a disruption budget, the zone-redundant tier of a managed service), and say so in `replicas` or `highAvailability`.",
    references: &[Reference {
        name: "AWS Well-Architected: REL10 Use fault isolation to protect your workload",
        url: None,
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let entries: Vec<usize> = context.nodes().filter(|(_, node)| node.is_untrusted()).map(|(at, _)| at).collect();
    let stores: Vec<usize> = context
        .nodes()
        .filter(|(_, node)| node.kind.is_store() && !node.is_untrusted())
        .map(|(at, _)| at)
        .collect();
    let bottlenecks = context.graph.bottlenecks(&entries, &stores);
    if bottlenecks.is_empty() {
        return;
    }
    let reached = context.graph.reach(entries.iter().copied(), |_, _| true);
    let is_last_store = stores.iter().filter(|store| reached[**store]).count() == 1;
    for at in bottlenecks {
        let node = &context.model.nodes[at];
        // A store with nothing behind it is where the ways end: ATL-R02 asks about its replicas.
        let is_end = node.kind.is_store() && is_last_store;
        if node.is_untrusted() || node.kind == Kind::Boundary || is_end {
            continue;
        }
        let confidence = match node.flags.get(Flag::Replicated) {
            Some(true) => continue,
            Some(false) => Confidence::SURE,
            // These are spread over the world by whoever sells them.
            None if matches!(node.kind, Kind::Cdn | Kind::Dns | Kind::Ddos) => continue,
            None => Confidence::UNSAID,
        };
        let says = "every way from the untrusted zone to a datastore leads through it";
        let mut finding = Finding::new(&RULE, [At::Node(at)])
            .confidence(confidence)
            .because([exposure::type_evidence(context, at, says)])
            .because(context.flag_evidence(at, Flag::Replicated));
        if confidence == Confidence::UNSAID {
            let nothing = "nothing is said about replicas";
            finding = finding.because([exposure::computed(At::Node(at), "replicas", "not said", nothing)]);
        }
        findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    /// Two servers between one gateway and one database.
    fn shop(replicas: &Value) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node_with("gate", "api-gateway", "dmz", json!({"replicas": replicas}))
            .node_with("one", "app-server", "internal", json!({"replicas": 1}))
            .node_with("two", "app-server", "internal", json!({"replicas": 1}))
            .node("db", "database", "data")
            .edge("in", "user", "gate", json!({}))
            .edge("a", "gate", "one", json!({}))
            .edge("b", "gate", "two", json!({}))
            .edge("c", "one", "db", json!({}))
            .edge("d", "two", "db", json!({}))
    }

    #[test]
    fn the_one_component_on_every_way_is_found() {
        let alone = shop(&json!(1));
        alone.assert_steady("ATL-R01", &["gate"]);
        assert_eq!(alone.found("ATL-R01")[0].confidence, 1.0);
        // The servers stand in for each other until one of them is gone.
        alone.without("two").without("b").without("d").assert_steady("ATL-R01", &["gate", "one"]);
    }

    #[test]
    fn silence_about_replicas_is_a_doubt() {
        let unsaid = shop(&Value::Null);
        unsaid.assert_steady("ATL-R01", &["gate"]);
        assert_eq!(unsaid.found("ATL-R01")[0].confidence, 0.4);
        unsaid.node_data("gate", json!({"type": "edge-cdn"})).assert_steady("ATL-R01", &[]);
        shop(&json!(1)).node_data("gate", json!({"type": "edge-cdn"})).assert_steady("ATL-R01", &["gate"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        shop(&json!(2)).assert_steady("ATL-R01", &[]);
        let zones = shop(&Value::Null).node_data("gate", json!({"securityFlags": {"multiAZ": true}}));
        zones.assert_steady("ATL-R01", &[]);
        shop(&json!(1)).edge("round", "user", "one", json!({})).assert_steady("ATL-R01", &[]);
        shop(&json!(1)).without("in").assert_steady("ATL-R01", &[]);
        shop(&json!(1)).zone("user", "internal").assert_steady("ATL-R01", &[]);
        shop(&json!(1)).node_data("db", json!({"type": "app-server"})).assert_steady("ATL-R01", &[]);
        shop(&json!(1)).node_data("gate", json!({"type": "subnet"})).assert_steady("ATL-R01", &[]);
    }

    #[test]
    fn a_store_counts_only_with_another_behind_it() {
        let line = shop(&json!(2)).node_data("db", json!({"type": "message-queue", "replicas": 1}));
        line.assert_steady("ATL-R01", &[]);
        let behind = line.node("base", "database", "data").edge("e", "db", "base", json!({}));
        behind.assert_steady("ATL-R01", &["db"]);
    }
}
