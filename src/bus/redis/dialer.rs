//! Makes links, one after the other, and says when Redis is away and when it is back.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::Millis;
use fred::error::Error;

use super::link::{Link, Plan};
use crate::clock::{Clock, Ids};

/// The first pause between two tries, doubled by each failure …
const PAUSE_MIN_MS: u64 = 50;
/// … up to this. A random part of it, from its half on, so that many servers do not come back at once.
const PAUSE_MAX_MS: u64 = 1_000;
/// A Redis that stays away is spoken of again after this.
const REMINDER_MS: u64 = 60_000;

/// A link that lived shorter than this counts as a failure.
const STABLE_MS: u64 = 5_000;

#[derive(Debug)]
pub(super) struct Dialer {
    plan: Arc<Plan>,
    clock: Clock,
    ids: Ids,
    /// What the links are for, in the log.
    side: &'static str,
    /// In a row.
    failures: u32,
    opened_at: Option<Millis>,
    away: Option<Away>,
}

/// There is no link, and the log says so.
#[derive(Debug, Clone, Copy)]
struct Away {
    since: Millis,
    told_at: Millis,
}

impl Dialer {
    pub(super) fn new(plan: Arc<Plan>, clock: Clock, ids: Ids, side: &'static str) -> Self {
        Self { plan, clock, ids, side, failures: 0, opened_at: None, away: None }
    }

    /// Returns once there is one, however long that takes.
    pub(super) async fn dial(&mut self) -> Link {
        loop {
            if 0 < self.failures {
                tokio::time::sleep(self.pause()).await;
            }
            match Link::open(&self.plan).await {
                Ok(link) => {
                    let now = self.clock.now();
                    self.opened_at = Some(now);
                    let side = self.side;
                    if let Some(away) = self.away.take() {
                        tracing::info!(side, away_ms = now.since(away.since), "Redis is back");
                    } else {
                        tracing::info!(side, "Redis is reached");
                    }
                    return link;
                }
                Err(error) => self.lost(&error),
            }
        }
    }

    /// There is no link, or none any more.
    pub(super) fn lost(&mut self, error: &Error) {
        let now = self.clock.now();
        let lived = self.opened_at.take().map_or(0, |at| now.since(at));
        self.failures = if lived < STABLE_MS { self.failures + 1 } else { 0 };
        let (side, cause) = (self.side, error.details());
        match &mut self.away {
            away @ None => {
                tracing::warn!(side, cause, "Redis is away: others' edits take up to a second");
                *away = Some(Away { since: now, told_at: now });
            }
            Some(away) if REMINDER_MS <= now.since(away.told_at) => {
                tracing::warn!(side, cause, away_ms = now.since(away.since), "Redis is still away");
                away.told_at = now;
            }
            Some(_) => tracing::debug!(side, cause, "Redis was not reached"),
        }
    }

    fn pause(&self) -> Duration {
        let longest = PAUSE_MAX_MS.min(PAUSE_MIN_MS << (self.failures - 1).min(10));
        Duration::from_millis(longest / 2 + self.ids.seed() % (longest / 2 + 1))
    }
}
