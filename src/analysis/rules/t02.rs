//! ATL-T02: plaintext inside one zone.

use crate::analysis::context::Context;
use crate::analysis::model::{Edge, Node};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

use super::encrypt;
use super::plaintext::{self, Plaintext};

pub(super) const RULE: Rule = Rule {
    id: "ATL-T02",
    title: "Plaintext inside a zone",
    severity: Severity::Medium,
    stride: &[InformationDisclosure],
    cwe: &[319],
    why: "A zone is not a safe: one host that is taken over can listen to its neighbours, and finds session tokens and personal data in what they say to each other. Networks that trust everything inside are how one break-in becomes many.",
    remediation: "Encrypt between services as well: mutual TLS through a service mesh (Istio, Linkerd, App Mesh) needs no change of the services. Where there is no mesh, give each service a certificate of the internal authority and close the plaintext port.",
    references: &[
        Reference { name: "CWE-319", url: Some("https://cwe.mitre.org/data/definitions/319.html") },
        Reference { name: "Threagile: unencrypted-communication", url: None },
        Reference { name: "ATT&CK T1040 Network Sniffing", url: Some("https://attack.mitre.org/techniques/T1040/") },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        if plaintext::of(context, at) != Some(Plaintext::InZone) {
            continue;
        }
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .confidence(confidence(context, edge, source, target))
                .because(context.encryption_evidence(at))
                .because([context.zone_evidence(edge.source), context.zone_evidence(edge.target)])
                .fix(encrypt::encrypt(context, at)),
        );
    }
}

/// Where a zone is unknown, the plaintext is certain and that it stays inside is not.
fn confidence(context: &Context<'_>, edge: &Edge<'_>, source: &Node<'_>, target: &Node<'_>) -> Confidence {
    let is_one_zone = source.zone.is_some() && target.zone.is_some();
    let most = if is_one_zone { Confidence::SURE } else { Confidence::LIKELY };
    context.sure_of_encryption(edge).min(most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn services(protocol: &str) -> Drawing {
        Drawing::new()
            .node("orders", "microservice", "internal")
            .node("stock", "app-server", "internal")
            .edge("ask", "orders", "stock", json!({"protocol": protocol}))
    }

    #[test]
    fn plaintext_between_neighbours_is_found() {
        services("HTTP").assert_steady("ATL-T02", &["ask"]);
        services("gRPC").edge_data("ask", json!({"encryption": "None"})).assert_steady("ATL-T02", &["ask"]);
    }

    #[test]
    fn encryption_or_silence_is_not() {
        services("HTTPS").assert_steady("ATL-T02", &[]);
        services("gRPC").assert_steady("ATL-T02", &[]);
        services("gRPC").edge_data("ask", json!({"encryption": "mTLS"})).assert_steady("ATL-T02", &[]);
    }

    #[test]
    fn every_attribute_that_matters_moves_it_to_another_rule() {
        let changed = services("HTTP").zone("stock", "management");
        changed.assert_steady("ATL-T02", &[]);
        assert_eq!(changed.about("ATL-T01"), ["ask"]);
        let changed = services("HTTP").node_data("stock", json!({"type": "database"}));
        changed.assert_steady("ATL-T02", &[]);
        assert_eq!(changed.about("ATL-T03"), ["ask"]);
        let changed = services("Telnet");
        changed.assert_steady("ATL-T02", &[]);
        assert_eq!(changed.about("ATL-T05"), ["ask"]);
        let changed = services("ANY");
        changed.assert_steady("ATL-T02", &[]);
        let said = services("ANY").edge_data("ask", json!({"encryption": "None"}));
        said.assert_steady("ATL-T02", &["ask"]);
        services("HTTP").without("ask").edge("own", "stock", "stock", json!({"protocol": "HTTP"})).assert_steady("ATL-T02", &[]);
    }

    #[test]
    fn an_unknown_zone_or_a_contradiction_makes_it_less_sure() {
        assert_eq!(services("HTTP").found("ATL-T02")[0].confidence, 1.0);
        let unknown = services("HTTP").zone("stock", "somewhere");
        assert_eq!(unknown.found("ATL-T02")[0].confidence, 0.7);
        let claimed = unknown.edge_data("ask", json!({"encryption": "TLS 1.3"}));
        assert_eq!(claimed.found("ATL-T02")[0].confidence, 0.6);
    }

    #[test]
    fn the_fix_mends_it() {
        let written = services("HTTP").edge_data("ask", json!({"port": 8080}));
        let fixed = written.assert_mended("ATL-T02");
        assert!(fixed.found("ATL-M02").is_empty());
        services("gRPC").edge_data("ask", json!({"encryption": "None"})).assert_mended("ATL-T02");
        let claimed = services("HTTP").edge_data("ask", json!({"encryption": "TLS 1.3"}));
        claimed.assert_mended("ATL-T02");
    }
}
