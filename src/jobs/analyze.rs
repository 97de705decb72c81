//! Says how secure a design is, once it has settled.
//!
//! The room knows when to ask; here it is found out whether what rules can see has changed at all. It has not: the design
//! counts as looked at, and nobody is told. The rules said it before (an edit and its undo): that holds again. Otherwise the
//! rules run, and what they say is stored under the lease, once for each meaning and set of rules (INV-8). What people
//! decided about findings changes the score without the rules.
//!
//! Nothing waits for the words on the bus: rooms find in the store what they missed.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::design::ApplyFault;
use atlas_crdt::ids::{DesignId, PodId, Seq};
use atlas_crdt::room::Loaded;
use atlas_crdt::view::DesignView;
use bytes::Bytes;

use super::pace;
use super::runner::chain;
use super::score::{self, Judged};
use crate::analysis::{self, RULESET_VERSION};
use crate::bus::{AnalysisWord, Bus, BusMessage, Word};
use crate::clock::{Clock, Ids};
use crate::store::analyses::{
    Analyses, AnalysisCounters, AnalysisOutcome, AnalysisState, CurrentAnalysis, FreshAnalysis, KeptAnalysis,
};
use crate::store::jobs::{Job, JobEnd, JobLease};
use crate::store::{Store, StoreError};

/// Tries before a job is given up. A holder that was never heard of again counts as one.
pub(super) const ATTEMPTS_MAX: u32 = 3;
/// Between two tries, times the number of those that failed.
const RETRY: Duration = Duration::from_secs(5);
/// Until whatever came in between has passed.
const FENCED_RETRY: Duration = Duration::from_secs(1);
/// In percent, as told to whoever asked by name: claimed, and read.
const BEGUN: u8 = 10;
const READ: u8 = 50;

/// In a build for tests: a design with this in its name takes so long, and …
const WAITS: &str = "poison: the analysis waits";
const WAITS_MS: u64 = 8_000;
/// … one with this makes the rules panic.
const PANICS: &str = "poison: the analysis panics";

/// The work of an `Analyze` job.
pub(super) struct Analyze {
    pub(super) store: Arc<dyn Store>,
    pub(super) analyses: Arc<dyn Analyses>,
    pub(super) bus: Arc<dyn Bus>,
    /// Under which the rooms are told. Not the pod's own id: a room passes over what its own pod says.
    pub(super) voice: PodId,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) counters: Arc<AnalysisCounters>,
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the design cannot be read")]
    Unreadable(#[from] ApplyFault),
    #[error("what is stored of an analysis cannot be read")]
    Json(#[from] serde_json::Error),
    #[error("the work panicked, or was cancelled")]
    Work(#[from] tokio::task::JoinError),
    /// The rules ran a moment ago, and again.
    #[error("the rules run again in {0:?}")]
    TooSoon(Duration),
}

type Result<T> = std::result::Result<T, Fault>;

/// A design as it was read.
struct Read {
    seq: Seq,
    view: DesignView,
    semantic_hash: [u8; 32],
    state_vector: Bytes,
}

impl Analyze {
    pub(super) async fn run(&self, job: Job) -> JobEnd {
        let design = job.lease.design;
        if ATTEMPTS_MAX <= job.failures {
            return self.give_up(design, format!("claimed {} times and never ended", job.failures));
        }
        match self.analyse(&job).await {
            Ok(()) | Err(Fault::Store(StoreError::NoSuchDesign)) => JobEnd::Done,
            Err(Fault::Store(StoreError::Fenced | StoreError::Folded)) => {
                tracing::info!(%design, "an analysis was overtaken");
                JobEnd::Later(FENCED_RETRY)
            }
            Err(Fault::TooSoon(wait)) => JobEnd::Later(wait),
            Err(fault) => {
                self.counters.failed();
                let attempt = job.failures.saturating_add(1);
                let reason = chain(fault);
                if ATTEMPTS_MAX <= attempt {
                    return self.give_up(design, reason);
                }
                tracing::warn!(%design, attempt, reason, "a design was not analysed and will be tried again");
                JobEnd::Failed { retry_in: RETRY * attempt, reason }
            }
        }
    }

    fn give_up(&self, design: DesignId, reason: String) -> JobEnd {
        self.counters.gave_up();
        tracing::error!(%design, reason, "a design cannot be analysed: not tried again before its next edit");
        JobEnd::GivenUp { reason }
    }

    async fn analyse(&self, job: &Job) -> Result<()> {
        let lease = job.lease;
        let Some(state) = self.analyses.analysis_state(lease.design).await? else { return Ok(()) };
        let progress = async |percent: u8| match state.is_requested {
            true => self.analyses.note_progress(lease, job.failures.saturating_add(1), percent).await,
            false => Ok(()),
        };
        progress(BEGUN).await?;
        let current = state.current.as_ref().filter(|current| current.ruleset_version == RULESET_VERSION);
        if let Some(current) = current
            && state.analysed == state.head
        {
            // Nobody has edited it since: it need not be read.
            return match self.is_judged(&state) {
                true => self.unchanged(lease, state.head).await,
                false => self.judge_again(lease, &state, state.head, current).await,
            };
        }
        let Some(loaded) = self.store.load(lease.design).await? else { return Ok(()) };
        let client = self.ids.client();
        let read = tokio::task::spawn_blocking(move || read(&loaded, client)).await??;
        if let Some(current) = current
            && current.semantic_hash == read.semantic_hash
        {
            return match self.is_judged(&state) {
                true => self.unchanged(lease, read.seq).await,
                false => self.judge_again(lease, &state, read.seq, current).await,
            };
        }
        let kept = self.analyses.kept_analysis(lease.design, read.semantic_hash, RULESET_VERSION).await?;
        if let Some(kept) = kept {
            self.counters.hit();
            return self.hold(lease, &state, (read.seq, read.semantic_hash), kept).await;
        }
        if !state.is_requested {
            self.keep_pace(lease.design, &state).await?;
        }
        progress(READ).await?;
        self.run_rules(lease, &state, read).await
    }

    /// However many servers have people who edit all the time: see [`pace`].
    async fn keep_pace(&self, design: DesignId, state: &AnalysisState) -> Result<()> {
        let mut points = self.analyses.analysis_history(design, None, pace::LOOK_BACK).await?;
        // What people decide, and what holds again, makes points without a run.
        points.sort_by_key(|point| std::cmp::Reverse((point.created_at, point.analysis)));
        points.dedup_by_key(|point| point.analysis);
        match pace::rest(points.iter().map(|point| point.created_at), state.now) {
            Some(wait) => Err(Fault::TooSoon(wait)),
            None => Ok(()),
        }
    }

    /// Whether the newest score knows everything that people decided.
    fn is_judged(&self, state: &AnalysisState) -> bool {
        !state.has_expired
            && state.current.as_ref().is_some_and(|current| current.triage_no == state.triage_no)
    }

    async fn unchanged(&self, lease: JobLease, seq: Seq) -> Result<()> {
        self.counters.skipped();
        Ok(self.analyses.note_unchanged(lease, seq).await?)
    }

    /// The same findings, and other decisions about them.
    async fn judge_again(
        &self,
        lease: JobLease,
        state: &AnalysisState,
        seq: Seq,
        current: &CurrentAnalysis,
    ) -> Result<()> {
        let kept = self.analyses.kept_analysis(lease.design, current.semantic_hash, RULESET_VERSION).await?;
        self.counters.rescored();
        self.hold(lease, state, (seq, current.semantic_hash), kept.ok_or(StoreError::Fenced)?).await
    }

    /// What was said before holds now.
    async fn hold(
        &self,
        lease: JobLease,
        state: &AnalysisState,
        (seq, semantic_hash): (Seq, [u8; 32]),
        kept: KeptAnalysis,
    ) -> Result<()> {
        let judged = Judged::of(state);
        let score =
            tokio::task::spawn_blocking(move || score::of(&kept.issues, &kept.omitted, &judged)).await??;
        let outcome = AnalysisOutcome {
            seq,
            semantic_hash,
            ruleset_version: RULESET_VERSION.to_owned(),
            score,
            triage_no: state.triage_no,
            expired_until: state.now,
            fresh: None,
        };
        self.put(lease, outcome).await
    }

    async fn run_rules(&self, lease: JobLease, state: &AnalysisState, read: Read) -> Result<()> {
        self.tell(lease.design, AnalysisWord::Started { seq: read.seq });
        self.counters.ran();
        let (began, clock) = (self.clock.now(), self.clock.clone());
        let (id, judged) = (self.ids.analysis(), Judged::of(state));
        let Read { seq, view, semantic_hash, state_vector } = read;
        if atlas_crdt::design::CAN_BE_POISONED && view.name().contains(WAITS) {
            self.clock.sleep_until(began.plus(WAITS_MS)).await;
        }
        let run = tokio::task::spawn_blocking(move || {
            assert!(!(atlas_crdt::design::CAN_BE_POISONED && view.name().contains(PANICS)), "{PANICS}");
            let report = analysis::analyse(&view);
            let execution_ms = clock.now().since(began);
            let issues = serde_json::to_string(&report.issues)?;
            let omitted = serde_json::to_string(&report.omitted)?;
            let score = score::of(&issues, &omitted, &judged)?;
            let (content_hash, coverage) = (view.content_hash(), report.coverage);
            let fresh =
                FreshAnalysis { id, content_hash, state_vector, coverage, issues, omitted, execution_ms };
            Ok::<_, serde_json::Error>((score, fresh))
        });
        let (score, fresh) = run.await??;
        let outcome = AnalysisOutcome {
            seq,
            semantic_hash,
            ruleset_version: RULESET_VERSION.to_owned(),
            score,
            triage_no: state.triage_no,
            expired_until: state.now,
            fresh: Some(fresh),
        };
        self.put(lease, outcome).await
    }

    async fn put(&self, lease: JobLease, outcome: AnalysisOutcome) -> Result<()> {
        let no = self.analyses.put_analysis(lease, outcome).await?;
        self.tell(lease.design, AnalysisWord::Completed { no });
        Ok(())
    }

    fn tell(&self, design: DesignId, word: AnalysisWord) {
        self.bus.publish(design, BusMessage { pod: self.voice, word: Word::Analysis(word) });
    }
}

fn read(loaded: &Loaded, client: atlas_crdt::ids::ClientId) -> std::result::Result<Read, ApplyFault> {
    let doc = loaded.document(client)?;
    let view = doc.view();
    let semantic_hash = view.semantic_hash();
    let state_vector = doc.encode_state();
    Ok(Read { seq: loaded.head(), view, semantic_hash, state_vector })
}
