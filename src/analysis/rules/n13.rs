//! ATL-N13: applications administer the management plane.

use crate::analysis::context::Context;
use crate::analysis::model::{Kind, Node, Zone};
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::exposure;
use super::n03::Open;

pub(super) const RULE: Rule = Rule {
    id: "ATL-N13",
    title: "Management plane is reachable from the application",
    severity: Severity::High,
    stride: &[ElevationOfPrivilege],
    cwe: &[284],
    why: "The management network rules all others, and here a tier that strangers reach has a shell, a desktop or a cluster API into it. One hole in an application becomes control of everything that is managed from there.",
    remediation: "Administer from a network of its own: a bastion or privileged access workstations in front, no routes from application and edge subnets, and multi-factor authentication. Applications that need something from the management get one narrow API for it.",
    references: &[
        Reference { name: "CWE-284", url: Some("https://cwe.mitre.org/data/definitions/284.html") },
        Reference {
            name: "ATT&CK T1021 Remote Services",
            url: Some("https://attack.mitre.org/techniques/T1021/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let open = Open::of(context);
    let is_outside = |node: &Node<'_>| {
        matches!(node.zone, Some(Zone::Edge | Zone::App)) && node.kind != Kind::Bastion
    };
    for (at, node) in context.nodes() {
        if node.zone != Some(Zone::Management) || node.kind == Kind::Bastion {
            continue;
        }
        let ways: Vec<_> = context.graph.into[at]
            .iter()
            .filter(|(edge, from)| {
                exposure::is_administration(&context.model.edges[*edge])
                    && is_outside(&context.model.nodes[*from])
            })
            .collect();
        // Open to strangers is worse, and said already.
        let Some((edge, from)) = ways.first().filter(|_| open.way_into(context, at).is_none()) else {
            continue;
        };
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .also(ways.iter().map(|(edge, _)| At::Edge(*edge)))
                .because([
                    exposure::protocol_evidence(context, *edge, "administration"),
                    context.zone_evidence(*from),
                    context.zone_evidence(at),
                ]),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn climb(protocol: &str) -> Drawing {
        Drawing::new()
            .node("app", "app-server", "internal")
            .node("control", "app-server", "management")
            .edge("shell", "app", "control", json!({"protocol": protocol}))
    }

    #[test]
    fn a_shell_into_the_management_is_found() {
        for protocol in ["SSH", "RDP", "kubectl"] {
            climb(protocol).assert_steady("ATL-N13", &["control"]);
        }
        climb("SSH").zone("app", "dmz").assert_steady("ATL-N13", &["control"]);
    }

    #[test]
    fn what_applications_usually_send_there_is_not() {
        for protocol in ["HTTPS", "Syslog", "Prometheus", "LDAPS"] {
            climb(protocol).assert_steady("ATL-N13", &[]);
        }
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        climb("SSH").zone("control", "internal").assert_steady("ATL-N13", &[]);
        climb("SSH").zone("app", "management").assert_steady("ATL-N13", &[]);
        climb("SSH").zone("app", "data").assert_steady("ATL-N13", &[]);
        climb("SSH").zone("app", "somewhere").assert_steady("ATL-N13", &[]);
        for end in ["app", "control"] {
            climb("SSH").node_data(end, json!({"type": "bastion-host"})).assert_steady("ATL-N13", &[]);
        }
        let back = climb("SSH").without("shell").edge("down", "control", "app", json!({"protocol": "SSH"}));
        back.assert_steady("ATL-N13", &[]);
    }

    #[test]
    fn open_to_strangers_is_another_rules() {
        let open = climb("SSH")
            .node("who", "web-browser", "external")
            .edge("in", "who", "control", json!({"protocol": "SSH"}));
        open.assert_steady("ATL-N13", &[]);
        open.assert_steady("ATL-N03", &["control"]);
    }
}
