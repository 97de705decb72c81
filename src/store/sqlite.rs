//! The embedded store: one SQLite file, `<data folder>/atlas.db`, in WAL mode with `synchronous = FULL`, so that a
//! commit is on the disk when it returns.
//!
//! One task writes (`writer.rs`: group commit), a few connections read. The file `lock` in the data folder is held
//! while the store is open: two processes never write one folder.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use atlas_crdt::ids::{DesignId, Seq, SessionId, UserId};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Loaded, LogRow};
use sqlx::ConnectOptions;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use time::OffsetDateTime;

use self::values::micros;
use self::writer::{Writer, WriterHandle};
use super::{
    DesignRow, Head, ListDesigns, Member, NewDesign, NewSession, NewTicket, NewUser, Page, Result,
    RotateRefresh, Rotation, Store, Ticket, User,
};
use crate::clock::Clock;
use crate::lifecycle::Tasks;

mod designs;
mod log;
mod people;
mod values;
mod writer;

/// How long a statement waits for another process's lock (a backup, a shell) before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read waits for a free connection.
const READ_WAIT: Duration = Duration::from_secs(5);
const READ_CONNECTIONS_MAX: u32 = 4;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Cheap to share behind an `Arc`. Call [`Store::close`] before the process ends, after the rooms.
pub struct SqliteStore {
    writer: WriterHandle,
    /// Connections with `query_only`.
    readers: SqlitePool,
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
        make_private_dir(data_dir)
            .with_context(|| format!("cannot make the data folder {}", data_dir.display()))?;
        let lock = lock_folder(data_dir)?;
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
        let readers = SqlitePoolOptions::new()
            .max_connections(READ_CONNECTIONS_MAX)
            .acquire_timeout(READ_WAIT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.create_if_missing(false).pragma("query_only", "ON"));
        Ok(Self { writer: handle, readers, clock })
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>> {
        Ok(self.readers.acquire().await?)
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
        self.writer.close().await;
    }

    async fn append(&self, design: DesignId, append: Append) -> Result<Seq> {
        self.writer.append(design, append).await
    }

    async fn load(&self, design: DesignId) -> Result<Option<Loaded>> {
        log::load(&mut *self.reader().await?, design).await
    }

    async fn log_after(&self, design: DesignId, after: Seq, limit: usize) -> Result<Vec<LogRow>> {
        log::log_after(&mut *self.reader().await?, design, after, limit).await
    }

    async fn head(&self, design: DesignId) -> Result<Option<Head>> {
        log::head(&mut *self.reader().await?, design).await
    }

    async fn create_design(&self, new: NewDesign) -> Result<DesignRow> {
        self.writer.write(move |tx| Box::pin(async move { designs::create(tx, &new).await })).await
    }

    async fn design(&self, design: DesignId) -> Result<Option<DesignRow>> {
        designs::get(&mut *self.reader().await?, design).await
    }

    async fn list_designs(&self, query: ListDesigns) -> Result<Page<DesignRow>> {
        designs::list(&mut *self.reader().await?, &query).await
    }

    async fn delete_design(&self, design: DesignId) -> Result<bool> {
        self.writer.write(move |tx| Box::pin(designs::delete(tx, design))).await
    }

    async fn members(&self, design: DesignId) -> Result<Vec<Member>> {
        designs::members(&mut *self.reader().await?, design).await
    }

    async fn member_role(&self, design: DesignId, user: UserId) -> Result<Option<DesignRole>> {
        designs::member_role(&mut *self.reader().await?, design, user).await
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
        self.writer.write(move |tx| Box::pin(async move { people::rotate_refresh(tx, &rotate).await })).await
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atlas_crdt::ids::AppendId;
    use atlas_crdt::roles::PlatformRole;
    use bytes::Bytes;
    use futures_util::future::join_all;
    use sqlx::{Connection, SqliteConnection};

    use super::*;
    use crate::store::{StoreError, conformance};

    async fn open(dir: &Path) -> SqliteStore {
        SqliteStore::open(dir, Clock::system(), &Tasks::new()).await.unwrap()
    }

    /// As another process would: without our lock.
    async fn tamper(dir: &Path, sql: &'static str) {
        let options = SqliteConnectOptions::new().filename(dir.join("atlas.db")).busy_timeout(BUSY_TIMEOUT);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn some_designs(store: &SqliteStore, count: u128) -> Vec<DesignId> {
        let now = store.clock.utc();
        let owner = UserId::from_u128(7);
        let user = NewUser {
            id: owner,
            email: "ann@example.org".to_owned(),
            name: None,
            password_hash: String::new(),
            first_role: PlatformRole::Admin,
            role: PlatformRole::Architect,
            now,
        };
        store.create_user(user).await.unwrap();
        let mut designs = Vec::new();
        for n in 1..=count {
            let id = DesignId::from_u128(n);
            let first = Bytes::from_static(b"first");
            let append_id = AppendId::from_u128(n << 64);
            let new = NewDesign { id, owner, name: "D".to_owned(), description: None, first, append_id, now };
            designs.push(store.create_design(new).await.unwrap().id);
        }
        designs
    }

    fn step(design: DesignId, n: u128) -> Append {
        let append_id = AppendId::from_u128((design.as_u128() << 64) + n);
        Append { append_id, update: Bytes::from_static(b"next"), authors: Vec::new(), name: None }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_keeps_the_contract() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        conformance::run_all(async |place| Arc::new(open(&path.join(place)).await) as Arc<dyn Store>).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_bad_design_stalls_nobody_else() {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let designs = some_designs(&store, 20).await;
        tamper(
            root.path(),
            "CREATE TRIGGER curse BEFORE INSERT ON design_updates
             WHEN NEW.design_id = x'0000000000000000000000000000000d'
             BEGIN SELECT RAISE(ABORT, 'cursed'); END",
        )
        .await;
        let answers = join_all(designs.iter().map(|design| store.append(*design, step(*design, 1)))).await;
        for (design, answer) in designs.iter().zip(answers) {
            match answer {
                Err(StoreError::Unavailable(_)) => assert_eq!(design.as_u128(), 13),
                answer => {
                    assert_eq!(answer.unwrap(), Seq::new(2));
                    assert_ne!(design.as_u128(), 13);
                }
            }
        }
        // Once the cause is gone the same append passes, and no seq was lost to the failures.
        tamper(root.path(), "DROP TRIGGER curse").await;
        assert_eq!(store.append(designs[12], step(designs[12], 1)).await.unwrap(), Seq::new(2));
    }

    #[tokio::test]
    async fn a_hole_in_the_log_is_told_and_never_served() {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let design = some_designs(&store, 1).await[0];
        for n in 1..=4 {
            store.append(design, step(design, n)).await.unwrap();
        }
        tamper(root.path(), "DELETE FROM design_updates WHERE seq = 5").await;
        let load = store.load(design).await;
        assert!(matches!(load, Err(StoreError::Damaged(_))), "the head's own row is missing: {load:?}");
        tamper(root.path(), "UPDATE design_heads SET head_seq = 4; DELETE FROM design_updates WHERE seq = 3")
            .await;
        let load = store.load(design).await;
        assert!(matches!(load, Err(StoreError::Damaged(_))), "a row in the middle is missing: {load:?}");
        let rows = store.log_after(design, Seq::ZERO, 10).await;
        assert!(matches!(rows, Err(StoreError::Damaged(_))), "{rows:?}");
        assert_eq!(store.log_after(design, Seq::new(3), 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_load_starts_at_the_newest_snapshot() {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let design = some_designs(&store, 1).await[0];
        for n in 1..=4 {
            store.append(design, step(design, n)).await.unwrap();
        }
        tamper(
            root.path(),
            "INSERT INTO design_snapshots
                 SELECT design_id, seq, CAST('folded ' || seq AS BLOB), 0 FROM design_updates WHERE seq IN (2, 4);
             DELETE FROM design_updates WHERE seq <= 3",
        )
        .await;
        let loaded = store.load(design).await.unwrap().unwrap();
        assert_eq!(loaded.snapshot, Some((Seq::new(4), Bytes::from_static(b"folded 4"))));
        assert_eq!(loaded.tail.iter().map(|row| row.seq.get()).collect::<Vec<_>>(), [5]);
    }

    #[tokio::test]
    async fn a_second_process_is_kept_out_until_the_first_has_closed() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path()).await;
        let refused = SqliteStore::open(root.path(), Clock::system(), &Tasks::new()).await.unwrap_err();
        assert!(refused.to_string().contains("another process has the data folder"), "{refused}");
        first.close().await;
        open(root.path()).await.check().await.unwrap();
    }

    #[tokio::test]
    async fn closing_answers_what_was_asked_before() {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let designs = some_designs(&store, 3).await;
        let appends = join_all(designs.iter().map(|design| store.append(*design, step(*design, 1))));
        // `join` polls in order: the appends are queued before the store is told to close.
        let (answers, ()) = futures_util::future::join(appends, store.close()).await;
        for answer in answers {
            assert_eq!(answer.unwrap(), Seq::new(2));
        }
        assert!(!root.path().join("atlas.db-wal").exists(), "the write-ahead log is folded in");
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused() {
        let root = tempfile::tempdir().unwrap();
        open(root.path()).await.close().await;
        tamper(
            root.path(),
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', TRUE, x'00', 0)",
        )
        .await;
        let refused = SqliteStore::open(root.path(), Clock::system(), &Tasks::new()).await.unwrap_err();
        assert!(format!("{refused:#}").contains("9999"), "{refused:#}");
    }

    #[tokio::test]
    async fn commits_are_synchronous_and_readers_cannot_write() {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let mut reader = store.reader().await.unwrap();
        assert!(sqlx::query("DELETE FROM users").execute(&mut *reader).await.is_err());
        let settings = store.writer.write(|tx| {
            Box::pin(async move {
                let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *tx).await?;
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *tx).await?;
                let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *tx).await?;
                Ok((journal, synchronous, keys))
            })
        });
        // synchronous: 2 is FULL.
        assert_eq!(settings.await.unwrap(), ("wal".to_owned(), 2, 1));
    }

    /// SQLite says that the disk is full when a database may not grow; the limit ends with its connection.
    #[tokio::test]
    async fn after_a_full_disk_the_same_append_passes() {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let design = some_designs(&store, 1).await[0];
        let full = store.writer.write(|tx| {
            Box::pin(async move {
                sqlx::query("PRAGMA max_page_count = 1").execute(tx).await?;
                Ok(())
            })
        });
        full.await.unwrap();
        let large = Append { update: Bytes::from(vec![7; 1 << 20]), ..step(design, 1) };
        let refused = store.append(design, large.clone()).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(1), "nothing of it remains");
        assert_eq!(store.append(design, large).await.unwrap(), Seq::new(2));
    }

    #[tokio::test]
    async fn a_write_that_panics_ends_alone() {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let design = some_designs(&store, 1).await[0];
        let broken: Result<()> =
            store.writer.write(|_| Box::pin(async { panic!("a deliberate panic of this test") })).await;
        assert!(matches!(broken, Err(StoreError::Unavailable(_))));
        assert_eq!(store.append(design, step(design, 1)).await.unwrap(), Seq::new(2));
    }
}
