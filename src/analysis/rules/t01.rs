//! ATL-T01: plaintext across a trust boundary.

use crate::analysis::context::Context;
use crate::analysis::model::Zone;
use crate::analysis::rule::Stride::{InformationDisclosure, Tampering};
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::encrypt;
use super::plaintext::{self, Plaintext};

pub(super) const RULE: Rule = Rule {
    id: "ATL-T01",
    title: "Plaintext crosses a trust boundary",
    severity: Severity::High,
    stride: &[InformationDisclosure, Tampering],
    cwe: &[319],
    why: "Whoever sits between two zones reads and changes everything that goes over this connection, passwords and sessions included.",
    remediation: "Use HTTPS or the protocol's own TLS, version 1.2 at least, and refuse plaintext at the target. On the web, redirect port 80 and send `Strict-Transport-Security`, so that browsers never try without.",
    references: &[
        Reference { name: "CWE-319", url: Some("https://cwe.mitre.org/data/definitions/319.html") },
        Reference { name: "Threagile: unencrypted-communication", url: None },
        Reference {
            name: "ATT&CK T1557 Adversary-in-the-Middle",
            url: Some("https://attack.mitre.org/techniques/T1557/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        if plaintext::of(context, at) != Some(Plaintext::AcrossZones) {
            continue;
        }
        let is_inside = [source, target].iter().all(|end| Some(Zone::App) <= end.zone);
        let severity = if is_inside { Severity::Medium } else { Severity::High };
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .severity(severity)
                .confidence(context.sure_of_encryption(edge))
                .because(context.encryption_evidence(at))
                .because([context.zone_evidence(edge.source), context.zone_evidence(edge.target)])
                .fix(encrypt::encrypt(context, at)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::rule::Severity;
    use crate::analysis::testing::Drawing;

    fn shop(protocol: &str) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("web", "web-server", "dmz")
            .edge("visit", "user", "web", json!({"protocol": protocol}))
    }

    #[test]
    fn plaintext_between_zones_is_found() {
        assert_eq!(shop("HTTP").subjects("ATL-T01"), [["visit"]]);
    }

    #[test]
    fn encryption_or_one_zone_or_silence_is_not() {
        assert!(shop("HTTPS").subjects("ATL-T01").is_empty());
        assert!(shop("TCP").subjects("ATL-T01").is_empty(), "nothing is said about encryption");
        assert!(shop("HTTP").zone("web", "external").subjects("ATL-T01").is_empty());
        assert!(shop("HTTP").zone("web", "somewhere").subjects("ATL-T01").is_empty(), "an unknown zone is no other zone");
    }

    #[test]
    fn between_inner_zones_it_weighs_less_and_a_contradiction_is_less_sure() {
        let inner = shop("HTTP").zone("user", "internal").zone("web", "management");
        assert_eq!(inner.found("ATL-T01")[0].severity, Severity::Medium);
        assert_eq!(shop("HTTP").found("ATL-T01")[0].severity, Severity::High);
        let claimed = shop("HTTP").edge_data("visit", json!({"encryption": "TLS 1.3"}));
        assert_eq!(claimed.found("ATL-T01")[0].confidence, 0.6);
    }

    #[test]
    fn what_must_not_matter_does_not() {
        shop("HTTP").assert_steady("ATL-T01", &["visit"]);
        shop("HTTP").node_data("web", json!({"type": "microservice"})).assert_steady("ATL-T01", &["visit"]);
    }

    #[test]
    fn the_fix_changes_protocol_and_usual_ports_and_says_what_a_bare_label_becomes() {
        let data = |port: u16| {
            let written = shop("HTTP").edge_data("visit", json!({"port": port}));
            written.assert_mended("ATL-T01").view().edges[0].body["data"].clone()
        };
        assert_eq!((&data(80)["protocol"], &data(80)["port"]), (&json!("HTTPS"), &json!(443)));
        assert_eq!(data(8080)["port"], 8443);
        assert_eq!(data(3000)["port"], 3000);
        let labelled = shop("HTTP").edge_data("visit", json!({"protocol": null})).label("visit", "HTTP:80");
        let fixed = labelled.assert_mended("ATL-T01").view().edges[0].body["data"].clone();
        assert_eq!(fixed["protocol"], "HTTPS");
        assert_eq!(fixed.get("port"), None, "a port that nobody wrote is not invented");
        let fix = labelled.found("ATL-T01")[0].autofix.clone().unwrap();
        assert_eq!(fix["labels"], json!({"visit": "HTTPS:443"}));
        let written = shop("HTTP (static files)").assert_mended("ATL-T01");
        assert_eq!(written.view().edges[0].body["data"]["protocol"], "HTTPS (static files)");
        for (protocol, secured) in [("WS", "WSS"), ("AMQP", "AMQPS"), ("MQTT", "MQTTS"), ("SMTP", "SMTPS")] {
            let plain = shop(protocol).edge_data("visit", json!({"encryption": "None"}));
            assert_eq!(plain.assert_mended("ATL-T01").view().edges[0].body["data"]["protocol"], secured);
        }
    }

    #[test]
    fn the_fix_takes_back_every_claim_of_plaintext_and_keeps_what_is_better() {
        let data = |said: serde_json::Value| {
            shop("TCP").edge_data("visit", said).assert_mended("ATL-T01").view().edges[0].body["data"].clone()
        };
        assert_eq!(data(json!({"tls": false}))["tls"], "TLS 1.3");
        assert_eq!(data(json!({"encrypted": false}))["encrypted"], true);
        let claimed = data(json!({"protocol": "HTTP", "encryption": "mTLS", "encryptionProtocol": "none"}));
        assert_eq!(claimed["encryption"], "mTLS");
        assert_eq!(claimed["encryptionProtocol"], "TLS-1.3");
        assert!(shop("Docker API plain").found("ATL-T01")[0].autofix.is_none(), "nothing with TLS is known for it");
    }

    #[test]
    fn any_protocol_is_plaintext_only_where_that_is_written() {
        assert!(shop("ANY").edge_data("visit", json!({"port": 80})).found("ATL-T01").is_empty());
        let written = shop("ANY").edge_data("visit", json!({"encryption": "None"}));
        written.assert_steady("ATL-T01", &["visit"]);
        assert!(written.found("ATL-T01")[0].autofix.is_none());
        shop("HTTP").edge_data("visit", json!({"port": "ANY"})).assert_steady("ATL-T01", &["visit"]);
    }
}
