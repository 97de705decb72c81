//! Time and randomness: the only place of the server that reads them.
//!
//! Everything else takes a [`Clock`] and an [`Ids`] as arguments, so that a test can own both: [`Clock::manual`]
//! stands still until it is advanced, [`Ids::seeded`] draws the same numbers again for the same seed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atlas_crdt::ids::{AnalysisId, AnalysisRequestId, ClientId, DesignId, Millis, PodId, SessionId, UserId};
use atlas_crdt::limits::CLIENT_ID_MAX;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

/// The pod's clock. Cheap to clone; every clone tells the same time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System {
        started: Instant,
    },
    /// `now` is written by [`Clock::advance`] and read, and waited upon, by everybody with a clone.
    Manual {
        started_utc: OffsetDateTime,
        now: Arc<watch::Sender<Millis>>,
    },
}

impl Clock {
    /// The machine's time. `now()` counts from here.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the system's time")]
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// A clock that stands at zero milliseconds, 2026-01-01 00:00 UTC, until it is advanced.
    #[must_use]
    pub fn manual() -> Self {
        const STARTED: i64 = 1_767_225_600;
        let started_utc = OffsetDateTime::from_unix_timestamp(STARTED).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self(Source::Manual { started_utc, now: Arc::new(watch::Sender::new(Millis::new(0))) })
    }

    /// Moves a manual clock forward and wakes who waited for it. Does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now, .. } = &self.0 {
            now.send_modify(|now| *now = now.plus(whole_millis(by)));
        }
    }

    /// Milliseconds since the pod started. Never goes backwards.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.0 {
            Source::System { started } => Millis::new(whole_millis(started.elapsed())),
            Source::Manual { now, .. } => *now.borrow(),
        }
    }

    /// The time of day, for what people read and for what expires across restarts. May jump.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the system's time")]
    pub fn utc(&self) -> OffsetDateTime {
        match &self.0 {
            Source::System { .. } => OffsetDateTime::now_utc(),
            Source::Manual { started_utc, now } => *started_utc + Duration::from_millis(now.borrow().get()),
        }
    }

    /// Returns once `now()` has reached `at`; at once when it has already. Safe to drop at any time.
    pub async fn sleep_until(&self, at: Millis) {
        match &self.0 {
            Source::System { started } => {
                let wait = Duration::from_millis(at.get());
                match started.checked_add(wait) {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            }
            Source::Manual { now, .. } => {
                // The sender lives in `self`, so the wait cannot end with an error.
                let _ = now.subscribe().wait_for(|now| at <= *now).await;
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes ids and secrets. Cheap to clone; clones never draw the same number twice.
#[derive(Debug, Clone)]
pub struct Ids {
    clock: Clock,
    entropy: Entropy,
}

#[derive(Debug, Clone)]
enum Entropy {
    System,
    /// Block `n` is the SHA-256 of seed and `n`; `drawn` counts the blocks that all clones took together.
    Seeded {
        seed: u64,
        drawn: Arc<AtomicU64>,
    },
}

impl Ids {
    /// Draws from the system's cryptographic random source. `clock` dates the UUIDs.
    #[must_use]
    pub fn system(clock: Clock) -> Self {
        Self { clock, entropy: Entropy::System }
    }

    /// For tests and simulations only: the same seed and the same order of calls give the same numbers.
    #[must_use]
    pub fn seeded(clock: Clock, seed: u64) -> Self {
        Self { clock, entropy: Entropy::Seeded { seed, drawn: Arc::default() } }
    }

    /// A new design's id: UUID v7, so that rows of one age lie together.
    #[must_use]
    pub fn design(&self) -> DesignId {
        DesignId::from_u128(self.uuid_v7())
    }

    /// A new user's id: UUID v7.
    #[must_use]
    pub fn user(&self) -> UserId {
        UserId::from_u128(self.uuid_v7())
    }

    /// A new session's id: UUID v7.
    #[must_use]
    pub fn session(&self) -> SessionId {
        SessionId::from_u128(self.uuid_v7())
    }

    /// A new analysis' id: UUID v7.
    #[must_use]
    pub fn analysis(&self) -> AnalysisId {
        AnalysisId::from_u128(self.uuid_v7())
    }

    /// The id of a new request for an analysis: UUID v7.
    #[must_use]
    pub fn analysis_request(&self) -> AnalysisRequestId {
        AnalysisRequestId::from_u128(self.uuid_v7())
    }

    /// What makes one room load's append ids differ from those of every other load.
    #[must_use]
    pub fn append_salt(&self) -> u128 {
        u128::from_be_bytes(self.random())
    }

    /// A fresh Yjs client id in 1..2^53.
    #[must_use]
    pub fn client(&self) -> ClientId {
        loop {
            let id = self.seed() & CLIENT_ID_MAX;
            if id != 0 {
                return ClientId::new(id);
            }
        }
    }

    /// This process's id among the pods.
    #[must_use]
    pub fn pod(&self) -> PodId {
        PodId::new(self.seed())
    }

    /// A seed for a deterministic part, such as a room.
    #[must_use]
    pub fn seed(&self) -> u64 {
        u64::from_be_bytes(self.random())
    }

    /// 256 random bits: refresh tokens and tickets. Nobody can guess it.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.random()
    }

    /// 96 random bits: the nonce of one AES-256-GCM message. A key may seal 2^32 messages with random ones.
    #[must_use]
    pub fn nonce(&self) -> [u8; 12] {
        self.random()
    }

    /// RFC 9562 section 5.7: 48 bits of Unix milliseconds, then random bits.
    fn uuid_v7(&self) -> u128 {
        let unix_ms = self.clock.utc().unix_timestamp_nanos() / 1_000_000;
        let unix_ms = u64::try_from(unix_ms).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(unix_ms, &self.random()).into_uuid().as_u128()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.entropy {
            // A system without randomness can keep no secret: better no answer than a guessable one.
            Entropy::System => {
                assert!(aws_lc_rs::rand::fill(&mut bytes).is_ok(), "the system's random source failed");
            }
            Entropy::Seeded { seed, drawn } => {
                for chunk in bytes.chunks_mut(32) {
                    let block = drawn.fetch_add(1, Ordering::Relaxed);
                    let mut hash = Sha256::new();
                    hash.update(seed.to_be_bytes());
                    hash.update(block.to_be_bytes());
                    chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_told_and_wakes_its_sleepers() {
        let clock = Clock::manual();
        let utc = clock.utc();
        let sleeper = clock.clone();
        let mut sleep = std::pin::pin!(sleeper.sleep_until(Millis::new(100)));
        assert!(futures_util::FutureExt::now_or_never(sleep.as_mut()).is_none());
        clock.advance(Duration::from_millis(99));
        assert!(futures_util::FutureExt::now_or_never(sleep.as_mut()).is_none());
        clock.advance(Duration::from_millis(1));
        sleep.await;
        assert_eq!(clock.now(), Millis::new(100));
        assert_eq!(clock.utc() - utc, Duration::from_millis(100));
    }

    #[tokio::test]
    async fn the_system_clock_reaches_what_it_slept_for() {
        let clock = Clock::system();
        let at = clock.now().plus(5);
        clock.sleep_until(at).await;
        assert!(at <= clock.now());
    }

    #[test]
    fn ids_differ_and_a_seed_repeats_them() {
        let draw = |ids: &Ids| (ids.design(), ids.user(), ids.secret(), ids.client(), ids.append_salt());
        let one = Ids::seeded(Clock::manual(), 7);
        let first = draw(&one);
        assert_ne!(first, draw(&one));
        assert_eq!(first, draw(&Ids::seeded(Clock::manual(), 7)));
        assert_ne!(first, draw(&Ids::seeded(Clock::manual(), 8)));
        let system = Ids::system(Clock::system());
        assert_ne!(draw(&system), draw(&system.clone()));
    }

    #[test]
    fn uuids_are_version_7_and_dated() {
        let clock = Clock::manual();
        let id = uuid::Uuid::from_u128(Ids::seeded(clock.clone(), 1).design().as_u128());
        assert_eq!(id.get_version_num(), 7);
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        assert_eq!(i64::try_from(seconds).unwrap(), clock.utc().unix_timestamp());
    }

    #[test]
    fn client_ids_fit_a_javascript_number() {
        let ids = Ids::seeded(Clock::manual(), 3);
        for _ in 0..1_000 {
            let id = ids.client().get();
            assert!(0 < id && id < 1 << 53, "{id}");
        }
    }
}
