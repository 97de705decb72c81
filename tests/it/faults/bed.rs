//! What stands under the server, read past the server.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
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

    pub(crate) fn start(&self) -> Server {
        let Self::Sqlite = self;
        Server::start_with(&[("ATLAS_ACCESS_TOKEN_SECS", "86400"), ("LOG_LEVEL", "warn")])
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

async fn sqlite(server: &Server) -> SqliteConnection {
    let path = server.data_folder().join("data/atlas.db");
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
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
