//! ATL-R02: a production database without a replica.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::DenialOfService;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-R02",
    title: "Production database without a replica",
    severity: Severity::Medium,
    stride: &[DenialOfService],
    cwe: &[],
    why: "It is said to be in production and to run once. When its disk, its host or its zone fails, the service is down until somebody has restored it, and what was written since the last backup is gone.",
    remediation: "Turn on a standby in another zone (RDS Multi-AZ, zone-redundant Azure SQL, regional Cloud SQL, a replica set of three) with automatic failover, and try the failover once before you need it.",
    references: &[
        Reference { name: "checkov: CKV_AWS_157", url: None },
        Reference { name: "AWS Well-Architected: REL10 Use fault isolation to protect your workload", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        if node.kind == Kind::Database && node.is(Flag::Production) && node.is_not(Flag::Replicated) {
            findings.push(
                Finding::new(&RULE, [At::Node(at)])
                    .because([exposure::type_evidence(context, at, "is a database")])
                    .because(context.flag_evidence(at, Flag::Production))
                    .because(context.flag_evidence(at, Flag::Replicated)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn lonely() -> Drawing {
        Drawing::new().node_with("db", "database", "data", json!({"environment": "production", "replicas": 1}))
    }

    #[test]
    fn one_instance_in_production_is_found() {
        lonely().assert_steady("ATL-R02", &["db"]);
        let zones = json!({"replicas": null, "securityFlags": {"multiAZ": false}});
        lonely().node_data("db", zones).assert_steady("ATL-R02", &["db"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        for data in [
            json!({"replicas": 2}),
            json!({"replicas": null}),
            json!({"replicas": null, "securityFlags": {"multiAZ": true}}),
            json!({"environment": "staging"}),
            json!({"environment": null}),
            json!({"type": "cache"}),
            json!({"type": "app-server"}),
        ] {
            lonely().node_data("db", data).assert_steady("ATL-R02", &[]);
        }
        lonely().zone("db", "dmz").assert_steady("ATL-R02", &["db"]);
    }
}
