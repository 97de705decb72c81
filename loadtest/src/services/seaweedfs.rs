//! A throw-away S3 server on a free port of the loopback: SeaweedFS with one bucket and one account, whose signature
//! it checks on every request. It keeps what it stored over a kill and counts what it answered.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::free_port;
use super::kept::{End, Kept};
use crate::world;

pub const BUCKET: &str = "atlas";
pub const ACCESS_KEY: &str = "AKIATESTTESTTESTTEST";
pub const SECRET_KEY: &str = "a-secret-for-tests-only";

/// Where `scripts/tools` installs it.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/services-venv/bin/weed");
const START_PATIENCE: Duration = Duration::from_mins(1);
const START_TRIES: usize = 5;
/// How long a request that was answered may not be counted yet.
const COUNT_PATIENCE: Duration = Duration::from_secs(10);
/// It answers what asks for encryption with S3's own keys only if it has one. For tests: it protects nothing.
const SSE_KEY: &str = "WEED_S3_SSE_KEY=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// What listens, each at a port of its own.
const PORTS: [&str; 9] = [
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "metricsPort",
];
/// The rest of its settings: nothing to the outside, nothing that is not needed, small volumes.
const SETTINGS: &[&str] = &[
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    // After a kill it waits for so long before it trusts itself.
    "-master.electionTimeout=1s",
    "-master.volumeSizeLimitMB=64",
    "-volume.max=100",
    "-volume.preStopSeconds=0",
    "-filer",
    "-s3",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
];

/// A running server. Killed and deleted when dropped.
#[derive(Debug)]
pub struct SeaweedFs {
    kept: Kept,
    /// As in [`PORTS`].
    ports: Vec<u16>,
    http: reqwest::Client,
}

impl SeaweedFs {
    /// Returns when the bucket is there and takes objects.
    pub async fn start() -> anyhow::Result<Self> {
        let program = program()?;
        for _ in 1..START_TRIES {
            let mut server = Self::new(&program)?;
            match server.begin().await {
                Ok(()) => return Ok(server),
                // Somebody was faster with a port.
                Err(_) if server.kept.log().contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        anyhow::bail!("no port stayed free")
    }

    fn new(program: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("atlas-seaweedfs-").tempdir_in(world::temp_dir())?;
        let below = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir(below("data"))?;
        let account = serde_json::json!({"identities": [{
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        fs::write(below("accounts.json"), account.to_string())?;
        let mut ports = Vec::new();
        while ports.len() < PORTS.len() {
            let port = free_port()?;
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        // Nothing of this shell's settings reaches it.
        let mut command: Vec<OsString> = ["env", "-i", SSE_KEY].map(OsString::from).into();
        command.push(format!("HOME={}", folder.path().display()).into());
        command.extend([program.into(), "-logtostderr".into(), "server".into()]);
        command.push(format!("-dir={}", below("data")).into());
        command.push(format!("-s3.config={}", below("accounts.json")).into());
        command.push(format!("-s3.localSocket={}", below("s3.sock")).into());
        command.push(format!("-filer.localSocket={}", below("filer.sock")).into());
        command.extend(SETTINGS.iter().map(OsString::from));
        command.extend(PORTS.iter().zip(&ports).map(|(name, port)| format!("-{name}={port}").into()));
        // It has further sockets, at places of its own.
        let sockets = PORTS.iter().zip(&ports).filter_map(|(name, port)| {
            let part = name.strip_suffix(".port.grpc")?;
            Some(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock\n"))
        });
        fs::write(below("litter"), sockets.collect::<String>())?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { kept: Kept::new(folder.keep(), &command)?, ports, http })
    }

    async fn begin(&mut self) -> anyhow::Result<()> {
        self.kept.start().await?;
        let ready = async {
            while self.kept.is_running() {
                if self.is_ready().await {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        };
        match tokio::time::timeout(START_PATIENCE, ready).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(anyhow::anyhow!("SeaweedFS ended: {}", self.kept.log())),
            Err(_) => Err(anyhow::anyhow!("SeaweedFS did not get ready: {}", self.kept.log())),
        }
    }

    /// Whether each part of it has found the others.
    async fn is_ready(&self) -> bool {
        let filer = self.url("filer.port");
        let bucket = self.http.post(format!("{filer}/buckets/{BUCKET}/"));
        // What it stores in a bucket waits for room of that bucket's own.
        let stored = self.http.put(format!("{filer}/buckets/{BUCKET}/.ready")).body("ready");
        let unsigned = self.http.get(self.endpoint());
        let status = async |request: reqwest::RequestBuilder| {
            request.timeout(Duration::from_secs(5)).send().await.map_or(0, |answer| answer.status().as_u16())
        };
        // 409: it is there.
        matches!(status(bucket).await, 201 | 409)
            && status(stored).await == 201
            && status(unsigned).await == 403
    }

    fn port(&self, name: &str) -> u16 {
        PORTS.iter().position(|port| *port == name).map_or(0, |at| self.ports[at])
    }

    fn url(&self, port: &str) -> String {
        format!("http://127.0.0.1:{}", self.port(port))
    }

    /// What a client speaks S3 to, with the bucket in the path.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.url("s3.port")
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port("s3.port")).into()
    }

    /// Requests of this kind (`GET`, `PUT`, `DELETE`, `LIST`, …) that it answered with this status since it started;
    /// `""`: of all kinds.
    pub async fn answered(&self, kind: &str, status: u16) -> anyhow::Result<u64> {
        let metrics = self.http.get(format!("{}/metrics", self.url("metricsPort"))).send().await?;
        let metrics = metrics.error_for_status()?.text().await?;
        Ok(count(&metrics, kind, status))
    }

    /// As [`Self::answered`], once it is at least `expected`, or some seconds are over: it counts a moment after it answers.
    pub async fn answered_at_least(&self, kind: &str, status: u16, expected: u64) -> anyhow::Result<u64> {
        let began = world::now();
        loop {
            let answered = self.answered(kind, status).await?;
            if expected <= answered || COUNT_PATIENCE < began.elapsed() {
                return Ok(answered);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL. Returns when it has ended.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.kept.end(End::Kill).await
    }

    /// Kills it if it runs. Returns when it takes objects again, on the same folder and port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        self.begin().await
    }

    /// `None` while it is down.
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

/// The sum of the lines `SeaweedFS_s3_request_total{bucket="…",code="200",type="GET"} 7`.
fn count(metrics: &str, kind: &str, status: u16) -> u64 {
    let is_meant = |line: &&str| {
        line.starts_with("SeaweedFS_s3_request_total{")
            && line.contains(&format!("code=\"{status}\""))
            && (kind.is_empty() || line.contains(&format!("type=\"{kind}\"")))
    };
    let number = |line: &str| line.rsplit_once(' ').and_then(|(_, number)| number.parse::<u64>().ok());
    metrics.lines().filter(is_meant).filter_map(number).sum()
}

/// `WEED` names one that stands elsewhere.
fn program() -> anyhow::Result<PathBuf> {
    world::program("WEED", "weed", Path::new(PROGRAM))
        .context("no SeaweedFS: scripts/tools installs it, or WEED=/path names its program `weed`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_starts_again_where_it_was_killed_and_leaves_nothing_behind() {
        let mut server = SeaweedFs::start().await.unwrap();
        let (address, folder, first) = (server.address(), server.kept.folder().to_owned(), server.pid());
        let unsigned = server.http.get(format!("{}/{BUCKET}/a", server.endpoint())).send().await.unwrap();
        assert_eq!(unsigned.status(), 403);
        assert_eq!(server.answered_at_least("GET", 403, 1).await.unwrap(), 1);
        server.stop().await.unwrap();
        assert!(server.pid().is_none() && server.http.get(server.endpoint()).send().await.is_err());
        server.restart().await.unwrap();
        assert_eq!(server.address(), address);
        assert_ne!(server.pid(), first);

        let litter = fs::read_to_string(folder.join("litter")).unwrap();
        assert!(
            litter.lines().count() == 4 && litter.lines().all(|socket| Path::new(socket).exists()),
            "{litter}"
        );
        let pid = server.pid().unwrap();
        drop(server);
        let is_left = || {
            let litter = litter.lines().any(|socket| Path::new(socket).exists());
            litter || folder.exists() || Path::new(&format!("/proc/{pid}")).exists()
        };
        while is_left() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn requests_are_counted_by_kind_and_status() {
        let metrics = "# HELP SeaweedFS_s3_request_total Counter of s3 requests.\n\
            SeaweedFS_s3_request_total{bucket=\"\",code=\"403\",type=\"GET\"} 1\n\
            SeaweedFS_s3_request_total{bucket=\"a\",code=\"403\",type=\"GET\"} 2\n\
            SeaweedFS_s3_request_total{bucket=\"a\",code=\"403\",type=\"PUT\"} 4\n\
            SeaweedFS_s3_request_total{bucket=\"a\",code=\"200\",type=\"GET\"} 8\n";
        assert_eq!(
            [count(metrics, "GET", 403), count(metrics, "", 403), count(metrics, "PUT", 200)],
            [3, 7, 0]
        );
    }
}
