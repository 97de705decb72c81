//! Parts of an analysis as the OpenAPI document describes them. The rules write them, and know nothing of such documents; a
//! story reads real ones with these types.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What a rule costs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnalysisCost)]
pub struct Cost {
    rule_id: String,
    severity: Severity,
    /// Findings.
    count: u64,
    points: f64,
}

/// What the score cannot rise above while this rule has a finding that is rather sure.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnalysisCap)]
pub struct Cap {
    rule_id: String,
    severity: Severity,
    limit: f64,
}

/// Findings of one kind that are not listed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OmittedFindings)]
pub struct Omitted {
    rule_id: String,
    severity: Severity,
    confidence: f64,
    count: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Critical,
    High,
    Medium,
    Low,
    Info,
}

/// Something that is wrong with a design.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Finding)]
pub struct Issue {
    rule_id: String,
    /// Stable when elements move or are renamed: decisions are kept by it.
    fingerprint: String,
    severity: Severity,
    /// 0 to 1.
    confidence: f64,
    title: String,
    why: String,
    remediation: String,
    /// Letters of STRIDE.
    stride: Vec<String>,
    cwe: Vec<String>,
    standards: Vec<Standard>,
    /// Ids of nodes and edges to mark; what it is about first.
    elements: Vec<String>,
    /// A path of an attack: node, edge, node and so on.
    #[serde(default)]
    #[schema(required = false)]
    path: Vec<String>,
    evidence: Vec<Evidence>,
    /// What it costs of the score. 0 if it does not count.
    points: f64,
    #[schema(nullable = false)]
    autofix: Option<Autofix>,
    #[schema(value_type = super::super::analyses::TriageSchema)]
    triage: Value,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Standard {
    name: String,
    #[schema(nullable = false)]
    url: Option<String>,
}

/// What the design says, and how that was read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FindingEvidence)]
pub struct Evidence {
    element: String,
    key: String,
    value: String,
    says: String,
}

/// What mends it: the body of a PATCH of the design.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Autofix {
    title: String,
    /// As PATCH takes it. New nodes have no place in it.
    #[schema(value_type = Object)]
    patch: Value,
    /// For each new node, by its id: near which elements it belongs.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    place: Value,
}
