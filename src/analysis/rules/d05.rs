//! ATL-D05: restricted data that leaves the house.

use crate::analysis::context::Context;
use crate::analysis::model::{Flag, Kind, Node};
use crate::analysis::rule::Stride::InformationDisclosure;
use crate::analysis::rule::{At, Confidence, Finding, Reference, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ATL-D05",
    title: "Restricted data to a third party without DLP",
    severity: Severity::Medium,
    stride: &[InformationDisclosure],
    cwe: &[201],
    why: "What is sent to a language model or another company is kept, logged and read under their rules, and cannot be called back. Prompts and payloads grow by themselves: sooner or later a whole customer record is among them.",
    remediation: "Put a filter in front that redacts or tokenises personal data (Microsoft Presidio, Google Sensitive Data Protection, Amazon Comprehend PII, a gateway with guardrails), and set `dlpEnabled` where it runs. Send only listed fields, and settle retention and training in the contract.",
    references: &[
        Reference { name: "CWE-201", url: Some("https://cwe.mitre.org/data/definitions/201.html") },
        Reference {
            name: "OWASP LLM02:2025 Sensitive Information Disclosure",
            url: Some("https://owasp.org/www-project-top-10-for-large-language-model-applications/"),
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (at, edge, source, target) in context.edges() {
        // What watches data on its way out has looked at it.
        let is_filtered = source.kind == Kind::Dam || source.is(Flag::Dlp) || target.is(Flag::Dlp);
        if !is_third_party(target) || is_filtered {
            continue;
        }
        let Some((holder, confidence)) = restricted(context, edge.source, target) else { continue };
        findings.push(
            Finding::new(&RULE, [At::Edge(at)])
                .confidence(confidence)
                .also([At::Node(edge.target)])
                .also([At::Node(holder)])
                .because(context.flag_evidence(holder, Flag::Restricted))
                .because(context.flag_evidence(edge.source, Flag::Dlp))
                .because([context.zone_evidence(edge.target)]),
        );
    }
}

/// Language models and services out there; people and the internet itself are nobody's processor.
fn is_third_party(target: &Node<'_>) -> bool {
    let is_service = target.kind != Kind::Client && target.kind != Kind::Boundary && !target.kind.is_forwarder();
    target.kind == Kind::Llm || is_service && target.is_untrusted()
}

/// Who holds the restricted data that may go out: the sender itself, or a store that it reads, where what it reads is
/// likely to be what it sends: prompts are made of it.
fn restricted(context: &Context<'_>, sender: usize, target: &Node<'_>) -> Option<(usize, Confidence)> {
    let nodes = &context.model.nodes;
    if nodes[sender].is(Flag::Restricted) {
        return Some((sender, Confidence::SURE));
    }
    if target.kind != Kind::Llm || nodes[sender].is_not(Flag::Restricted) || !nodes[sender].kind.is_compute() {
        return None;
    }
    let read = context.graph.out[sender].iter().map(|(_, to)| *to);
    let holder = read.filter(|to| nodes[*to].kind.is_store() && nodes[*to].is(Flag::Restricted)).min()?;
    (!nodes[holder].is(Flag::Dlp)).then_some((holder, Confidence::LIKELY))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::analysis::testing::Drawing;

    fn prompt(flags: serde_json::Value) -> Drawing {
        Drawing::new()
            .node_with("assistant", "microservice", "internal", json!({"securityFlags": flags}))
            .node_with("model", "llm", "external", json!({"label": "GPT LLM API"}))
            .edge("ask", "assistant", "model", json!({"protocol": "HTTPS"}))
    }

    #[test]
    fn restricted_data_to_a_model_or_another_company_is_found() {
        for class in ["restricted", "confidential", "PII", "phi", "pci"] {
            prompt(json!({"dataClassification": class})).assert_steady("ATL-D05", &["ask"]);
        }
        let inner = prompt(json!({"dataClassification": "pii"}));
        inner.clone().zone("model", "internal").assert_steady("ATL-D05", &["ask"]);
        inner.node_data("model", json!({"type": "app-server"})).assert_steady("ATL-D05", &["ask"]);
    }

    #[test]
    fn a_filter_or_public_data_or_silence_is_not() {
        prompt(json!({})).assert_steady("ATL-D05", &[]);
        prompt(json!({"dataClassification": "public"})).assert_steady("ATL-D05", &[]);
        let restricted = prompt(json!({"dataClassification": "pii"}));
        let filter = json!({"securityFlags": {"dlpEnabled": true}});
        restricted.clone().node_data("assistant", filter.clone()).assert_steady("ATL-D05", &[]);
        restricted.clone().node_data("model", filter).assert_steady("ATL-D05", &[]);
        let own = restricted.clone().node_data("model", json!({"type": "app-server"})).zone("model", "internal");
        own.assert_steady("ATL-D05", &[]);
        restricted.node_data("model", json!({"type": "web-browser"})).assert_steady("ATL-D05", &[]);
    }

    #[test]
    fn what_a_service_reads_it_is_likely_to_send_to_a_model() {
        let reading = prompt(json!({}))
            .node_with("people", "database", "data", json!({"dataClassification": "pii"}))
            .edge("query", "assistant", "people", json!({"protocol": "PostgreSQL", "encryption": "TLS"}));
        reading.assert_steady("ATL-D05", &["ask"]);
        assert_eq!(reading.found("ATL-D05")[0].confidence, 0.7);
        reading.clone().without("query").assert_steady("ATL-D05", &[]);
        reading.node_data("model", json!({"type": "app-server"})).assert_steady("ATL-D05", &[]);
    }
}
