//! ATL-T05: protocols from before encryption.

use crate::analysis::context::Context;
use crate::analysis::rule::Stride::{InformationDisclosure, Spoofing};
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::encrypt;
use super::plaintext::{self, Plaintext};

pub(super) const RULE: Rule = Rule {
    id: "ATL-T05",
    title: "Legacy protocol that sends passwords in the clear",
    severity: Severity::High,
    stride: &[InformationDisclosure, Spoofing],
    cwe: &[319],
    why: "Telnet, FTP, rsh, VNC, SNMP 1 and 2 and plain LDAP were made for networks where everybody was trusted. Whoever listens gets a password that works, and neither end can tell whether it speaks to the other or to somebody between them.",
    remediation: "Replace it by its successor: SSH for Telnet and rsh, SFTP for FTP, SNMPv3 with authPriv, LDAPS or StartTLS for LDAP, VNC and RDP only through a bastion. Close the old port afterwards, and change every password that went over it.",
    references: &[
        Reference { name: "CWE-319", url: Some("https://cwe.mitre.org/data/definitions/319.html") },
        Reference { name: "ATT&CK T1040 Network Sniffing", url: Some("https://attack.mitre.org/techniques/T1040/") },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        if plaintext::of(context, at) == Some(Plaintext::Legacy) {
            findings.push(
                Finding::new(&RULE, [At::Edge(at)])
                    .confidence(context.sure_of_encryption(edge))
                    .because(context.encryption_evidence(at))
                    .fix(encrypt::encrypt(context, at)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn upload(protocol: &str) -> Drawing {
        Drawing::new()
            .node("partner", "app-server", "dmz")
            .node("files", "app-server", "internal")
            .edge("send", "partner", "files", json!({"protocol": protocol}))
    }

    #[test]
    fn protocols_from_before_encryption_are_found_and_by_no_other_rule() {
        for protocol in ["Telnet", "FTP", "LDAP", "VNC", "rsh", "SNMPv2"] {
            let found = upload(protocol);
            found.assert_steady("ATL-T05", &["send"]);
            assert!(found.found("ATL-T01").is_empty(), "{protocol}");
        }
    }

    #[test]
    fn their_successors_and_plain_http_are_not() {
        for protocol in ["SSH", "SFTP", "LDAPS", "FTPS", "SNMPv3", "HTTP", "TCP"] {
            upload(protocol).assert_steady("ATL-T05", &[]);
        }
    }

    #[test]
    fn neither_zones_nor_the_target_matter() {
        upload("FTP").zone("files", "dmz").assert_steady("ATL-T05", &["send"]);
        upload("FTP").zone("files", "somewhere").assert_steady("ATL-T05", &["send"]);
        let store = upload("FTP").node_data("files", json!({"type": "object-storage"}));
        store.assert_steady("ATL-T05", &["send"]);
        assert!(store.found("ATL-T03").is_empty());
        let tunnelled = upload("FTP").edge_data("send", json!({"encryption": "TLS 1.2"}));
        assert_eq!(tunnelled.found("ATL-T05")[0].confidence, 0.6);
    }

    #[test]
    fn only_where_the_successor_speaks_the_same_there_is_a_fix() {
        let fixed = upload("LDAP").edge_data("send", json!({"port": 389})).assert_mended("ATL-T05");
        let data = &fixed.view().edges[0].body["data"];
        assert_eq!((data["protocol"].as_str(), data["port"].as_u64()), (Some("LDAPS"), Some(636)));
        assert!(upload("Telnet").found("ATL-T05")[0].autofix.is_none());
        assert!(upload("FTP").found("ATL-T05")[0].autofix.is_none());
    }
}
