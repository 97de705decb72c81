//! Time, randomness, tasks and the environment: taken from the machine here and nowhere else in this crate.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// The monotonic clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one home of the clock in this crate")]
pub fn now() -> Instant {
    Instant::now()
}

/// Starts a task. It ends with its runtime; whoever needs it to end earlier keeps the handle or a token.
#[expect(clippy::disallowed_methods, reason = "tests and load need no orderly stop: the runtime ends them")]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// A seed for one run: `ATLAS_SEED` if set, so that a failed run can be repeated, otherwise a new one. Whoever uses
/// it prints it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment in this crate")]
pub fn seed() -> u64 {
    std::env::var("ATLAS_SEED").ok().and_then(|text| text.trim().parse().ok()).unwrap_or_else(entropy)
}

/// How long the long runs of one test last: `name` in seconds. `None`: the short run.
#[must_use]
pub fn long_run(name: &str) -> Option<Duration> {
    long_count(name).map(Duration::from_secs)
}

/// How often something is done in the long runs of one test. `None`: in the short run.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment in this crate")]
pub fn long_count(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.trim().parse().ok())
}

/// Where what is thrown away lies meanwhile.
#[must_use]
pub fn temp_dir() -> PathBuf {
    std::env::temp_dir()
}

/// Where a program is: what `variable` names, `usual`, or `name` in a folder of `PATH`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment in this crate")]
pub fn program(variable: &str, name: &str, usual: &Path) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path).map(|folder| folder.join(name));
    [usual.to_owned()].into_iter().chain(others).find(|program| program.is_file())
}

/// 64 bits from the operating system, by way of the keys that the standard library draws for its hash maps.
fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, seedable, good enough to choose edits and waits.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Numbers that nobody can repeat, for ids.
    #[must_use]
    pub fn fresh() -> Self {
        Self(entropy())
    }

    /// An independent stream, for example one per client.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.draw() % end }
    }

    /// An index into something of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A Yjs client id: 53 bits, never 0.
    pub fn client_id(&mut self) -> u64 {
        (self.draw() >> 11).max(1)
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.index(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let draw = |seed| {
            let mut random = Random::seeded(seed);
            (0..100).map(|_| random.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn client_ids_fit_into_a_javascript_number() {
        let mut random = Random::fresh();
        assert!((0..1_000).all(|_| (1..1 << 53).contains(&random.client_id())));
    }
}
