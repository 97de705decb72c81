//! What the rules say of designs, and what people decide about it.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{AnalysisId, AnalysisRequestId, DesignId, Seq, UserId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Result;
use super::jobs::JobLease;

mod hints;

pub use hints::{AnalysisCounters, AnalysisFigures, AnalysisHint, AnalysisHints};

/// The newest analysis of a design in brief, for those who are told that there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisSummary {
    pub id: AnalysisId,
    /// Of the point in the design's history: a later one is larger.
    pub no: u64,
    /// The log up to here.
    pub seq: Seq,
    /// 0.0 to 10.0.
    pub score: f64,
    pub grade: String,
    /// Of the worst finding that counts.
    pub severity: Option<String>,
    /// Known attributes among all, 0 to 1.
    pub coverage: f64,
    /// Those that count: neither accepted nor false positives.
    pub findings: u64,
}

/// Points of a design's history that are kept; with the oldest go the analyses that no other point names.
pub const POINTS_KEPT: u64 = 500;
/// Decisions about findings of one design.
pub const TRIAGE_MAX: u64 = 5_000;

/// What a request says whose job was given up. Why is in the job's row and in the log, for operators.
pub const REQUEST_FAILED: &str = "The analysis failed several times. The server's log says why.";

/// What a run starts from, read in one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisState {
    /// Of the log.
    pub head: Seq,
    /// Somebody has looked at the log up to here.
    pub analysed: Seq,
    /// Grows with each decision about a finding.
    pub triage_no: u64,
    /// What holds now. `None`: nothing yet.
    pub current: Option<CurrentAnalysis>,
    /// Every decision, also about findings that are gone.
    pub triage: Vec<Triage>,
    /// An acceptance has run out and the score does not know it.
    pub has_expired: bool,
    /// Somebody waits for it by name ([`Analyses::request_analysis`]).
    pub is_requested: bool,
    /// By the store's clock, which also tells when an acceptance has run out.
    pub now: OffsetDateTime,
}

/// Of the newest point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentAnalysis {
    pub id: AnalysisId,
    pub semantic_hash: [u8; 32],
    pub ruleset_version: String,
    /// It was scored with the decisions up to here.
    pub triage_no: u64,
}

/// What the rules said of a meaning before.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptAnalysis {
    pub id: AnalysisId,
    /// JSON array.
    pub issues: String,
    /// JSON array.
    pub omitted: String,
    pub coverage: f64,
}

/// What becomes of a run: what holds from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisOutcome {
    /// The log up to here was looked at.
    pub seq: Seq,
    pub semantic_hash: [u8; 32],
    pub ruleset_version: String,
    pub score: StoredScore,
    /// The decisions up to here are in the score …
    pub triage_no: u64,
    /// … and the acceptances that had run out by then count as open.
    pub expired_until: OffsetDateTime,
    /// `None`: the rules said it before, and it is kept.
    pub fresh: Option<FreshAnalysis>,
}

/// A score as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredScore {
    /// 0.0 to 10.0, with one decimal.
    pub score: f64,
    pub grade: String,
    /// Of the worst finding that counts.
    pub severity: Option<String>,
    /// Findings that count.
    pub findings: u64,
    /// JSON array.
    pub explanation: String,
    /// JSON object.
    pub cap: Option<String>,
}

/// What the rules said just now.
#[derive(Debug, Clone, PartialEq)]
pub struct FreshAnalysis {
    pub id: AnalysisId,
    pub content_hash: [u8; 32],
    /// Yjs, v1: which edits it has seen.
    pub state_vector: Bytes,
    pub coverage: f64,
    /// JSON array.
    pub issues: String,
    /// JSON array.
    pub omitted: String,
    pub execution_ms: u64,
}

/// What somebody decided about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triage {
    pub fingerprint: [u8; 32],
    pub decision: Decision,
    /// `None`: the account is gone.
    pub by: Option<Decider>,
    pub at: OffsetDateTime,
}

impl Triage {
    /// What holds at this moment: an acceptance that ran out is none.
    #[must_use]
    pub fn state(&self, now: OffsetDateTime) -> TriageState {
        match self.decision.expires_at {
            Some(at) if at <= now => TriageState::Open,
            _ => self.decision.state,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    pub id: UserId,
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub state: TriageState,
    pub reason: Option<String>,
    /// Of an acceptance only.
    pub expires_at: Option<OffsetDateTime>,
}

/// The words are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriageState {
    /// It counts.
    Open,
    /// The risk is known and borne.
    Accepted,
    /// The rule is mistaken here.
    FalsePositive,
}

impl TriageState {
    pub const ALL: [Self; 3] = [Self::Open, Self::Accepted, Self::FalsePositive];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::FalsePositive => "false_positive",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// An analysis with everything that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    pub id: AnalysisId,
    pub design: DesignId,
    pub score: StoredScore,
    pub coverage: f64,
    pub content_hash: [u8; 32],
    pub semantic_hash: [u8; 32],
    pub ruleset_version: String,
    /// The log up to here, when it was last found to hold.
    pub seq: Seq,
    /// JSON array, without decisions.
    pub issues: String,
    /// JSON array.
    pub omitted: String,
    pub execution_ms: u64,
    pub created_at: OffsetDateTime,
    /// The log goes further than anybody has looked at.
    pub is_stale: bool,
    /// Every decision about findings of the design.
    pub triage: Vec<Triage>,
}

/// One point of a design's history.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisPoint {
    pub no: u64,
    pub analysis: AnalysisId,
    pub score: f64,
    pub grade: String,
    pub severity: Option<String>,
    pub findings: u64,
    pub coverage: f64,
    pub seq: Seq,
    pub ruleset_version: String,
    /// When the rules ran.
    pub created_at: OffsetDateTime,
    /// When it came to hold.
    pub at: OffsetDateTime,
}

/// Somebody asks for an analysis, and will ask what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAnalysisRequest {
    pub id: AnalysisRequestId,
    pub design: DesignId,
    pub by: UserId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalysisRequest {
    pub id: AnalysisRequestId,
    pub design: DesignId,
    pub created_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub finished_at: Option<OffsetDateTime>,
    pub attempts: u64,
    /// In percent.
    pub progress: u64,
    pub analysis: Option<AnalysisId>,
    /// Why there is none, in a word.
    pub error: Option<String>,
}

/// Analyses, their history, decisions and requests. Implemented by whatever implements [`Store`](super::Store), and tested by the
/// same suite.
#[async_trait]
pub trait Analyses: Send + Sync + 'static {
    // --- the job that analyses
    /// `None`: no such design.
    async fn analysis_state(&self, design: DesignId) -> Result<Option<AnalysisState>>;
    /// What these rules said of this meaning of the design before.
    async fn kept_analysis(
        &self,
        design: DesignId,
        semantic_hash: [u8; 32],
        ruleset_version: &str,
    ) -> Result<Option<KeptAnalysis>>;
    /// Tells whoever asked by name how far it is: `percent`, in the n-th attempt.
    async fn note_progress(&self, lease: JobLease, attempt: u32, percent: u8) -> Result<()>;
    /// The design was looked at up to `seq`, and what holds still holds. Requests made before end with it. `Fenced` when the
    /// lease is lost.
    async fn note_unchanged(&self, lease: JobLease, seq: Seq) -> Result<()>;
    /// Stores what the rules said (INV-8: one analysis for each meaning and set of rules, whoever was faster), adds a point to
    /// the history and ends the requests made before, in one transaction; the point's number. `Fenced` when the lease is lost,
    /// or a kept analysis is not there any more. Once more under the same lease changes nothing: the answer may have been lost.
    async fn put_analysis(&self, lease: JobLease, outcome: AnalysisOutcome) -> Result<u64>;
    /// Designs whose log goes further than anybody has looked at, without an edit for `quiet_for`, and designs with an
    /// acceptance that ran out: at most `limit`, newest edit first. Not those that have a job already, or whose job was
    /// given up since their last edit.
    async fn unanalysed(&self, quiet_for: Duration, limit: usize) -> Result<Vec<DesignId>>;
    /// Forgets requests made longer ago than `keep`; how many.
    async fn forget_requests(&self, keep: Duration) -> Result<u64>;

    // --- people
    /// What holds now. `None`: no such design, or nothing yet.
    async fn latest_analysis(&self, design: DesignId) -> Result<Option<Analysis>>;
    /// `None`: the design has no such analysis (any more).
    async fn analysis(&self, design: DesignId, id: AnalysisId) -> Result<Option<Analysis>>;
    /// Newest first, those before the number `before` (`None`: all).
    async fn analysis_history(
        &self,
        design: DesignId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AnalysisPoint>>;
    /// Notes the request and enqueues the job, at once. `NoSuchDesign`.
    async fn request_analysis(&self, request: NewAnalysisRequest) -> Result<()>;
    async fn analysis_request(&self, id: AnalysisRequestId) -> Result<Option<AnalysisRequest>>;
    /// Every decision about findings of the design, newest first.
    async fn triage(&self, design: DesignId) -> Result<Vec<Triage>>;
    /// Notes the decision and enqueues the job that scores anew, at once. `None`: what holds has no such finding, and nobody
    /// decided about it before. `NoSuchDesign`; `Conflict` when there are [`TRIAGE_MAX`] of them.
    async fn put_triage(
        &self,
        design: DesignId,
        fingerprint: [u8; 32],
        decision: Decision,
        by: UserId,
    ) -> Result<Option<Triage>>;
}
