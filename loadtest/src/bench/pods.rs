//! `make pod-figures`: what it takes until an edit is seen at another server, what that costs in Redis, and what each of three
//! servers of one design uses, beside one server that has everybody.
//!
//! Servers, database, Redis and load share this machine's cores: figures of one run are to be compared with each other.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::api::{Api, Login};
use crate::client::Dialect;
use crate::process::Process;
use crate::services::postgres::Postgres;
use crate::services::redis::Redis;
use crate::traffic::{self, Figures, Shape, Target};
use crate::world;

use super::Table;

const PODS: usize = 3;
const DATABASE: &str = "atlas";
/// Connections, how many of them write, and their edits per second.
const SHAPES: [(usize, usize, f64); 3] = [(30, 3, 2.0), (30, 30, 10.0), (150, 150, 2.0)];
/// How long it is counted what passes through Redis while nobody does anything.
const IDLE: Duration = Duration::from_secs(10);

/// Servers on one database, with whom everybody can sign in.
struct Fleet {
    redis: Redis,
    servers: Vec<Process>,
    owner: Login,
    /// Held as long as the servers.
    _postgres: Postgres,
    _folders: Vec<tempfile::TempDir>,
}

/// What Redis did so far.
#[derive(Debug, Clone, Copy)]
struct Traffic {
    messages: u64,
    /// From the servers to Redis.
    bytes_in: u64,
    /// From Redis to the servers.
    bytes_out: u64,
    /// Bytes of the answer that said so, which passed after it was counted.
    answer: u64,
}

/// Runs everything and returns one table. `measured`: how long each clock runs.
pub async fn run(binary: &Path, measured: Duration) -> anyhow::Result<Table> {
    let mut table = Table::of("three servers", "one server");
    let three = Fleet::start(binary, PODS).await.context("three servers")?;
    let one = Fleet::start(binary, 1).await.context("one server")?;
    let idle = [three.idle().await?, one.idle().await?];
    table.compare("Redis messages per second, one open design, nobody edits", "", idle[0].0, idle[1].0);
    table.compare("Redis bytes per second, in and out, the same", "B", idle[0].1, idle[1].1);
    for (clients, writers, rate) in SHAPES {
        let shape = Shape { clients, writers, rate, measured };
        let what = format!("{clients} people, {writers} write {rate}/s");
        let (many, redis) = three.traffic(shape).await.context("three servers")?;
        let (single, _) = one.traffic(shape).await.context("one server")?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let label = format!("edit to a peer elsewhere {name}, {what}");
            table.compare(&label, "ms", many.elsewhere_ms(quantile), single.latency_ms(quantile));
        }
        let cpu = [&many, &single]
            .map(|figures| 100.0 * figures.cpu.as_secs_f64() / figures.measured.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let each = cpu[0] / PODS as f64;
        table.compare(&format!("CPU of each server, {what}"), "% of a core", each, cpu[1]);
        table.compare(
            &format!("deliveries per second, {what}"),
            "",
            many.deliveries_per_second(),
            single.deliveries_per_second(),
        );
        let per_edit = |count: u64| ratio(count, many.edits);
        table.alone(&format!("Redis messages per edit, {what}"), "", per_edit(redis.messages));
        table.alone(&format!("Redis bytes in per edit, {what}"), "B", per_edit(redis.bytes_in));
        table.alone(&format!("Redis bytes out per edit, {what}"), "B", per_edit(redis.bytes_out));
    }
    Ok(table)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of.max(1) as f64
}

impl Fleet {
    async fn start(binary: &Path, pods: usize) -> anyhow::Result<Self> {
        let (postgres, redis) = (Postgres::start().await?, Redis::start().await?);
        postgres.create_database(DATABASE).await?;
        let mut settings = vec![
            ("ATLAS_ACCESS_TOKEN_SECS", "86400".to_owned()),
            ("DATABASE_URL", postgres.url(DATABASE)),
            ("REDIS_URL", redis.url()),
            // Its warning about the blobs' folder is not what is looked at here.
            ("LOG_LEVEL", "error".to_owned()),
        ];
        let (mut servers, mut folders) = (Vec::new(), Vec::new());
        for pod in 0..pods {
            let folder = tempfile::tempdir()?;
            servers.push(Process::server_with(binary, folder.path(), &settings).await?);
            if pod == 0 {
                // The first makes the key that all sign with.
                let key = std::fs::read_to_string(folder.path().join("keys/signing.pem"))?;
                settings.push(("ATLAS_JWT_PRIVATE_KEY", key));
            }
            folders.push(folder);
        }
        let owner = Api::at(servers[0].address)?.register("bench@example.org", "Bench").await?;
        Ok(Self { redis, servers, owner, _postgres: postgres, _folders: folders })
    }

    fn targets(&self, design: &str) -> Vec<Target> {
        let target = |server: &Process| Target {
            url: format!("ws://{}/ws/{design}", server.address),
            token: self.owner.access_token.clone(),
            dialect: Dialect::Atlas,
            handshake: true,
        };
        self.servers.iter().map(target).collect()
    }

    async fn passed(&self) -> anyhow::Result<Traffic> {
        let reply = self.redis.must(&["INFO", "stats", "commandstats"]).await?;
        let told = reply.text().context("INFO is no text")?;
        let after = |name: &str| told.lines().find_map(|line| line.strip_prefix(name));
        let count =
            |name: &str| -> anyhow::Result<u64> { Ok(after(name).context("INFO lacks a line")?.parse()?) };
        let calls = after("cmdstat_spublish:calls=").and_then(|rest| rest.split(',').next());
        Ok(Traffic {
            messages: calls.unwrap_or("0").parse()?,
            bytes_in: count("total_net_input_bytes:")?,
            bytes_out: count("total_net_output_bytes:")?,
            answer: told.len() as u64,
        })
    }

    /// Messages and bytes per second while somebody is connected to each server and nobody does anything.
    async fn idle(&self) -> anyhow::Result<(f64, f64)> {
        let design = self.owner.api.create("Idle").await?;
        let mut sockets = Vec::new();
        for target in self.targets(&design) {
            let connect = crate::client::Connect::new(&target.url, target.dialect).token(&target.token);
            let mut socket = crate::client::open_raw(&connect).await?;
            traffic::shake_hands(&mut socket).await?;
            sockets.push(socket);
        }
        let (before, began) = (self.passed().await?, world::now());
        tokio::time::sleep(IDLE).await;
        let (passed, seconds) = (self.passed().await?.since(before), began.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let each = [passed.messages, passed.bytes_in + passed.bytes_out].map(|count| count as f64 / seconds);
        Ok((each[0], each[1]))
    }

    async fn traffic(&self, shape: Shape) -> anyhow::Result<(Figures, Traffic)> {
        let design = self.owner.api.create("Busy").await?;
        let pids: Vec<u32> = self.servers.iter().map(|server| server.pid).collect();
        let targets = self.targets(&design);
        let before = self.passed().await?;
        let mut figures = traffic::run_at(&targets, shape, &pids).await?;
        let passed = self.passed().await?.since(before);
        // Redis is asked before the warm-up and after the end: it counts what was written then, too.
        let seconds = figures.measured.as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let all = (figures.edits as f64 * (seconds + traffic::WARM_UP.as_secs_f64()) / seconds) as u64;
        figures.edits = all;
        Ok((figures, passed))
    }
}

impl Traffic {
    const fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages - before.messages,
            bytes_in: self.bytes_in - before.bytes_in,
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out + before.answer),
            answer: 0,
        }
    }
}
