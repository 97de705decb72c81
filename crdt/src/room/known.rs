//! The state vector of what is committed, cheap to hand out and cheap to advance.

use std::sync::Arc;

use bytes::Bytes;
use yrs::StateVector;
use yrs::block::ClientID;
use yrs::updates::encoder::Encode;

use super::effect::ClockRange;
use crate::wire;

/// The state vector of the log's head.
///
/// Frames carry the vector *before* them (for a reader that turns out to be slow). Advancing is therefore put off to
/// the next use: by then the frame has usually been queued and its copy of the `Arc` is gone, so that nothing is
/// cloned, however many client ids ever wrote.
#[derive(Debug, Default)]
pub(super) struct Known {
    settled: Arc<StateVector>,
    coming: Vec<ClockRange>,
    /// The question for whatever is beyond it, once somebody was asked.
    question: Option<Bytes>,
}

impl Known {
    pub(super) fn new(state: StateVector) -> Self {
        Self { settled: Arc::new(state), coming: Vec::new(), question: None }
    }

    /// Everything committed so far.
    pub(super) fn now(&mut self) -> &Arc<StateVector> {
        if !self.coming.is_empty() {
            let state = Arc::make_mut(&mut self.settled);
            for range in self.coming.drain(..) {
                state.set_max(ClientID::new(range.client.get()), range.end);
            }
        }
        &self.settled
    }

    /// These ranges are committed too. Returns the vector before.
    pub(super) fn advance(&mut self, ranges: &[ClockRange]) -> Arc<StateVector> {
        let before = Arc::clone(self.now());
        self.coming.extend_from_slice(ranges);
        self.question = None;
        before
    }

    /// The SyncStep1 that asks for everything else: one buffer, however many are asked.
    pub(super) fn question(&mut self) -> Bytes {
        if self.question.is_none() {
            self.question = Some(wire::sync_step1(&self.now().encode_v1()));
        }
        self.question.clone().unwrap_or_default()
    }
}
