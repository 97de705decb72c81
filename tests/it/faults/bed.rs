//! What stands under the server, read past the server.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atlas_loadtest::services::postgres::Postgres;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use uuid::Uuid;

use crate::support::Server;

mod cluster;
mod found;

pub(crate) use cluster::Cluster;
pub(crate) use found::Found;

/// Of SQLite's files, made by this process.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// A store with whatever it needs.
pub(crate) enum Bed {
    /// A file in the server's data folder.
    Sqlite,
    Postgres(Box<Cluster>),
}

impl Bed {
    pub(crate) async fn postgres() -> Self {
        Self::postgres_of(Postgres::start().await.unwrap()).await
    }

    pub(crate) async fn postgres_of(postgres: Postgres) -> Self {
        Self::Postgres(Box::new(Cluster::start(postgres, false).await))
    }

    /// The server reaches Postgres through PgBouncer alone.
    pub(crate) async fn pgbouncer() -> Self {
        Self::Postgres(Box::new(Cluster::start(Postgres::start().await.unwrap(), true).await))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(cluster) if cluster.bouncer.is_some() => "Postgres behind PgBouncer",
            Self::Postgres(_) => "Postgres",
        }
    }

    /// The cluster of a bed that has one.
    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        match self {
            Self::Sqlite => panic!("SQLite is no process that could be harmed"),
            Self::Postgres(cluster) => cluster,
        }
    }

    /// What a server needs to stand on it, and to run for long.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let mut settings =
            vec![("ATLAS_ACCESS_TOKEN_SECS", "86400".to_owned()), ("LOG_LEVEL", "warn".to_owned())];
        if let Self::Postgres(cluster) = self {
            settings.push(("DATABASE_URL", cluster.server_url()));
        }
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// From now on the database refuses every row of this design's log.
    pub(crate) async fn poison(&self, server: &Server, design: &str) {
        let id = Uuid::parse_str(design).unwrap();
        match self {
            Self::Sqlite => {
                let trigger = format!(
                    "CREATE TRIGGER poison BEFORE INSERT ON design_updates WHEN NEW.design_id = x'{}'
                     BEGIN SELECT RAISE(ABORT, 'a deliberate refusal of this test'); END",
                    id.simple()
                );
                self.run(server, &trigger).await;
            }
            Self::Postgres(_) => {
                let function = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'a deliberate refusal of this test'; END $$";
                self.run(server, function).await;
                let trigger = format!(
                    "CREATE TRIGGER poison BEFORE INSERT ON design_updates FOR EACH ROW
                     WHEN (NEW.design_id = '{id}') EXECUTE FUNCTION poison()"
                );
                self.run(server, &trigger).await;
            }
        }
    }

    /// Takes [`Self::poison`] back.
    pub(crate) async fn cure(&self, server: &Server) {
        match self {
            Self::Sqlite => self.run(server, "DROP TRIGGER poison").await,
            Self::Postgres(_) => self.run(server, "DROP TRIGGER poison ON design_updates").await,
        }
    }

    /// As an operator would do it at a console.
    pub(crate) async fn run(&self, server: &Server, sql: &str) {
        match self {
            Self::Sqlite => {
                let mut stranger = sqlite(server).await;
                sqlx::query(AssertSqlSafe(sql)).execute(&mut stranger).await.unwrap();
            }
            Self::Postgres(cluster) => {
                let mut stranger = cluster.stranger().await;
                sqlx::query(AssertSqlSafe(sql)).execute(&mut stranger).await.unwrap();
            }
        }
    }

    /// One number of the store while the server works with it.
    pub(crate) async fn count(&self, server: &Server, sql: &str) -> u64 {
        self.counted(sql, async || sqlite(server).await).await
    }

    /// One number of the store as a dead server left it: SQLite's files are copied, since whoever opens them cleans up.
    pub(crate) async fn count_left(&self, server: &Server, sql: &str) -> u64 {
        self.counted(sql, async || sqlite_copy(server).await).await
    }

    async fn counted(&self, sql: &str, sqlite: impl AsyncFnOnce() -> SqliteConnection) -> u64 {
        let count: i64 = match self {
            Self::Sqlite => {
                let mut database = sqlite().await;
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut database).await.unwrap()
            }
            Self::Postgres(cluster) => {
                let mut stranger = cluster.stranger().await;
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut stranger).await.unwrap()
            }
        };
        count.try_into().unwrap()
    }

    /// The design as it lies in the store.
    pub(crate) async fn found(&self, server: &Server, design: &str) -> Found {
        let id = Uuid::parse_str(design).unwrap();
        match self {
            Self::Sqlite => {
                let mut database = sqlite(server).await;
                let mut read = sqlx::Connection::begin(&mut database).await.unwrap();
                let head = sqlx::query_scalar("SELECT head_seq FROM design_heads WHERE design_id = ?1")
                    .bind(id)
                    .fetch_one(&mut *read)
                    .await
                    .unwrap();
                let snapshot = sqlx::query_as(
                    "SELECT seq, payload FROM design_snapshots WHERE design_id = ?1 ORDER BY seq DESC LIMIT 1",
                )
                .bind(id)
                .fetch_optional(&mut *read)
                .await
                .unwrap();
                let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
                    "SELECT seq, payload, authors FROM design_updates WHERE design_id = ?1 ORDER BY seq",
                )
                .bind(id)
                .fetch_all(&mut *read)
                .await
                .unwrap();
                let parsed = rows.into_iter().map(|(seq, payload, authors)| {
                    (seq, payload, serde_json::from_str::<Value>(&authors).unwrap())
                });
                Found::new(design, head, snapshot, parsed.collect())
            }
            Self::Postgres(cluster) => cluster.found(design).await,
        }
    }
}

/// The server's own file, opened by somebody else; a copy of it if it lies where only the server can open it.
pub(crate) async fn sqlite(server: &Server) -> SqliteConnection {
    if server.has_own_disk() {
        return sqlite_copy(server).await;
    }
    open(server.data_folder().join("data/atlas.db")).await
}

/// Take it while few write: it is taken again until nothing changed meanwhile. Each copy has names of its own: the connection
/// to an earlier one may still be closing, which removes its write-ahead log.
async fn sqlite_copy(server: &Server) -> SqliteConnection {
    let folder = server.data_folder();
    let source = |name: &str| {
        if server.has_own_disk() { server.inner_path(name) } else { folder.join("data").join(name) }
    };
    let copy = folder.join(format!("copy-{}.db", COPIES.fetch_add(1, Ordering::SeqCst)));
    let files = [("atlas.db", copy.clone()), ("atlas.db-wal", copy.with_extension("db-wal"))]
        .map(|(from, to)| (source(from), to));
    let state = || {
        let of =
            |from: &PathBuf| std::fs::metadata(from).ok().map(|file| (file.len(), file.modified().unwrap()));
        files.iter().map(|(from, _)| of(from)).collect::<Vec<_>>()
    };
    for _ in 0..1_000 {
        let before = state();
        for (from, to) in &files {
            let _ = std::fs::remove_file(to);
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            }
        }
        // Longer than the clock of any file system stands still.
        tokio::time::sleep(Duration::from_millis(12)).await;
        if before == state() {
            return open(copy).await;
        }
    }
    panic!("the database never comes to rest");
}

async fn open(path: PathBuf) -> SqliteConnection {
    let patient = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(30));
    patient.connect().await.unwrap()
}
