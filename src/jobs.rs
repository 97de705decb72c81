//! Work that is done aside, for the store's sake: folding logs, archiving what was folded, erasing what was deleted.
//!
//! - `jobs/runner.rs` claims jobs of one kind, holds their leases, and ends them;
//! - `jobs/segment.rs` the layout of an archived piece of a log; `jobs/fold.rs` a document that is folded piece by piece.
//!
//! A job may run twice, or be cut off anywhere: each step is durable before the next one builds upon it, and what a
//! holder writes names its lease, so that one who lost it without noticing writes nothing.

use crate::clock::Ids;

mod fold;
mod runner;
pub mod segment;

/// `ms`, give or take a fifth, so that pods that began together do not go on together.
fn spread(ids: &Ids, ms: u64) -> u64 {
    ms - ms / 5 + ids.seed() % (ms / 5 * 2 + 1)
}

/// `least_ms`, doubled with each failure, up to `most_ms`.
fn backoff(failures: u32, least_ms: u64, most_ms: u64) -> u64 {
    least_ms.saturating_mul(1 << failures.min(30)).min(most_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn pauses_grow_to_their_bound_and_are_spread() {
        assert_eq!([0, 1, 2, 3, 100].map(|failures| backoff(failures, 50, 300)), [50, 100, 200, 300, 300]);
        let ids = Ids::seeded(Clock::manual(), 1);
        let spread: Vec<u64> = (0..1_000).map(|_| spread(&ids, 1_000)).collect();
        assert!(spread.iter().all(|ms| (800..=1_200).contains(ms)));
        assert!(spread.iter().any(|ms| *ms < 850) && spread.iter().any(|ms| 1_150 < *ms));
    }
}
