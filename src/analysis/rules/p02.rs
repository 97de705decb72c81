//! ATL-P02: containers of unknown origin.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind};
use crate::analysis::rule::Stride::Tampering;
use crate::analysis::rule::{At, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-P02",
    title: "Container platform without image scanning or signing",
    severity: Severity::Medium,
    stride: &[Tampering],
    cwe: &[912],
    why: "The platform runs whatever is in its images: packages with published holes, and code that somebody put there. Without scans nobody knows the first, and without signatures nothing keeps out the second.",
    remediation: "Scan images in the pipeline and again in the registry (Trivy, Grype, ECR or Defender scanning), and stop at known critical holes. Sign them with Cosign, and admit only signed ones: Kyverno, Sigstore policy-controller, Binary Authorization.",
    references: &[
        Reference { name: "CWE-912", url: Some("https://cwe.mitre.org/data/definitions/912.html") },
        Reference { name: "Threagile: container-baseimage-backdooring", url: None },
        Reference {
            name: "ATT&CK T1525 Implant Internal Image",
            url: Some("https://attack.mitre.org/techniques/T1525/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, node) in context.nodes().filter(|(_, node)| node.kind == Kind::Kubernetes) {
        let missing = [Flag::Scan, Flag::Signing]
            .into_iter()
            .filter(|flag| node.is_not(*flag) && !registry_says(context, at, *flag));
        let evidence: Vec<_> = missing.filter_map(|flag| context.flag_evidence(at, flag)).collect();
        if !evidence.is_empty() {
            findings.push(Finding::new(&RULE, [At::Node(at)]).because(evidence));
        }
    }
}

/// What the platform does not do, the registry beside it may.
fn registry_says(context: &Context<'_>, at: usize, flag: Flag) -> bool {
    let nodes = &context.model.nodes;
    seen::neighbours(context, at).any(|other| nodes[other].kind == Kind::Registry && nodes[other].is(flag))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn cluster(flags: Value) -> Drawing {
        Drawing::new().node_with("shop", "kubernetes-cluster", "internal", json!({"securityFlags": flags}))
    }

    #[test]
    fn a_platform_said_to_lack_either_is_found() {
        cluster(json!({"imageScanning": false})).assert_steady("ATL-P02", &["shop"]);
        cluster(json!({"imageSigning": false})).assert_steady("ATL-P02", &["shop"]);
        cluster(json!({"imageScanning": false, "imageSigning": false})).assert_steady("ATL-P02", &["shop"]);
        cluster(json!({"imageScanning": true, "imageSigning": false})).assert_steady("ATL-P02", &["shop"]);
    }

    #[test]
    fn both_or_silence_are_not() {
        cluster(json!({"imageScanning": true, "imageSigning": true})).assert_steady("ATL-P02", &[]);
        cluster(json!({"imageScanning": true})).assert_steady("ATL-P02", &[]);
        cluster(json!({})).assert_steady("ATL-P02", &[]);
    }

    #[test]
    fn a_registry_that_scans_speaks_for_it() {
        let registry = |scans: bool| {
            let flags = json!({"label": "Container registry", "securityFlags": {"imageScanning": scans}});
            cluster(json!({"imageScanning": false}))
                .node_with("images", "image-registry", "management", flags)
                .edge("pull", "shop", "images", json!({"protocol": "HTTPS"}))
        };
        registry(true).assert_steady("ATL-P02", &[]);
        registry(true).without("pull").assert_steady("ATL-P02", &["shop"]);
        registry(false).assert_steady("ATL-P02", &["shop"]);
    }

    #[test]
    fn only_container_platforms_are_asked() {
        let flags = json!({"imageScanning": false});
        cluster(flags.clone()).node_data("shop", json!({"type": "app-server"})).assert_steady("ATL-P02", &[]);
        cluster(flags).zone("shop", "").assert_steady("ATL-P02", &["shop"]);
    }
}
