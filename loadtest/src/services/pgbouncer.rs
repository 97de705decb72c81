//! PgBouncer in transaction mode before a throw-away Postgres: each transaction may run in another session of the
//! server, and the few sessions are shared by all clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpStream;

use super::kept::{End, Kept};
use super::postgres::{Postgres, USER};
use super::{User, free_port, run};
use crate::world;

const PROGRAM: &str = "/usr/sbin/pgbouncer";
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A running pooler. Killed and deleted when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    kept: Kept,
    port: u16,
}

impl PgBouncer {
    /// Before every database of this cluster, `sessions` to each. Returns when it takes connections.
    pub async fn start(postgres: &Postgres, sessions: u32) -> anyhow::Result<Self> {
        let user = User::named_if_root(USER).await?;
        let folder = tempfile::Builder::new().prefix("atlas-pgbouncer-").tempdir_in(world::temp_dir())?;
        user.give(folder.path())?;
        let port = free_port()?;
        let settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={} user={USER}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             admin_users = {USER}\n\
             pool_mode = transaction\n\
             default_pool_size = {sessions}\n\
             max_client_conn = 500\n\
             server_login_retry = 1\n",
            postgres.port()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings)?;
        user.give(&file)?;
        let mut command = user.prefix();
        command.extend([PROGRAM.into(), file.into_os_string()]);
        let mut kept = Kept::new(folder.keep(), &command)?;
        kept.start().await?;
        let mut pooler = Self { kept, port };
        pooler.wait_until_ready().await?;
        Ok(pooler)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let ready = async {
            while self.kept.is_running() && TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(START_PATIENCE, ready).await;
        let is_ready = self.kept.is_running() && TcpStream::connect(address).await.is_ok();
        anyhow::ensure!(is_ready, "PgBouncer is not ready (apt-get install pgbouncer): {}", self.kept.log());
        Ok(())
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What a client connects to.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Transactions that it has passed on so far, of all databases.
    pub async fn transactions(&self) -> anyhow::Result<u64> {
        let url = self.url("pgbouncer");
        let mut psql = tokio::process::Command::new("psql");
        let told = run(psql.args(["-X", "-q", "-A", "-t", "-c", "SHOW STATS_TOTALS", &url])).await?;
        let counts =
            told.lines().map(|line| line.split('|').nth(1).and_then(|count| count.parse::<u64>().ok()));
        counts.sum::<Option<u64>>().with_context(|| format!("its statistics cannot be read: {told}"))
    }

    /// SIGKILL, as when its pod goes.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.kept.end(End::Kill).await
    }

    /// Kills it if it runs. Returns when it takes connections again, on the same port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.kept.start().await?;
        self.wait_until_ready().await
    }
}
