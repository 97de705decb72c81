//! ATL-L02: nobody writes down who did what.

use crate::analysis::context::Context;
use crate::analysis::model::Flag;
use crate::analysis::rule::Stride::Repudiation;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-L02",
    title: "Audit log switched off on a sensitive component",
    severity: Severity::Medium,
    stride: &[Repudiation],
    cwe: &[778],
    why: "Whoever reads or changes what matters most here leaves no trace. After an incident nobody can tell what was taken, and every suspicion falls on everybody with access.",
    remediation: "Turn the audit log on (Vault audit devices, CloudTrail data events, Azure diagnostic settings, pgAudit, sign-in logs of the identity provider), and send it to a place that the component's own administrators cannot change.",
    references: &[
        Reference { name: "CWE-778", url: Some("https://cwe.mitre.org/data/definitions/778.html") },
        Reference {
            name: "ATT&CK M1047 Audit",
            url: Some("https://attack.mitre.org/mitigations/M1047/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        if node.kind.is_sensitive() && node.is_not(Flag::Audit) {
            findings.push(Finding::new(&RULE, [At::Node(at)]).because(context.flag_evidence(at, Flag::Audit)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn logged(kind: &str, said: serde_json::Value) -> Drawing {
        let flags = json!({"securityFlags": {"auditLoggingEnabled": said}});
        Drawing::new().node_with("target", kind, "data", flags)
    }

    #[test]
    fn sensitive_nodes_said_to_keep_no_log_are_found() {
        for kind in ["database", "object-storage", "message-queue", "secrets-manager", "identity"] {
            logged(kind, json!(false)).assert_steady("ATL-L02", &["target"]);
        }
    }

    #[test]
    fn a_log_or_silence_is_not() {
        logged("database", json!(true)).assert_steady("ATL-L02", &[]);
        logged("database", json!(null)).assert_steady("ATL-L02", &[]);
    }

    #[test]
    fn only_what_it_is_matters() {
        logged("app-server", json!(false)).assert_steady("ATL-L02", &[]);
        logged("load-balancer", json!(false)).assert_steady("ATL-L02", &[]);
        logged("database", json!("disabled")).zone("target", "").assert_steady("ATL-L02", &["target"]);
    }
}
