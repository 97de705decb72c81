//! The writer lanes: appends of many designs share a commit.
//!
//! A design belongs to one lane by its hash. Each lane is one task with one connection: it takes what waits, writes it
//! in one transaction, and while that runs the next batch gathers. There is no timer: an append that arrives alone is
//! committed at once.
//!
//! A lane never waits for anybody's lock. What somebody else holds, what fails for a reason of its own, and what is very
//! large is done aside (`aside.rs`), so that one design never stalls the others.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{DesignId, Seq};
use atlas_crdt::room::Append;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::PgSettings;
use super::aside::Aside;
use super::batch::{self, Locked, PendingAppend};
use super::pool::{Place, Server, Terms, is_closed};
use super::values::{Fault, again, micros, told};
use crate::clock::Clock;
use crate::lifecycle::Tasks;
use crate::store::{Result, StoreError};

/// Appends in one commit.
const BATCH_APPENDS_MAX: usize = 256;
/// Bytes of updates in one commit, so that small edits do not wait for many imports. A larger one is done aside.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Appends that may wait for one lane. Beyond it their callers wait to be let in.
const QUEUE_MAX: usize = 512;
/// How long a lane waits for a lock that it cannot foresee, such as that of an index entry.
const LOCK_LIMIT_MAX: Duration = Duration::from_millis(500);

/// What the store's methods hold of the lanes.
pub(super) struct Lanes {
    queues: Vec<mpsc::Sender<PendingAppend>>,
    aside: Arc<Aside>,
    /// How long an append may take until its caller is told that its outcome is unknown.
    limit: Duration,
    /// Cancelled by `close`: take what waits already, nothing new.
    closing: CancellationToken,
    running: TaskTracker,
}

impl Lanes {
    /// The tasks run until the lanes are closed or dropped, and until everything accepted has been answered.
    pub(super) fn start(server: &Arc<Server>, settings: &PgSettings, clock: &Clock, tasks: &Tasks) -> Self {
        let terms = Terms::write(settings.call_limit, settings.lock_limit.min(LOCK_LIMIT_MAX));
        let aside = Aside::start(server, settings, clock, tasks);
        let closing = CancellationToken::new();
        let running = TaskTracker::new();
        let mut queues = Vec::new();
        for _ in 0..settings.lanes.max(1) {
            let (queue, appends) = mpsc::channel(QUEUE_MAX);
            let lane = Lane {
                server: Arc::clone(server),
                place: Place::default(),
                terms,
                clock: clock.clone(),
                appends,
                aside: Arc::clone(&aside),
                closing: closing.clone(),
            };
            tasks.spawn("a writer lane of the store", running.track_future(lane.run()));
            queues.push(queue);
        }
        // What is ahead of it in the lane, its own batch, and its turn aside.
        let limit = settings.call_limit * 3;
        Self { queues, aside, limit, closing, running }
    }

    /// Waits for the commit that carries it.
    pub(super) async fn append(&self, design: DesignId, append: Append) -> Result<Seq> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(design);
        let queue = &self.queues[usize::try_from(hash).unwrap_or_default() % self.queues.len()];
        let (answer, answered) = oneshot::channel();
        let bytes = append.update.len();
        let answer = async {
            queue.send(PendingAppend { design, append, answer }).await.map_err(|_| is_closed())?;
            answered.await.map_err(|_| StoreError::Unavailable(anyhow::anyhow!("the lane was ended")))?
        };
        let limit = self.limit + Duration::from_secs(u64::try_from(bytes >> 20).unwrap_or_default());
        tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
            let told = anyhow::anyhow!("not known to be committed within {} ms", limit.as_millis());
            Err(StoreError::Unavailable(told))
        })
    }

    /// Returns when everything that waits has been answered and every connection is closed.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.running.close();
        self.running.wait().await;
        self.aside.close().await;
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.closing.cancel();
        self.aside.end();
    }
}

struct Lane {
    server: Arc<Server>,
    place: Place,
    terms: Terms,
    clock: Clock,
    appends: mpsc::Receiver<PendingAppend>,
    aside: Arc<Aside>,
    closing: CancellationToken,
}

impl Lane {
    async fn run(mut self) {
        let mut taken = Vec::with_capacity(BATCH_APPENDS_MAX);
        let mut is_closing = false;
        loop {
            tokio::select! {
                count = self.appends.recv_many(&mut taken, BATCH_APPENDS_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.commit_all(taken.drain(..)).await;
                }
                () = self.closing.cancelled(), if !is_closing => {
                    is_closing = true;
                    self.appends.close();
                }
            }
        }
        self.place.close().await;
    }

    /// Commits the appends and answers each. A batch that fails is halved until the culprit stands alone.
    async fn commit_all(&mut self, taken: impl Iterator<Item = PendingAppend>) {
        // Who has gone asks again under the same append id.
        let taken = taken.filter(|pending| !pending.answer.is_closed());
        let mut batches = in_batches(taken);
        while let Some(batch) = batches.pop_front() {
            let batch = self.aside.take_out(batch);
            if batch.is_empty() {
                continue;
            }
            // Alone in its batch. What came before it is committed, what comes after it follows it there.
            if BATCH_BYTES_MAX < batch.iter().map(PendingAppend::bytes).sum() {
                for pending in batch {
                    self.aside.push(pending);
                }
                continue;
            }
            match self.commit(&batch).await {
                Ok(answers) => {
                    for (pending, answer) in batch.into_iter().zip(answers) {
                        match answer {
                            // A caller that stopped waiting finds its seq by its append id.
                            Some(answer) => drop(pending.answer.send(answer)),
                            None => self.aside.push(pending),
                        }
                    }
                }
                Err(Fault::Statement(_) | Fault::Refused(_)) if is_mixed(&batch) => {
                    let (first, second) = halved(batch);
                    batches.push_front(second);
                    batches.push_front(first);
                }
                // Whom it waited for cannot be told. Each by itself, and the lane goes on.
                Err(Fault::Statement(_) | Fault::Refused(_) | Fault::Slow(_)) => {
                    for pending in batch {
                        self.aside.push(pending);
                    }
                }
                Err(Fault::Store(error)) => {
                    tracing::error!(appends = batch.len(), error = %told(&error), "no append could be committed");
                    for pending in batch {
                        let _ = pending.answer.send(Err(again(&error)));
                    }
                }
            }
        }
    }

    /// One transaction. The answers are in the batch's order.
    async fn commit(
        &mut self,
        batch: &[PendingAppend],
    ) -> std::result::Result<Vec<Option<Result<Seq>>>, Fault> {
        let now = micros(self.clock.utc());
        let terms = batch::terms(self.terms, batch);
        let work = async |tx: &mut _| batch::write(tx, batch, Locked::Skip, now).await;
        self.server.run(&mut self.place, terms, work).await
    }
}

/// Whether there is more than one design.
fn is_mixed(batch: &[PendingAppend]) -> bool {
    batch.iter().any(|pending| pending.design != batch[0].design)
}

/// Two parts that have no design in common; of a mixed batch neither is empty.
fn halved(batch: Vec<PendingAppend>) -> (Vec<PendingAppend>, Vec<PendingAppend>) {
    let mut designs: Vec<DesignId> = batch.iter().map(|pending| pending.design).collect();
    designs.sort_unstable();
    designs.dedup();
    let middle = designs[designs.len() / 2];
    batch.into_iter().partition(|pending| pending.design < middle)
}

/// Cuts what waits into batches of at most `BATCH_BYTES_MAX`, in order.
fn in_batches(appends: impl Iterator<Item = PendingAppend>) -> VecDeque<Vec<PendingAppend>> {
    let mut batches = VecDeque::new();
    let mut batch: Vec<PendingAppend> = Vec::new();
    let mut bytes = 0;
    for pending in appends {
        let size = pending.bytes();
        if !batch.is_empty() && BATCH_BYTES_MAX < bytes + size {
            batches.push_back(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(pending);
    }
    if !batch.is_empty() {
        batches.push_back(batch);
    }
    batches
}
