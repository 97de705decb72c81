//! The embedded store: one SQLite file, `<data folder>/atlas.db`, in WAL mode with `synchronous = FULL`, so that a
//! commit is on the disk when it returns.
//!
//! One task writes (`writer.rs`: group commit), a few connections read: some whole logs, the others everything short,
//! so that a login does not wait for somebody's large design. The file `lock` in the data folder is held
//! while the store is open: two processes never write one folder.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use atlas_crdt::ids::{ClientId, DesignId, Seq, SessionId, UserId};
use atlas_crdt::limits::ANNOUNCED_IDS_PER_USER_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Loaded, LogRow, Quarantine};
use sqlx::ConnectOptions;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use time::OffsetDateTime;

use self::values::micros;
use self::writer::{Writer, WriterHandle};
use super::analyses::AnalysisSummary;
use super::{
    DesignRow, Head, ListDesigns, ListedDesign, Look, Member, NewDesign, NewSession, NewTicket, NewUser,
    Page, Result, RotateRefresh, Rotation, Store, Ticket, User,
};
use crate::clock::Clock;
use crate::lifecycle::Tasks;

mod analyses;
mod backlog;
mod checks;
mod claims;
mod designs;
#[cfg(test)]
mod folded;
mod folds;
mod jobs;
mod log;
mod people;
mod quarantine;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrade;
mod upkeep;
mod values;
mod writer;

/// How long a statement waits for another process's lock (a backup, a shell) before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a short read waits for a free connection.
const READ_WAIT: Duration = Duration::from_secs(5);
const READ_CONNECTIONS_MAX: u32 = 4;
/// How long the load of a log waits for a free connection: many designs are opened at once after a restart.
const LOAD_WAIT: Duration = Duration::from_secs(20);
/// Few: each holds a whole log in memory.
const LOAD_CONNECTIONS_MAX: u32 = 2;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Cheap to share behind an `Arc`. Call [`Store::close`] before the process ends, after the rooms.
pub struct SqliteStore {
    writer: WriterHandle,
    /// Connections with `query_only` for short reads …
    readers: SqlitePool,
    /// … and for logs.
    loaders: SqlitePool,
    clock: Clock,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the database in this folder, makes both if need be, and brings the schema up to date. `clock` dates the
    /// appends; the writer runs among `tasks` until the store is closed or dropped.
    ///
    /// # Errors
    /// When another process has the folder open, when it cannot be written, or when the database is damaged or was
    /// made by a newer version.
    pub async fn open(data_dir: &Path, clock: Clock, tasks: &Tasks) -> anyhow::Result<Self> {
        let lock = own_folder(data_dir)?;
        let path = data_dir.join("atlas.db");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // Without it a flush on macOS does not reach the disk; no other system knows it.
            .pragma("fullfsync", "ON")
            // Bytes. After a burst the write-ahead log shrinks to this again.
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        let mut connection =
            options.connect().await.with_context(|| format!("cannot open {}", path.display()))?;
        MIGRATIONS.run(&mut connection).await.with_context(|| {
            format!("cannot bring {} to the schema of this version of the server", path.display())
        })?;

        let (writer, handle) = Writer::new(options.clone(), connection, clock.clone(), lock);
        tasks.spawn("the store's writer", writer.run());
        let options = options.create_if_missing(false).pragma("query_only", "ON");
        let pool = |connections_max, wait| {
            SqlitePoolOptions::new()
                .max_connections(connections_max)
                .acquire_timeout(wait)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options.clone())
        };
        let readers = pool(READ_CONNECTIONS_MAX, READ_WAIT);
        let loaders = pool(LOAD_CONNECTIONS_MAX, LOAD_WAIT);
        Ok(Self { writer: handle, readers, loaders, clock })
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>> {
        Ok(self.readers.acquire().await?)
    }

    async fn loader(&self) -> Result<PoolConnection<Sqlite>> {
        Ok(self.loaders.acquire().await?)
    }

    fn now(&self) -> i64 {
        micros(self.clock.utc())
    }
}

/// Readable by its owner only: it holds password hashes and keys.
fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes the data folder if need be, and makes sure that one process uses it at a time, for as long as the file lives.
///
/// # Errors
/// When it cannot be written, or another process has it.
pub fn own_folder(data_dir: &Path) -> anyhow::Result<File> {
    make_private_dir(data_dir)
        .with_context(|| format!("cannot make the data folder {}", data_dir.display()))?;
    lock_folder(data_dir)
}

/// The system releases the lock when the process ends, however it ends.
fn lock_folder(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => anyhow::bail!(
            "another process has the data folder {} open: stop it, or name another folder with ATLAS_DATA_DIR",
            data_dir.display()
        ),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn check(&self) -> Result<()> {
        let now = self.now();
        self.writer
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO readiness (id, checked_at) VALUES (1, ?1)
                         ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at",
                    )
                    .bind(now)
                    .execute(tx)
                    .await?;
                    Ok(())
                })
            })
            .await?;
        sqlx::query("SELECT checked_at FROM readiness").execute(&mut *self.reader().await?).await?;
        Ok(())
    }

    async fn close(&self) {
        // Readers first: the last connection to close folds the write-ahead log into the database.
        self.readers.close().await;
        self.loaders.close().await;
        self.writer.close().await;
    }

    async fn append(&self, design: DesignId, append: Append) -> Result<Seq> {
        self.writer.append(design, append).await
    }

    async fn load(&self, design: DesignId) -> Result<Option<Loaded>> {
        log::load(&mut *self.loader().await?, design).await
    }

    async fn log_after(&self, design: DesignId, after: Seq, limit: usize) -> Result<Vec<LogRow>> {
        log::log_after(&mut *self.loader().await?, design, after, limit).await
    }

    async fn head(&self, design: DesignId) -> Result<Option<Head>> {
        log::head(&mut *self.reader().await?, design).await
    }

    async fn look(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, Look)>> {
        if designs.is_empty() {
            return Ok(Vec::new());
        }
        log::look(&mut *self.reader().await?, designs).await
    }

    async fn analysis_summary(&self, design: DesignId) -> Result<Option<AnalysisSummary>> {
        analyses::summary(&mut *self.reader().await?, design).await
    }

    async fn quarantine(&self, design: DesignId, quarantine: Quarantine) -> Result<()> {
        let now = self.now();
        let work = self
            .writer
            .write(move |tx| Box::pin(async move { quarantine::insert(tx, design, &quarantine, now).await }));
        work.await
    }

    async fn announce(&self, design: DesignId, client: ClientId, user: UserId) -> Result<()> {
        let (keep, now) = (ANNOUNCED_IDS_PER_USER_MAX, self.now());
        let work = self.writer.write(move |tx| {
            Box::pin(async move { claims::announce(tx, design, (client, user), keep, now).await })
        });
        work.await
    }

    async fn create_design(&self, new: NewDesign) -> Result<DesignRow> {
        self.writer.write(move |tx| Box::pin(async move { designs::create(tx, &new).await })).await
    }

    async fn design(&self, design: DesignId) -> Result<Option<DesignRow>> {
        designs::get(&mut *self.reader().await?, design).await
    }

    async fn list_designs(&self, query: ListDesigns) -> Result<Page<ListedDesign>> {
        designs::list(&mut *self.reader().await?, &query).await
    }

    async fn delete_design(&self, design: DesignId) -> Result<bool> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(designs::delete(tx, design, now))).await
    }

    async fn members(&self, design: DesignId) -> Result<Vec<Member>> {
        designs::members(&mut *self.reader().await?, design).await
    }

    async fn member_role(&self, design: DesignId, user: UserId) -> Result<Option<DesignRole>> {
        designs::member_role(&mut *self.reader().await?, design, user).await
    }

    async fn member_roles(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, UserId, DesignRole)>> {
        if designs.is_empty() {
            return Ok(Vec::new());
        }
        designs::member_roles(&mut *self.reader().await?, designs).await
    }

    async fn put_member(&self, design: DesignId, user: UserId, role: DesignRole) -> Result<()> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(designs::put_member(tx, design, user, role, now))).await
    }

    async fn remove_member(&self, design: DesignId, user: UserId) -> Result<bool> {
        self.writer.write(move |tx| Box::pin(designs::remove_member(tx, design, user))).await
    }

    async fn create_user(&self, new: NewUser) -> Result<User> {
        self.writer.write(move |tx| Box::pin(async move { people::create_user(tx, &new).await })).await
    }

    async fn has_users(&self) -> Result<bool> {
        people::has_users(&mut *self.reader().await?).await
    }

    async fn user(&self, user: UserId) -> Result<Option<User>> {
        people::user(&mut *self.reader().await?, user).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        people::user_by_email(&mut *self.reader().await?, email).await
    }

    async fn set_password_hash(&self, user: UserId, password_hash: &str) -> Result<()> {
        let hash = password_hash.to_owned();
        self.writer
            .write(move |tx| Box::pin(async move { people::set_password_hash(tx, user, &hash).await }))
            .await
    }

    async fn create_session(&self, session: NewSession) -> Result<()> {
        self.writer.write(move |tx| Box::pin(async move { people::create_session(tx, &session).await })).await
    }

    async fn rotate_refresh(&self, rotate: RotateRefresh) -> Result<Rotation> {
        let now = self.now();
        let work = self
            .writer
            .write(move |tx| Box::pin(async move { people::rotate_refresh(tx, &rotate, now).await }));
        work.await
    }

    async fn revoke_session(&self, session: SessionId) -> Result<bool> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(people::revoke(tx, session, now))).await
    }

    async fn session_by_token(&self, token_hash: &[u8; 32]) -> Result<Option<SessionId>> {
        people::session_by_token(&mut *self.reader().await?, token_hash).await
    }

    async fn session_is_live(&self, session: SessionId, now: OffsetDateTime) -> Result<bool> {
        people::session_is_live(&mut *self.reader().await?, session, now).await
    }

    async fn revoked_within(&self, age: Duration) -> Result<Vec<SessionId>> {
        people::revoked_since(&mut *self.reader().await?, micros(self.clock.utc() - age)).await
    }

    async fn create_ticket(&self, ticket: NewTicket) -> Result<()> {
        self.writer.write(move |tx| Box::pin(async move { people::create_ticket(tx, &ticket).await })).await
    }

    async fn consume_ticket(
        &self,
        ticket_hash: &[u8; 32],
        design: DesignId,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>> {
        let hash = *ticket_hash;
        self.writer
            .write(move |tx| Box::pin(async move { people::consume_ticket(tx, &hash, design, now).await }))
            .await
    }
}
