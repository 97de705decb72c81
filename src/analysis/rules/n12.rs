//! ATL-N12: a vault or an identity provider lives with workloads that have nothing to do with it.

use crate::analysis::context::Context;
use crate::analysis::model::Kind;
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N12",
    title: "Vault or identity provider is not isolated",
    severity: Severity::Medium,
    stride: &[ElevationOfPrivilege],
    cwe: &[653],
    why: "It holds the keys to everything else, yet shares its network with workloads that never use it. Taking over any of these gives an attacker a seat next to the keys, with the same network rules.",
    remediation: "Move it into a subnet of its own and allow only its real users, by security group and port. For a managed service use a private endpoint whose policy names who may call.",
    references: &[
        Reference { name: "CWE-653", url: Some("https://cwe.mitre.org/data/definitions/653.html") },
        Reference { name: "Threagile: missing-vault-isolation", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    // The workloads of each container.
    let mut workloads: Vec<Vec<usize>> = vec![Vec::new(); context.model.nodes.len()];
    for (at, node) in context.nodes() {
        if let Some(container) = node.container.filter(|_| node.kind.is_workload()) {
            workloads[container].push(at);
        }
    }
    // The last keeper of keys that a node was seen beside.
    let mut user_of = vec![usize::MAX; context.model.nodes.len()];
    for (at, node) in context.nodes() {
        let Some(container) = node.container.filter(|_| matches!(node.kind, Kind::Secret | Kind::Identity))
        else {
            continue;
        };
        for (_, other) in context.graph.out[at].iter().chain(&context.graph.into[at]) {
            user_of[*other] = at;
        }
        // At most as many are skipped as there are edges.
        let Some(stranger) = workloads[container].iter().copied().find(|other| user_of[*other] != at) else {
            continue;
        };
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .also([At::Node(stranger), At::Node(container)])
                .because([
                    exposure::type_evidence(context, at, "keeps keys or identities"),
                    exposure::type_evidence(context, container, "is the innermost container of both"),
                    exposure::type_evidence(context, stranger, "stands there too, and no edge joins them"),
                ]),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shared() -> Drawing {
        Drawing::new()
            .container("net", "vpc-vnet", "internal", [0, 0, 1_000, 500])
            .node("vault", "secrets-manager", "management")
            .node("app", "app-server", "internal")
            .node("job", "microservice", "internal")
            .at("vault", 100, 100)
            .at("app", 400, 100)
            .at("job", 700, 100)
            .edge("read", "app", "vault", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn a_vault_beside_a_stranger_is_found() {
        shared().assert_steady("ATL-N12", &["vault"]);
        shared().node_data("vault", json!({"type": "identity-provider"})).assert_steady("ATL-N12", &["vault"]);
        shared().without("read").assert_steady("ATL-N12", &["vault"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        shared().edge("too", "job", "vault", json!({})).assert_steady("ATL-N12", &[]);
        shared().edge("too", "vault", "job", json!({})).assert_steady("ATL-N12", &[]);
        shared().at("job", 5_000, 100).assert_steady("ATL-N12", &[]);
        shared().node_data("job", json!({"type": "firewall"})).assert_steady("ATL-N12", &[]);
        shared().node_data("vault", json!({"type": "app-server"})).assert_steady("ATL-N12", &[]);
        let own = shared().container("keys", "subnet", "management", [50, 50, 300, 300]);
        own.assert_steady("ATL-N12", &[]);
    }

    #[test]
    fn without_a_container_nothing_is_known() {
        let open = shared().without("net");
        open.assert_steady("ATL-N12", &[]);
    }

    #[test]
    fn where_in_the_container_they_stand_does_not_matter() {
        shared().at("job", 150, 300).at("vault", 700, 200).assert_steady("ATL-N12", &["vault"]);
    }
}
