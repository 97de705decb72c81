//! `make bench`, the part about the store: what it costs an edit to be durable, with Postgres as with SQLite, and what
//! becomes of a long log.
//!
//! Everything runs on this machine and shares its cores and its disk with the load. Postgres keeps its fsync.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use atlas_crdt::wire::{self, ServerFrame};

use crate::acks::{self, Pace, Shape};
use crate::api::{Api, Login};
use crate::bench::{Table, drawing, join};
use crate::process::Process;
use crate::services::postgres::Postgres;
use crate::traffic;
use crate::world::{self, Random};

/// Designs that are written to at once, with this many writers each.
const DESIGNS: usize = 50;
const WRITERS: usize = 2;
/// Edits per second of all of them together.
const EDITS_PER_SECOND: f64 = 1_000.0;
/// The long log: elements of its design, and edits after its creation.
const NODES: usize = 5_000;
const EDGES: usize = 8_000;
const LONG_LOG: usize = 200_000;
const LONG_LOG_WRITERS: usize = 20;
/// How long a fold of the long log may take.
const FOLD_PATIENCE: Duration = Duration::from_secs(300);

const NEVER_FOLDS: [(&str, &str); 2] =
    [("ATLAS_COMPACT_ROWS", "1000000000"), ("ATLAS_COMPACT_BYTES", "1000000000000")];

/// Runs everything against a server binary and returns one table. `measured`: how long each clock runs.
pub async fn run(binary: &Path, measured: Duration, long_log: Option<usize>) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let postgres = Postgres::start().await.context("Postgres")?;
    postgres.create_database("acks").await?;
    let url = postgres.url("acks");
    for (name, settings) in [("Postgres, fsync on", vec![("DATABASE_URL", &url[..])]), ("SQLite", vec![])] {
        let folder = tempfile::tempdir()?;
        let server = Process::server_with(binary, folder.path(), &settings).await.context("the server")?;
        let owner = Api::at(server.address)?.register("bench@example.org", "Bench").await?;
        durable(&owner, name, measured, &mut table).await?;
    }
    long_log_of(binary, &postgres, long_log.unwrap_or(LONG_LOG), measured, &mut table).await?;
    Ok(table)
}

async fn designs(owner: &Login, count: usize) -> anyhow::Result<Vec<String>> {
    let mut designs = Vec::with_capacity(count);
    for at in 0..count {
        designs.push(owner.api.create(&format!("Bench {at}")).await?);
    }
    Ok(designs)
}

async fn durable(owner: &Login, store: &str, measured: Duration, table: &mut Table) -> anyhow::Result<()> {
    let designs = designs(owner, DESIGNS).await?;
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let rate = EDITS_PER_SECOND / (DESIGNS * WRITERS) as f64;
    let shape = Shape { writers_per_design: WRITERS, pace: Pace::Rate(rate), measured };
    let figures = acks::run(owner, &designs, shape).await?;
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let what = format!("edit to Saved {name}, {store}, 1,000 edits/s over {DESIGNS} designs");
        table.alone(&what, "ms", figures.latency_ms(quantile));
    }
    let shape = Shape { writers_per_design: WRITERS, pace: Pace::Unacknowledged(8), measured };
    let figures = acks::run(owner, &designs, shape).await?;
    table.alone(
        &format!("edits made durable per second, {store}, as fast as they go"),
        "",
        figures.per_second(),
    );
    Ok(())
}

/// A large design with a long history: what it costs to open it before and after it is folded, and whether anybody
/// notices the folding.
async fn long_log_of(
    binary: &Path,
    postgres: &Postgres,
    edits: usize,
    measured: Duration,
    table: &mut Table,
) -> anyhow::Result<()> {
    postgres.create_database("long").await?;
    let url = postgres.url("long");
    let folder = tempfile::tempdir()?;
    let long = LongLog { binary, postgres, folder: folder.path(), edits };

    let unfolded = [&[("DATABASE_URL", &url[..])], &NEVER_FOLDS[..]].concat();
    let (server, owner) = long.server(&unfolded).await?;
    let design = owner.api.import(drawing(NODES, EDGES).to_string()).await?;
    drop(server);
    let empty = long.size().await?;
    long.fill(&design).await?;
    table.alone("database bytes per edit, log not folded", "B", long.per_edit(empty).await?);
    let what = format!("cold open of {} elements after {edits} edits", NODES + EDGES);
    table.alone(&format!("{what}, log not folded"), "ms", long.open_cold(&design, &unfolded).await?);

    // With the usual thresholds a server finds the log by itself.
    let folding = [("DATABASE_URL", &url[..]), ("ATLAS_SWEEP_SECS", "1"), ("ATLAS_COMPACT_KEEP_SECS", "0")];
    let (server, owner) = long.server(&folding).await?;
    let others = designs(&owner, DESIGNS).await?;
    let began = world::now();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let rate = EDITS_PER_SECOND / (DESIGNS * WRITERS) as f64;
    let mut worst: f64 = 0.0;
    while 0 < long.rows(&design).await? {
        let shape = Shape { writers_per_design: WRITERS, pace: Pace::Rate(rate), measured };
        worst = worst.max(acks::run(&owner, &others, shape).await?.latency_ms(0.99));
        anyhow::ensure!(began.elapsed() < FOLD_PATIENCE, "the log was not folded in time");
    }
    table.alone("edit to Saved p99 of other designs while that log is folded and deleted", "ms", worst);
    drop(server);
    for other in &others {
        postgres.sql("long", &format!("DELETE FROM designs WHERE id = '{other}'")).await?;
    }
    postgres.sql("long", "VACUUM FULL").await?;
    table.alone("database bytes per edit, log folded", "B", long.per_edit(empty).await?);
    table.alone(&format!("{what}, log folded"), "ms", long.open_cold(&design, &folding).await?);
    Ok(())
}

struct LongLog<'a> {
    binary: &'a Path,
    postgres: &'a Postgres,
    folder: &'a Path,
    edits: usize,
}

impl LongLog<'_> {
    async fn server(&self, settings: &[(&str, &str)]) -> anyhow::Result<(Process, Login)> {
        let server = Process::server_with(self.binary, self.folder, settings).await.context("the server")?;
        let owner = Api::at(server.address)?.enter("bench@example.org").await?;
        Ok((server, owner))
    }

    /// Milliseconds from dialling a server that has just started to having the design.
    async fn open_cold(&self, design: &str, settings: &[(&str, &str)]) -> anyhow::Result<f64> {
        let (server, owner) = self.server(settings).await?;
        let started = world::now();
        let (socket, _) = join(&owner, design).await?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        drop((socket, server));
        Ok(took)
    }

    async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let told = self.postgres.sql("long", sql).await?;
        told.parse().with_context(|| format!("{sql} gives {told}"))
    }

    async fn size(&self) -> anyhow::Result<u64> {
        self.number("SELECT pg_database_size(current_database())").await
    }

    async fn rows(&self, design: &str) -> anyhow::Result<u64> {
        self.number(&format!("SELECT count(*) FROM design_updates WHERE design_id = '{design}'")).await
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    async fn per_edit(&self, empty: u64) -> anyhow::Result<f64> {
        Ok(self.size().await?.saturating_sub(empty) as f64 / self.edits as f64)
    }

    /// Writes the log as servers would have, one row for each edit: over sockets they would be merged.
    async fn fill(&self, design: &str) -> anyhow::Result<()> {
        let path = self.folder.join("log.csv");
        let mut file = BufWriter::new(File::create(&path)?);
        let mut ids = Random::fresh();
        let owner = self.postgres.sql("long", "SELECT id FROM users").await?;
        let clients: Vec<u64> = (0..LONG_LOG_WRITERS).map(|_| ids.client_id()).collect();
        let scripts = clients.iter().enumerate().map(|(at, client)| {
            traffic::script(at, *client, self.edits.div_ceil(LONG_LOG_WRITERS)).messages().into_iter()
        });
        let mut scripts: Vec<_> = scripts.collect();
        for row in 0..self.edits {
            let writer = row % LONG_LOG_WRITERS;
            let Some(message) = scripts[writer].next() else { break };
            let ServerFrame::Update { update } = wire::decode_server(&message)? else { continue };
            let append: String = (0..4).map(|_| format!("{:08x}", ids.draw() >> 32)).collect();
            let payload: String = update.iter().map(|byte| format!("{byte:02x}")).collect();
            let authors = format!(
                r#"[{{""user"":""{owner}"",""wrote"":[{{""client"":{},""start"":{},""end"":{}}}],""deleted"":[]}}]"#,
                clients[writer],
                row,
                row + 1,
            );
            writeln!(file, "{design},{},{append},\\x{payload},\"{authors}\",2026-01-01", row + 2)?;
        }
        file.flush()?;
        let copy = format!(
            "\\copy design_updates (design_id, seq, append_id, payload, authors, created_at) from '{}' csv",
            path.display()
        );
        self.postgres.sql("long", &copy).await?;
        let claims: Vec<String> = clients
            .iter()
            .enumerate()
            .map(|(at, client)| format!("('{design}', {client}, '{owner}', {})", at + 2))
            .collect();
        let claims = claims.join(", ");
        self.postgres
            .sql("long", &format!("INSERT INTO client_ids (design_id, client, user_id, seq) VALUES {claims}"))
            .await?;
        let head = self.edits + 1;
        let update = format!("UPDATE design_heads SET head_seq = {head} WHERE design_id = '{design}'");
        self.postgres.sql("long", &update).await.map(drop)
    }
}
