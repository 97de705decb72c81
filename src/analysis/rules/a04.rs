//! ATL-A04: administration without a second factor.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind, Node, Zone};
use crate::analysis::rule::Stride::Spoofing;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-A04",
    title: "Administration or vault without a second factor",
    severity: Severity::High,
    stride: &[Spoofing],
    cwe: &[308],
    why: "One password that was phished, reused or found in a leak opens what opens everything else. Attacks on administrators begin with exactly that, and a second factor stops nearly all of them.",
    remediation: "Require phishing-resistant factors (FIDO2 keys, passkeys) for everybody who administers, at the identity provider and for the emergency accounts too. Let bastion, VPN and vault trust that sign-in only, and switch local passwords off.",
    references: &[
        Reference { name: "CWE-308", url: Some("https://cwe.mitre.org/data/definitions/308.html") },
        Reference { name: "Threagile: missing-authentication-second-factor", url: None },
        Reference {
            name: "ATT&CK M1032 Multi-factor Authentication",
            url: Some("https://attack.mitre.org/mitigations/M1032/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes() {
        if administers(node) && node.is_not(Flag::Mfa) {
            findings.push(
                Finding::new(&RULE, [At::Node(at)])
                    .because(context.flag_evidence(at, Flag::Mfa))
                    .because([context.zone_evidence(at)]),
            );
        }
    }
}

/// Ways for administrators, what holds everybody's secrets and accounts, and consoles of the management zone.
fn administers(node: &Node<'_>) -> bool {
    let is_console = node.kind.is_compute() || node.kind == Kind::Cicd;
    matches!(node.kind, Kind::Bastion | Kind::Secret | Kind::Identity)
        || is_console && node.zone == Some(Zone::Management)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn way_in(kind: &str, zone: &str) -> Drawing {
        let flags = json!({"securityFlags": {"mfaRequired": false}});
        Drawing::new().node_with("door", kind, zone, flags)
    }

    #[test]
    fn administration_said_to_have_one_factor_is_found() {
        for kind in ["bastion-host", "vpn-gateway", "secrets-manager", "identity"] {
            way_in(kind, "").assert_steady("ATL-A04", &["door"]);
        }
        way_in("app-server", "management").assert_steady("ATL-A04", &["door"]);
    }

    #[test]
    fn two_factors_or_silence_are_not() {
        let flag = |said| json!({"securityFlags": {"mfaRequired": said}});
        way_in("bastion-host", "dmz").node_data("door", flag(json!(true))).assert_steady("ATL-A04", &[]);
        way_in("bastion-host", "dmz").node_data("door", flag(json!(null))).assert_steady("ATL-A04", &[]);
    }

    #[test]
    fn others_need_none() {
        way_in("app-server", "internal").assert_steady("ATL-A04", &[]);
        way_in("web-server", "dmz").assert_steady("ATL-A04", &[]);
        way_in("database", "data").assert_steady("ATL-A04", &[]);
        way_in("monitoring", "management").assert_steady("ATL-A04", &[]);
    }
}
