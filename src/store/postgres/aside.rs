//! Where designs go that would hold up a lane: their rows are locked by somebody else, or their appends fail, or are
//! very large.
//!
//! A few tasks, each with a connection, take one design at a time and wait for its locks within a limit. A design whose
//! append failed here comes straight here again, until one of its appends succeeds; until then other tasks take it than
//! those that take the designs that come for the first time, so that a design that two pods write never waits behind
//! one that somebody holds for long. Everything is bounded: past the bounds an
//! append is `Unavailable` at once, and its room tries again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atlas_crdt::ids::{DesignId, Seq};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::PgSettings;
use super::batch::{self, Locked, PendingAppend};
use super::pool::{Place, Server, Terms, is_closed};
use super::values::{Fault, again, micros, told};
use crate::clock::Clock;
use crate::lifecycle::Tasks;
use crate::store::{Result, StoreError};

/// Appends that may wait here.
const WAITING_MAX: usize = 1_024;
/// Designs that are remembered to fail. One more is tried in its lane again and again.
const SUSPECTS_MAX: usize = 1_024;

pub(super) struct Aside {
    server: Arc<Server>,
    terms: Terms,
    clock: Clock,
    state: Mutex<State>,
    /// A permit for each design in `State::ready`, by kind. Closed when nothing may come any more.
    calls: [Semaphore; 2],
    workers: TaskTracker,
}

/// Which workers take a design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing is known against it.
    New,
    /// Its last append here failed.
    Suspect,
}

/// Written by the lanes, which bring, and by the workers, which take away.
#[derive(Default)]
struct State {
    /// What waits of each design that is here. Its worker takes all of it and leaves the empty list until it is done.
    waiting: HashMap<DesignId, Vec<PendingAppend>>,
    /// Appends in `waiting`.
    waiting_count: usize,
    /// Designs that no worker has yet, by kind.
    ready: [VecDeque<DesignId>; 2],
    /// Designs whose last append here failed.
    suspects: HashSet<DesignId>,
    is_closed: bool,
}

impl Aside {
    pub(super) fn start(
        server: &Arc<Server>,
        settings: &PgSettings,
        clock: &Clock,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let aside = Arc::new(Self {
            server: Arc::clone(server),
            terms: Terms::write(settings.call_limit, settings.lock_limit),
            clock: clock.clone(),
            state: Mutex::default(),
            calls: [const { Semaphore::const_new(0) }; 2],
            workers: TaskTracker::new(),
        });
        for at in 0..settings.asides.max(2) {
            let kind = if at % 2 == 0 { Kind::New } else { Kind::Suspect };
            let worker = Arc::clone(&aside).work(kind);
            tasks.spawn("a side path of the store's lanes", aside.workers.track_future(worker));
        }
        aside
    }

    /// Takes over what must come here, and returns what may go through a lane.
    pub(super) fn take_out(&self, batch: Vec<PendingAppend>) -> Vec<PendingAppend> {
        let mut state = self.state();
        if state.waiting.is_empty() && state.suspects.is_empty() {
            return batch;
        }
        let is_ours = |pending: &PendingAppend| {
            state.waiting.contains_key(&pending.design) || state.suspects.contains(&pending.design)
        };
        let (ours, free): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_ours);
        for pending in ours {
            self.push_into(&mut state, pending);
        }
        free
    }

    pub(super) fn push(&self, pending: PendingAppend) {
        self.push_into(&mut self.state(), pending);
    }

    fn push_into(&self, state: &mut State, pending: PendingAppend) {
        if state.is_closed {
            let _ = pending.answer.send(Err(is_closed()));
            return;
        }
        if WAITING_MAX <= state.waiting_count {
            let told = anyhow::anyhow!("too many appends wait for locks, fail, or are large");
            let _ = pending.answer.send(Err(StoreError::Unavailable(told)));
            return;
        }
        state.waiting_count += 1;
        let design = pending.design;
        let is_new = !state.waiting.contains_key(&design);
        state.waiting.entry(design).or_default().push(pending);
        if is_new {
            self.call(state, design);
        }
    }

    fn call(&self, state: &mut State, design: DesignId) {
        let kind = if state.suspects.contains(&design) { Kind::Suspect } else { Kind::New };
        state.ready[kind as usize].push_back(design);
        self.calls[kind as usize].add_permits(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing more. What waits is still done.
    pub(super) fn end(&self) {
        self.state().is_closed = true;
        self.calls.iter().for_each(Semaphore::close);
        self.workers.close();
    }

    /// Returns when all that waits is answered and every connection is closed.
    pub(super) async fn close(&self) {
        self.end();
        self.workers.wait().await;
    }

    async fn work(self: Arc<Self>, kind: Kind) {
        let mut place = Place::default();
        loop {
            let is_ending = match self.calls[kind as usize].acquire().await {
                Ok(call) => {
                    call.forget();
                    false
                }
                Err(_) => true,
            };
            match self.next(kind) {
                Some((design, batch)) => {
                    let batch = batch.into_iter().filter(|pending| !pending.answer.is_closed()).collect();
                    self.commit_all(&mut place, design, batch).await;
                    self.done(design);
                }
                None if is_ending => break,
                None => {}
            }
        }
        place.close().await;
    }

    fn next(&self, kind: Kind) -> Option<(DesignId, Vec<PendingAppend>)> {
        let mut state = self.state();
        let mine = state.ready[kind as usize].pop_front();
        // Whoever is left at the end does all that is left: a design may have become of the other kind.
        let other = if state.is_closed { state.ready[1 - kind as usize].pop_front() } else { None };
        let design = mine.or(other)?;
        let batch = state.waiting.get_mut(&design).map(std::mem::take).unwrap_or_default();
        state.waiting_count -= batch.len();
        Some((design, batch))
    }

    /// More of it may have come meanwhile: its turn comes after those who wait already.
    fn done(&self, design: DesignId) {
        let mut state = self.state();
        if state.waiting.get(&design).is_some_and(|batch| !batch.is_empty()) {
            self.call(&mut state, design);
        } else {
            state.waiting.remove(&design);
        }
    }

    /// Commits one design's appends together, and one by one if that fails.
    async fn commit_all(&self, place: &mut Place, design: DesignId, batch: Vec<PendingAppend>) {
        let mut batches = VecDeque::from([batch]);
        while let Some(batch) = batches.pop_front() {
            if batch.is_empty() {
                continue;
            }
            match self.commit(place, &batch).await {
                Ok(answers) => {
                    self.state().suspects.remove(&design);
                    for (pending, answer) in batch.into_iter().zip(answers) {
                        // Nothing is left out here.
                        let _ = pending.answer.send(answer.unwrap_or(Err(StoreError::NoSuchDesign)));
                    }
                }
                Err(Fault::Statement(_) | Fault::Refused(_)) if 1 < batch.len() => {
                    batches.extend(batch.into_iter().map(|pending| vec![pending]));
                }
                Err(fault) => {
                    let is_its_own = !matches!(fault, Fault::Store(_));
                    let error = fault.into_error();
                    tracing::error!(%design, appends = batch.len(), error = %told(&error), "an append failed");
                    if is_its_own {
                        self.suspect(design);
                    }
                    for pending in batch {
                        let _ = pending.answer.send(Err(again(&error)));
                    }
                }
            }
        }
    }

    fn suspect(&self, design: DesignId) {
        let mut state = self.state();
        if state.suspects.len() < SUSPECTS_MAX {
            state.suspects.insert(design);
        }
    }

    async fn commit(
        &self,
        place: &mut Place,
        batch: &[PendingAppend],
    ) -> std::result::Result<Vec<Option<Result<Seq>>>, Fault> {
        let now = micros(self.clock.utc());
        let terms = batch::terms(self.terms, batch);
        let work = async |tx: &mut _| batch::write(tx, batch, Locked::Wait, now).await;
        self.server.run(place, terms, work).await
    }
}
