//! The command line of the load generator.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use atlas_loadtest::api::Api;
use atlas_loadtest::bench;
use atlas_loadtest::bench::stores::Part;
use atlas_loadtest::client::Dialect;
use atlas_loadtest::relay::Relay;
use atlas_loadtest::traffic::{self, Shape, Target};
use clap::{Parser, Subcommand, ValueEnum};

/// Load for an Atlas Collab server, and a bare relay to compare it with.
#[derive(Debug, Parser)]
#[command(name = "atlas-loadtest", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve as a bare relay: what arrives on one socket leaves on all others under the same path.
    Relay {
        #[arg(long, default_value = "127.0.0.1:3001")]
        listen: SocketAddr,
    },
    /// Run one scenario against a server that is already there.
    Run(Run),
    /// Start a server and a relay, run everything against both, print one table.
    Bench {
        /// The server's binary, built with --release.
        #[arg(long, default_value = "target/release/atlas-collab")]
        server: PathBuf,
        /// Seconds that each clock runs.
        #[arg(long, default_value_t = 8)]
        secs: u64,
    },
    /// Start servers on a throw-away Postgres and on SQLite, let people write, print one table.
    Stores {
        /// The server's binary, built with --release.
        #[arg(long, default_value = "target/release/atlas-collab")]
        server: PathBuf,
        /// All of them unless said otherwise; repeat it for several.
        #[arg(long = "part", value_enum, default_values_t = [Part::Saving, Part::Archive, Part::History])]
        parts: Vec<Part>,
    },
    /// Start three servers on a throw-away Postgres and Redis, let people edit one design at all of them, print one table
    /// beside one server that has them all.
    Pods {
        /// The server's binary, built with --release.
        #[arg(long, default_value = "target/release/atlas-collab")]
        server: PathBuf,
        /// Seconds that each clock runs.
        #[arg(long, default_value_t = 15)]
        secs: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    #[arg(long, value_enum, default_value_t = Scenario::BusyRoom)]
    scenario: Scenario,
    /// Where the server listens, for example http://127.0.0.1:3000.
    #[arg(long)]
    url: String,
    /// The process whose CPU time is measured.
    #[arg(long)]
    pid: u32,
    /// Connections; everybody reads.
    #[arg(long, default_value_t = 20)]
    clients: usize,
    /// How many of them write; all unless said otherwise.
    #[arg(long)]
    writers: Option<usize>,
    /// Edits per second of each writer.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    #[arg(long, default_value_t = 10)]
    secs: u64,
    /// Speak to a bare relay: no accounts, no handshake.
    #[arg(long)]
    relay: bool,
    /// Speak plain y-protocols instead of atlas.v1.
    #[arg(long)]
    stock: bool,
    /// The account that is used, and made if it does not exist.
    #[arg(long, default_value = "load@example.org")]
    email: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scenario {
    /// Everybody on one design, each changing a value of their own.
    BusyRoom,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Relay { listen } => relay(listen).await,
        Command::Run(run) => scenario(run).await,
        Command::Bench { server, secs } => {
            bench::run(&server, Duration::from_secs(secs)).await.and_then(|table| say(&format!("\n{table}")))
        }
        Command::Stores { server, parts } => {
            bench::stores::run(&server, &parts).await.and_then(|table| say(&format!("\n{table}")))
        }
        Command::Pods { server, secs } => {
            let table = bench::pods::run(&server, Duration::from_secs(secs)).await;
            table.and_then(|table| say(&format!("\n{table}")))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "atlas-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn relay(listen: SocketAddr) -> anyhow::Result<()> {
    let relay = Relay::start(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    say(&format!("relay ready at http://{}\n", relay.address()))?;
    tokio::signal::ctrl_c().await?;
    if relay.dropped() != 0 {
        bail!("{} messages were dropped: its readers were too slow", relay.dropped());
    }
    Ok(())
}

async fn scenario(run: Run) -> anyhow::Result<()> {
    let Scenario::BusyRoom = run.scenario;
    let dialect = if run.stock { Dialect::Stock } else { Dialect::Atlas };
    let api = Api::new(&run.url)?;
    let target = if run.relay {
        Target { url: api.socket_url("busy-room"), token: String::new(), dialect, handshake: false }
    } else {
        let login = api.enter(&run.email).await?;
        let design = login.api.create("Busy room").await?;
        Target { url: api.socket_url(&design), token: login.access_token, dialect, handshake: true }
    };
    let shape = Shape {
        clients: run.clients,
        writers: run.writers.unwrap_or(run.clients).min(run.clients),
        rate: run.rate,
        measured: Duration::from_secs(run.secs),
    };
    let figures = traffic::run(&target, shape, run.pid).await?;
    say(&format!(
        "{} edits, {} deliveries in {} messages ({:.0} deliveries/s); edit to peer p50 {:.2} ms, p99 {:.2} ms; CPU \
         {:.2} s, {:.2} µs per delivery\n",
        figures.edits,
        figures.deliveries,
        figures.messages,
        figures.deliveries_per_second(),
        figures.latency_ms(0.5),
        figures.latency_ms(0.99),
        figures.cpu.as_secs_f64(),
        figures.cpu_us_per_delivery(),
    ))
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
