//! ATL-N03: administration that is open to strangers.

use crate::analysis::context::Context;
use crate::analysis::graph::Way;
use crate::analysis::model::{Edge, Flag, Kind, Node, Zone};
use crate::analysis::rule::Stride::ElevationOfPrivilege;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};
use crate::analysis::tables::protocols::Family;

use super::exposure::{self, Front};

pub(super) const RULE: Rule = Rule {
    id: "ATL-N03",
    title: "Administration is open to the internet",
    severity: Severity::Critical,
    stride: &[ElevationOfPrivilege],
    cwe: &[284],
    why: "A shell, a desktop, a cluster API or an admin console answers to everybody. Such ports are tried with stolen and guessed passwords all day long, and whoever gets in owns the machine and what it reaches.",
    remediation: "Close the port to the internet and go over a bastion, a VPN or zero-trust access (Session Manager, Azure Bastion, Identity-Aware Proxy) with multi-factor authentication and recorded sessions. Restrict the API server of a cluster to private endpoints.",
    references: &[
        Reference { name: "CWE-284", url: Some("https://cwe.mitre.org/data/definitions/284.html") },
        Reference {
            name: "ATT&CK T1133 External Remote Services",
            url: Some("https://attack.mitre.org/techniques/T1133/"),
        },
    ],
    check,
};

/// How strangers reach the administration of a node.
pub(super) struct Open {
    shells: Front,
}

impl Open {
    pub(super) fn of(context: &Context<'_>) -> Self {
        Self { shells: Front::of(context, lets_on, |edge| exposure::is_administration(edge) || edge.is_any) }
    }

    /// The way that opens it, and how sure that is.
    pub(super) fn way_into(&self, context: &Context<'_>, at: usize) -> Option<(Way, Confidence)> {
        let node = &context.model.nodes[at];
        if node.is_untrusted() || node.kind == Kind::Bastion {
            return None;
        }
        let edges = &context.model.edges;
        let is_shell = |way: &&Way| exposure::is_administration(&edges[way.0]);
        // A firewall that passes a shell on is not its end.
        let is_passed_on = lets_on(node)
            && context.graph.out[at].iter().any(|(edge, _)| exposure::is_administration(&edges[*edge]));
        if let Some(way) = self.shells.ways_into(at).iter().find(is_shell).filter(|_| !is_passed_on) {
            return Some((*way, Confidence::SURE));
        }
        let console =
            exposure::ways_of_strangers(context, at).find(|way| is_console(&edges[way.0], node))?;
        Some((console, Confidence::LIKELY))
    }
}

/// Passes shells on without asking who it is.
fn lets_on(node: &Node<'_>) -> bool {
    let is_passing = node.kind.is_forwarder() || node.kind == Kind::Boundary || node.is_untrusted();
    is_passing && node.kind != Kind::Bastion
}

/// The web interface of something that manages others, without proof of who asks.
fn is_console(edge: &Edge<'_>, node: &Node<'_>) -> bool {
    let is_manager = matches!(node.kind, Kind::Cicd | Kind::Monitor | Kind::Registry | Kind::Unknown)
        || node.kind.is_compute();
    let is_web = !edge.is_any && matches!(exposure::family(edge), None | Some(Family::Http));
    let is_guarded = edge.authentication.is_strong() && node.is(Flag::Mfa);
    node.zone == Some(Zone::Management) && is_manager && is_web && !is_guarded
}

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let open = Open::of(context);
    for (at, _) in context.nodes() {
        let Some(((edge, from), confidence)) = open.way_into(context, at) else { continue };
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .also([At::Edge(edge)])
                .confidence(confidence)
                .because([
                    exposure::protocol_evidence(context, edge, "administration, without a bastion or VPN on the way"),
                    context.zone_evidence(from),
                    context.zone_evidence(at),
                ])
                .because(context.flag_evidence(at, Flag::Mfa)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shell(protocol: &str) -> Drawing {
        Drawing::new()
            .node("admin", "web-browser", "external")
            .node("host", "app-server", "internal")
            .edge("login", "admin", "host", json!({"protocol": protocol}))
    }

    #[test]
    fn a_shell_from_outside_is_found() {
        for protocol in ["SSH", "RDP", "kubectl", "Telnet"] {
            shell(protocol).assert_steady("ATL-N03", &["host"]);
        }
        let by_port = shell("TCP").edge_data("login", json!({"protocol": null, "port": 22}));
        by_port.assert_steady("ATL-N03", &["host"]);
    }

    #[test]
    fn each_of_these_changes_silences_it() {
        shell("HTTPS").assert_steady("ATL-N03", &[]);
        shell("SSH").zone("admin", "internal").assert_steady("ATL-N03", &[]);
        shell("SSH").zone("host", "external").assert_steady("ATL-N03", &[]);
        shell("SSH").node_data("host", json!({"type": "bastion-host"})).assert_steady("ATL-N03", &[]);
    }

    #[test]
    fn a_firewall_passes_it_on_and_a_bastion_ends_it() {
        let over = |kind: &str| {
            Drawing::new()
                .node("admin", "web-browser", "external")
                .node("gate", kind, "dmz")
                .node("host", "app-server", "internal")
                .edge("in", "admin", "gate", json!({"protocol": "SSH"}))
                .edge("on", "gate", "host", json!({"protocol": "SSH"}))
        };
        over("firewall").assert_steady("ATL-N03", &["host"]);
        over("bastion-host").assert_steady("ATL-N03", &[]);
        over("vpn-gateway").assert_steady("ATL-N03", &[]);
        over("firewall").edge_data("on", json!({"protocol": "HTTPS"})).assert_steady("ATL-N03", &["gate"]);
        over("firewall").edge_data("in", json!({"protocol": "HTTPS"})).assert_steady("ATL-N03", &[]);
    }

    #[test]
    fn a_console_of_the_management_is_found_with_less_certainty() {
        let console = shell("HTTPS").zone("host", "management");
        console.assert_steady("ATL-N03", &["host"]);
        assert_eq!(console.found("ATL-N03")[0].confidence, 0.7);
        console.clone().node_data("host", json!({"type": "identity-provider"})).assert_steady("ATL-N03", &[]);
        console.clone().node_data("host", json!({"type": "waf"})).assert_steady("ATL-N03", &[]);
        let strong = console
            .edge_data("login", json!({"authentication": "OIDC"}))
            .node_data("host", json!({"securityFlags": {"mfaRequired": true}}));
        strong.assert_steady("ATL-N03", &[]);
        strong.edge_data("login", json!({"authentication": "basic"})).assert_steady("ATL-N03", &["host"]);
    }
}
