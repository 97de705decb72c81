//! A throw-away Postgres cluster that syncs every commit to its disk, on a free port of the loopback.
//!
//! `initdb` takes a second, so it runs once for each version and user into a template below the system's temporary
//! folder; each cluster is a copy of it.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::process::Command;

use super::kept::{End, Kept};
use super::{User, free_port, run};
use crate::world;

const PROGRAMS: &str = "/usr/lib/postgresql";
/// The system's user for it.
pub(super) const USER: &str = "postgres";
/// In its folder.
const DATA: &str = "data";
/// How long a start may take, the replay of the log after a crash included.
const START_PATIENCE: Duration = Duration::from_mins(1);
const START_TRIES: usize = 5;
/// What makes it small. What makes a commit durable stays as Postgres has it, and is said here so that it shows.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=60",
    "shared_buffers=32MB",
];

/// A running cluster; its superuser `postgres` needs no password. Killed and deleted when dropped.
#[derive(Debug)]
pub struct Postgres {
    kept: Kept,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Returns when it takes connections.
    pub async fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let user = User::named_if_root(USER).await?;
        let template = template(&programs, user).await?;
        for _ in 1..START_TRIES {
            let mut cluster = Self::copy(&template, &programs, user).await?;
            match cluster.begin().await {
                Ok(()) => return Ok(cluster),
                // Somebody was faster with the port.
                Err(_) if cluster.kept.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        anyhow::bail!("no port stayed free")
    }

    async fn copy(template: &Path, programs: &Path, user: User) -> anyhow::Result<Self> {
        let folder = own_folder(user)?;
        let data = folder.path().join(DATA);
        run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template).arg(&data)).await?;
        Self::in_folder(folder, programs, user, Vec::new())
    }

    /// `wrapper` are words before its command that it takes the place of.
    fn in_folder(
        folder: TempDir,
        programs: &Path,
        user: User,
        wrapper: Vec<OsString>,
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = wrapper;
        command.extend(user.prefix());
        command.extend([programs.join("postgres").into(), "-D".into(), folder.path().join(DATA).into()]);
        command.extend(["-p".into(), port.to_string().into()]);
        command.extend(SETTINGS.iter().flat_map(|setting| [OsString::from("-c"), setting.into()]));
        Ok(Self { kept: Kept::new(folder.keep(), &command)?, programs: programs.to_owned(), port })
    }

    /// Its tables lie on a file system of their own, of this size in MiB and in memory, which nobody else sees and which
    /// goes with its processes: see [`Self::inner_path`]. Its write-ahead log lies elsewhere. For root alone.
    pub async fn start_on_small_disk(mib: u32) -> anyhow::Result<Self> {
        let programs = programs()?;
        let user = User::named_if_root(USER).await?;
        let template = template(&programs, user).await?;
        let folder = own_folder(user)?;
        let (data, log) = (folder.path().join(DATA), folder.path().join("wal"));
        std::fs::create_dir(&data)?;
        let script = format!(
            "mount -t tmpfs -o size={mib}m small \"$0\" && cp -a \"$1/.\" \"$0\" && chown --reference=\"$1\" \"$0\" &&
             chmod 700 \"$0\" && mv \"$0/pg_wal\" \"$2\" && ln -s \"$2\" \"$0/pg_wal\" && shift 2 && exec \"$@\""
        );
        let mut wrapper: Vec<OsString> = ["unshare", "-m", "sh", "-c"].map(Into::into).into();
        wrapper.extend([script.into(), data.into(), template.into(), log.into()]);
        let mut cluster = Self::in_folder(folder, &programs, user, wrapper)?;
        cluster.begin().await?;
        Ok(cluster)
    }

    /// A file among its tables as it sees it itself, whatever it has mounted.
    pub fn inner_path(&self, file: &str) -> anyhow::Result<PathBuf> {
        let pid = self.pid().context("it does not run")?;
        let data = self.kept.folder().join(DATA);
        Ok(PathBuf::from(format!("/proc/{pid}/root{}", data.display())).join(file))
    }

    /// A second cluster that follows this one. From now on this one acknowledges nothing that the other has not, too.
    pub async fn standby(&self) -> anyhow::Result<Self> {
        let user = User::named_if_root(USER).await?;
        let folder = own_folder(user)?;
        let mut backup = user.command(&self.programs.join("pg_basebackup"));
        backup.args(["-h", "127.0.0.1", "-U", USER, "-p", &self.port.to_string()]);
        backup.args(["-R", "-X", "stream", "-c", "fast", "-D"]).arg(folder.path().join(DATA));
        run(&mut backup).await?;
        let mut standby = Self::in_folder(folder, &self.programs, user, Vec::new())?;
        standby.begin().await?;
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        self.sql("postgres", "SELECT pg_reload_conf()").await?;
        Ok(standby)
    }

    /// Makes a standby a cluster that takes writes.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let promoted = self.sql("postgres", "SELECT pg_promote()").await?;
        anyhow::ensure!(promoted == "t", "it was not promoted: {}", self.log());
        Ok(())
    }

    async fn begin(&mut self) -> anyhow::Result<()> {
        self.kept.start().await?;
        let ready = async {
            while self.kept.is_running() {
                let mut probe = Command::new(self.programs.join("pg_isready"));
                let probe = probe.args(["-q", "-h", "127.0.0.1", "-U", USER, "-p", &self.port.to_string()]);
                if run(probe).await.is_ok() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            false
        };
        match tokio::time::timeout(START_PATIENCE, ready).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(anyhow::anyhow!("Postgres ended: {}", self.kept.log())),
            Err(_) => Err(anyhow::anyhow!("Postgres did not get ready: {}", self.kept.log())),
        }
    }

    /// What a client connects to.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// An empty database of this name: letters, digits, `_` and `-`.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\"")).await.map(drop)
    }

    /// A database of this name that begins as a copy of another, to which nobody may be connected.
    pub async fn copy_database(&self, from: &str, name: &str) -> anyhow::Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\" TEMPLATE \"{from}\"")).await.map(drop)
    }

    /// What `psql` prints for this: rows without heads, columns separated by `|`. As an operator would, beside
    /// whatever is under test.
    pub async fn sql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url(database)]);
        Ok(run(&mut psql).await?.trim_end().to_owned())
    }

    /// SIGKILL to every process of it at once, as when its machine loses power. Returns when all are gone.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.kept.end(End::Kill).await
    }

    /// SIGQUIT: it leaves without a checkpoint and replays its log when it starts again.
    pub async fn stop_immediately(&mut self) -> anyhow::Result<()> {
        self.kept.end(End::Signal("QUIT")).await
    }

    /// SIGINT: it ends its connections, and leaves after a checkpoint.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.kept.end(End::Signal("INT")).await
    }

    /// Kills it if it runs. Returns when it takes connections again, on the same folder and port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.begin().await
    }

    /// Of the process that all others of it descend from. `None` while it is down.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.kept.pid()
    }

    /// All that it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.kept.log()
    }
}

fn own_folder(user: User) -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("atlas-postgres-").tempdir_in(world::temp_dir())?;
    user.give(folder.path())?;
    Ok(folder)
}

/// Of the newest version that is installed.
fn programs() -> anyhow::Result<PathBuf> {
    let found = std::fs::read_dir(PROGRAMS).into_iter().flatten().flatten().map(|entry| entry.path());
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = found.filter(|path| path.join("bin/initdb").exists()).max_by_key(version);
    Ok(newest
        .with_context(|| format!("no Postgres below {PROGRAMS}: apt-get install postgresql"))?
        .join("bin"))
}

/// A cluster as `initdb` makes it. Made once, by whoever comes first; others wait.
async fn template(programs: &Path, user: User) -> anyhow::Result<PathBuf> {
    let version = run(Command::new(programs.join("postgres")).arg("--version")).await?;
    // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    let version = version.split_whitespace().nth(2).context("Postgres does not tell its version")?;
    let folder = world::temp_dir().join(format!("atlas-postgres-template-{version}-{}", user.uid));
    let made = folder.join("made");
    if made.exists() {
        return Ok(made);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join("lock"))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if !made.exists() {
        let unfinished = folder.join("unfinished");
        let _ = std::fs::remove_dir_all(&unfinished);
        std::fs::create_dir(&unfinished)?;
        user.give(&unfinished)?;
        let mut initdb = user.command(&programs.join("initdb"));
        initdb.arg("-D").arg(&unfinished).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        run(&mut initdb).await?;
        std::fs::rename(&unfinished, &made)?;
    }
    drop(lock);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_survives_being_killed_with_what_was_committed() {
        let mut postgres = Postgres::start().await.unwrap();
        postgres.create_database("one").await.unwrap();
        assert_eq!(postgres.sql("one", "SHOW fsync").await.unwrap(), "on");
        postgres.sql("one", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await.unwrap();
        let (first, folder) = (postgres.pid().unwrap(), postgres.kept.folder().to_owned());
        postgres.kill().await.unwrap();
        assert!(postgres.pid().is_none() && postgres.sql("one", "SELECT 1").await.is_err());
        postgres.restart().await.unwrap();
        assert_ne!(postgres.pid().unwrap(), first);
        assert_eq!(postgres.sql("one", "SELECT n FROM kept").await.unwrap(), "7");
        assert!(postgres.log().contains("not properly shut down"), "{}", postgres.log());
        postgres.stop_immediately().await.unwrap();
        postgres.restart().await.unwrap();
        postgres.stop().await.unwrap();
        postgres.restart().await.unwrap();
        assert_eq!(postgres.sql("one", "SELECT n FROM kept").await.unwrap(), "7");

        let pid = postgres.pid().unwrap();
        drop(postgres);
        while folder.exists() || Path::new(&format!("/proc/{pid}")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
