//! The command line.
//!
//! Exit codes: 0 all went well, 1 something was found to be wrong, 2 wrong usage or settings.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use atlas_collab::app::commands::{self, Depth, Desk, ExportFormat, openapi};
use atlas_collab::app::open::Use;
use atlas_collab::app::{App, Role, probe};
use atlas_collab::config::{Config, LogFormat};
use atlas_collab::{lifecycle, telemetry};
use atlas_crdt::ids::DesignId;
use clap::{Parser, Subcommand, ValueEnum};

const FOUND_A_PROBLEM: u8 = 1;
const WRONG_USAGE: u8 = 2;
/// A check that could not be made says nothing about what it would have found.
const NOT_CHECKED: u8 = 2;
/// How long the end of the process waits for threads that are stuck.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// Many architects edit one design at the same time: the collaboration server of Koh Atlas.
#[derive(Debug, Parser)]
#[command(
    name = "atlas-collab",
    version,
    about,
    after_help = "Settings come from the environment (ATLAS_LISTEN, \
    ATLAS_DATA_DIR …) or from a TOML file that ATLAS_CONFIG names: see docs/OPERATIONS.md."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve designs until told to stop (Ctrl-C or SIGTERM).
    Serve {
        /// What this server does.
        #[arg(long, value_enum, default_value_t = ServerRole::All)]
        role: ServerRole,
    },
    /// Do jobs and answer probes, until told to stop: `serve --role worker`.
    Worker,
    /// Bring the schema of the database up to date. Any number of servers may do this at once.
    Migrate,
    /// Check that nothing of what is stored is missing or damaged. One line for each problem; exit code 1 if there is any, 2 if
    /// it could not be checked. Beside servers on Postgres; the embedded database must not be in use.
    Fsck {
        /// The design's id; without it, all designs.
        design: Option<DesignId>,
        /// Also read every blob, and make each snapshot again of the log's archived pieces.
        #[arg(long, conflicts_with = "no_blobs")]
        deep: bool,
        /// The database alone: not even whether blobs are there.
        #[arg(long)]
        no_blobs: bool,
    },
    /// Ask the server that runs with the same settings whether it is alive (exit code 0 or 1).
    Health,
    /// Write the OpenAPI document of the HTTP API to standard output.
    Openapi,
    /// Write a design to standard output. With the embedded database the server must not be running.
    Export {
        /// The design's id.
        design: DesignId,
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
    },
    /// Make a new design of a file. With the embedded database the server must not be running.
    Import {
        file: PathBuf,
        /// The e-mail address of the account that will own the design.
        #[arg(long)]
        owner: String,
        #[arg(long, default_value = "auto")]
        format: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ServerRole {
    /// Everything.
    All,
    /// Serve people, and leave jobs to others.
    Web,
    /// Do jobs, and answer probes.
    Worker,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The snapshot as the API serves it.
    Json,
    /// The whole document as one Yjs update.
    Yjs,
}

fn main() -> ExitCode {
    // Wrong usage ends here, with clap's exit code 2; `--help` with 0.
    let Cli { command } = Cli::parse();
    // Depends on no setting, so that it also answers where the settings are of no use.
    if matches!(command, Command::Openapi) {
        return say(openapi().as_bytes());
    }
    let config = match Config::load() {
        Ok(config) => config,
        Err(mistakes) => {
            let mut text = String::from("These settings cannot be used:\n");
            for mistake in mistakes {
                // Writing to a string does not fail.
                let _ = writeln!(text, "  {mistake}");
            }
            return fail(WRONG_USAGE, &text);
        }
    };
    if matches!(command, Command::Health) {
        return match probe::health(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(FOUND_A_PROBLEM, &format!("atlas-collab: {error:#}\n")),
        };
    }
    if let Err(error) = telemetry::init(config.log.format == LogFormat::Json, &config.log.level) {
        return fail(WRONG_USAGE, &format!("{error:#}\n"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(lifecycle::THREAD_STACK_BYTES)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(FOUND_A_PROBLEM, &format!("no threads to run on: {error}\n")),
    };
    let code = runtime.block_on(run(config, command));
    // A thread that waits for a disk or a network that does not answer holds up nobody.
    runtime.shutdown_timeout(LAST_GRACE);
    code
}

async fn run(config: Config, command: Command) -> ExitCode {
    let done = match command {
        Command::Serve { role } => return Box::pin(serve(config, role)).await,
        Command::Worker => return Box::pin(serve(config, ServerRole::Worker)).await,
        Command::Fsck { design, deep, no_blobs } => {
            let depth = if deep {
                Depth::Contents
            } else if no_blobs {
                Depth::Database
            } else {
                Depth::Names
            };
            return fsck(&config, design, depth).await;
        }
        Command::Migrate => {
            commands::migrate(&config).await.map(|()| b"The schema is up to date.\n".to_vec())
        }
        command => once(&config, command).await,
    };
    match done {
        Ok(output) => say(&output),
        Err(error) => fail(FOUND_A_PROBLEM, &format!("atlas-collab: {error:#}\n")),
    }
}

/// A command that does one thing to the database and ends. Returns what goes to standard output.
async fn once(config: &Config, command: Command) -> anyhow::Result<Vec<u8>> {
    let desk = Desk::open(config, Use::Write).await?;
    let outcome = match command {
        Command::Export { design, format: Format::Json } => desk.export(design, ExportFormat::Json).await,
        Command::Export { design, format: Format::Yjs } => desk.export(design, ExportFormat::Yjs).await,
        Command::Import { file, owner, format } => {
            desk.import(&file, &format, &owner).await.map(|(design, report)| {
                format!("{:#}\n", serde_json::json!({ "id": design, "report": report })).into_bytes()
            })
        }
        _ => Ok(Vec::new()),
    };
    desk.close().await;
    outcome
}

async fn fsck(config: &Config, design: Option<DesignId>, depth: Depth) -> ExitCode {
    let checked = async {
        let desk = Desk::open(config, Use::Look).await?;
        let mut tell = |line: &str| {
            // Whoever closed the pipe has seen enough.
            let _ = say(format!("{line}\n").as_bytes());
        };
        let checked = desk.fsck(config, design, depth, &mut tell).await;
        desk.close().await;
        checked
    };
    match checked.await {
        Ok(summary) => {
            let said = say(format!("{summary}\n").as_bytes());
            match (summary.problems, summary.unchecked) {
                (0, 0) => said,
                (0, _) => ExitCode::from(NOT_CHECKED),
                _ => ExitCode::from(FOUND_A_PROBLEM),
            }
        }
        Err(error) => fail(NOT_CHECKED, &format!("atlas-collab: not checked: {error:#}\n")),
    }
}

async fn serve(config: Config, role: ServerRole) -> ExitCode {
    let role = match role {
        ServerRole::All => Role::All,
        ServerRole::Web => Role::Web,
        ServerRole::Worker => Role::Worker,
    };
    let public_url = config.server.public_url.clone();
    let listen = config.server.listen;
    let running = match App::start(config, role).await {
        Ok(running) => running,
        Err(error) => return fail(FOUND_A_PROBLEM, &format!("atlas-collab cannot start: {error:#}\n")),
    };
    // With port 0, or without a public address of its own, the address that the system gave us.
    let public_url = if public_url == format!("http://{listen}") {
        format!("http://{}", running.addr)
    } else {
        public_url
    };
    let mut greeting = match role {
        Role::Worker => {
            format!("Atlas Collab does jobs; probes at http://{} (Ctrl-C stops).\n", running.addr)
        }
        _ => format!("Atlas Collab is ready at {public_url} (open it in a browser; Ctrl-C stops).\n"),
    };
    if role != Role::Worker && !running.has_users().await {
        greeting
            .push_str("Nobody has an account yet: whoever makes the first one there is the administrator.\n");
    }
    // Nobody at the terminal is no reason to stop.
    let _ = say(greeting.as_bytes());
    match lifecycle::stop_signal().await {
        Ok(signal) => tracing::info!(signal, "asked to stop; once more stops at once"),
        Err(error) => tracing::error!(error = %error, "no signals can be received: stopping"),
    }
    let stopped = tokio::select! {
        stopped = running.stop() => stopped,
        _ = lifecycle::stop_signal() => {
            tracing::warn!("asked again: stopping at once");
            running.name_unsaved();
            false
        }
    };
    if stopped { ExitCode::SUCCESS } else { ExitCode::from(FOUND_A_PROBLEM) }
}

/// To standard output, for the person at the terminal or the next program.
fn say(bytes: &[u8]) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FOUND_A_PROBLEM),
    }
}

fn fail(code: u8, text: &str) -> ExitCode {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(code)
}
