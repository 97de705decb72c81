//! From what rules found to what is stored and shown: the same bytes for the same meaning, on every pod.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use atlas_crdt::view::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::model::Model;
use super::rule::{At, Finding, Reference, Rule, Severity, Stride};
use super::score::{self, Counted, Score};

/// Findings that are listed. Further ones are counted, by rule, and weigh as much.
pub const ISSUES_MAX: usize = 2_000;
/// Characters of a piece of evidence.
const EVIDENCE_CHARS_MAX: usize = 200;

/// What a run of all rules says about a design.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub score: Score,
    /// Known attributes among all that rules ask about, 0.0 to 1.0, in hundredths.
    pub coverage: f64,
    /// The worst first.
    pub issues: Vec<Issue>,
    pub omitted: Vec<Counted>,
}

/// A finding, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Issue {
    pub rule_id: &'static str,
    /// SHA-256 in hexadecimal of the rule's id and the sorted elements that the finding is about, each on a line behind
    /// `n:` or `e:`. Stable when elements move or are renamed.
    pub fingerprint: String,
    pub severity: Severity,
    /// 0.0 to 1.0.
    pub confidence: f64,
    pub title: &'static str,
    pub why: &'static str,
    pub remediation: &'static str,
    pub stride: &'static [Stride],
    pub cwe: Vec<String>,
    pub standards: &'static [Reference],
    /// Ids: what the finding is about first, then what else to mark.
    pub elements: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    pub evidence: Vec<Shown>,
    /// What this finding costs where it stands among those of its rule.
    pub points: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autofix: Option<Value>,
}

/// A piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shown {
    pub element: String,
    pub key: String,
    pub value: String,
    pub says: String,
}

/// Makes findings of all rules into a report.
pub(super) fn of(model: &Model<'_>, found: Vec<(&'static Rule, Vec<Finding>)>, coverage: f64) -> Report {
    let mut issues: BTreeMap<
        (std::cmp::Reverse<Severity>, &'static str, std::cmp::Reverse<u8>, String),
        Issue,
    > = BTreeMap::new();
    let mut known = BTreeSet::new();
    for (rule, findings) in found {
        for finding in findings {
            let issue = issue(model, rule, &finding);
            // Two findings never say the same thing about the same element.
            if known.insert(issue.fingerprint.clone()) {
                let place = (
                    std::cmp::Reverse(issue.severity),
                    issue.rule_id,
                    std::cmp::Reverse(finding.confidence.0),
                    issue.fingerprint.clone(),
                );
                issues.insert(place, issue);
            }
        }
    }
    let mut issues: Vec<Issue> = issues.into_values().collect();
    points(&mut issues);
    let score = score::of(issues.iter().map(counted));
    let mut omitted: BTreeMap<(&str, Severity, u64), Counted> = BTreeMap::new();
    for issue in issues.iter().skip(ISSUES_MAX) {
        let place = (issue.rule_id, issue.severity, issue.confidence.to_bits());
        omitted.entry(place).or_insert_with(|| Counted { count: 0, ..counted(issue) }).count += 1;
    }
    let omitted = omitted.into_values().collect();
    issues.truncate(ISSUES_MAX);
    Report { score, coverage: (coverage * 100.0).round() / 100.0, issues, omitted }
}

fn counted(issue: &Issue) -> Counted {
    Counted {
        rule_id: issue.rule_id.to_owned(),
        severity: issue.severity,
        confidence: issue.confidence,
        count: 1,
    }
}

/// What each finding costs: those of a rule in the order of their weight, each damped once more.
fn points(issues: &mut [Issue]) {
    use super::tables::weights::{DAMPING, weight};
    let mut order: Vec<usize> = (0..issues.len()).collect();
    let raw = |issue: &Issue| weight(issue.severity) * issue.confidence;
    order.sort_by(|a, b| raw(&issues[*b]).total_cmp(&raw(&issues[*a])).then(a.cmp(b)));
    let mut factors: BTreeMap<&'static str, f64> = BTreeMap::new();
    for at in order {
        let factor = factors.entry(issues[at].rule_id).or_insert(1.0);
        issues[at].points = (raw(&issues[at]) * *factor * 100.0).round() / 100.0;
        *factor *= DAMPING;
    }
}

fn issue(model: &Model<'_>, rule: &'static Rule, finding: &Finding) -> Issue {
    let mut elements: Vec<String> = Vec::new();
    // A set, since a finding may mark thousands.
    let mut marked = HashSet::new();
    for at in finding.subject.iter().chain(&finding.also) {
        let id = id(model, *at);
        if marked.insert(id) {
            elements.push(id.to_owned());
        }
    }
    let mut evidence: Vec<Shown> = Vec::new();
    for piece in &finding.evidence {
        let shown = Shown {
            element: id(model, piece.at).to_owned(),
            key: piece.key.clone(),
            value: piece.value.chars().take(EVIDENCE_CHARS_MAX).collect(),
            says: piece.says.clone(),
        };
        if !evidence.contains(&shown) {
            evidence.push(shown);
        }
    }
    Issue {
        rule_id: rule.id,
        fingerprint: fingerprint(model, rule.id, &finding.subject),
        severity: finding.severity,
        confidence: finding.confidence.share(),
        title: rule.title,
        why: rule.why,
        remediation: rule.remediation,
        stride: rule.stride,
        cwe: rule.cwe.iter().map(|number| format!("CWE-{number}")).collect(),
        standards: rule.references,
        elements,
        path: finding.path.iter().map(|at| id(model, *at).to_owned()).collect(),
        evidence,
        points: 0.0,
        autofix: finding.fix.as_ref().map(super::fix::Fix::to_json),
    }
}

pub(super) fn id<'a>(model: &'a Model<'_>, at: At) -> &'a str {
    match at {
        At::Node(node) => model.nodes[node].id(),
        At::Edge(edge) => model.edges[edge].id(),
        At::Dangling(edge) => &model.dangling[edge].element.id,
    }
}

pub(super) fn fingerprint(model: &Model<'_>, rule: &str, subject: &[At]) -> String {
    let lines: BTreeSet<String> = subject
        .iter()
        .map(|at| {
            let space = if matches!(at, At::Node(_)) { "n" } else { "e" };
            format!("{space}:{}", id(model, *at))
        })
        .collect();
    let mut text = rule.to_owned();
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    hex(&Sha256::digest(text))
}
