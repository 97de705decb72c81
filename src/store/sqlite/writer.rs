//! The one task that writes.
//!
//! SQLite lets one connection write at a time, so one task owns that connection. Appends that wait together are
//! committed together: one fsync for all of them, and while it runs the next batch gathers. There is no timer: an
//! append that arrives alone is committed at once.
//!
//! After any fault of the database the connection is thrown away and opened anew: nothing of the old one's state,
//! such as a transaction that is half rolled back, is trusted.

use std::collections::VecDeque;
use std::fs::File;
use std::panic::AssertUnwindSafe;

use atlas_crdt::ids::{DesignId, Seq};
use atlas_crdt::room::Append;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::log;
use super::values::micros;
use crate::clock::Clock;
use crate::store::{Result, StoreError};

/// Appends in one commit.
const BATCH_APPENDS_MAX: usize = 256;
/// Bytes of updates in one commit, so that small edits do not wait for many imports. A larger one goes alone.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Appends and other writes that may wait. Beyond it their callers wait to be let in.
const QUEUE_MAX: usize = 1_024;

/// One append that waits for its commit.
pub(super) struct PendingAppend {
    pub(super) design: DesignId,
    pub(super) append: Append,
    answer: oneshot::Sender<Result<Seq>>,
}

/// Any other write: begins its own transaction, ends it and answers its caller. False: the connection is in doubt.
type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, bool> + Send>;

/// What the store's methods hold of the writer.
#[derive(Clone)]
pub(super) struct WriterHandle {
    appends: mpsc::Sender<PendingAppend>,
    jobs: mpsc::Sender<Job>,
    /// Cancelled by `close`: take what waits already, nothing new.
    closing: CancellationToken,
    /// Cancelled by the writer when its connection and its lock are released.
    closed: CancellationToken,
}

impl WriterHandle {
    /// Waits for the commit that carries it.
    pub(super) async fn append(&self, design: DesignId, append: Append) -> Result<Seq> {
        let (answer, answered) = oneshot::channel();
        self.appends.send(PendingAppend { design, append, answer }).await.map_err(|_| is_closed())?;
        answered.await.map_err(|_| was_dropped())?
    }

    /// Runs `work` in one BEGIN IMMEDIATE transaction: committed when it returns `Ok`, rolled back otherwise. It
    /// runs to its end even when the caller stops waiting.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                let outcome = in_transaction(connection, work).await;
                let trusted = !matches!(outcome, Err(StoreError::Unavailable(_) | StoreError::Damaged(_)));
                // Nobody may be waiting any more; the transaction has ended all the same.
                let _ = answer.send(outcome);
                trusted
            })
        });
        self.jobs.send(job).await.map_err(|_| is_closed())?;
        answered.await.map_err(|_| was_dropped())?
    }

    /// Ends the writer after what waits already.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.closed.cancelled().await;
    }
}

async fn in_transaction<T, W>(connection: &mut SqliteConnection, work: W) -> Result<T>
where
    W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>>,
{
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    match work(&mut transaction).await {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(refusal) => {
            transaction.rollback().await?;
            Err(refusal)
        }
    }
}

fn is_closed() -> StoreError {
    StoreError::Unavailable(anyhow::anyhow!("the store is closed"))
}

fn was_dropped() -> StoreError {
    StoreError::Unavailable(anyhow::anyhow!("the writer could not reach the database"))
}

/// The writer's own side.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a fault, until the next write opens a new one.
    connection: Option<SqliteConnection>,
    clock: Clock,
    /// Keeps other processes from this data folder; released after the connection.
    _lock: File,
    appends: mpsc::Receiver<PendingAppend>,
    jobs: mpsc::Receiver<Job>,
    closing: CancellationToken,
    closed: CancellationToken,
}

/// Why a batch was not committed.
enum Fault {
    /// The transaction could not begin or commit: no append is to blame.
    Store(StoreError),
    /// A statement failed: perhaps through one append alone.
    Statement(StoreError),
}

impl Writer {
    pub(super) fn new(
        options: SqliteConnectOptions,
        connection: SqliteConnection,
        clock: Clock,
        lock: File,
    ) -> (Self, WriterHandle) {
        let (append_sender, appends) = mpsc::channel(QUEUE_MAX);
        let (job_sender, jobs) = mpsc::channel(QUEUE_MAX);
        let handle = WriterHandle {
            appends: append_sender,
            jobs: job_sender,
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        };
        let (closing, closed) = (handle.closing.clone(), handle.closed.clone());
        let connection = Some(connection);
        let writer = Self { options, connection, clock, _lock: lock, appends, jobs, closing, closed };
        (writer, handle)
    }

    /// Runs until `close`, or until every handle is gone, and until everything accepted has been answered.
    pub(super) async fn run(self) {
        // Dropped last, after connection and lock, and also when this task panics: whoever waits in `close` must
        // neither wait for ever nor come too early.
        let _told_at_the_end = self.closed.clone().drop_guard();
        self.serve().await;
    }

    async fn serve(mut self) {
        let mut batch = Vec::with_capacity(BATCH_APPENDS_MAX);
        let (mut has_appends, mut has_jobs, mut is_closing) = (true, true, false);
        while has_appends || has_jobs {
            tokio::select! {
                taken = self.appends.recv_many(&mut batch, BATCH_APPENDS_MAX), if has_appends => {
                    has_appends = 0 < taken;
                    self.commit_all(batch.drain(..).collect()).await;
                }
                job = self.jobs.recv(), if has_jobs => match job {
                    Some(job) => self.run_job(job).await,
                    None => has_jobs = false,
                },
                () = self.closing.cancelled(), if !is_closing => {
                    is_closing = true;
                    self.appends.close();
                    self.jobs.close();
                }
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database was not closed cleanly; its log is replayed at the next start");
        }
    }

    async fn connect(&mut self) -> Result<SqliteConnection> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(self.options.connect().await?),
        }
    }

    async fn run_job(&mut self, job: Job) {
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::error!(error = %text(&error), "the database cannot be opened for writing");
                return;
            }
        };
        // A defect in one write must not end the writer and with it every room's log.
        let is_trusted =
            AssertUnwindSafe(job(&mut connection)).catch_unwind().await.unwrap_or_else(|panic| {
                tracing::error!(panic = crate::lifecycle::panic_text(&*panic), "a write panicked");
                false
            });
        self.put_back(connection, is_trusted).await;
    }

    async fn put_back(&mut self, connection: SqliteConnection, is_trusted: bool) {
        if is_trusted {
            self.connection = Some(connection);
        } else {
            // Waits until what it had begun is rolled back, so that the next one finds no lock.
            let _ = connection.close().await;
        }
    }

    /// Commits the appends in their order and answers each. A batch that fails is halved until the culprit stands
    /// alone, so that one bad design never stalls the others.
    async fn commit_all(&mut self, appends: VecDeque<PendingAppend>) {
        let mut batches = in_batches(appends);
        while let Some(mut batch) = batches.pop_front() {
            match self.commit(&batch).await {
                Ok(answers) => {
                    for (pending, answer) in batch.into_iter().zip(answers) {
                        // A caller that stopped waiting finds its seq by its append id.
                        let _ = pending.answer.send(answer);
                    }
                }
                Err(Fault::Statement(_)) if 1 < batch.len() => {
                    let second_half = batch.split_off(batch.len() / 2);
                    batches.push_front(second_half);
                    batches.push_front(batch);
                }
                Err(Fault::Statement(error)) => {
                    for pending in batch {
                        tracing::error!(design = %pending.design, error = %text(&error), "an append failed");
                        let _ = pending.answer.send(Err(again(&error)));
                    }
                }
                Err(Fault::Store(error)) => {
                    tracing::error!(appends = batch.len(), error = %text(&error), "no append could be committed");
                    for pending in batch {
                        let _ = pending.answer.send(Err(again(&error)));
                    }
                }
            }
        }
    }

    /// One transaction. The answers are in the batch's order.
    async fn commit(&mut self, batch: &[PendingAppend]) -> std::result::Result<Vec<Result<Seq>>, Fault> {
        let now = micros(self.clock.utc());
        let mut connection = self.connect().await.map_err(Fault::Store)?;
        let outcome = commit_on(&mut connection, batch, now).await;
        self.put_back(connection, outcome.is_ok()).await;
        outcome
    }
}

/// The answers are true only because the commit at the end succeeded.
async fn commit_on(
    connection: &mut SqliteConnection,
    batch: &[PendingAppend],
    now: i64,
) -> std::result::Result<Vec<Result<Seq>>, Fault> {
    let of_store = |error: sqlx::Error| Fault::Store(error.into());
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(of_store)?;
    let mut answers = Vec::with_capacity(batch.len());
    for pending in batch {
        match log::append(&mut transaction, pending.design, &pending.append, now).await {
            Err(fault @ (StoreError::Unavailable(_) | StoreError::Damaged(_))) => {
                return Err(Fault::Statement(fault));
            }
            // A refusal wrote nothing.
            answer => answers.push(answer),
        }
    }
    transaction.commit().await.map_err(of_store)?;
    Ok(answers)
}

/// Cuts what waits into batches of at most `BATCH_BYTES_MAX`, in order.
fn in_batches(appends: VecDeque<PendingAppend>) -> VecDeque<Vec<PendingAppend>> {
    let mut batches = VecDeque::new();
    let mut batch: Vec<PendingAppend> = Vec::new();
    let mut bytes = 0;
    for pending in appends {
        let size = pending.append.update.len();
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

/// One fault told to several callers.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Damaged(what) => StoreError::Damaged(what.clone()),
        other => StoreError::Unavailable(anyhow::anyhow!(text(other))),
    }
}

/// The fault with its cause, for the log.
fn text(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(cause) => format!("{cause:#}"),
        other => other.to_string(),
    }
}
