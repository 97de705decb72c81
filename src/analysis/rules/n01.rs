//! ATL-N01: a datastore or a vault that strangers reach directly.

use crate::analysis::context::Context;
use crate::analysis::model::Kind;
use crate::analysis::rule::Stride::{ElevationOfPrivilege, InformationDisclosure};
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N01",
    title: "Datastore or vault is reachable from the internet",
    severity: Severity::Critical,
    stride: &[InformationDisclosure, ElevationOfPrivilege],
    cwe: &[668],
    why: "Nothing stands between strangers and the data but the login of the store itself. Public databases are found by scanners within minutes; one weak password, one leaked key or one unpatched flaw is then enough to take everything.",
    remediation: "Put it into a private subnet without a public address (RDS: publicly accessible off; Azure and Google Cloud: a private endpoint) and let only the application's security group reach its port. Give operators a bastion or a VPN, and clients an API.",
    references: &[
        Reference { name: "CWE-668", url: Some("https://cwe.mitre.org/data/definitions/668.html") },
        Reference {
            name: "ATT&CK T1190 Exploit Public-Facing Application",
            url: Some("https://attack.mitre.org/techniques/T1190/"),
        },
    ],
    check,
};

/// Object stores are public in ways of their own: ATL-D04 speaks about them.
fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        let is_asked_for = matches!(node.kind, Kind::Database | Kind::Cache | Kind::Queue | Kind::Secret);
        if !is_asked_for || !exposure::is_exposed(context, at) {
            continue;
        }
        let edges = exposure::ways_of_strangers(context, at).map(|(edge, _)| At::Edge(edge));
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .also(edges)
                .because([exposure::type_evidence(context, at, "holds data or secrets")])
                .because(exposure::exposure_evidence(context, at)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn open() -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("db", "database", "data")
            .edge("query", "user", "db", json!({"protocol": "PostgreSQL", "encryption": "TLS 1.3"}))
    }

    #[test]
    fn a_store_or_vault_with_an_edge_of_strangers_is_found() {
        open().assert_steady("ATL-N01", &["db"]);
        for kind in ["cache", "message-queue", "secrets-manager"] {
            open().node_data("db", json!({"type": kind})).assert_steady("ATL-N01", &["db"]);
        }
        assert_eq!(open().subjects("ATL-N01"), [["db", "query"]], "the edge is marked");
    }

    #[test]
    fn so_is_one_that_is_said_to_be_public() {
        let alone = open().without("query");
        alone.assert_steady("ATL-N01", &[]);
        for public in [json!({"directInternetAccess": true}), json!({"networkSegmentation": "public-subnet"})] {
            let said = alone.clone().node_data("db", json!({"securityFlags": public}));
            said.assert_steady("ATL-N01", &["db"]);
        }
        let private = alone.node_data("db", json!({"securityFlags": {"directInternetAccess": false}}));
        private.assert_steady("ATL-N01", &[]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        open().zone("user", "internal").assert_steady("ATL-N01", &[]);
        open().node_data("user", json!({"type": "vpn-gateway"})).assert_steady("ATL-N01", &[]);
        for other in ["app-server", "object-storage"] {
            open().node_data("db", json!({"type": other})).assert_steady("ATL-N01", &[]);
        }
        let back = open().without("query").edge("push", "db", "user", json!({"protocol": "HTTPS"}));
        back.assert_steady("ATL-N01", &[]);
        back.edge_data("push", json!({"bidirectional": true})).assert_steady("ATL-N01", &["db"]);
    }

    #[test]
    fn what_comes_over_an_application_is_not_direct() {
        let tiers = open()
            .without("query")
            .node("api", "app-server", "internal")
            .edge("call", "user", "api", json!({"protocol": "HTTPS"}))
            .edge("read", "api", "db", json!({"protocol": "PostgreSQL"}));
        tiers.assert_steady("ATL-N01", &[]);
    }
}
