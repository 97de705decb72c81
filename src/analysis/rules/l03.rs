//! ATL-L03: a database whose readers nobody watches.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::Repudiation;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-L03",
    title: "Database without activity monitoring",
    severity: Severity::Low,
    stride: &[Repudiation],
    cwe: &[778],
    why: "Stolen credentials look like ordinary ones until somebody sees what they ask for. A service that suddenly reads a whole table is noticed only where queries are watched.",
    remediation: "Watch who asks what: Database Activity Streams of RDS and Aurora, pgAudit, Azure SQL auditing with Defender, or a DAM product in the path. Alert on bulk reads, on new clients and on changes of rights.",
    references: &[
        Reference { name: "CWE-778", url: Some("https://cwe.mitre.org/data/definitions/778.html") },
        Reference {
            name: "ATT&CK T1213 Data from Information Repositories",
            url: Some("https://attack.mitre.org/techniques/T1213/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let nodes = &context.model.nodes;
    for (at, node) in context.nodes().filter(|(_, node)| node.kind == Kind::Database) {
        if seen::neighbours(context, at).any(|other| nodes[other].kind == Kind::Dam) {
            continue;
        }
        let finding = Finding::new(&RULE, [At::Node(at)]);
        match node.flags.get(Flag::Activity) {
            Some(true) => {}
            Some(false) => findings.push(finding.because(context.flag_evidence(at, Flag::Activity))),
            None => findings.push(finding.confidence(Confidence::UNSAID).because([seen::computed(
                At::Node(at),
                "activityMonitoring",
                "",
                "nothing is said about activity monitoring, and nothing watches it",
            )])),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn database(said: serde_json::Value) -> Drawing {
        let flags = json!({"securityFlags": {"activityMonitoring": said}});
        Drawing::new().node_with("orders", "database", "data", flags)
    }

    #[test]
    fn a_database_without_monitoring_is_found_and_silence_with_less_certainty() {
        database(json!(false)).assert_steady("ATL-L03", &["orders"]);
        assert_eq!(database(json!(false)).found("ATL-L03")[0].confidence, 1.0);
        database(json!(null)).assert_steady("ATL-L03", &["orders"]);
        assert_eq!(database(json!(null)).found("ATL-L03")[0].confidence, 0.4);
    }

    #[test]
    fn monitoring_of_its_own_or_beside_it_is_not() {
        database(json!(true)).assert_steady("ATL-L03", &[]);
        let beside = database(json!(null)).node("dam", "dam", "data");
        beside.clone().edge("watch", "dam", "orders", json!({})).assert_steady("ATL-L03", &[]);
        beside.clone().edge("send", "orders", "dam", json!({})).assert_steady("ATL-L03", &[]);
        beside.assert_steady("ATL-L03", &["orders"]);
    }

    #[test]
    fn other_stores_are_not_asked() {
        for kind in ["cache", "message-queue", "object-storage", "app-server"] {
            database(json!(false)).node_data("orders", json!({"type": kind})).assert_steady("ATL-L03", &[]);
        }
        database(json!(false)).zone("orders", "").assert_steady("ATL-L03", &["orders"]);
    }
}
