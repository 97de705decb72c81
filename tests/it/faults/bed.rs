//! What stands under the server, read past the server.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use uuid::Uuid;

use crate::support::Server;

/// A store with whatever it needs.
pub(crate) enum Bed {
    /// A file in the server's data folder.
    Sqlite,
}

/// A design's log as it lies in the store.
pub(crate) struct Log {
    pub(crate) head: u64,
    /// Where the newest snapshot ends; 0 without one.
    pub(crate) folded: u64,
    /// `seq` and authors, by `seq`.
    pub(crate) rows: Vec<(u64, Value)>,
}

impl Bed {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
        }
    }

    /// What a server needs to stand on it, and to run for long.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let Self::Sqlite = self;
        let settings = [("ATLAS_ACCESS_TOKEN_SECS", "86400"), ("LOG_LEVEL", "warn")];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// From now on the database refuses every row of this design's log.
    pub(crate) async fn poison(&self, server: &Server, design: &str) {
        let id = Uuid::parse_str(design).unwrap().simple();
        let Self::Sqlite = self;
        self.run(
            server,
            &format!(
                "CREATE TRIGGER poison BEFORE INSERT ON design_updates WHEN NEW.design_id = x'{id}'
                 BEGIN SELECT RAISE(ABORT, 'a deliberate refusal of this test'); END"
            ),
        )
        .await;
    }

    /// Takes [`Self::poison`] back.
    pub(crate) async fn cure(&self, server: &Server) {
        self.run(server, "DROP TRIGGER poison").await;
    }

    /// As an operator would do it at a console.
    pub(crate) async fn run(&self, server: &Server, sql: &str) {
        let Self::Sqlite = self;
        let mut stranger = sqlite(server).await;
        sqlx::query(AssertSqlSafe(sql)).execute(&mut stranger).await.unwrap();
    }

    pub(crate) async fn log(&self, server: &Server, design: &str) -> Log {
        let id = Uuid::parse_str(design).unwrap();
        let Self::Sqlite = self;
        let mut database = sqlite(server).await;
        let mut read = sqlx::Connection::begin(&mut database).await.unwrap();
        let head: i64 = sqlx::query_scalar("SELECT head_seq FROM design_heads WHERE design_id = ?1")
            .bind(id)
            .fetch_one(&mut *read)
            .await
            .unwrap();
        let folded: Option<i64> =
            sqlx::query_scalar("SELECT max(seq) FROM design_snapshots WHERE design_id = ?1")
                .bind(id)
                .fetch_one(&mut *read)
                .await
                .unwrap();
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT seq, authors FROM design_updates WHERE design_id = ?1 ORDER BY seq")
                .bind(id)
                .fetch_all(&mut *read)
                .await
                .unwrap();
        let rows =
            rows.into_iter().map(|(seq, authors)| (number(seq), serde_json::from_str(&authors).unwrap()));
        Log { head: number(head), folded: folded.map_or(0, number), rows: rows.collect() }
    }
}

fn number(value: i64) -> u64 {
    value.try_into().unwrap()
}

/// The server's own file, opened by somebody else; a copy of it if it lies where only the server can open it.
pub(crate) async fn sqlite(server: &Server) -> SqliteConnection {
    let mut path = server.data_folder().join("data/atlas.db");
    if server.has_own_disk() {
        path = server.data_folder().join("copy.db");
        for (from, to) in [("atlas.db", "copy.db"), ("atlas.db-wal", "copy.db-wal")] {
            std::fs::copy(server.inner_path(from), server.data_folder().join(to)).unwrap();
        }
    }
    let patient = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(30));
    patient.connect().await.unwrap()
}

impl Log {
    /// Without a hole up to the head, and nobody's edit is in it twice.
    pub(crate) fn check(&self, design: &str) {
        let first = self.rows.first().map_or(self.folded + 1, |(seq, _)| *seq);
        assert!(
            first <= self.folded + 1,
            "{design}: rows begin at {first}, the snapshot ends at {}",
            self.folded
        );
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        let mut expected = first;
        for (seq, authors) in &self.rows {
            assert_eq!(*seq, expected, "{design}: a hole in the log");
            expected += 1;
            for range in
                authors.as_array().unwrap().iter().flat_map(|author| author["wrote"].as_array().unwrap())
            {
                let [client, start, end] = ["client", "start", "end"].map(|key| range[key].as_u64().unwrap());
                let before = ends.insert(client, end);
                let follows = before.map_or(start == 0 || 1 < first, |before| before == start);
                assert!(follows, "{design}: row {seq} has {start} of client {client} after {before:?}");
            }
        }
        let end = self.rows.last().map_or(self.folded, |(seq, _)| *seq);
        assert_eq!(end, self.head, "{design}: the log ends at {end}, its head says {}", self.head);
    }
}
