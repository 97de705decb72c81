//! ATL-D03: nowhere to keep secrets.

use serde_json::Value;

use crate::analysis::context::Context;
use crate::analysis::fix::{self, Fix};
use crate::analysis::model::{Flag, Kind};
use crate::analysis::report;
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};
use crate::analysis::tables::weights::WORKLOADS_MANY;

use super::{l01, seen};

pub(super) const RULE: Rule = Rule {
    id: "ATL-D03",
    title: "Many workloads and no place for secrets",
    severity: Severity::Medium,
    stride: &[InformationDisclosure],
    cwe: &[522],
    why: "So many services have passwords, keys and certificates, and the design has no vault or key management to keep them. They then end in files, variables and chats, where nobody rotates them or sees who reads them.",
    remediation: "Add a secrets manager (HashiCorp Vault, AWS Secrets Manager with KMS, Azure Key Vault, Google Secret Manager) in a network of its own. Let workloads read only their own secrets, with their platform identity, and rotate from there.",
    references: &[
        Reference { name: "CWE-522", url: Some("https://cwe.mitre.org/data/definitions/522.html") },
        Reference { name: "Threagile: missing-vault", url: None },
        Reference { name: "checkov: SecretsAreRotated", url: None },
    ],
    check,
};

/// Edges that one press of a button makes at most.
const EDGES_MAX: usize = 20;

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let workloads: Vec<usize> =
        context.nodes().filter(|(_, node)| node.kind.is_workload()).map(|(at, _)| at).collect();
    let nodes = &context.model.nodes;
    let managed = workloads.iter().filter(|at| nodes[**at].is(Flag::ManagedSecrets)).count();
    let has_place = nodes.iter().any(|node| node.kind == Kind::Secret) || workloads.len() < managed * 2;
    if workloads.len() < WORKLOADS_MANY || has_place {
        return;
    }
    findings.push(
        Finding::new(&RULE, [])
            .also(workloads.iter().take(seen::MARKED_MAX).map(|at| At::Node(*at)))
            .because([seen::computed(
                At::Node(workloads[0]),
                "workloads",
                workloads.len().to_string(),
                "workloads with secrets of their own, this one among them, and no vault",
            )])
            .fix(add_vault(context, &workloads)),
    );
}

/// A vault in the management zone, which the services that run code read from, and which is watched like them.
fn add_vault(context: &Context<'_>, workloads: &[usize]) -> Option<Fix> {
    let nodes = &context.model.nodes;
    let vault = fix::new_id("vault", &report::fingerprint(context.model, RULE.id, &[]));
    let readers: Vec<usize> = workloads
        .iter()
        .copied()
        .filter(|at| nodes[*at].kind.is_compute() && !nodes[*at].is_untrusted())
        .take(EDGES_MAX - 1)
        .collect();
    if readers.is_empty() {
        return None;
    }
    let mut edges: Vec<Value> = readers
        .iter()
        .map(|at| nodes[*at].id())
        .map(|id| fix::tls_edge(&fix::edge_id(&vault, id), id, &vault, Some("mtls")))
        .collect();
    let near: Vec<String> = readers.iter().take(3).map(|at| nodes[*at].id().to_owned()).collect();
    let mut fix = Fix {
        title: "Add a secrets manager",
        nodes: vec![fix::management_node(&vault, "secrets-manager", "Secrets manager")],
        near: vec![(vault.clone(), near.clone())],
        ..Fix::default()
    };
    let (watched_by, monitor) = watch(context, &vault);
    edges.extend(watched_by);
    if let Some((id, node)) = monitor {
        fix.nodes.push(node);
        fix.near.push((id, near));
    }
    fix.edges = edges;
    Some(fix)
}

/// The edge by which a new vault is watched, and the monitor where the design has none: a vault that nothing watches would
/// be the next finding (L01), unless that is there already or something else is watched.
///
/// Monitors of the design ask: nothing then leads on from the vault, so that no circle arises. Foreign ones are written to,
/// since strangers may not reach a vault.
fn watch(context: &Context<'_>, vault: &str) -> (Option<Value>, Option<(String, Value)>) {
    let monitors = || context.nodes().filter(|(_, node)| node.kind == Kind::Monitor);
    let edge = |source: &str, target: &str, other: &str| {
        Some(fix::tls_edge(&fix::edge_id(vault, other), source, target, Some("mtls")))
    };
    if let Some((_, own)) = monitors().find(|(_, node)| !node.is_untrusted()) {
        return (edge(own.id(), vault, own.id()), None);
    }
    if let Some((_, foreign)) = monitors().find(|(at, _)| context.graph.out[*at].is_empty()) {
        return (edge(vault, foreign.id(), foreign.id()), None);
    }
    if l01::critical(context) != (Vec::new(), Vec::new()) {
        return (None, None);
    }
    let (id, node) = l01::new_monitor(context);
    (edge(&id, vault, &id), Some((id, node)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn services(count: usize) -> Drawing {
        (0..count).fold(Drawing::new().node("orders", "database", "data"), |drawing, at| {
            drawing.node(&format!("service{at}"), "microservice", "internal")
        })
    }

    #[test]
    fn many_workloads_without_a_place_for_secrets_are_found_once() {
        services(4).assert_count("ATL-D03", 1);
        services(30).assert_count("ATL-D03", 1);
    }

    #[test]
    fn a_vault_or_few_workloads_are_not() {
        services(3).assert_count("ATL-D03", 0);
        services(4).node("vault", "secrets-manager", "management").assert_count("ATL-D03", 0);
        services(4).node_data("service0", json!({"type": "secrets-manager"})).assert_count("ATL-D03", 0);
        services(4).node_data("service0", json!({"type": "load-balancer"})).assert_count("ATL-D03", 0);
    }

    #[test]
    fn secrets_that_most_workloads_read_from_a_vault_stand_for_one() {
        let managed = |count: usize| {
            (0..count).fold(services(4), |drawing, at| {
                let flags = json!({"securityFlags": {"secretsManagement": "Vault"}});
                drawing.node_data(&format!("service{at}"), flags)
            })
        };
        managed(2).assert_count("ATL-D03", 1);
        managed(3).assert_count("ATL-D03", 0);
    }

    #[test]
    fn the_fix_adds_a_vault_that_services_read_from() {
        let fixed = services(4).assert_mended("ATL-D03");
        assert_eq!(fixed.view().edges.len(), 4, "the database reads no secrets");
        assert!(services(30).assert_mended("ATL-D03").view().edges.len() <= 20);
        let watched = (0..4).fold(services(4).node("logs", "monitoring", "management"), |drawing, at| {
            let edge = json!({"protocol": "HTTPS"});
            drawing.edge(&format!("log{at}"), &format!("service{at}"), "logs", edge)
        });
        let watched = watched.edge("log", "orders", "logs", json!({"protocol": "HTTPS"}));
        let fixed = watched.assert_mended("ATL-D03");
        assert!(fixed.found("ATL-L01").is_empty(), "the new vault is watched like everything else");
        let patch = services(4).found("ATL-D03")[0].autofix.clone().unwrap();
        let vault = patch["patch"]["nodes"]["upsert"][0].clone();
        assert!(vault["id"].as_str().unwrap().starts_with("vault-"));
        assert_eq!(vault.get("position"), None);
        assert_eq!(patch["place"][vault["id"].as_str().unwrap()]["near"][0], "service0");
    }

    #[test]
    fn where_nothing_needed_monitoring_the_vault_brings_its_own() {
        let plain = services(5).without("orders");
        plain.assert_count("ATL-L01", 0);
        let fixed = plain.assert_mended("ATL-D03");
        assert!(fixed.found("ATL-L01").is_empty());
        assert_eq!(fixed.view().nodes.len(), 7);
        let place = &plain.found("ATL-D03")[0].autofix.clone().unwrap()["place"];
        for place in place.as_object().unwrap().values() {
            assert_eq!(place["near"], json!(["service0", "service1", "service2"]), "only what is there already");
        }
    }
}
