//! Servers as processes of their own, so that what they use can be told from what the load uses.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::world;

const START_PATIENCE: Duration = Duration::from_secs(30);
/// The word before the address in the line that a server prints when it is ready.
const READY_AT: &str = "http://";

/// A process that listens. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    /// Held, so that the process lives as long as this.
    child: Child,
    pub pid: u32,
    pub address: SocketAddr,
}

impl Process {
    /// The collaboration server on a free port, with its data in `folder`.
    pub async fn server(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        Self::server_with(binary, folder, &[]).await
    }

    /// The same with more settings.
    pub async fn server_with(
        binary: &Path,
        folder: &Path,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        // Nothing of this shell's settings reaches it.
        command.arg("serve").env_clear().env("ATLAS_LISTEN", "127.0.0.1:0").env("LOG_LEVEL", "warn");
        command.env("ATLAS_DATA_DIR", folder).envs(settings.iter().map(|(name, value)| (name, value)));
        Self::start(command).await
    }

    /// SIGKILL. Returns when it has ended.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM. Returns when it has ended, with everything written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await?;
        let status = self.child.wait().await?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    /// The bare relay: this very binary under another subcommand.
    pub async fn relay() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("this binary has no path")?);
        command.args(["relay", "--listen", "127.0.0.1:0"]);
        Self::start(command).await
    }

    async fn start(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id().context("the process ended at once")?;
        let stdout = child.stdout.take().context("the process has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = tokio::time::timeout(START_PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = address_in(&line) {
                    return Ok(address);
                }
            }
            anyhow::bail!("it ended without saying where it listens")
        })
        .await
        .context("it did not get ready in time")??;
        // Read on, so that it never waits for a full pipe.
        world::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, pid, address })
    }
}

/// The socket address behind `http://` in a line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(READY_AT)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':'))).unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', ':']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_sentence() {
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 3000)));
        assert_eq!(address_in("ready at http://127.0.0.1:3000 (open it)"), address);
        assert_eq!(address_in("ready at http://127.0.0.1:3000."), address);
        assert_eq!(address_in("nothing here"), None);
    }
}
