//! ATL-D01: data that lies on disks in the clear.

use crate::analysis::context::Context;
use crate::analysis::model::Flag;
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-D01",
    title: "Data store not encrypted at rest",
    severity: Severity::High,
    stride: &[InformationDisclosure],
    cwe: &[311],
    why: "Disks, snapshots and backups leave the store in more ways than queries do: a snapshot that is shared by mistake, a copied volume, a disk that is thrown away. Without encryption each of them is the data itself.",
    remediation: "Turn on encryption with a key of your own (AWS KMS, Azure Key Vault, Cloud KMS), and limit who may use the key. Snapshots, replicas and exports need it too; an RDS instance is encrypted by restoring an encrypted copy of its snapshot.",
    references: &[
        Reference { name: "CWE-311", url: Some("https://cwe.mitre.org/data/definitions/311.html") },
        Reference { name: "Threagile: unencrypted-asset", url: None },
        Reference {
            name: "OWASP Top 10 A02:2021",
            url: Some("https://owasp.org/Top10/A02_2021-Cryptographic_Failures/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes().filter(|(_, node)| node.kind.is_store()) {
        let finding = Finding::new(&RULE, [At::Node(at)]);
        match node.flags.get(Flag::AtRest) {
            Some(true) => {}
            Some(false) => findings.push(finding.because(context.flag_evidence(at, Flag::AtRest))),
            None => findings.push(
                finding.severity(Severity::Info).confidence(Confidence::UNSAID).because([seen::computed(
                    At::Node(at),
                    "encryptedAtRest",
                    "",
                    "nothing is said about encryption at rest",
                )]),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::rule::Severity;
    use crate::analysis::testing::Drawing;

    fn store(kind: &str, said: serde_json::Value) -> Drawing {
        let flags = json!({"securityFlags": {"encryptedAtRest": said}});
        Drawing::new().node_with("orders", kind, "data", flags)
    }

    #[test]
    fn stores_said_to_be_in_the_clear_are_found() {
        for kind in ["database", "cache", "message-queue", "object-storage"] {
            let clear = store(kind, json!(false));
            clear.assert_steady("ATL-D01", &["orders"]);
            assert_eq!(clear.found("ATL-D01")[0].severity, Severity::High);
            assert!(!clear.found("ATL-D01")[0].evidence.is_empty());
        }
    }

    #[test]
    fn encryption_is_not_and_silence_is_a_remark() {
        store("database", json!(true)).assert_steady("ATL-D01", &[]);
        store("database", json!(null)).node_data("orders", json!({"encryption": {"atRest": "AES-256"}})).assert_steady(
            "ATL-D01",
            &[],
        );
        let silent = store("database", json!(null));
        silent.assert_steady("ATL-D01", &["orders"]);
        assert_eq!(silent.found("ATL-D01")[0].severity, Severity::Info);
    }

    #[test]
    fn only_stores_keep_data_wherever_they_are() {
        store("app-server", json!(false)).assert_steady("ATL-D01", &[]);
        store("secrets-manager", json!(false)).assert_steady("ATL-D01", &[]);
        store("database", json!(false)).zone("orders", "external").assert_steady("ATL-D01", &["orders"]);
    }
}
