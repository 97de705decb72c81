//! A throw-away Redis on a free port of the loopback, that keeps nothing on its disk.
//!
//! - [`Redis`]: one server, that can be killed, started again, stopped in its tracks, emptied; with accounts or TLS.
//! - [`RedisCluster`]: three of them that share the hash slots.
//! - [`RedisSentinel`]: a master, its replica, and the sentinels that make one the other.
//!
//! They run the system's own program (Debian: `apt-get install redis-server`).

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;

use super::kept::{End, Kept};
use super::{free_port, run};
use crate::world;

mod cluster;
mod resp;
mod sentinel;
mod tls;

pub use cluster::RedisCluster;
pub use resp::{Reply, Wire};
pub use sentinel::RedisSentinel;

const START_PATIENCE: Duration = Duration::from_secs(20);
const START_TRIES: usize = 5;
/// How often something is asked for again that takes a moment.
const AGAIN: Duration = Duration::from_millis(10);

/// The account with which a test looks into a server that has accounts.
const OPERATOR: (&str, &str) = ("operator", "for tests only");

/// What a server has beside the usual.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The text of its ACL file. An account for the test is added.
    pub users: Option<String>,
    /// It also listens on a port with TLS.
    pub has_tls: bool,
    /// More of its settings, such as `--maxclients`, `10`.
    pub settings: Vec<String>,
}

/// A running server. Killed and deleted when dropped.
#[derive(Debug)]
pub struct Redis {
    kept: Kept,
    port: u16,
    tls_port: Option<u16>,
    has_users: bool,
}

impl Redis {
    /// Returns when it answers.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&Setup::default()).await
    }

    pub async fn start_with(setup: &Setup) -> anyhow::Result<Self> {
        for _ in 1..START_TRIES {
            let mut server = Self::new(setup).await?;
            match server.begin().await {
                Ok(()) => return Ok(server),
                // Somebody was faster with the port.
                Err(_) if server.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        anyhow::bail!("no port stayed free")
    }

    async fn new(setup: &Setup) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("atlas-redis-").tempdir_in(world::temp_dir())?;
        let inside = |name: &str| folder.path().join(name).into_os_string();
        let port = free_port()?;
        let mut command: Vec<OsString> = vec!["redis-server".into()];
        let mut set = |name: &str, value: OsString| command.extend([format!("--{name}").into(), value]);
        set("port", port.to_string().into());
        set("bind", "127.0.0.1".into());
        set("dir", folder.path().into());
        set("save", "".into());
        set("appendonly", "no".into());
        // A replica is filled at once.
        set("repl-diskless-sync-delay", "0".into());
        if let Some(users) = &setup.users {
            let (name, password) = OPERATOR;
            let password = sha256_hex(password).await?;
            fs::write(inside("users.acl"), format!("{users}\nuser {name} on #{password} ~* &* +@all\n"))?;
            set("aclfile", inside("users.acl"));
        }
        let mut tls_port = None;
        if setup.has_tls {
            tls::make(folder.path()).await?;
            let port = free_port()?;
            set("tls-port", port.to_string().into());
            set("tls-cert-file", inside(tls::CERTIFICATE));
            set("tls-key-file", inside(tls::KEY));
            set("tls-ca-cert-file", inside(tls::AUTHORITY));
            set("tls-auth-clients", "no".into());
            tls_port = Some(port);
        }
        command.extend(setup.settings.iter().map(Into::into));
        let kept = Kept::new(folder.keep(), &command)?;
        Ok(Self { kept, port, tls_port, has_users: setup.users.is_some() })
    }

    async fn begin(&mut self) -> anyhow::Result<()> {
        self.kept.start().await?;
        let ready = async {
            while self.kept.is_running() {
                if self.ask(&["PING"]).await.is_ok_and(|reply| reply.text() == Some("PONG")) {
                    return true;
                }
                tokio::time::sleep(AGAIN).await;
            }
            false
        };
        let is_ready = tokio::time::timeout(START_PATIENCE, ready).await.unwrap_or(false);
        anyhow::ensure!(is_ready, "Redis is not ready (apt-get install redis-server): {}", self.log());
        Ok(())
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// What a client connects to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same with TLS. Empty for a server without it.
    #[must_use]
    pub fn tls_url(&self) -> String {
        self.tls_port.map(|port| format!("rediss://localhost:{port}")).unwrap_or_default()
    }

    /// The certificate of the authority that its own is signed by, in PEM.
    pub fn authority(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.kept.folder().join(tls::AUTHORITY))?)
    }

    /// A connection of the operator.
    pub async fn wire(&self) -> anyhow::Result<Wire> {
        let mut wire = Wire::open(self.address()).await?;
        if self.has_users {
            let (name, password) = OPERATOR;
            wire.must(&["AUTH", name, password]).await?;
        }
        Ok(wire)
    }

    /// One command on a connection of its own.
    pub async fn ask(&self, words: &[&str]) -> anyhow::Result<Reply> {
        self.wire().await?.ask(words).await
    }

    /// The same; a refusal is an error.
    pub async fn must(&self, words: &[&str]) -> anyhow::Result<Reply> {
        self.wire().await?.must(words).await
    }

    /// A line of what `INFO` tells, such as `connected_clients`.
    pub async fn info(&self, name: &str) -> anyhow::Result<String> {
        let told = self.must(&["INFO", "everything"]).await?;
        let text = told.text().context("INFO is no text")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.unwrap_or_default().to_owned())
    }

    /// How often it was asked to do this since it started.
    pub async fn calls(&self, command: &str) -> anyhow::Result<u64> {
        let told = self.info(&format!("cmdstat_{command}")).await?;
        let calls = told.split(',').find_map(|part| part.strip_prefix("calls="));
        Ok(calls.unwrap_or("0").parse()?)
    }

    /// SIGKILL, as when its machine loses power.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.kept.end(End::Kill).await
    }

    /// Kills it if it runs. Returns when it answers again, on the same port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.begin().await
    }

    /// SIGSTOP: connections stand, new ones are even taken by the system, and nobody answers.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        self.signal("-STOP").await
    }

    /// SIGCONT: it goes on where it stood.
    pub async fn thaw(&self) -> anyhow::Result<()> {
        self.signal("-CONT").await
    }

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self.kept.pid().context("it does not run")?;
        run(Command::new("kill").args([signal, &pid.to_string()])).await.map(drop)
    }

    /// All that it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.kept.log()
    }

    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.kept.folder().to_owned()
    }
}

/// How an ACL file holds a password: in hexadecimal digits.
pub async fn sha256_hex(password: &str) -> anyhow::Result<String> {
    let mut digest = Command::new("sh");
    digest.args(["-c", "printf %s \"$1\" | sha256sum", "sh", password]);
    let told = run(&mut digest).await?;
    Ok(told.split_whitespace().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_can_be_killed_started_stopped_and_emptied() {
        let mut redis = Redis::start().await.unwrap();
        redis.must(&["SET", "a", "1"]).await.unwrap();
        assert_eq!(redis.must(&["GET", "a"]).await.unwrap(), Reply::Text("1".into()));
        assert_eq!(redis.calls("set").await.unwrap(), 1);
        redis.must(&["FLUSHALL"]).await.unwrap();
        assert_eq!(redis.must(&["GET", "a"]).await.unwrap(), Reply::Nothing);

        redis.freeze().await.unwrap();
        let asked = tokio::time::timeout(Duration::from_millis(100), redis.ask(&["PING"])).await;
        assert!(asked.is_err(), "{asked:?}");
        redis.thaw().await.unwrap();
        assert_eq!(redis.must(&["PING"]).await.unwrap().text(), Some("PONG"));

        let port = redis.port();
        redis.kill().await.unwrap();
        assert!(redis.ask(&["PING"]).await.is_err());
        redis.restart().await.unwrap();
        assert_eq!(redis.port(), port);

        redis.freeze().await.unwrap();
        let folder = redis.folder();
        drop(redis);
        while folder.exists() {
            tokio::time::sleep(AGAIN).await;
        }
    }

    #[tokio::test]
    async fn accounts_and_tls_are_what_was_asked_for() {
        let users =
            format!("user default off\nuser guest on #{} &a:* +ping", sha256_hex("hush").await.unwrap());
        let setup = Setup { users: Some(users), has_tls: true, ..Setup::default() };
        let redis = Redis::start_with(&setup).await.unwrap();
        let mut wire = Wire::open(redis.address()).await.unwrap();
        assert!(wire.must(&["PING"]).await.is_err(), "nobody said who it is");
        wire.must(&["AUTH", "guest", "hush"]).await.unwrap();
        wire.must(&["PING"]).await.unwrap();
        assert!(wire.must(&["SET", "a", "1"]).await.is_err());
        let url = redis.tls_url();
        let port = url.rsplit(':').next().unwrap();
        let mut client = Command::new("openssl");
        client.args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-verify_return_error",
            "-CAfile",
        ]);
        client.arg(redis.folder().join(tls::AUTHORITY)).stdin(std::process::Stdio::null());
        run(&mut client).await.unwrap();
        assert!(redis.authority().unwrap().contains("BEGIN CERTIFICATE"));
    }
}
