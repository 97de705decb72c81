//! The count of what really happened: a fault that never struck proves nothing.

use std::collections::BTreeMap;

/// Everything that is counted, and must have happened in a long run.
const EXPECTED: &[&str] = &[
    "appends that were overtaken",
    "appends",
    "attacks",
    "bus away",
    "clients that changed the pod",
    "clients told of their own removal",
    "commits left to the sweep",
    "crashes between two effects",
    "cuts",
    "designs settled",
    "digests compared",
    "edits over HTTP made",
    "edits over HTTP of which nobody knows",
    "edits over HTTP refused",
    "edits over HTTP stale",
    "edits over HTTP turned away",
    "edits told to be saved",
    "evictions",
    "failed appends that were written later",
    "failed appends that were written",
    "failed appends",
    "failed loads",
    "failed looks into the log",
    "folds of the log",
    "frames of a socket whose client is elsewhere",
    "gaps of the bus",
    "kills with an append in flight",
    "kills",
    "lags",
    "loads of a live room",
    "looks below a fold",
    "looks into the log",
    "looks that came too late",
    "looks",
    "pods taken for dead",
    "presence across pods",
    "refusals of viewers",
    "stalls",
    "updates in quarantine",
    "words delayed",
    "words doubled",
    "words lost",
];

/// May happen, and hardly ever does since the log is asked before a claim is made: the room's own tests bring it about.
const UNEXPECTED: &[&str] = &["appends with somebody else's client id"];

#[derive(Debug, Default, Clone)]
pub(crate) struct Faults(BTreeMap<&'static str, u64>);

impl Faults {
    pub(crate) fn count(&mut self, what: &'static str) {
        self.count_many(what, 1);
    }

    pub(crate) fn count_many(&mut self, what: &'static str, times: u64) {
        assert!(EXPECTED.contains(&what) || UNEXPECTED.contains(&what), "{what} is not expected");
        *self.0.entry(what).or_default() += times;
    }

    pub(crate) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(crate) fn assert_everything_happened(&self) {
        for what in EXPECTED {
            assert!(0 < self.of(what), "no {what} in the whole run");
        }
    }
}
