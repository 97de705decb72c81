//! ATL-T03: a plaintext connection to a store.

use crate::analysis::context::Context;
use crate::analysis::model::{Edge, Encryption, Flag};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

use super::encrypt;
use super::plaintext::{self, Plaintext};
use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-T03",
    title: "Connection to a data store without encryption",
    severity: Severity::High,
    stride: &[InformationDisclosure],
    cwe: &[319],
    why: "Queries, rows and very often the password of the database itself go over this connection in the clear. Most drivers do not ask for TLS unless they are told to, so that a server that offers it changes nothing by itself.",
    remediation: "Require TLS in the driver and check the server's certificate (PostgreSQL `sslmode=verify-full`, MySQL `VERIFY_IDENTITY`, Redis `rediss://`, Kafka `SASL_SSL`). Refuse plaintext at the store too: `rds.force_ssl`, `require_secure_transport`, or a bucket policy on `aws:SecureTransport`.",
    references: &[
        Reference { name: "CWE-319", url: Some("https://cwe.mitre.org/data/definitions/319.html") },
        Reference { name: "checkov: RDSEncryptionInTransit", url: None },
        Reference { name: "Threagile: unencrypted-communication", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        let (severity, confidence) = match plaintext::of(context, at) {
            Some(Plaintext::ToStore) => (RULE.severity, context.sure_of_encryption(edge)),
            None => match unsaid(context, edge) {
                Some(found) => found,
                None => continue,
            },
            Some(_) => continue,
        };
        let silence = (edge.encryption == Encryption::Unknown)
            .then(|| seen::computed(At::Edge(at), "encryption", "", "nothing is said about encryption"));
        let stores = [edge.source, edge.target].into_iter().filter(|end| context.model.nodes[*end].kind.is_store());
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .severity(severity)
                .confidence(confidence)
                .because(context.encryption_evidence(at))
                .because(silence)
                .because(stores.filter_map(|store| context.flag_evidence(store, Flag::InTransit)))
                .fix(encrypt::encrypt(context, at)),
        );
    }
}

/// The edge says nothing about encryption. Then the store may.
fn unsaid(context: &Context<'_>, edge: &Edge<'_>) -> Option<(Severity, Confidence)> {
    let is_judged = edge.encryption != Encryption::Unknown || edge.is_any || edge.source == edge.target;
    if is_judged || !plaintext::leads_to_store(context, edge) {
        return None;
    }
    let nodes = &context.model.nodes;
    let store = if nodes[edge.target].kind.is_store() { &nodes[edge.target] } else { &nodes[edge.source] };
    match store.flags.get(Flag::InTransit) {
        Some(true) => None,
        Some(false) => Some((RULE.severity, Confidence::LIKELY)),
        None => Some((Severity::Medium, Confidence::UNSAID)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::rule::Severity;
    use crate::analysis::testing::Drawing;

    fn query(data: serde_json::Value) -> Drawing {
        Drawing::new()
            .node("app", "app-server", "internal")
            .node("orders", "database", "data")
            .edge("query", "app", "orders", data)
    }

    fn severity(drawing: &Drawing) -> (Severity, f64) {
        let found = drawing.found("ATL-T03");
        assert_eq!(found.len(), 1);
        (found[0].severity, found[0].confidence)
    }

    #[test]
    fn plaintext_to_a_store_is_found_and_by_no_other_rule() {
        let plain = query(json!({"protocol": "PostgreSQL", "port": 5432, "encryption": "None"}));
        plain.assert_steady("ATL-T03", &["query"]);
        assert_eq!(severity(&plain), (Severity::High, 1.0));
        assert!(plain.found("ATL-T01").is_empty());
        let flagged = query(json!({"protocol": "PostgreSQL", "securityFlags": {"encrypted": false}}));
        assert_eq!(severity(&flagged), (Severity::High, 1.0));
    }

    #[test]
    fn encryption_is_not() {
        query(json!({"protocol": "PostgreSQL", "encryption": "TLS"})).assert_steady("ATL-T03", &[]);
        query(json!({"protocol": "Redis", "securityFlags": {"encrypted": true}})).assert_steady("ATL-T03", &[]);
        query(json!({"protocol": "ANY"})).assert_steady("ATL-T03", &[]);
    }

    #[test]
    fn silence_weighs_less_and_the_store_may_break_it() {
        let silent = query(json!({"protocol": "PostgreSQL"}));
        silent.assert_steady("ATL-T03", &["query"]);
        assert_eq!(severity(&silent), (Severity::Medium, 0.4));
        let flags = |said: bool| json!({"securityFlags": {"encryptedInTransit": said}});
        silent.clone().node_data("orders", flags(true)).assert_steady("ATL-T03", &[]);
        assert_eq!(severity(&silent.node_data("orders", flags(false))), (Severity::High, 0.7));
    }

    #[test]
    fn it_is_about_stores_whoever_begins() {
        let plain = query(json!({"protocol": "TCP", "encryption": "None"}));
        for kind in ["cache", "message-queue", "object-storage"] {
            plain.clone().node_data("orders", json!({"type": kind})).assert_steady("ATL-T03", &["query"]);
        }
        let other = plain.clone().node_data("orders", json!({"type": "app-server"}));
        other.assert_steady("ATL-T03", &[]);
        assert_eq!(other.about("ATL-T01"), ["query"]);
        let turned = plain.without("query").edge("query", "orders", "app", json!({"protocol": "HTTP"}));
        turned.assert_steady("ATL-T03", &[]);
        turned.edge_data("query", json!({"bidirectional": true})).assert_steady("ATL-T03", &["query"]);
    }

    #[test]
    fn the_fix_keeps_the_driver() {
        let plain = query(json!({
            "protocol": "PostgreSQL", "port": 5432, "encryption": "None",
            "securityFlags": {"encrypted": false, "encryptionProtocol": "none", "rateLimited": true},
        }));
        let fixed = plain.assert_mended("ATL-T03");
        let data = fixed.view().edges[0].body["data"].clone();
        assert_eq!(data["protocol"], "PostgreSQL");
        assert_eq!(data["port"], 5432);
        assert_eq!(data["encryption"], "TLS 1.3");
        let flags = json!({"encrypted": true, "encryptionProtocol": "TLS-1.3", "rateLimited": true});
        assert_eq!(data["securityFlags"], flags);
        query(json!({"protocol": "Redis"})).assert_mended("ATL-T03");
        let bucket = query(json!({"protocol": "HTTP"})).node_data("orders", json!({"type": "object-storage"}));
        assert_eq!(bucket.assert_mended("ATL-T03").view().edges[0].body["data"]["protocol"], "HTTPS");
    }
}
