//! Claims the jobs of one kind, one after the other, and holds each lease while its work goes on.
//!
//! A hint wakes it at once, a poll finds what other pods were hinted at; both take the same way. The lease is renewed
//! while the work goes on. Whoever cannot renew it drops the work: another pod has it by then, and fencing sees to it that a
//! write which is already on its way changes nothing.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{Millis, PodId};
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{backoff, spread};
use crate::clock::{Clock, Ids};
use crate::lifecycle::panic_text;
use crate::store::jobs::{Job, JobEnd, JobKind, JobLease};
use crate::store::upkeep::Upkeep;
use crate::store::{Result, StoreError};

/// Milliseconds that a claim holds …
pub(super) const LEASE_MS: u64 = 60_000;
/// Milliseconds after which a renewal that failed is tried again.
const RENEW_RETRY_MS: u64 = 2_000;
/// Milliseconds between two looks for jobs that nobody here was told of.
const POLL_MS: u64 = 5_000;
/// Milliseconds. First and longest pause while the store cannot be asked for jobs.
const CLAIM_RETRY_MS: (u64, u64) = (500, 15_000);
/// Milliseconds. How long a stop waits for the store to take a job back; without it the lease runs out.
const PUT_BACK_MS: u64 = 1_000;
/// A job that failed, or never ended, so often may be what kills its process: every other time it is only put off …
const SUSPICIOUS_FAILURES: u32 = 4;
/// … by this.
const PUT_OFF: Duration = Duration::from_mins(10);
/// After a panic of the work.
const PANIC_RETRY: Duration = Duration::from_mins(30);

/// How jobs of a kind are claimed and held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Milliseconds that a claim holds. It is renewed three times within it.
    pub(super) lease_ms: u64,
    /// Milliseconds between two looks for jobs that nobody here was told of.
    pub(super) poll_ms: u64,
    /// Claims that did not end well after which every other one only puts the job off.
    pub(super) suspicious_failures: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self { lease_ms: LEASE_MS, poll_ms: POLL_MS, suspicious_failures: SUSPICIOUS_FAILURES }
    }
}

impl Terms {
    fn lease(self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    fn renew_ms(self) -> u64 {
        self.lease_ms / 3
    }

    fn renew_retry_ms(self) -> u64 {
        RENEW_RETRY_MS.min(self.lease_ms / 10)
    }
}

/// What a runner stands on.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) kind: JobKind,
    pub(super) terms: Terms,
    pub(super) upkeep: Arc<dyn Upkeep>,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) pod: PodId,
    /// Told when a job was enqueued here.
    pub(super) wake: Arc<Notify>,
    /// Ends the runner; a job in work is put back.
    pub(super) stop: CancellationToken,
}

impl Runner {
    /// Does jobs until told to stop.
    pub(super) async fn run<W, F>(self, work: W)
    where
        W: Fn(Job) -> F + Send + Sync,
        F: Future<Output = JobEnd> + Send,
    {
        let mut failures = 0;
        while !self.stop.is_cancelled() {
            let claimed = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                claimed = self.upkeep.claim_job(self.kind, self.pod, self.terms.lease()) => claimed,
            };
            match claimed {
                Ok(Some(job)) => {
                    failures = 0;
                    self.hold(job, &work).await;
                }
                Ok(None) => {
                    failures = 0;
                    self.pause(spread(&self.ids, self.terms.poll_ms), true).await;
                }
                Err(error) => {
                    let kind = self.kind.as_str();
                    if failures == 0 {
                        tracing::warn!(kind, cause = chain(error), "the store cannot be asked for jobs");
                    }
                    let (least, most) = CLAIM_RETRY_MS;
                    // Hints are no news about the store.
                    self.pause(spread(&self.ids, backoff(failures, least, most)), false).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    async fn pause(&self, ms: u64, ends_by_hint: bool) {
        let hinted =
            async { if ends_by_hint { self.wake.notified().await } else { std::future::pending().await } };
        tokio::select! {
            () = self.clock.sleep_until(self.clock.now().plus(ms)) => {}
            () = hinted => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn hold<W, F>(&self, job: Job, work: &W)
    where
        W: Fn(Job) -> F,
        F: Future<Output = JobEnd>,
    {
        let claimed_at = self.clock.now();
        let Job { lease, failures } = job;
        let (kind, design) = (lease.kind.as_str(), lease.design);
        if self.terms.suspicious_failures <= failures && failures.is_multiple_of(2) {
            tracing::warn!(kind, %design, failures, "a job that failed often is put off");
            let reason = format!("put off: it was claimed {failures} times and never done");
            return self.end(lease, JobEnd::Failed { retry_in: PUT_OFF, reason }).await;
        }
        let end = tokio::select! {
            biased;
            end = AssertUnwindSafe(work(job)).catch_unwind() => Some(end.unwrap_or_else(|panic| {
                let panic = panic_text(&*panic);
                tracing::error!(kind, %design, panic, "a job panicked");
                JobEnd::Failed { retry_in: PANIC_RETRY, reason: format!("a panic: {panic}") }
            })),
            () = self.stop.cancelled() => Some(JobEnd::Later(Duration::ZERO)),
            () = self.keep(lease, claimed_at) => None,
        };
        if let Some(end) = end {
            self.end(lease, end).await;
        } else {
            tracing::warn!(kind, %design, "the lease of a job is lost: its work is dropped");
        }
    }

    /// Renews the lease, and returns when it is lost.
    async fn keep(&self, lease: JobLease, claimed_at: Millis) {
        let mut until = claimed_at.plus(self.terms.lease_ms);
        let mut pause = self.terms.renew_ms();
        loop {
            self.clock.sleep_until(until.min(self.clock.now().plus(pause))).await;
            let asked_at = self.clock.now();
            match self.before(until, self.upkeep.renew_job(lease, self.terms.lease())).await {
                Some(Ok(())) => (until, pause) = (asked_at.plus(self.terms.lease_ms), self.terms.renew_ms()),
                Some(Err(StoreError::Fenced | StoreError::NoSuchDesign)) | None => return,
                Some(Err(error)) => {
                    tracing::warn!(design = %lease.design, cause = chain(error), "a lease could not be renewed");
                    pause = self.terms.renew_retry_ms();
                }
            }
            if until <= self.clock.now() {
                return;
            }
        }
    }

    /// Tells the store, for as long as the lease may still be held.
    async fn end(&self, lease: JobLease, end: JobEnd) {
        let wait = if self.stop.is_cancelled() { PUT_BACK_MS } else { self.terms.lease_ms };
        let until = self.clock.now().plus(wait);
        while let Some(told) = self.before(until, self.upkeep.end_job(lease, end.clone())).await {
            match told {
                Ok(()) | Err(StoreError::Fenced | StoreError::NoSuchDesign) => return,
                Err(error) => {
                    tracing::warn!(design = %lease.design, cause = chain(error), "a job could not be ended");
                }
            }
            if self.stop.is_cancelled() {
                return;
            }
            self.pause(self.terms.renew_retry_ms(), false).await;
        }
    }

    /// What comes of the wait, unless it takes until then.
    async fn before<T>(&self, until: Millis, wait: impl Future<Output = Result<T>>) -> Option<Result<T>> {
        tokio::select! {
            biased;
            () = self.clock.sleep_until(until) => None,
            done = wait => Some(done),
        }
    }
}

/// An error with its causes, for a log.
pub(super) fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
