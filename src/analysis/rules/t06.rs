//! ATL-T06: TLS ends at the front, and behind it everything is plaintext.

use crate::analysis::context::Context;
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::encrypt;
use super::plaintext::{self, Plaintext};

pub(super) const RULE: Rule = Rule {
    id: "ATL-T06",
    title: "TLS ends at the front and plaintext goes on behind it",
    severity: Severity::Medium,
    stride: &[InformationDisclosure],
    cwe: &[319],
    why: "The lock in the browser holds only to the load balancer or CDN. From there on the same sessions and personal data travel in the clear, through networks that the provider or other tenants share.",
    remediation: "Encrypt again towards the origin: HTTPS target groups, origin protocol policy \"https-only\" of a CDN, backend TLS of a gateway or Ingress. Let the front check the origin's certificate, and let the origin take connections from the front only.",
    references: &[
        Reference { name: "CWE-319", url: Some("https://cwe.mitre.org/data/definitions/319.html") },
        Reference { name: "checkov: CloudfrontOriginNotHTTPSOnly", url: None },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, ..) in context.edges() {
        if plaintext::of(context, at) != Some(Plaintext::EndsHere) {
            continue;
        }
        let ways_in: Vec<usize> =
            context.graph.into[edge.source].iter().map(|(other, _)| *other).filter(|other| *other != at).collect();
        // One encrypted way in is evidence enough; a front may have thousands.
        let shown = ways_in.first().copied();
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .confidence(context.sure_of_encryption(edge))
                .because(context.encryption_evidence(at))
                .because(shown.into_iter().flat_map(|other| context.encryption_evidence(other)))
                .also([At::Node(edge.source)])
                .fix(encrypt::encrypt(context, at)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn shop(outside: &str, inside: &str) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node("front", "load-balancer-global", "dmz")
            .node("app", "app-server", "internal")
            .edge("visit", "user", "front", json!({"protocol": outside}))
            .edge("pass", "front", "app", json!({"protocol": inside, "port": 8080}))
    }

    #[test]
    fn plaintext_behind_a_front_that_ends_tls_is_found_and_by_no_other_rule() {
        let ended = shop("HTTPS", "HTTP");
        ended.assert_steady("ATL-T06", &["pass"]);
        assert!(ended.found("ATL-T01").is_empty());
        for kind in ["edge-cdn", "api-gateway", "waf"] {
            ended.clone().node_data("front", json!({"type": kind})).assert_steady("ATL-T06", &["pass"]);
        }
    }

    #[test]
    fn encryption_on_both_sides_or_on_none_is_not() {
        shop("HTTPS", "HTTPS").assert_steady("ATL-T06", &[]);
        let never = shop("HTTP", "HTTP");
        never.assert_steady("ATL-T06", &[]);
        assert_eq!(never.about("ATL-T01"), ["pass", "visit"]);
        shop("TCP", "HTTP").assert_steady("ATL-T06", &[]);
    }

    #[test]
    fn each_attribute_that_matters_moves_it_to_another_rule() {
        let ended = shop("HTTPS", "HTTP");
        let service = ended.clone().node_data("front", json!({"type": "microservice"}));
        service.assert_steady("ATL-T06", &[]);
        assert_eq!(service.about("ATL-T01"), ["pass"]);
        let store = ended.clone().node_data("app", json!({"type": "object-storage"}));
        store.assert_steady("ATL-T06", &[]);
        assert_eq!(store.about("ATL-T03"), ["pass"]);
        let mixed = ended.clone().node("old", "web-browser", "external").edge(
            "plain",
            "old",
            "front",
            json!({"protocol": "HTTP"}),
        );
        mixed.assert_steady("ATL-T06", &[]);
        ended.clone().without("visit").assert_steady("ATL-T06", &[]);
        ended.zone("app", "dmz").assert_steady("ATL-T06", &["pass"]);
    }

    #[test]
    fn the_fix_encrypts_again() {
        let fixed = shop("HTTPS", "HTTP").assert_mended("ATL-T06");
        let view = fixed.view();
        let data = &view.edges.iter().find(|edge| edge.id == "pass").unwrap().body["data"];
        assert_eq!((data["protocol"].as_str(), data["port"].as_u64()), (Some("HTTPS"), Some(8443)));
    }

    #[test]
    fn what_would_end_here_after_a_fix_is_encrypted_with_it() {
        let plain = shop("HTTP", "HTTP").node("next", "api-gateway", "internal").node("deep", "app-server", "internal");
        let chain = plain
            .without("pass")
            .edge("pass", "front", "next", json!({"protocol": "HTTP"}))
            .edge("on", "next", "deep", json!({"protocol": "HTTP"}));
        let fix = chain.found("ATL-T01").into_iter().find(|issue| issue.elements[0] == "visit").unwrap();
        let patch = fix.autofix.unwrap();
        let ids: Vec<&str> =
            patch["patch"]["edges"]["upsert"].as_array().unwrap().iter().map(|edge| edge["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["visit", "on", "pass"]);
        // Another way in stays plaintext: TLS does not end there.
        let other = chain.node("old", "web-browser", "external").edge("old", "old", "front", json!({"protocol": "HTTP"}));
        let fix = other.found("ATL-T01").into_iter().find(|issue| issue.elements[0] == "visit").unwrap();
        assert_eq!(fix.autofix.unwrap()["patch"]["edges"]["upsert"].as_array().unwrap().len(), 1);
    }
}
