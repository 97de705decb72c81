//! Work that is done aside, by whichever pod claims it: one row for each (kind, design).
//!
//! A job is claimed under a lease, by its owner renewed while the work goes on. Each claim raises the job's fencing
//! token; what a holder writes names its token, so that one who lost the lease without noticing writes nothing.

use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId};

/// What there is to do. The words are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Fold the design's log into a snapshot, archive what was folded, delete it.
    Compact,
    /// The design was deleted: delete its blobs.
    Erase,
    /// The design has settled, or somebody decided about a finding: say how secure it is.
    Analyze,
}

impl JobKind {
    pub const ALL: [Self; 3] = [Self::Compact, Self::Erase, Self::Analyze];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Erase => "erase",
            Self::Analyze => "analyze",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub lease: JobLease,
    /// How often it was claimed before, since it was last finished or put off.
    pub failures: u32,
}

/// What a holder shows for everything it does under its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLease {
    pub kind: JobKind,
    pub design: DesignId,
    pub holder: PodId,
    /// The fencing token: larger than that of every earlier claim of this job.
    pub token: u64,
}

/// What becomes of a job whose holder is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// Done. It stays only if it was asked for again meanwhile.
    Done,
    /// Not yet: again after this. Not a failure.
    Later(Duration),
    /// It failed: again after this. The reason is kept for operators.
    Failed { retry_in: Duration, reason: String },
    /// It failed too often: not before somebody asks for it again. If somebody has meanwhile, that is its next try.
    GivenUp { reason: String },
}
