//! What the people in a room hear of the analysis of their design: that one has begun, and that there is one.
//!
//! The bus may tell it late, twice or never, and a look into the store tells it again. So everything has a number, and
//! nobody is told of what is older than what was told already. Whoever comes later is told nothing: a client asks for
//! the newest analysis by itself when it joins.

use super::effect::Effect;
use super::live::Live;
use crate::ids::Seq;
use crate::wire::{AnalysisBrief, Notice};

/// What was told last.
#[derive(Debug)]
pub(super) struct News {
    /// The newest run that was told to have begun, or to have ended.
    run: Seq,
    /// The newest word about what there is to read.
    no: u64,
}

impl News {
    /// Whoever comes to a room that is loaded now asks for what is said under this number, or a later one.
    pub(super) const fn new(no: u64) -> Self {
        Self { run: Seq::ZERO, no }
    }
}

impl Live {
    pub(super) fn analysis_started(&mut self, seq: Seq, effects: &mut Vec<Effect>) {
        if self.news.run < seq {
            self.news.run = seq;
            self.tell_all(&Notice::AnalysisStarted { seq }, effects);
        }
    }

    pub(super) fn analysed(&mut self, no: u64, brief: AnalysisBrief, effects: &mut Vec<Effect>) {
        if self.news.no < no {
            self.news = News { run: self.news.run.max(brief.seq), no };
            self.tell_all(&Notice::AnalysisCompleted(brief), effects);
        }
    }
}
