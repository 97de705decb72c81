//! ATL-A05: whoever is known may do everything.

use crate::analysis::context::Context;
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-A05",
    title: "No authorization into a sensitive target",
    severity: Severity::Medium,
    stride: &[ElevationOfPrivilege],
    cwe: &[862],
    why: "To know who calls is not to know what they may do: here every caller may read and change everything. The account of the least important service is then worth as much as the administrator's.",
    remediation: "Give each service a role of its own with the rights that it uses: grants on schemas and tables, IAM policies without wildcards, vault policies by path, ACLs by topic. Deny by default, and check on the server, not in the caller.",
    references: &[
        Reference { name: "CWE-862", url: Some("https://cwe.mitre.org/data/definitions/862.html") },
        Reference {
            name: "OWASP Top 10 A01:2021",
            url: Some("https://owasp.org/Top10/A01_2021-Broken_Access_Control/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        let Some(target) = seen::targets(edge).find(|end| context.model.nodes[*end].kind.is_sensitive()) else {
            continue;
        };
        if edge.authorization == Some(false) {
            findings.push(
                Finding::new(&RULE, [At::Edge(at)])
                    .also([At::Node(target)])
                    .because([seen::authorization(context, at)]),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn query(said: serde_json::Value) -> Drawing {
        Drawing::new()
            .node("app", "app-server", "internal")
            .node("orders", "database", "data")
            .edge("query", "app", "orders", json!({"securityFlags": {"authorizationEnabled": said}}))
    }

    #[test]
    fn a_known_lack_of_authorization_is_found_and_shown() {
        query(json!(false)).assert_steady("ATL-A05", &["query"]);
        query(json!("disabled")).assert_steady("ATL-A05", &["query"]);
        let shown = &query(json!(false)).found("ATL-A05")[0].evidence[0];
        assert_eq!((&shown.key[..], &shown.value[..]), ("data.securityFlags.authorizationEnabled", "false"));
    }

    #[test]
    fn authorization_or_silence_is_not() {
        query(json!(true)).assert_steady("ATL-A05", &[]);
        query(json!(null)).assert_steady("ATL-A05", &[]);
    }

    #[test]
    fn only_the_target_matters() {
        let open = query(json!(false));
        open.clone().node_data("orders", json!({"type": "microservice"})).assert_steady("ATL-A05", &[]);
        open.clone().node_data("orders", json!({"type": "secrets-manager"})).assert_steady("ATL-A05", &["query"]);
        open.clone().zone("orders", "internal").assert_steady("ATL-A05", &["query"]);
        let flags = json!({"securityFlags": {"authorizationEnabled": false}});
        let turned = open.without("query").edge("query", "orders", "app", flags);
        turned.assert_steady("ATL-A05", &[]);
    }
}
