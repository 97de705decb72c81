//! How often the rules run on one design, for all servers together: each room knows only what its own people do, and where
//! dozens edit at several servers there is always one that says the design has settled.
//!
//! Two runs may follow each other at once, so that a second thought is answered as quickly as the first; from then on there
//! is one every three seconds. Nothing is kept for this: the newest analyses say when the rules ran.

use std::time::Duration;

use time::OffsetDateTime;

/// Runs that may follow each other at once …
const BURST: u32 = 2;
/// … and what each one more has to wait.
const EACH: Duration = Duration::from_millis(3_000);
/// Runs that are looked back at: those of half a minute, if they come as densely as they may.
pub(super) const LOOK_BACK: usize = 10;

/// How long the next run has to wait. `runs`: when the last ones were, newest first.
pub(super) fn rest(runs: impl IntoIterator<Item = OffsetDateTime>, now: OffsetDateTime) -> Option<Duration> {
    // From any run on, there may be BURST of them and one more for each EACH that has passed.
    let until = runs.into_iter().zip(1_u32..).filter_map(|(at, number)| {
        let behind = (number + 1).checked_sub(BURST)?;
        Some(at + EACH * behind)
    });
    let wait = until.max()? - now;
    wait.is_positive().then(|| wait.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    #[test]
    fn a_second_thought_does_not_wait_and_a_third_does() {
        assert_eq!(rest([], at(0)), None);
        assert_eq!(rest([at(10_000)], at(10_000)), None);
        assert_eq!(rest([at(10_500), at(10_000)], at(11_000)), Some(Duration::from_millis(2_000)));
        assert_eq!(rest([at(10_500), at(10_000)], at(13_000)), None);
    }

    #[test]
    fn whoever_never_stops_gets_a_run_every_three_seconds_and_two_more() {
        for step in [1, 70, 400, 2_999] {
            let mut runs: Vec<OffsetDateTime> = Vec::new();
            for ms in (0..60_000).step_by(step) {
                let newest = runs.iter().rev().take(LOOK_BACK).copied();
                if rest(newest, at(ms)).is_none() {
                    runs.push(at(ms));
                }
                assert!(runs.len() as u64 <= ms / 3_000 + 2, "{} runs after {ms} ms", runs.len());
            }
            assert!(60_000 / 3_000 / 2 <= runs.len(), "{} runs in steps of {step} ms", runs.len());
        }
    }
}
