//! What can happen in a simulated life, and the count of what did.

use crate::rng::Rng;

/// What really happened: a fault that never struck proves nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) cuts: u64,
    pub(crate) stalls: u64,
    pub(crate) lags: u64,
    pub(crate) kills: u64,
    pub(crate) kills_with_append_in_flight: u64,
    pub(crate) appends: u64,
    pub(crate) appends_failed: u64,
    pub(crate) appends_failed_after_the_write: u64,
    pub(crate) loads_failed: u64,
    pub(crate) evictions: u64,
    pub(crate) saved: u64,
    pub(crate) refused: u64,
    pub(crate) attacks: u64,
    pub(crate) quarantined: u64,
    pub(crate) catch_ups: u64,
    pub(crate) folds: u64,
    pub(crate) looks_below_a_fold: u64,
    pub(crate) edits_made: u64,
    pub(crate) edits_stale: u64,
    pub(crate) edits_refused: u64,
    pub(crate) edits_turned_away: u64,
    pub(crate) edits_unknown: u64,
}

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Edit(usize),
    /// One message of this architect reaches the room.
    ToServer(usize),
    ToClient(usize),
    /// The store ends what it was asked first.
    Store(Outcome),
    /// Milliseconds.
    Wait(u64),
    Connect(usize),
    Cut(usize),
    /// The architect stops reading …
    Stall(usize),
    /// … and reads again.
    Unstall(usize),
    Announce(usize),
    /// kill -9 of the pod.
    Kill,
    /// The log is folded into a snapshot, whatever the room is doing.
    Fold,
    /// A program asks for an edit over HTTP.
    Ask,
    /// Somebody who may edit sends something evil.
    Attack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    /// Done, and the answer is lost.
    Lost,
}

impl Action {
    /// What happens how often in a seeded life.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let who = rng.below(64);
        match rng.below(100) {
            0..23 => Self::Edit(who),
            23..25 => Self::Ask,
            25..45 => Self::ToServer(who),
            45..65 => Self::ToClient(who),
            65..80 => Self::Store(match rng.below(8) {
                0 => Outcome::Failed,
                1 => Outcome::Lost,
                _ => Outcome::Done,
            }),
            80..86 if rng.one_in(10) => Self::Wait(1 + rng.below(6_000) as u64),
            80..86 => Self::Wait(1 + rng.below(20) as u64),
            86..92 => Self::Connect(who),
            92..95 => Self::Cut(who),
            95..97 => Self::Stall(who),
            97 if rng.one_in(2) => Self::Fold,
            97 => Self::Announce(who),
            98 => Self::Unstall(who),
            _ if rng.one_in(4) => Self::Kill,
            _ if rng.one_in(2) => Self::Attack,
            _ => Self::ToServer(who),
        }
    }
}

impl Faults {
    pub(crate) fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.stalls += other.stalls;
        self.lags += other.lags;
        self.kills += other.kills;
        self.kills_with_append_in_flight += other.kills_with_append_in_flight;
        self.appends += other.appends;
        self.appends_failed += other.appends_failed;
        self.appends_failed_after_the_write += other.appends_failed_after_the_write;
        self.loads_failed += other.loads_failed;
        self.evictions += other.evictions;
        self.saved += other.saved;
        self.refused += other.refused;
        self.attacks += other.attacks;
        self.quarantined += other.quarantined;
        self.catch_ups += other.catch_ups;
        self.folds += other.folds;
        self.looks_below_a_fold += other.looks_below_a_fold;
        self.edits_made += other.edits_made;
        self.edits_stale += other.edits_stale;
        self.edits_refused += other.edits_refused;
        self.edits_turned_away += other.edits_turned_away;
        self.edits_unknown += other.edits_unknown;
    }

    /// A simulation in which some fault never struck has not shown anything about it.
    pub(crate) fn assert_everything_happened(&self) {
        for (what, count) in [
            ("cuts", self.cuts),
            ("stalls", self.stalls),
            ("lags", self.lags),
            ("kills", self.kills),
            ("kills with an append in flight", self.kills_with_append_in_flight),
            ("appends", self.appends),
            ("failed appends", self.appends_failed),
            ("appends that failed after the write", self.appends_failed_after_the_write),
            ("failed loads", self.loads_failed),
            ("evictions", self.evictions),
            ("edits told to be saved", self.saved),
            ("refusals", self.refused),
            ("attacks", self.attacks),
            ("updates in quarantine", self.quarantined),
            ("looks into the log", self.catch_ups),
            ("folds of the log", self.folds),
            ("looks below a fold", self.looks_below_a_fold),
            ("edits over HTTP", self.edits_made),
            ("stale edits over HTTP", self.edits_stale),
            ("refused edits over HTTP", self.edits_refused),
            ("edits over HTTP that were turned away", self.edits_turned_away),
            ("edits over HTTP of which nobody knows", self.edits_unknown),
        ] {
            assert!(0 < count, "no {what} in the whole run");
        }
    }
}
