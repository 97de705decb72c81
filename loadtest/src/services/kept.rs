//! A process that never outlives the test process.
//!
//! A small shell stands between: it starts and ends the server as it is told over a pipe. When the pipe closes, since
//! the owner is dropped or the test process was killed, it kills the server and deletes its folder. It is the leader
//! of a process group of its own, so that no signal for the tests reaches it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long the shell may take to answer: it waits for the server to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Its group is an orphan once the test process is gone; the system sends SIGHUP to such a group when one of it is
/// stopped.
///
/// What the server leaves elsewhere stands in the file `litter` of the folder, one path a line.
///
/// Reads one word a line. `kill` takes the children of the server along, which it cannot have more of while it is
/// stopped; whoever is left waits as an orphan for nobody.
const KEEPER: &str = r#"
trap '' HUP
folder=$1; shift
child=
is_running() { read -r _ _ state _ <"/proc/$1/stat" && [ "$state" != Z ]; }
end() {
    [ -n "$child" ] || return 0
    kill -STOP "$child"
    children=$(cat "/proc/$child/task/$child/children")
    kill -KILL "$child" $children
    wait "$child"
    for one in $children; do
        while is_running "$one"; do sleep 0.01; done
    done
    child=
} 2>/dev/null
while read -r word; do
    case $word in
        start) "$@" </dev/null >>"$folder/log" 2>&1 & child=$!; echo "$child" ;;
        kill) end; echo gone ;;
        *) kill -s "$word" "$child"; wait "$child"; child=; echo gone ;;
    esac
done
end
[ -f "$folder/litter" ] && while read -r path; do rm -f -- "$path"; done <"$folder/litter"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$folder" && break
    sleep 0.1
done
"#;

/// How a server is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGKILL to it and all its children at once: nobody ties up anything.
    Kill,
    /// A signal that it knows, named without SIG; returns when it has ended.
    Signal(&'static str),
}

/// A server with its folder. Both are gone soon after this is dropped.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    /// Closing it ends everything.
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _keeper: Child,
    /// `None` while the server is down.
    pid: Option<u32>,
}

impl Kept {
    /// Takes over the folder. `command` is what [`Kept::start`] starts; all it prints goes to the file `log` there.
    pub fn new(folder: PathBuf, command: &[OsString]) -> anyhow::Result<Self> {
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&folder).args(command).current_dir("/").process_group(0);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = keeper.spawn().context("cannot start a shell")?;
        let orders = keeper.stdin.take().context("the shell has no input")?;
        let answers = BufReader::new(keeper.stdout.take().context("the shell has no output")?).lines();
        Ok(Self { folder, orders, answers, _keeper: keeper, pid: None })
    }

    /// Starts it and returns at once; it is not ready for anything yet.
    pub async fn start(&mut self) -> anyhow::Result<u32> {
        anyhow::ensure!(self.pid.is_none(), "it runs already");
        let answer = self.order("start").await?;
        let pid = answer.parse().with_context(|| format!("no process id: {answer}"))?;
        self.pid = Some(pid);
        Ok(pid)
    }

    /// Returns when it has ended. Does nothing while it is down.
    pub async fn end(&mut self, end: End) -> anyhow::Result<()> {
        if self.pid.is_none() {
            return Ok(());
        }
        self.order(match end {
            End::Kill => "kill",
            End::Signal(signal) => signal,
        })
        .await?;
        self.pid = None;
        Ok(())
    }

    async fn order(&mut self, word: &str) -> anyhow::Result<String> {
        self.orders.write_all(format!("{word}\n").as_bytes()).await.context("the shell has ended")?;
        let answer = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        answer.with_context(|| format!("`{word}` took too long"))??.context("the shell has ended")
    }

    /// `None` while it is down.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Whether it was started and has not ended by itself.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let stat = self.pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        // The state follows the name in parentheses; Z has ended and nobody asked for it yet.
        stat.and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| !rest.trim_start().starts_with('Z')))
            == Some(true)
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All that it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "services::kept::tests::an_owner_for_the_test_below";
    /// A further filter of the test's process, that no test has as its name.
    const OWN: &str = "own-and-wait";

    /// A process of its own for the test below, which says so in its arguments.
    #[tokio::test]
    async fn an_owner_for_the_test_below() {
        if !std::env::args().any(|arg| arg == OWN) {
            return;
        }
        let folder = tempfile::Builder::new().prefix("atlas-kept-").tempdir().unwrap().keep();
        let command = ["sh", "-c", "trap '' HUP; sleep 1000 & sleep 1000"].map(OsString::from);
        let mut kept = Kept::new(folder.clone(), &command).unwrap();
        let pid = kept.start().await.unwrap();
        println!("owned {pid} {}", folder.display());
        let mut word = String::new();
        std::io::stdin().read_line(&mut word).unwrap();
        drop(kept);
        std::process::exit(0);
    }

    #[tokio::test]
    async fn what_a_process_owned_is_gone_soon_however_it_ended() {
        for is_killed in [true, false].repeat(10) {
            let mut owner = Command::new(std::env::current_exe().unwrap());
            owner.args(["--exact", OWNER, OWN, "--nocapture"]).kill_on_drop(true);
            let mut owner = owner.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
            let (pid, folder) = loop {
                let line = lines.next_line().await.unwrap().expect("it says what it owns");
                if let Some((_, rest)) = line.split_once("owned ") {
                    let (pid, folder) = rest.split_once(' ').unwrap();
                    break (pid.to_owned(), PathBuf::from(folder));
                }
            };
            let running = PathBuf::from("/proc").join(pid);
            assert!(running.exists() && folder.exists());
            if is_killed {
                owner.start_kill().unwrap();
            } else {
                owner.stdin.take().unwrap().write_all(b"leave\n").await.unwrap();
            }
            owner.wait().await.unwrap();
            while running.exists() || folder.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
