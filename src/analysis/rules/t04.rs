//! ATL-T04: TLS that is broken.

use crate::analysis::context::Context;
use crate::analysis::model::Encryption;
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::encrypt;

pub(super) const RULE: Rule = Rule {
    id: "ATL-T04",
    title: "Obsolete version of TLS or SSL",
    severity: Severity::Medium,
    stride: &[InformationDisclosure],
    cwe: &[327],
    why: "SSL and TLS 1.0 and 1.1 rest on MD5, SHA-1 and CBC constructions with published attacks (POODLE, BEAST), and were withdrawn in 2021. Browsers and PCI DSS refuse them, so they remain only where nobody looks.",
    remediation: "Set the lowest version to TLS 1.2, better 1.3, at the listener and in the clients: a load balancer's security policy, `ssl_protocols` of nginx, the minimum TLS version of a storage account. Find the clients that still need the old version in the access logs first.",
    references: &[
        Reference { name: "RFC 8996: Deprecating TLS 1.0 and TLS 1.1", url: None },
        Reference { name: "CWE-327", url: Some("https://cwe.mitre.org/data/definitions/327.html") },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        if edge.encryption == Encryption::Weak {
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

    fn shop(encryption: &str) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .edge("visit", "user", "web", json!({"protocol": "HTTPS", "port": 443, "encryption": encryption}))
    }

    #[test]
    fn old_versions_are_found() {
        for version in ["TLS 1.0", "TLSv1.1", "SSLv3"] {
            shop(version).assert_steady("ATL-T04", &["visit"]);
        }
    }

    #[test]
    fn current_versions_and_no_version_are_not() {
        for version in ["TLS 1.2", "TLS 1.3", "TLS", "mTLS"] {
            shop(version).assert_steady("ATL-T04", &[]);
        }
        shop("TLS 1.0").edge_data("visit", json!({"encryption": null})).assert_steady("ATL-T04", &[]);
    }

    #[test]
    fn no_version_at_all_is_another_rule_and_the_ends_do_not_matter() {
        let plain = shop("TLS 1.0").edge_data("visit", json!({"protocol": "HTTP", "port": 80}));
        plain.assert_steady("ATL-T04", &[]);
        assert_eq!(plain.about("ATL-T01"), ["visit"]);
        let store = shop("TLS 1.0").node_data("web", json!({"type": "database"})).zone("web", "external");
        store.assert_steady("ATL-T04", &["visit"]);
        assert!(store.found("ATL-T03").is_empty());
    }

    #[test]
    fn the_fix_raises_the_version() {
        shop("TLS 1.0").assert_mended("ATL-T04");
    }
}
