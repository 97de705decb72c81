//! What a rule is, and what it says.

use super::context::Context;
use super::fix::Fix;

/// How bad it is if a finding is true. The order is from harmless to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How sure a finding is, in percent: what was said by the drawing itself is 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(pub u8);

impl Confidence {
    pub const SURE: Self = Self(100);
    /// Two statements contradict each other.
    pub const CONTRADICTED: Self = Self(60);
    /// It follows from what is usual, not from what is said.
    pub const LIKELY: Self = Self(70);
    /// It was not said, and would be bad.
    pub const UNSAID: Self = Self(40);

    /// 0.0 to 1.0.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// The kinds of threats after Shostack, "Threat Modeling" (2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Stride {
    #[serde(rename = "S")]
    Spoofing,
    #[serde(rename = "T")]
    Tampering,
    #[serde(rename = "R")]
    Repudiation,
    #[serde(rename = "I")]
    InformationDisclosure,
    #[serde(rename = "D")]
    DenialOfService,
    #[serde(rename = "E")]
    ElevationOfPrivilege,
}

/// Something outside that says the same, with the name by which people know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Reference {
    pub name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<&'static str>,
}

/// One question that is put to every design.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `ATL-T01`. Never given to another rule.
    pub id: &'static str,
    /// A short sentence without a full stop.
    pub title: &'static str,
    /// Of its findings, unless a finding says another.
    pub severity: Severity,
    pub stride: &'static [Stride],
    /// Numbers of the Common Weakness Enumeration.
    pub cwe: &'static [u16],
    pub why: &'static str,
    pub remediation: &'static str,
    pub references: &'static [Reference],
    /// Linear in the graph; says what it finds in any order.
    pub check: fn(&Context<'_>, &mut Vec<Finding>),
}

/// An element of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// Index into the model's nodes.
    Node(usize),
    /// Index into the model's edges.
    Edge(usize),
    /// Index into the model's edges that lead nowhere.
    Dangling(usize),
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub at: At,
    /// Where it stands in the element (`data.protocol`), or what was computed (`zone`).
    pub key: String,
    /// What stands there, as a short text.
    pub value: String,
    /// How it was read.
    pub says: String,
}

/// What one rule says about one place of a design.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What the finding is about, and known by: with the rule its fingerprint. Empty: the whole design.
    pub subject: Vec<At>,
    /// What else to mark on the canvas.
    pub also: Vec<At>,
    pub severity: Severity,
    pub confidence: Confidence,
    pub evidence: Vec<Evidence>,
    /// Nodes and edges in turn, from where an attack comes to where it leads.
    pub path: Vec<At>,
    /// Who can be mended mechanically, is.
    pub fix: Option<Fix>,
}

impl Finding {
    /// With certainty and the severity of its rule.
    #[must_use]
    pub fn new(rule: &Rule, subject: impl IntoIterator<Item = At>) -> Self {
        Self {
            subject: subject.into_iter().collect(),
            also: Vec::new(),
            severity: rule.severity,
            confidence: Confidence::SURE,
            evidence: Vec::new(),
            path: Vec::new(),
            fix: None,
        }
    }

    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    #[must_use]
    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    #[must_use]
    pub fn also(mut self, also: impl IntoIterator<Item = At>) -> Self {
        self.also.extend(also);
        self
    }

    #[must_use]
    pub fn because(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    #[must_use]
    pub fn path(mut self, path: Vec<At>) -> Self {
        self.path = path;
        self
    }

    #[must_use]
    pub fn fix(mut self, fix: Option<Fix>) -> Self {
        self.fix = fix;
        self
    }
}
