//! A large design with a long history: what its first opening costs before its log is folded and after, and what people
//! notice while it is folded.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;

use super::stores::{Bench, target};
use super::{Table, drawing, join, median};
use crate::api::Login;
use crate::canvas;
use crate::replica::Replica;
use crate::saving::{self, Pace, Shape};
use crate::world::{self, Random};

const NODES: usize = 4_000;
const EDGES: usize = 9_000;
const EDITS: usize = 200_000;
const COLD_OPENS: usize = 5;
/// People on other designs, while nothing is folded and while the history is.
const OTHERS: Shape = Shape { writers: 2, pace: Pace::Steady(10.0), measured: Duration::from_secs(20) };
const OTHER_DESIGNS: usize = 10;
const FOLD_PATIENCE: Duration = Duration::from_mins(10);

pub(super) async fn run(binary: &Path, table: &mut Table) -> anyhow::Result<()> {
    let unfolded = [("ATLAS_COMPACT_ROWS", "1000000".to_owned())];
    let mut bench = Bench::postgres(binary).await?;
    let owner = bench.restart(&unfolded).await?;
    let design = owner.api.import(drawing(NODES, EDGES).to_string()).await?;
    bench.server = None;
    write_history(&bench, &design).await.context("the history")?;

    let what = "cold open of 13,000 elements and 200,000 edits of history";
    let mut times = Vec::new();
    for _ in 0..COLD_OPENS {
        let owner = bench.restart(&unfolded).await?;
        times.push(open(&owner, &design).await?);
    }
    table.alone(&format!("{what}, before it is folded"), "ms", median(&mut times));
    let owner = bench.restart(&unfolded).await?;
    others(&bench, &owner, &design, table, "nothing is folded", None).await?;

    let owner = bench.restart(&[]).await?;
    let began = world::now();
    others(&bench, &owner, &design, table, "200,000 rows are folded", Some(began)).await?;

    let mut times = Vec::new();
    for _ in 0..COLD_OPENS {
        let owner = bench.restart(&[]).await?;
        times.push(open(&owner, &design).await?);
    }
    table.alone(&format!("{what}, after it was folded"), "ms", median(&mut times));
    Ok(())
}

/// From dialling to having it, in a server that has just started.
async fn open(owner: &Login, design: &str) -> anyhow::Result<f64> {
    let started = world::now();
    let (socket, _) = join(owner, design).await?;
    drop(socket);
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// How long an edit takes to be saved, on that very design and on others. `folding`: until all of it is folded and deleted.
async fn others(
    bench: &Bench,
    owner: &Login,
    design: &str,
    table: &mut Table,
    while_what: &str,
    folding: Option<Instant>,
) -> anyhow::Result<()> {
    let mut targets = vec![target(owner, design)];
    for at in 0..OTHER_DESIGNS {
        targets.push(target(owner, &owner.api.create(&format!("Other {at}")).await?));
    }
    let mut shape = OTHERS;
    let until = async {
        let Some(began) = folding else { return tokio::time::sleep(OTHERS.measured).await };
        while !is_gone(bench, design).await && began.elapsed() < FOLD_PATIENCE {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    if folding.is_some() {
        shape.measured = FOLD_PATIENCE;
    }
    let figures = saving::run_until(&targets, shape, bench.pid(), until).await?;
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let label = format!("edit to Saved {name}, 220 edits/s, while {while_what}");
        table.alone(&label, "ms", figures.latency_ms(quantile));
    }
    if let Some(began) = folding {
        anyhow::ensure!(is_gone(bench, design).await, "the history was not folded in time");
        table.alone("folding, archiving and deleting 200,000 rows", "s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// No row of the history is there any more. Cheap to ask.
async fn is_gone(bench: &Bench, design: &str) -> bool {
    let sql =
        format!("SELECT count(*) FROM design_updates WHERE design_id = '{design}' AND seq IN (1, {EDITS})");
    bench.sql(&sql).await.is_ok_and(|rows| rows == "0")
}

/// Appends the rows as if they had come one by one a week ago.
async fn write_history(bench: &Bench, design: &str) -> anyhow::Result<()> {
    let mut random = Random::seeded(7);
    let mut author = Replica::new(random.client_id());
    let payload = bench
        .sql(&format!("SELECT encode(payload, 'hex') FROM design_updates WHERE design_id = '{design}'"))
        .await?;
    author.apply(&unhex(&payload)?)?;
    let user = bench.sql("SELECT id FROM users LIMIT 1").await?;
    let client = author.client_id();
    let (mut rows, mut clock) = (String::new(), 0);
    for at in 0..EDITS {
        let id = format!("node-{}", random.index(NODES));
        let place = |random: &mut Random| f64::from(u32::try_from(random.below(4_000)).unwrap_or(0));
        let (x, y) = (place(&mut random), place(&mut random));
        let update = author.edit(|roots, txn| canvas::move_node(roots, txn, &id, x, y));
        let update = update.context("an edit that changes nothing")?;
        let end = author.own_clock();
        let authors =
            json!([{"user": user, "wrote": [{"client": client, "start": clock, "end": end}], "deleted": []}]);
        clock = end;
        let append = format!("{:08x}-0000-4000-8000-{:012x}", at, client & 0xffff_ffff_ffff);
        write!(rows, "{design}\t{}\t{append}\t\\\\x", at + 2)?;
        for byte in &update {
            write!(rows, "{byte:02x}")?;
        }
        writeln!(rows, "\t{authors}\t2020-01-01 00:00:00+00")?;
    }
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), rows)?;
    // The database runs as a user of its own.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), everybody)?;
    let head = EDITS + 1;
    bench
        .sql(&format!(
            "BEGIN;
             COPY design_updates (design_id, seq, append_id, payload, authors, created_at) FROM '{}';
             UPDATE design_updates SET created_at = '2020-01-01 00:00:00+00' WHERE design_id = '{design}' AND seq = 1;
             UPDATE design_heads SET head_seq = {head} WHERE design_id = '{design}';
             INSERT INTO client_ids (design_id, client, user_id, seq) VALUES ('{design}', {client}, '{user}', 2);
             COMMIT;",
            file.path().display()
        ))
        .await?;
    bench.sql("VACUUM ANALYZE design_updates").await.map(drop)
}

fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits = text.trim().as_bytes();
    digits.chunks(2).map(|two| Ok(u8::from_str_radix(std::str::from_utf8(two)?, 16)?)).collect()
}
