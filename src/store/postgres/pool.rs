//! Connections, and transactions on them that end in time.
//!
//! A connection is used for one transaction at a time and then waits in a [`Place`]. It is put back only after its
//! transaction ended in order; after anything else (an error that says that the database is in trouble, an answer that
//! did not come in time, a caller that went away) it is closed. Nothing is ever set for a session, only for a
//! transaction, and no statement has a name: behind a pooler each transaction may run in another session.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atlas_crdt::ids::Millis;
use futures_util::FutureExt;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::Semaphore;

use super::values::Fault;
use crate::clock::Clock;
use crate::store::{Result, StoreError};

/// A connection that waited longer is not used again: something between may have dropped it without a word.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// How long saying goodbye may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How a transaction begins, and how long all of it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    begin: &'static str,
    /// From asking for a connection to the answer to COMMIT. The server gives up on a statement a little earlier, and
    /// on us, should we vanish in the middle, a little later.
    limit: Duration,
    lock_limit: Duration,
}

impl Terms {
    /// Statements see what is committed when they begin. Durable when it returns, whatever the server's default is.
    pub(super) fn write(limit: Duration, lock_limit: Duration) -> Self {
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on";
        Self { begin, limit, lock_limit }
    }

    /// All statements see one moment. They only read, and still ask for a transaction that may write: a standby refuses
    /// that, whose moment may be one before edits that people have been told are saved.
    pub(super) fn read(limit: Duration, lock_limit: Duration) -> Self {
        Self { begin: "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE", limit, lock_limit }
    }

    /// What a transaction begins with. The server's limits follow ours.
    fn begin(&self) -> String {
        let Self { begin, limit, lock_limit } = *self;
        let statement_ms = (limit * 4 / 5).as_millis().max(1);
        let (lock_ms, idle_ms) = (lock_limit.as_millis().max(1), limit.as_millis().max(1));
        format!(
            "{begin}; SET LOCAL statement_timeout = {statement_ms}; SET LOCAL lock_timeout = {lock_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle_ms}"
        )
    }

    /// For a transaction that carries much: a second more for each MiB.
    pub(super) fn with_bytes(self, bytes: usize) -> Self {
        let more = Duration::from_secs(u64::try_from(bytes >> 20).unwrap_or(u64::MAX).min(3_600));
        Self { limit: self.limit + more, ..self }
    }
}

/// Where a connection waits between two transactions. Empty at first.
#[derive(Default)]
pub(super) struct Place(Option<Idle>);

struct Idle {
    connection: PgConnection,
    since: Millis,
}

impl Place {
    /// Says goodbye, so that the server need not find out.
    pub(super) async fn close(self) {
        if let Some(Idle { connection, .. }) = self.0 {
            let _ = tokio::time::timeout(CLOSE_PATIENCE, connection.close()).await;
        }
    }
}

/// The way to the database.
pub(super) struct Server {
    options: PgConnectOptions,
    clock: Clock,
}

impl Server {
    pub(super) fn new(options: PgConnectOptions, clock: Clock) -> Self {
        Self { options, clock }
    }

    /// Runs `work` in one transaction: committed when it returns `Ok`, rolled back otherwise. An error at the commit,
    /// or no answer within the limit, leaves the outcome unknown. So does a panic of `work`, which must not end the lane
    /// that called: it is told as a fault of the statement, so that the culprit is searched, and its connection is gone.
    pub(super) async fn run<T>(
        &self,
        place: &mut Place,
        terms: Terms,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> std::result::Result<T, Fault> {
        // The place stays empty until its connection is put back.
        let attempt = AssertUnwindSafe(self.attempt(place, &terms, work)).catch_unwind();
        let caught = async {
            attempt.await.unwrap_or_else(|panic| {
                let told = crate::lifecycle::panic_text(&*panic);
                tracing::error!(panic = told, "a write panicked");
                Err(Fault::Statement(StoreError::Unavailable(anyhow::anyhow!("the write panicked"))))
            })
        };
        within(terms.limit, caught).await
    }

    async fn attempt<T>(
        &self,
        place: &mut Place,
        terms: &Terms,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> std::result::Result<T, Fault> {
        let of_store = |error: sqlx::Error| Fault::Store(error.into());
        let mut connection = self.begin(place, terms).await.map_err(of_store)?;
        match work(&mut connection).await {
            Ok(value) => {
                sqlx::raw_sql("COMMIT").execute(&mut connection).await.map_err(of_store)?;
                self.put_back(place, connection);
                Ok(value)
            }
            Err(error) => {
                let fault = Fault::of(error);
                let is_sound = !matches!(fault, Fault::Store(_));
                if is_sound && sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.is_ok() {
                    self.put_back(place, connection);
                }
                Err(fault)
            }
        }
    }

    fn put_back(&self, place: &mut Place, connection: PgConnection) {
        place.0 = Some(Idle { connection, since: self.clock.now() });
    }

    /// A connection with a transaction begun. One that waited may have ended meanwhile, as when the database was
    /// restarted: nothing has been asked of it yet, so a new one takes its place.
    async fn begin(&self, place: &mut Place, terms: &Terms) -> sqlx::Result<PgConnection> {
        let begin = || sqlx::raw_sql(AssertSqlSafe(terms.begin()));
        if let Some(Idle { mut connection, since }) = place.0.take()
            && u128::from(self.clock.now().get().saturating_sub(since.get())) <= IDLE_MAX.as_millis()
        {
            let Err(error) = begin().execute(&mut connection).await else { return Ok(connection) };
            tracing::debug!(%error, "a connection to the database had ended; opening another");
        }
        let mut connection = self.options.connect().await?;
        begin().execute(&mut connection).await?;
        Ok(connection)
    }
}

/// A number of places for whoever comes.
pub(super) struct Pool {
    server: Arc<Server>,
    /// A permit for each transaction that may run now.
    turns: Semaphore,
    turns_max: u32,
    /// Those that nobody uses now: taken and put back by whoever holds a permit.
    idle: Mutex<Vec<Place>>,
    /// Set by `close`, read by everybody who comes.
    is_closing: AtomicBool,
}

impl Pool {
    pub(super) fn new(server: Arc<Server>, turns_max: u32) -> Self {
        let turns = Semaphore::new(turns_max as usize);
        Self { server, turns, turns_max, idle: Mutex::default(), is_closing: AtomicBool::new(false) }
    }

    /// Runs `work` in one transaction: committed when it returns `Ok`, rolled back otherwise. The time to wait for a turn
    /// counts as well.
    pub(super) async fn run<T>(
        &self,
        terms: &Terms,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        if self.is_closing.load(Ordering::Acquire) {
            return Err(is_closed());
        }
        let attempt = async {
            let _turn = self.turns.acquire().await.map_err(|_| Fault::Store(is_closed()))?;
            let mut place = self.idle().pop().unwrap_or_default();
            let outcome = self.server.attempt(&mut place, terms, work).await;
            if place.0.is_some() {
                self.idle().push(place);
            }
            outcome
        };
        within(terms.limit, attempt).await.map_err(Fault::into_error)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Place>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when what was asked before is done and every connection is closed.
    pub(super) async fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        // Whoever waits for a turn is let in before.
        let all_done = self.turns.acquire_many(self.turns_max).await.is_ok();
        if all_done {
            self.turns.close();
        }
        let places = std::mem::take(&mut *self.idle());
        futures_util::future::join_all(places.into_iter().map(Place::close)).await;
    }
}

async fn within<T>(
    limit: Duration,
    attempt: impl Future<Output = std::result::Result<T, Fault>>,
) -> std::result::Result<T, Fault> {
    tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
        let told = anyhow::anyhow!("the database did not answer within {} ms", limit.as_millis());
        Err(Fault::Store(StoreError::Unavailable(told)))
    })
}

pub(super) fn is_closed() -> StoreError {
    StoreError::Unavailable(anyhow::anyhow!("the store is closed"))
}
