//! ATL-D04: object storage that strangers read.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-D04",
    title: "Public object storage",
    severity: Severity::High,
    stride: &[InformationDisclosure],
    cwe: &[732],
    why: "Whoever guesses or finds the name of the bucket reads what is in it, and whole lists of open buckets are traded. What was meant to hold pictures soon holds exports, backups and logs as well.",
    remediation: "Block public access for the whole account (S3 Block Public Access, `allowBlobPublicAccess` false, uniform bucket-level access). Give content out through a CDN with origin access control, or by URLs that are signed for one object and a few minutes.",
    references: &[
        Reference { name: "CWE-732", url: Some("https://cwe.mitre.org/data/definitions/732.html") },
        Reference { name: "checkov: S3BucketHasPublicAccessBlock", url: None },
        Reference {
            name: "ATT&CK T1530 Data from Cloud Storage",
            url: Some("https://attack.mitre.org/techniques/T1530/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let nodes = &context.model.nodes;
    for (at, node) in context.nodes() {
        if node.kind != Kind::ObjectStore || node.is(Flag::SignedUrls) {
            continue;
        }
        let strangers: Vec<(usize, usize)> = context.graph.into[at]
            .iter()
            .copied()
            .filter(|(_, from)| nodes[*from].is_untrusted() && !nodes[*from].kind.is_forwarder())
            .take(seen::SHOWN_MAX)
            .collect();
        if strangers.is_empty() && !node.is(Flag::Internet) {
            continue;
        }
        // Drawn as reached, and said not to be: one of the two is wrong.
        let is_denied = node.is_not(Flag::Internet);
        let confidence = if is_denied { Confidence::CONTRADICTED } else { Confidence::SURE };
        findings.push(
            Finding::new(&RULE, [At::Node(at)])
                .confidence(confidence)
                .also(strangers.iter().map(|(edge, _)| At::Edge(*edge)))
                .because(context.flag_evidence(at, Flag::Internet))
                .because(context.flag_evidence(at, Flag::SignedUrls))
                .because(strangers.iter().map(|(_, from)| context.zone_evidence(*from))),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn bucket(flags: serde_json::Value) -> Drawing {
        Drawing::new()
            .node("user", "web-browser", "external")
            .node_with("pictures", "object-storage", "data", json!({"securityFlags": flags}))
    }

    fn read(flags: serde_json::Value) -> Drawing {
        bucket(flags).edge("get", "user", "pictures", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn a_bucket_that_is_public_or_that_strangers_read_is_found() {
        bucket(json!({"publicAccess": true})).assert_steady("ATL-D04", &["pictures"]);
        read(json!({})).assert_steady("ATL-D04", &["pictures"]);
        let denied = read(json!({"publicAccess": false}));
        denied.assert_steady("ATL-D04", &["pictures"]);
        assert_eq!(denied.found("ATL-D04")[0].confidence, 0.6);
    }

    #[test]
    fn signatures_a_cdn_or_silence_are_not() {
        bucket(json!({})).assert_steady("ATL-D04", &[]);
        read(json!({"signedUrls": true})).assert_steady("ATL-D04", &[]);
        bucket(json!({"publicAccess": true, "signedUrls": true})).assert_steady("ATL-D04", &[]);
        for zone in ["dmz", "external"] {
            let through = bucket(json!({}))
                .node("cdn", "edge-cdn", zone)
                .edge("get", "user", "cdn", json!({"protocol": "HTTPS"}))
                .edge("origin", "cdn", "pictures", json!({"protocol": "HTTPS"}));
            through.assert_steady("ATL-D04", &[]);
        }
    }

    #[test]
    fn each_attribute_matters() {
        read(json!({})).zone("user", "internal").assert_steady("ATL-D04", &[]);
        read(json!({})).node_data("pictures", json!({"type": "database"})).assert_steady("ATL-D04", &[]);
        read(json!({})).node_data("user", json!({"type": "mobile-app"})).assert_steady("ATL-D04", &["pictures"]);
        read(json!({})).zone("pictures", "dmz").assert_steady("ATL-D04", &["pictures"]);
        read(json!({})).without("get").assert_steady("ATL-D04", &[]);
    }
}
