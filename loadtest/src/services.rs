//! Real servers for tests, each thrown away with the test that started it: a folder of its own below the system's
//! temporary folder, a free port of the loopback, no trace left behind.
//!
//! - [`postgres`]: a Postgres cluster that syncs to its disk, and that can be killed and started again.
//! - [`pgbouncer`]: a pooler before it, in transaction mode.
//! - [`redis`]: a Redis, a cluster of them, and one with sentinels.
//! - [`seaweedfs`]: an S3 server that checks signatures.
//! - [`kept`]: what they share: a process that never outlives the test process, however that ends.
//!
//! They run the system's own programs (Debian: `apt-get install postgresql redis-server`), and under the system's user
//! for them where the test runs as root, since neither runs as root. SeaweedFS comes from PyPI.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use tokio::process::Command;

use crate::world::Random;

pub mod kept;
pub mod pgbouncer;
pub mod postgres;
pub mod redis;
pub mod seaweedfs;

/// Below what systems hand out to outgoing connections, so that none takes the port while its server is down.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port of the loopback on which nobody listens now.
fn free_port() -> anyhow::Result<u16> {
    let mut random = Random::fresh();
    for _ in 0..1_000 {
        let port = PORTS.start + u16::try_from(random.below(u64::from(PORTS.end - PORTS.start)))?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port of {PORTS:?} is free")
}

/// A user of the system, under whom a server runs.
#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
    /// This process is root and has to become that user first.
    is_other: bool,
}

impl User {
    /// `name` where this process is root, otherwise whoever runs it.
    async fn named_if_root(name: &str) -> anyhow::Result<Self> {
        let own = std::fs::metadata("/proc/self").context("this system has no /proc")?;
        if own.uid() != 0 {
            return Ok(Self { uid: own.uid(), gid: own.gid(), is_other: false });
        }
        let id = async |which| {
            let told = run(Command::new("id").args([which, name])).await?;
            told.trim().parse().with_context(|| format!("`id {which} {name}` is no number: {told}"))
        };
        Ok(Self { uid: id("-u").await?, gid: id("-g").await?, is_other: true })
    }

    /// The words before a command that runs as this user. They are replaced by it and keep its process id.
    fn prefix(self) -> Vec<OsString> {
        if !self.is_other {
            return Vec::new();
        }
        let words =
            ["setpriv", &format!("--reuid={}", self.uid), &format!("--regid={}", self.gid), "--clear-groups"];
        words.into_iter().map(OsString::from).collect()
    }

    /// `program` as this user, in a folder that every user may enter.
    fn command(self, program: &Path) -> Command {
        let mut words = self.prefix();
        words.push(program.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir("/");
        command
    }

    /// Makes this user the owner.
    fn give(self, path: &Path) -> anyhow::Result<()> {
        if self.is_other {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .with_context(|| format!("cannot give {} away", path.display()))?;
        }
        Ok(())
    }
}

/// Runs to its end and returns what was printed; an error with everything printed when it fails.
async fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("cannot run {:?}", command.as_std()))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{:?} failed, {}: {}{}",
        command.as_std(),
        output.status,
        printed,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}
