//! `make store-figures`: what it costs until an edit is saved, on a Postgres that syncs every commit and on SQLite, and what
//! a long history costs before and after it is folded.
//!
//! Server, database and load share this machine's cores: figures of one run are to be compared with each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::{Table, history};
use crate::api::{Api, Login};
use crate::client::Dialect;
use crate::process::Process;
use crate::saving::{self, Pace, Shape};
use crate::services::postgres::Postgres;
use crate::services::seaweedfs::{ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFs};
use crate::traffic::Target;

const DATABASE: &str = "atlas";
/// A thousand edits a second: so many designs, each with so many writers of this pace.
const STEADY: (usize, Shape) =
    (25, Shape { writers: 2, pace: Pace::Steady(20.0), measured: Duration::from_secs(20) });
/// As fast as it goes.
const EAGER: (usize, Shape) = (
    25,
    Shape {
        writers: 2,
        pace: Pace::Eager { window: 32, edits_max: 20_000 },
        measured: Duration::from_secs(10),
    },
);

/// One store with a server on it.
pub(super) struct Bench {
    binary: PathBuf,
    folder: tempfile::TempDir,
    pub(super) settings: Vec<(&'static str, String)>,
    /// `None`: SQLite.
    pub(super) postgres: Option<Postgres>,
    pub(super) server: Option<Process>,
    owner: Option<Login>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// From an edit to its `Saved`, and what it takes on the disk.
    Saving,
    /// Requests to S3.
    Archive,
    /// A long history, before and after it is folded.
    History,
}

/// Runs these parts and returns one table.
pub async fn run(binary: &Path, parts: &[Part]) -> anyhow::Result<Table> {
    let mut table = Table::of("Postgres", "SQLite");
    for part in parts {
        match part {
            Part::Saving => saving(binary, &mut table).await.context("saving")?,
            Part::Archive => archive(binary, &mut table).await.context("the archive")?,
            Part::History => history::run(binary, &mut table).await.context("a long history")?,
        }
    }
    Ok(table)
}

async fn saving(binary: &Path, table: &mut Table) -> anyhow::Result<()> {
    let (mut postgres, mut sqlite) = (Bench::postgres(binary).await?, Bench::sqlite(binary)?);
    for (what, (designs, shape)) in [("1,000 edits/s", STEADY), ("as fast as it goes", EAGER)] {
        let one = postgres.saving(designs, shape).await.context("on Postgres")?;
        let other = sqlite.saving(designs, shape).await.context("on SQLite")?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let label = format!("edit to Saved {name}, {what}");
            table.compare(&label, "ms", one.figures.latency_ms(quantile), other.figures.latency_ms(quantile));
        }
        let rates = [&one, &other].map(|of| of.figures.saved_per_second());
        table.compare(&format!("saved edits per second, {what}"), "", rates[0], rates[1]);
        table.compare(
            &format!("bytes stored per edit, {what}"),
            "B",
            one.bytes_per_edit,
            other.bytes_per_edit,
        );
    }
    Ok(())
}

/// What one run of writers came to.
struct Saving {
    figures: saving::Figures,
    bytes_per_edit: f64,
}

impl Bench {
    pub(super) async fn postgres(binary: &Path) -> anyhow::Result<Self> {
        let postgres = Postgres::start().await?;
        postgres.create_database(DATABASE).await?;
        let mut bench = Self::sqlite(binary)?;
        bench.settings.push(("DATABASE_URL", postgres.url(DATABASE)));
        bench.postgres = Some(postgres);
        Ok(bench)
    }

    fn sqlite(binary: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            binary: binary.to_owned(),
            folder: tempfile::tempdir()?,
            settings: vec![("ATLAS_ACCESS_TOKEN_SECS", "86400".to_owned())],
            postgres: None,
            server: None,
            owner: None,
        })
    }

    /// Ends the server, if one runs, and starts it with these settings besides its own.
    pub(super) async fn restart(&mut self, more: &[(&'static str, String)]) -> anyhow::Result<Login> {
        if let Some(server) = self.server.take() {
            server.kill().await?;
        }
        let settings = [&self.settings[..], more].concat();
        let server = Process::server_with(&self.binary, self.folder.path(), &settings).await?;
        let login = Api::at(server.address)?.enter("bench@example.org").await?;
        self.server = Some(server);
        self.owner = Some(login.clone());
        Ok(login)
    }

    pub(super) fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, |server| server.pid)
    }

    /// As a superuser.
    pub(super) async fn sql(&self, sql: &str) -> anyhow::Result<String> {
        self.postgres.as_ref().context("there is no Postgres")?.sql(DATABASE, sql).await
    }

    /// What the database takes on its disk, without its write-ahead log.
    async fn stored_bytes(&self) -> anyhow::Result<u64> {
        if self.postgres.is_some() {
            return Ok(self.sql(&format!("SELECT pg_database_size('{DATABASE}')")).await?.parse()?);
        }
        Ok(std::fs::metadata(self.folder.path().join("atlas.db"))?.len())
    }

    async fn saving(&mut self, designs: usize, shape: Shape) -> anyhow::Result<Saving> {
        // Nothing is folded meanwhile: what an edit itself takes.
        let owner = self.restart(&[("ATLAS_COMPACT_ROWS", "1000000".to_owned())]).await?;
        let mut targets = Vec::new();
        for at in 0..designs {
            targets.push(target(&owner, &owner.api.create(&format!("Design {at}")).await?));
        }
        let before = self.stored_bytes().await?;
        let figures = saving::run(&targets, shape, self.pid()).await?;
        // SQLite moves its write-ahead log into the file then.
        if let Some(server) = self.server.take() {
            server.stop().await?;
        }
        let stored = self.stored_bytes().await?.saturating_sub(before);
        // Those of the warm-up are stored too.
        let seconds = figures.measured.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let edits = figures.saved as f64 * (seconds + 2.0) / seconds;
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let bytes_per_edit = stored as f64 / edits;
        Ok(Saving { figures, bytes_per_edit })
    }
}

pub(super) fn target(owner: &Login, design: &str) -> Target {
    Target {
        url: owner.api.socket_url(design),
        token: owner.access_token.clone(),
        dialect: Dialect::Atlas,
        handshake: true,
    }
}

/// Requests to S3 for what people write, with the settings as they are by default.
async fn archive(binary: &Path, table: &mut Table) -> anyhow::Result<()> {
    /// Time for the last folds.
    const REST: Duration = Duration::from_secs(10);
    let weed = SeaweedFs::start().await?;
    let mut bench = Bench::postgres(binary).await?;
    bench.settings.extend([
        ("S3_BUCKET", BUCKET.to_owned()),
        ("S3_ENDPOINT", weed.endpoint()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ]);
    let owner = bench.restart(&[]).await?;
    let mut targets = Vec::new();
    for at in 0..STEADY.0 {
        targets.push(target(&owner, &owner.api.create(&format!("Design {at}")).await?));
    }
    let before = requests(&weed).await?;
    let figures = saving::run(&targets, STEADY.1, bench.pid()).await?;
    tokio::time::sleep(REST).await;
    let asked = requests(&weed).await? - before;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let per_thousand = asked as f64 * 1_000.0 / figures.saved as f64;
    table.alone("S3 requests per 1,000 edits", "", per_thousand);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let label = format!("edit to Saved {name}, 1,000 edits/s, folding into S3 by default");
        table.alone(&label, "ms", figures.latency_ms(quantile));
    }
    Ok(())
}

async fn requests(weed: &SeaweedFs) -> anyhow::Result<u64> {
    let mut all = 0;
    for status in [200, 204, 304, 404, 412] {
        all += weed.answered("", status).await?;
    }
    Ok(all)
}
