//! The state vector of what is committed, cheap to hand out and cheap to advance.

use std::sync::Arc;

use yrs::StateVector;
use yrs::block::ClientID;

use super::effect::ClockRange;

/// The state vector of the log's head.
///
/// Frames carry the vector *before* them (for a reader that turns out to be slow). Advancing is therefore put off to
/// the next use: by then the frame has usually been queued and its copy of the `Arc` is gone, so that nothing is
/// cloned, however many client ids ever wrote.
#[derive(Debug, Default)]
pub(super) struct Known {
    settled: Arc<StateVector>,
    coming: Vec<ClockRange>,
}

impl Known {
    pub(super) fn new(state: StateVector) -> Self {
        Self { settled: Arc::new(state), coming: Vec::new() }
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
        before
    }
}
