//! The login throttle: five failures for one address from one network address within fifteen minutes, then a wait.
//!
//! An attempt counts when it begins, so that a hundred at once are not a hundred free guesses; a success clears it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use atlas_crdt::ids::Millis;
use sha2::{Digest, Sha256};

/// Failures within the window that are allowed.
pub const FAILURES_MAX: u32 = 5;
/// Milliseconds. The window, counted from the first failure in it.
pub const WINDOW_MS: u64 = 15 * 60 * 1_000;
/// Pairs of address and account remembered. Filling it takes more password hashes than a window has time for.
const ENTRIES_MAX: usize = 100_000;

/// One pair of account name and network address, as a hash: neither is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempt([u8; 16]);

impl Attempt {
    #[must_use]
    pub fn new(from: IpAddr, email: &str) -> Self {
        let mut hash = Sha256::new();
        // Whoever owns one address of an IPv6 /64 owns all of it.
        match from.to_canonical() {
            IpAddr::V4(v4) => hash.update(v4.octets()),
            IpAddr::V6(v6) => hash.update(&v6.octets()[..8]),
        }
        hash.update([0]);
        hash.update(email.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    since: Millis,
}

/// How long to wait, in seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

/// Counts failed logins in memory.
#[derive(Debug, Default)]
pub struct LoginThrottle {
    /// Locked for one look-up at a time, never across an await.
    counts: Mutex<HashMap<Attempt, Count>>,
}

impl LoginThrottle {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts an attempt that begins now, or says how long to wait.
    pub fn begin(&self, attempt: Attempt, now: Millis) -> Result<(), RetryAfter> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if ENTRIES_MAX <= counts.len() && !counts.contains_key(&attempt) {
            make_room(&mut counts, now);
        }
        let count = counts.entry(attempt).or_insert(Count { failures: 0, since: now });
        if WINDOW_MS <= now.since(count.since) {
            *count = Count { failures: 0, since: now };
        }
        if FAILURES_MAX <= count.failures {
            let left_ms = WINDOW_MS - now.since(count.since);
            return Err(RetryAfter(left_ms.div_ceil(1_000).max(1)));
        }
        count.failures += 1;
        Ok(())
    }

    /// The attempt was no failure: it succeeded.
    pub fn succeeded(&self, attempt: Attempt) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt);
    }

    /// The attempt came to no verdict, since something of ours failed: it does not count.
    pub fn undecided(&self, attempt: Attempt) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&attempt) {
            count.failures = count.failures.saturating_sub(1);
        }
    }
}

/// Forgets what has run out and, if nothing has, the older half.
fn make_room(counts: &mut HashMap<Attempt, Count>, now: Millis) {
    counts.retain(|_, count| now.since(count.since) < WINDOW_MS);
    if ENTRIES_MAX <= counts.len() {
        let mut ages: Vec<Millis> = counts.values().map(|count| count.since).collect();
        let (_, median, _) = ages.select_nth_unstable(ENTRIES_MAX / 2);
        let median = *median;
        counts.retain(|_, count| median < count.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(ip: &str, email: &str) -> Attempt {
        Attempt::new(ip.parse().unwrap(), email)
    }

    fn at(seconds: u64) -> Millis {
        Millis::new(seconds * 1_000)
    }

    #[test]
    fn five_failures_then_a_wait_until_the_window_ends() {
        let throttle = LoginThrottle::new();
        let mallory = attempt("10.0.0.9", "ada@example.com");
        for second in 0..5 {
            assert_eq!(throttle.begin(mallory, at(second)), Ok(()));
        }
        assert_eq!(throttle.begin(mallory, at(10)), Err(RetryAfter(890)));
        assert_eq!(throttle.begin(mallory, Millis::new(899_999)), Err(RetryAfter(1)));
        assert_eq!(throttle.begin(mallory, at(900)), Ok(()));
    }

    #[test]
    fn others_are_not_held_up() {
        let throttle = LoginThrottle::new();
        for _ in 0..5 {
            throttle.begin(attempt("10.0.0.9", "ada@example.com"), at(0)).unwrap();
        }
        assert_eq!(throttle.begin(attempt("10.0.0.9", "bob@example.com"), at(0)), Ok(()));
        assert_eq!(throttle.begin(attempt("10.0.0.8", "ada@example.com"), at(0)), Ok(()));
    }

    #[test]
    fn a_success_clears_and_an_outage_does_not_count() {
        let throttle = LoginThrottle::new();
        let ada = attempt("10.0.0.1", "ada@example.com");
        for _ in 0..4 {
            throttle.begin(ada, at(0)).unwrap();
        }
        throttle.begin(ada, at(0)).unwrap();
        throttle.succeeded(ada);
        for _ in 0..20 {
            throttle.begin(ada, at(1)).unwrap();
            throttle.undecided(ada);
        }
    }

    #[test]
    fn one_ipv6_network_is_one_attacker_and_mapped_addresses_are_ipv4() {
        assert_eq!(attempt("2001:db8::1", "a@b.c"), attempt("2001:db8::ffff:2", "a@b.c"));
        assert_ne!(attempt("2001:db8::1", "a@b.c"), attempt("2001:db8:0:1::1", "a@b.c"));
        assert_eq!(attempt("::ffff:10.0.0.1", "a@b.c"), attempt("10.0.0.1", "a@b.c"));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = LoginThrottle::new();
        for n in 0..u32::try_from(ENTRIES_MAX).unwrap() + 1_000 {
            let _ = throttle.begin(Attempt::new(IpAddr::V4(n.into()), "a@b.c"), Millis::new(u64::from(n)));
        }
        assert!(throttle.counts.lock().unwrap().len() <= ENTRIES_MAX);
    }
}
