//! What the people in a room must be told of the analysis of their design: a word on the bus says that there is something
//! new, or else the next look into the store does, and the store says what. Asked for once at a time, by whoever has people
//! to tell; whoever comes later asks by itself.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atlas_crdt::ids::DesignId;
use atlas_crdt::room::Input;
use atlas_crdt::wire::AnalysisBrief;
use futures_util::future::BoxFuture;

use super::Inner;
use crate::store::analyses::AnalysisSummary;
use crate::store::{Result, StoreError};

/// Milliseconds. A question that takes longer has failed: the next look asks again.
const ANSWER_WITHIN_MS: u64 = 5_000;

/// How far the people in a room know. Written by the room's task, read by the watch.
#[derive(Debug, Default)]
pub(super) struct Told(AtomicU64);

impl Told {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn reach(&self, no: u64) {
        self.0.fetch_max(no, Ordering::Relaxed);
    }
}

/// What the store said when it was asked.
pub(super) type Answer = Result<Option<AnalysisSummary>>;

/// What one room's task remembers between a word and the store's answer.
#[derive(Default)]
pub(super) struct AnalysisWatch {
    has_loaded: bool,
    /// The newest number that was heard of and may have to be told.
    wanted: u64,
    /// The question under way, and the number that it is about.
    question: Option<(u64, BoxFuture<'static, Answer>)>,
}

impl AnalysisWatch {
    /// The room was loaded. The first time, everybody who is here came after that.
    pub(super) fn loaded(&mut self, told: &Told, no: u64) {
        if !std::mem::replace(&mut self.has_loaded, true) {
            told.reach(no);
        }
    }

    /// Something is said under this number.
    pub(super) fn hear(&mut self, told: &Told, no: u64, has_people: bool) {
        if has_people {
            self.wanted = self.wanted.max(no);
        } else {
            // Whoever comes later asks by itself.
            told.reach(no);
        }
    }

    pub(super) fn ask_if_due(&mut self, told: &Told, hub: &Arc<Inner>, design: DesignId) {
        if self.is_due(told) {
            self.question = Some((self.wanted, Box::pin(ask(Arc::clone(hub), design))));
        }
    }

    fn is_due(&self, told: &Told) -> bool {
        self.question.is_none() && told.get() < self.wanted
    }

    /// Waits for the end of the question under way, for ever if there is none.
    pub(super) async fn answer(&mut self) -> Answer {
        match &mut self.question {
            Some((_, question)) => question.await,
            None => pending().await,
        }
    }

    /// What the room is to hear of the answer.
    pub(super) fn answered(&mut self, told: &Told, answer: Answer) -> Option<Input> {
        let (asked, _) = self.question.take()?;
        let Ok(summary) = answer else {
            // The next look says it again.
            self.wanted = 0;
            return None;
        };
        let no = summary.as_ref().map_or(asked, |summary| summary.no.max(asked));
        told.reach(no);
        summary.map(|summary| Input::Analysed { no, brief: brief(summary) })
    }
}

fn brief(summary: AnalysisSummary) -> AnalysisBrief {
    let AnalysisSummary { id, no: _, seq, score, grade, severity, coverage, findings } = summary;
    AnalysisBrief {
        analysis_id: id,
        security_score: score,
        grade,
        severity,
        coverage,
        findings_count: findings,
        seq,
    }
}

async fn ask(hub: Arc<Inner>, design: DesignId) -> Answer {
    let clock = &hub.deps.clock;
    let answer = tokio::select! {
        biased;
        answer = hub.deps.store.analysis_summary(design) => answer,
        () = clock.sleep_until(clock.now().plus(ANSWER_WITHIN_MS)) => {
            let late = anyhow::anyhow!("no answer within {ANSWER_WITHIN_MS} ms");
            Err(StoreError::Unavailable(late))
        }
    };
    if let Err(error) = &answer {
        tracing::debug!(%design, %error, "what is said of a design's security could not be read: the next look asks again");
    }
    answer
}

#[cfg(test)]
mod tests {
    use atlas_crdt::ids::{AnalysisId, Seq};

    use super::*;

    fn summary(no: u64) -> AnalysisSummary {
        AnalysisSummary {
            id: AnalysisId::from_u128(1),
            no,
            seq: Seq::new(1),
            score: 1.0,
            grade: "F".to_owned(),
            severity: None,
            coverage: 0.0,
            findings: 0,
        }
    }

    fn no_of(input: Option<Input>) -> Option<u64> {
        match input? {
            Input::Analysed { no, .. } => Some(no),
            other => panic!("{other:?}"),
        }
    }

    /// Asks if that is due, and says whether.
    fn asks(watch: &mut AnalysisWatch, told: &Told) -> bool {
        let is_due = watch.is_due(told);
        if is_due {
            watch.question = Some((watch.wanted, Box::pin(pending())));
        }
        is_due
    }

    #[test]
    fn one_question_at_a_time_and_the_newest_answer_counts() {
        let (told, mut watch) = (Told::default(), AnalysisWatch::default());
        watch.loaded(&told, 3);
        watch.hear(&told, 3, true);
        assert!(!asks(&mut watch, &told), "whoever is here came after it");
        watch.hear(&told, 4, true);
        assert!(asks(&mut watch, &told));
        watch.hear(&told, 5, true);
        assert!(!asks(&mut watch, &told), "asked already");
        assert_eq!(no_of(watch.answered(&told, Ok(Some(summary(4))))), Some(4));
        assert!(asks(&mut watch, &told), "there is something newer");
        assert_eq!(no_of(watch.answered(&told, Ok(Some(summary(6))))), Some(6));
        watch.hear(&told, 6, true);
        assert!(!asks(&mut watch, &told));
        watch.loaded(&told, 9);
        assert_eq!(told.get(), 6, "a document that is made anew tells nobody anything");
    }

    #[test]
    fn what_could_not_be_read_is_asked_for_by_the_next_look() {
        let (told, mut watch) = (Told::default(), AnalysisWatch::default());
        watch.hear(&told, 1, true);
        assert!(asks(&mut watch, &told));
        let failed = Err(StoreError::Unavailable(anyhow::anyhow!("away")));
        assert_eq!(no_of(watch.answered(&told, failed)), None);
        assert!(!asks(&mut watch, &told), "a store in trouble is not asked all the time");
        watch.hear(&told, 1, true);
        assert!(asks(&mut watch, &told));
        assert_eq!(no_of(watch.answered(&told, Ok(None))), None);
        watch.hear(&told, 1, true);
        assert!(!asks(&mut watch, &told), "nothing is there any more");
    }

    #[test]
    fn nobody_is_asked_where_nobody_is() {
        let (told, mut watch) = (Told::default(), AnalysisWatch::default());
        watch.hear(&told, 7, false);
        assert!(!asks(&mut watch, &told));
        watch.hear(&told, 7, true);
        assert!(!asks(&mut watch, &told), "who came since asks by itself");
        watch.hear(&told, 8, true);
        assert!(asks(&mut watch, &told));
    }

    #[test]
    fn what_people_decided_is_told_though_the_analysis_is_the_same() {
        let (told, mut watch) = (Told::default(), AnalysisWatch::default());
        watch.hear(&told, 9, true);
        assert!(asks(&mut watch, &told));
        assert_eq!(no_of(watch.answered(&told, Ok(Some(summary(2))))), Some(9));
    }
}
