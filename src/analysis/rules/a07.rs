//! ATL-A07: secrets that lie about.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-A07",
    title: "Secrets in environment variables, files or code",
    severity: Severity::High,
    stride: &[InformationDisclosure],
    cwe: &[798, 522],
    why: "A secret in the environment is in every crash report, child process and `docker inspect`; one in code is in every clone for ever. It is never rotated, since nobody knows all the places where it is.",
    remediation: "Keep secrets in a vault (HashiCorp Vault, AWS Secrets Manager, Azure Key Vault, Google Secret Manager) and read them at run time with the identity of the workload. Rotate those that were exposed, and scan repositories and images for more.",
    references: &[
        Reference { name: "CWE-798", url: Some("https://cwe.mitre.org/data/definitions/798.html") },
        Reference { name: "Threagile: accidental-secret-leak", url: None },
        Reference {
            name: "ATT&CK T1552 Unsecured Credentials",
            url: Some("https://attack.mitre.org/techniques/T1552/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        let evidence = context.flag_evidence(at, Flag::ManagedSecrets);
        let has_none = evidence.as_ref().is_some_and(|said| NOTHING.contains(&said.value.to_lowercase().as_str()));
        if node.is_not(Flag::ManagedSecrets) && !(has_none && may_have_none(node.kind)) {
            findings.push(Finding::new(&RULE, [At::Node(at)]).because(evidence));
        }
    }
}

/// Ways to say that secrets are not kept anywhere.
const NOTHING: [&str; 4] = ["none", "no", "false", "n/a"];

/// A browser that keeps its secrets nowhere has none; a service forgot to say where.
fn may_have_none(kind: Kind) -> bool {
    matches!(kind, Kind::Client | Kind::Boundary)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn service(secrets: serde_json::Value) -> Drawing {
        let flags = json!({"securityFlags": {"secretsManagement": secrets}});
        Drawing::new().node_with("orders", "microservice", "internal", flags)
    }

    #[test]
    fn secrets_that_lie_about_are_found() {
        for place in ["environment variables", "env", "hardcoded", ".env", "config file", "none"] {
            service(json!(place)).assert_steady("ATL-A07", &["orders"]);
        }
        assert!(!service(json!("env")).found("ATL-A07")[0].evidence.is_empty());
    }

    #[test]
    fn a_vault_or_silence_is_not() {
        service(json!("Vault")).assert_steady("ATL-A07", &[]);
        service(json!("AWS Secrets Manager")).assert_steady("ATL-A07", &[]);
        service(json!(null)).assert_steady("ATL-A07", &[]);
    }

    #[test]
    fn a_browser_without_secrets_needs_no_place_for_them() {
        let browser = |place: &str| service(json!(place)).node_data("orders", json!({"type": "web-browser"}));
        browser("none").assert_steady("ATL-A07", &[]);
        browser("hardcoded").assert_steady("ATL-A07", &["orders"]);
    }

    #[test]
    fn what_holds_them_and_where_does_not_matter() {
        for (kind, zone) in [("database", "data"), ("web-server", "dmz"), ("something", "somewhere")] {
            let other = service(json!("hardcoded")).node_data("orders", json!({"type": kind})).zone("orders", zone);
            other.assert_steady("ATL-A07", &["orders"]);
        }
    }
}
