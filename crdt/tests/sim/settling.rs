//! Every commit that a room made itself, and heard to be durable, it says to have settled: in time, once, and before it goes.
//! What is left, and must be found by the jobs' sweep, is what the log has of pods that died.

use atlas_crdt::ids::{AppendId, Millis, Seq};
use atlas_crdt::limits::SETTLE_MAX_MS;
use atlas_crdt::room::Input;

use crate::world::World;

/// What one room has committed and not settled, as somebody beside it keeps it.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    /// The append that it waits for.
    asked: Option<AppendId>,
    /// Its newest commit, and when the oldest one was heard to be durable.
    open: Option<(Seq, Millis)>,
    /// Said to have settled.
    said: Seq,
}

impl Settling {
    pub(crate) fn ask(&mut self, append: AppendId) {
        self.asked = Some(append);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

impl World {
    /// The room is about to hear this.
    pub(crate) fn note_commit(&mut self, pod: usize, input: &Input) {
        let Input::Appended { append_id, seq } = *input else { return };
        let pod = &mut self.pods[pod];
        let settling = &mut pod.settling;
        // The log may have told the room of it before.
        if pod.room.is_some() && settling.asked == Some(append_id) && settling.said < seq {
            let since = settling.open.map_or(pod.clock, |(_, since)| since);
            settling.open = Some((seq, since));
        }
    }

    pub(crate) fn note_settled(&mut self, pod: usize, seq: Seq) {
        assert!(self.disk.row(seq).is_some(), "settled before it is durable");
        let settling = &mut self.pods[pod].settling;
        assert!(settling.said < seq, "the same said twice");
        settling.said = seq;
        settling.open = settling.open.filter(|(newest, _)| seq < *newest);
        self.faults.count("designs settled");
        self.trace_event("settled");
    }

    /// All that was due has been said.
    pub(crate) fn check_settling(&self, pod: usize) {
        let pod = &self.pods[pod];
        if let Some((seq, since)) = pod.settling.open {
            let late = pod.clock.since(since);
            assert!(late < SETTLE_MAX_MS, "{seq:?} has not settled after {late} ms");
        }
    }

    pub(crate) fn check_nothing_is_unsettled(&self) {
        for pod in &self.pods {
            assert!(!pod.settling.is_open(), "{:?} is left unsettled", pod.settling);
            let unsettled = pod.room.as_ref().and_then(|room| room.stats().unsettled);
            assert_eq!(unsettled, None);
        }
    }
}
