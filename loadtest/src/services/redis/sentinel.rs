//! A master, its replica, and sentinels that promote the replica when the master is gone.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;

use super::super::free_port;
use super::super::kept::Kept;
use super::{AGAIN, Redis, Reply, Setup, Wire};
use crate::world;

/// What the sentinels call the master.
const SERVICE: &str = "atlas";
const READY_PATIENCE: Duration = Duration::from_secs(30);
const SENTINELS: usize = 2;

/// Both servers and their sentinels. Killed and deleted when dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The first is the master at the start.
    pub servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    _kept: Kept,
    port: u16,
}

impl RedisSentinel {
    /// Returns when the sentinels know everybody, so that one may fail.
    pub async fn start() -> anyhow::Result<Self> {
        let master = Redis::start().await?;
        let follows = ["--replicaof", "127.0.0.1", &master.port().to_string()].map(str::to_owned);
        let replica = Redis::start_with(&Setup { settings: follows.into(), ..Setup::default() }).await?;
        // A sentinel looks at once, and then again after ten seconds.
        until("the replica follows", async || Ok(replica.info("master_link_status").await? == "up")).await?;
        let mut sentinels = Vec::new();
        for _ in 0..SENTINELS {
            sentinels.push(Sentinel::start(master.port()).await?);
        }
        let all = Self { servers: vec![master, replica], sentinels };
        for sentinel in &all.sentinels {
            until("the sentinels know the replica and each other", async || {
                let replicas = sentinel.list("REPLICAS").await?;
                Ok(replicas == 1 && sentinel.list("SENTINELS").await? == SENTINELS - 1)
            })
            .await?;
        }
        Ok(all)
    }

    /// What a client connects to.
    #[must_use]
    pub fn url(&self) -> String {
        let ports: Vec<u16> = self.sentinels.iter().map(|sentinel| sentinel.port).collect();
        format!(
            "redis-sentinel://127.0.0.1:{}?node=127.0.0.1:{}&sentinelServiceName={SERVICE}",
            ports[0], ports[1]
        )
    }

    /// Which of the servers all sentinels call the master and that calls itself so, too.
    pub async fn master(&self) -> anyhow::Result<Option<usize>> {
        let mut found = None;
        for sentinel in &self.sentinels {
            let told = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await?;
            let Reply::List(parts) = told else { return Ok(None) };
            let port = parts.get(1).and_then(Reply::text).unwrap_or_default();
            let at = self.servers.iter().position(|server| server.port().to_string() == port);
            if at.is_none() || found.is_some() && found != at {
                return Ok(None);
            }
            found = at;
        }
        let Some(at) = found else { return Ok(None) };
        Ok((self.servers[at].info("role").await.ok().as_deref() == Some("master")).then_some(at))
    }

    /// Returns when this server is the master in everybody's eyes.
    pub async fn wait_for_master(&self, at: usize) -> anyhow::Result<()> {
        until("the other server became master", async || Ok(self.master().await? == Some(at))).await
    }
}

impl Sentinel {
    async fn start(master: u16) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("atlas-sentinel-").tempdir_in(world::temp_dir())?;
        let port = free_port()?;
        let settings = format!(
            "port {port}\n\
             bind 127.0.0.1\n\
             dir {}\n\
             sentinel monitor {SERVICE} 127.0.0.1 {master} {SENTINELS}\n\
             sentinel down-after-milliseconds {SERVICE} 500\n\
             sentinel failover-timeout {SERVICE} 2000\n\
             sentinel parallel-syncs {SERVICE} 1\n",
            folder.path().display()
        );
        // It writes there what it learns.
        let file = folder.path().join("sentinel.conf");
        fs::write(&file, settings)?;
        let command: [OsString; 3] = ["redis-server".into(), file.into_os_string(), "--sentinel".into()];
        let mut kept = Kept::new(folder.keep(), &command)?;
        kept.start().await?;
        let sentinel = Self { _kept: kept, port };
        until("a sentinel answers", async || Ok(sentinel.ask(&["PING"]).await.is_ok())).await?;
        Ok(sentinel)
    }

    async fn ask(&self, words: &[&str]) -> anyhow::Result<Reply> {
        Wire::open(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?.must(words).await
    }

    /// How many of these it knows.
    async fn list(&self, what: &str) -> anyhow::Result<usize> {
        let told = self.ask(&["SENTINEL", what, SERVICE]).await?;
        Ok(if let Reply::List(list) = told { list.len() } else { 0 })
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let waited = async {
        while !is_so().await? {
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    };
    tokio::time::timeout(READY_PATIENCE, waited).await.with_context(|| format!("not so in time: {what}"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_replica_takes_over() {
        let mut all = RedisSentinel::start().await.unwrap();
        assert_eq!(all.master().await.unwrap(), Some(0));
        all.servers[0].kill().await.unwrap();
        all.wait_for_master(1).await.unwrap();
    }
}
