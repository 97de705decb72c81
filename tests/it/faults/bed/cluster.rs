//! A throw-away Postgres that syncs every commit, perhaps PgBouncer before it, and a proxy between them and the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use atlas_loadtest::proxy::Proxy;
use atlas_loadtest::services::pgbouncer::PgBouncer;
use atlas_loadtest::services::postgres::Postgres;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use uuid::Uuid;

use super::Found;
use crate::faults::crew::{PATIENCE, now};

const DATABASE: &str = "atlas";
/// Sessions that PgBouncer shares among all transactions: fewer than the server has connections.
const SESSIONS: u32 = 6;

pub(crate) struct Cluster {
    pub(crate) postgres: Postgres,
    /// Before it, in transaction mode.
    pub(super) bouncer: Option<PgBouncer>,
    /// Before both. The server knows no other way.
    pub(crate) proxy: Proxy,
}

impl Cluster {
    pub(super) async fn start(postgres: Postgres, with_pgbouncer: bool) -> Self {
        postgres.create_database(DATABASE).await.unwrap();
        assert_eq!(postgres.sql(DATABASE, "SHOW fsync").await.unwrap(), "on");
        let mut bouncer = None;
        if with_pgbouncer {
            bouncer = Some(PgBouncer::start(&postgres, SESSIONS).await.unwrap());
        }
        let port = bouncer.as_ref().map_or(postgres.port(), PgBouncer::port);
        let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
        Self { postgres, bouncer, proxy }
    }

    pub(super) fn server_url(&self) -> String {
        Self::url_at(self.proxy.address())
    }

    /// For a server that reaches it by another way.
    pub(crate) fn url_at(address: SocketAddr) -> String {
        format!("postgres://postgres@{address}/{DATABASE}")
    }

    /// Where it listens itself.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.postgres.port()))
    }

    /// A connection past the proxy. Waits while the cluster recovers.
    pub(crate) async fn stranger(&self) -> PgConnection {
        let options: PgConnectOptions = self.postgres.url(DATABASE).parse().unwrap();
        let began = now();
        loop {
            match options.clone().disable_statement_logging().connect().await {
                Ok(connection) => return connection,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL to one process that serves a connection. Postgres then ends all others and replays its log by itself.
    pub(crate) async fn kill_one_backend(&self) {
        let mut stranger = self.stranger().await;
        let pid: i32 = sqlx::query_scalar(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
             AND backend_type = 'client backend' ORDER BY query_start DESC LIMIT 1",
        )
        .fetch_one(&mut stranger)
        .await
        .unwrap();
        signal("KILL", &[pid.to_string()]);
        // Ends with all the others: proves that it hit.
        while sqlx::query("SELECT 1").execute(&mut stranger).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Kills it and puts its standby in its place, which takes no writes before it is promoted.
    pub(crate) async fn lose_to(&mut self, standby: Postgres) {
        self.proxy.cut();
        self.postgres.kill().await.unwrap();
        self.proxy.retarget(SocketAddr::from((Ipv4Addr::LOCALHOST, standby.port())));
        self.postgres = standby;
        self.proxy.restore();
    }

    /// SIGSTOP to all of its processes: connections stand, and nobody answers.
    pub(crate) fn freeze(&self) {
        let pid = self.postgres.pid().unwrap().to_string();
        signal("STOP", std::slice::from_ref(&pid));
        signal("STOP", &children(&pid));
    }

    /// Every process of it stands still.
    pub(crate) fn is_frozen(&self) -> bool {
        let pid = self.postgres.pid().unwrap().to_string();
        let mut all = children(&pid);
        all.push(pid);
        all.iter().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    }

    pub(crate) fn thaw(&self) {
        let pid = self.postgres.pid().unwrap().to_string();
        signal("CONT", &children(&pid));
        signal("CONT", &[pid]);
    }

    pub(super) async fn found(&self, design: &str) -> Found {
        let id = Uuid::parse_str(design).unwrap();
        let mut stranger = self.stranger().await;
        let mut read = stranger.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
        let head = sqlx::query_scalar("SELECT head_seq FROM design_heads WHERE design_id = $1")
            .bind(id)
            .fetch_one(&mut *read)
            .await
            .unwrap();
        let snapshot = sqlx::query_as(
            "SELECT seq, payload FROM design_snapshots WHERE design_id = $1 ORDER BY seq DESC LIMIT 1",
        )
        .bind(id)
        .fetch_optional(&mut *read)
        .await
        .unwrap();
        let rows = sqlx::query_as(
            "SELECT seq, payload, authors FROM design_updates WHERE design_id = $1 ORDER BY seq",
        )
        .bind(id)
        .fetch_all(&mut *read)
        .await
        .unwrap();
        Found::new(design, head, snapshot, rows)
    }
}

fn signal(name: &str, pids: &[String]) {
    if !pids.is_empty() {
        let sent = Command::new("kill").arg(format!("-{name}")).args(pids).status().unwrap();
        assert!(sent.success(), "kill -{name} {pids:?}");
    }
}

fn children(pid: &str) -> Vec<String> {
    let told = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    told.split_whitespace().map(ToOwned::to_owned).collect()
}
