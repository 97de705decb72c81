//! ATL-D02: data that nobody can bring back.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::DenialOfService;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-D02",
    title: "Data store without backup",
    severity: Severity::Medium,
    stride: &[DenialOfService],
    cwe: &[],
    why: "Ransomware, a wrong migration or one careless command ends the data for good. Replicas do not help: they repeat the mistake within milliseconds.",
    remediation: "Take backups by schedule and keep the log between them (point-in-time recovery of RDS, Azure SQL, Cloud SQL; versioning of buckets). Keep a copy in another account that production cannot delete, such as AWS Backup Vault Lock, and rehearse the restore.",
    references: &[
        Reference {
            name: "ATT&CK T1490 Inhibit System Recovery",
            url: Some("https://attack.mitre.org/techniques/T1490/"),
        },
        Reference {
            name: "ATT&CK M1053 Data Backup",
            url: Some("https://attack.mitre.org/mitigations/M1053/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        if node.kind.is_store() && node.is_not(Flag::Backup) {
            // What a cache holds can be made again.
            let severity = if node.kind == Kind::Cache { Severity::Low } else { RULE.severity };
            findings.push(
                Finding::new(&RULE, [At::Node(at)])
                    .severity(severity)
                    .because(context.flag_evidence(at, Flag::Backup)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::rule::Severity;
    use crate::analysis::testing::Drawing;

    fn store(kind: &str, flags: serde_json::Value) -> Drawing {
        Drawing::new().node_with("orders", kind, "data", json!({"securityFlags": flags}))
    }

    #[test]
    fn stores_said_to_have_no_backup_are_found() {
        for kind in ["database", "message-queue", "object-storage"] {
            let lost = store(kind, json!({"hasBackup": false}));
            lost.assert_steady("ATL-D02", &["orders"]);
            assert_eq!(lost.found("ATL-D02")[0].severity, Severity::Medium);
        }
        let cache = store("cache", json!({"hasBackup": false}));
        assert_eq!(cache.found("ATL-D02")[0].severity, Severity::Low);
    }

    #[test]
    fn backups_or_silence_are_not() {
        store("database", json!({"hasBackup": true})).assert_steady("ATL-D02", &[]);
        store("database", json!({"backupFrequency": "daily"})).assert_steady("ATL-D02", &[]);
        store("database", json!({})).assert_steady("ATL-D02", &[]);
    }

    #[test]
    fn only_stores_count() {
        store("app-server", json!({"hasBackup": false})).assert_steady("ATL-D02", &[]);
        store("database", json!({"hasBackup": false})).zone("orders", "").assert_steady("ATL-D02", &["orders"]);
    }
}
