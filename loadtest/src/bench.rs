//! `make bench`: the server beside the bare relay under the same traffic, and what it costs to be there at all.
//!
//! Both are processes of their own on this machine and share its cores with the load; figures of one run are to be
//! compared with each other, not with those of another machine.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::api::{Api, Login};
use crate::client::{Connect, Dialect, open_raw};
use crate::probe;
use crate::process::Process;
use crate::traffic::{self, Figures, Shape, Target};
use crate::world;

mod history;
pub mod pods;
pub mod stores;
mod table;

pub use table::Table;

/// Connections of the busy rooms, with the edits per second of each of their writers. Everybody writes; the rate
/// falls so that the load, which shares the cores, does not become what is measured.
const BUSY: [(usize, f64); 3] = [(10, 50.0), (50, 10.0), (200, 2.0)];
/// Connections that are opened and then left alone.
const IDLE_CONNECTIONS: usize = 1_000;
/// Designs that these are spread over.
const IDLE_DESIGNS: usize = 10;
/// Small designs that are opened by one connection each.
const OPEN_DESIGNS: usize = 300;
/// Designs of 1,000 nodes and 2,000 edges that are opened cold, once each.
const COLD_DESIGNS: u32 = 5;
/// Time for a process to come to rest before its memory is read.
const REST: Duration = Duration::from_millis(700);

/// Runs everything against a server binary and returns one table. `measured`: how long each clock runs.
pub async fn run(binary: &Path, measured: Duration) -> anyhow::Result<Table> {
    let folder = tempfile::tempdir()?;
    let server = Process::server(binary, folder.path()).await.context("the server")?;
    let relay = Process::relay().await.context("the relay")?;
    let owner = Api::at(server.address)?.register("bench@example.org", "Bench").await?;
    let bench = Bench { server, relay, owner, measured };

    let mut table = Table::default();
    bench.latency(&mut table).await?;
    for (clients, rate) in BUSY {
        bench.busy(&mut table, clients, rate).await?;
    }
    drop(bench.relay);
    // Memory is read from a process that has not been busy.
    drop(bench.server);
    let folder = tempfile::tempdir()?;
    let server = Process::server(binary, folder.path()).await.context("the server")?;
    let owner = Api::at(server.address)?.register("bench@example.org", "Bench").await?;
    memory(&server, &owner, &mut table).await?;
    cold_open(&server, &owner, &mut table).await?;
    Ok(table)
}

struct Bench {
    server: Process,
    relay: Process,
    owner: Login,
    measured: Duration,
}

impl Bench {
    /// From an edit to a peer, in a quiet room of 20 and in a busy one.
    async fn latency(&self, table: &mut Table) -> anyhow::Result<()> {
        for (what, writers, rate) in [("quiet: 2 edits/s", 1, 2.0), ("busy: 200 edits/s", 20, 10.0)] {
            let shape = Shape { clients: 20, writers, rate, measured: self.measured };
            let (server, relay) = self.both(shape).await?;
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
                table.compare(
                    &format!("edit to peer {name}, 20 clients, {what}"),
                    "ms",
                    server.latency_ms(quantile),
                    relay.latency_ms(quantile),
                );
            }
        }
        Ok(())
    }

    /// What a delivery costs in CPU.
    async fn busy(&self, table: &mut Table, clients: usize, rate: f64) -> anyhow::Result<()> {
        let shape = Shape { clients, writers: clients, rate, measured: self.measured };
        let (server, relay) = self.both(shape).await?;
        let what = format!("{clients} connections, all writing {rate}/s");
        table.compare(
            &format!("CPU per delivery, {what}"),
            "µs",
            server.cpu_us_per_delivery(),
            relay.cpu_us_per_delivery(),
        );
        table.compare(
            &format!("deliveries per second, {what}"),
            "",
            server.deliveries_per_second(),
            relay.deliveries_per_second(),
        );
        table.compare(
            &format!("edit to peer p99, {what}"),
            "ms",
            server.latency_ms(0.99),
            relay.latency_ms(0.99),
        );
        Ok(())
    }

    /// The same traffic to both, one after the other.
    async fn both(&self, shape: Shape) -> anyhow::Result<(Figures, Figures)> {
        let design = self.owner.api.create("Busy").await?;
        let server = Target {
            url: self.owner.api.socket_url(&design),
            token: self.owner.access_token.clone(),
            dialect: Dialect::Atlas,
            handshake: true,
        };
        let relay = Target {
            url: format!("ws://{}/ws/{design}", self.relay.address),
            token: String::new(),
            dialect: Dialect::Atlas,
            handshake: false,
        };
        let server = traffic::run(&server, shape, self.server.pid).await.context("the server")?;
        let relay = traffic::run(&relay, shape, self.relay.pid).await.context("the relay")?;
        Ok((server, relay))
    }
}

/// What an idle connection and an open design hold.
async fn memory(server: &Process, owner: &Login, table: &mut Table) -> anyhow::Result<()> {
    let mut designs = Vec::new();
    for at in 0..IDLE_DESIGNS {
        designs.push(import(owner, &drawing(10, 10), at).await?);
    }
    let mut held = Vec::new();
    for design in &designs {
        held.push(join(owner, design).await?);
    }
    tokio::time::sleep(REST).await;
    let before = probe::resident_bytes(server.pid)?;
    for at in 0..IDLE_CONNECTIONS {
        held.push(join(owner, &designs[at % designs.len()]).await?);
    }
    tokio::time::sleep(REST).await;
    let per_connection = per(probe::resident_bytes(server.pid)?.saturating_sub(before), IDLE_CONNECTIONS);
    table.alone("memory per idle connection", "KiB", per_connection);

    let mut small = Vec::new();
    for at in 0..OPEN_DESIGNS {
        small.push(import(owner, &drawing(10, 10), at).await?);
    }
    tokio::time::sleep(REST).await;
    let before = probe::resident_bytes(server.pid)?;
    for design in &small {
        held.push(join(owner, design).await?);
    }
    tokio::time::sleep(REST).await;
    let grown = per(probe::resident_bytes(server.pid)?.saturating_sub(before), OPEN_DESIGNS);
    table.alone("memory per open design of 10 nodes, without its connection", "KiB", grown - per_connection);
    Ok(())
}

/// The first connection to a large design, from dialling to having it.
async fn cold_open(server: &Process, owner: &Login, table: &mut Table) -> anyhow::Result<()> {
    let mut designs = Vec::new();
    for at in 0..COLD_DESIGNS {
        designs.push(import(owner, &drawing(1_000, 2_000), at as usize).await?);
    }
    let (mut cold_ms, mut warm_ms) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    let cpu = probe::cpu_time(server.pid)?;
    for design in &designs {
        for times in [&mut cold_ms, &mut warm_ms] {
            let started = world::now();
            let (socket, document) = join(owner, design).await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            bytes = document;
            // The room stays open for the warm one.
            drop(socket);
        }
    }
    let cpu = probe::cpu_time(server.pid)?.saturating_sub(cpu);
    table.alone("cold open of 1,000 nodes and 2,000 edges", "ms", median(&mut cold_ms));
    table.alone("the same again, warm", "ms", median(&mut warm_ms));
    table.alone("the document of these as it is sent", "KiB", per(bytes as u64, 1));
    let cpu_ms = (cpu / COLD_DESIGNS).as_secs_f64() * 1e3;
    table.alone("CPU of the server for a cold and a warm open", "ms", cpu_ms);
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// A socket past its handshake, and how large the document was.
async fn join(owner: &Login, design: &str) -> anyhow::Result<(Socket, usize)> {
    let url = owner.api.socket_url(design);
    let mut socket = open_raw(&Connect::new(&url, Dialect::Atlas).token(&owner.access_token)).await?;
    let document = traffic::shake_hands(&mut socket).await?;
    Ok((socket, document.len()))
}

async fn import(owner: &Login, drawing: &Value, at: usize) -> anyhow::Result<String> {
    let mut drawing = drawing.clone();
    drawing["name"] = format!("Bench {at}").into();
    owner.api.import(drawing.to_string()).await
}

/// A design as the Koh Atlas page writes it.
fn drawing(nodes: usize, edges: usize) -> Value {
    let node = |at: usize| {
        json!({
            "id": format!("node-{at}"), "type": "custom",
            "position": {"x": at % 40 * 220, "y": at / 40 * 120}, "width": 180, "height": 60,
            "data": {
                "type": "application", "label": format!("Service {at}"), "zone": "private",
                "securityFlags": {"encrypted": at.is_multiple_of(2), "audited": true}
            }
        })
    };
    let edge = |at: usize| {
        json!({
            "id": format!("edge-{at}"), "type": "default", "label": "calls",
            "source": format!("node-{}", at % nodes), "target": format!("node-{}", (at * 7 + 1) % nodes),
            "data": {"protocol": "HTTPS", "port": 443, "encryption": "TLS 1.3", "securityFlags": {}}
        })
    };
    json!({"nodes": (0..nodes).map(node).collect::<Vec<_>>(), "edges": (0..edges).map(edge).collect::<Vec<_>>()})
}

/// KiB of each of `count`.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per(bytes: u64, count: usize) -> f64 {
    bytes as f64 / 1_024.0 / count as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
