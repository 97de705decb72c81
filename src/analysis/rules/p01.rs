//! ATL-P01: what is built goes straight into production.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind, Node};
use crate::analysis::rule::Stride::Tampering;
use crate::analysis::rule::{At, Confidence, Evidence, Finding, Reference, Rule, Severity};

use super::seen;

pub(super) const RULE: Rule = Rule {
    id: "ATL-P01",
    title: "The pipeline pushes to production unchecked",
    severity: Severity::Medium,
    stride: &[Tampering],
    cwe: &[],
    why: "Whoever changes one line of a build, or one of its dependencies, runs code in production minutes later: nothing scans what was built, no registry holds it, nobody approves it. The pipeline also carries keys that can do all that by themselves.",
    remediation: "Build into a registry, scan there, and let production pull what was approved (Argo CD, Flux) rather than be pushed to. Protect the production environment with required reviewers, and give the pipeline short-lived OIDC credentials in place of keys.",
    references: &[
        Reference { name: "Threagile: unchecked-deployment", url: None },
        Reference {
            name: "OWASP Top 10 CI/CD Security Risks: CICD-SEC-1",
            url: Some("https://owasp.org/www-project-top-10-ci-cd-security-risks/"),
        },
        Reference {
            name: "ATT&CK T1195 Supply Chain Compromise",
            url: Some("https://attack.mitre.org/techniques/T1195/"),
        },
    ],
    check,
};

/// What holds a build back until somebody or something has looked at it.
const GATES: [Flag; 3] = [Flag::Approval, Flag::Scan, Flag::Signing];

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        let may_be_production = target.kind.is_compute() && !target.is_not(Flag::Production);
        if source.kind != Kind::Cicd || !may_be_production || is_gated(context, edge.source, target) {
            continue;
        }
        let said: Vec<Evidence> =
            GATES.iter().filter_map(|flag| context.flag_evidence(edge.source, *flag)).collect();
        let confidence = match (target.is(Flag::Production), said.is_empty()) {
            (true, false) => Confidence::SURE,
            (true, true) | (false, false) => Confidence::LIKELY,
            (false, true) => Confidence::UNSAID,
        };
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .confidence(confidence)
                .also([At::Node(edge.target)])
                .because(context.flag_evidence(edge.target, Flag::Production))
                .because(said)
                .because([seen::computed(
                    At::Edge(at),
                    "deployment",
                    "push",
                    "from the pipeline straight to what runs, and no registry or gate beside it",
                )]),
        );
    }
}

/// The pipeline checks, or goes through a registry as well, or the target lets in only what was checked.
fn is_gated(context: &Context<'_>, pipeline: usize, target: &Node<'_>) -> bool {
    let nodes = &context.model.nodes;
    GATES.iter().any(|gate| nodes[pipeline].is(*gate) || target.is(*gate))
        || context.graph.out[pipeline].iter().any(|(_, to)| nodes[*to].kind == Kind::Registry)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::analysis::testing::Drawing;

    fn deploy(pipeline: Value, target: Value) -> Drawing {
        Drawing::new()
            .node_with("build", "ci-cd-pipeline", "management", json!({"securityFlags": pipeline}))
            .node_with("shop", "kubernetes-cluster", "internal", target)
            .edge("push", "build", "shop", json!({"protocol": "HTTPS"}))
    }

    fn unchecked() -> Drawing {
        deploy(json!({"vulnerabilityScanning": false}), json!({"environment": "production"}))
    }

    #[test]
    fn a_push_to_production_without_any_check_is_found() {
        unchecked().assert_steady("ATL-P01", &["push"]);
        assert_eq!(unchecked().found("ATL-P01")[0].confidence, 1.0);
        unchecked().node_data("shop", json!({"type": "app-server"})).assert_steady("ATL-P01", &["push"]);
    }

    #[test]
    fn any_check_is_enough() {
        for gate in ["vulnerabilityScanning", "approvalRequired", "manualApproval", "imageSigning"] {
            let flags = json!({"securityFlags": {gate: true}});
            unchecked().node_data("build", flags).assert_steady("ATL-P01", &[]);
        }
        unchecked().node_data("shop", json!({"binaryAuthorization": true})).assert_steady("ATL-P01", &[]);
        let registry = unchecked()
            .node_with("images", "image-registry", "management", json!({"label": "Container registry"}))
            .edge("publish", "build", "images", json!({"protocol": "HTTPS"}));
        registry.assert_steady("ATL-P01", &[]);
    }

    #[test]
    fn other_environments_and_other_ends_are_not() {
        unchecked().node_data("shop", json!({"environment": "staging"})).assert_steady("ATL-P01", &[]);
        unchecked().node_data("shop", json!({"type": "monitoring"})).assert_steady("ATL-P01", &[]);
        unchecked().node_data("build", json!({"type": "app-server"})).assert_steady("ATL-P01", &[]);
        unchecked().zone("build", "external").assert_steady("ATL-P01", &["push"]);
    }

    #[test]
    fn what_is_not_said_makes_it_less_sure() {
        let confidence = |pipeline, target| deploy(pipeline, target).found("ATL-P01")[0].confidence;
        assert_eq!(confidence(json!({}), json!({"environment": "prod"})), 0.7);
        assert_eq!(confidence(json!({"approvalRequired": false}), json!({})), 0.7);
        assert_eq!(confidence(json!({}), json!({})), 0.4);
    }
}
