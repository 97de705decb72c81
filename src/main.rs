//! The command line.
//!
//! Exit codes: 0 all went well, 1 something was found to be wrong, 2 wrong usage or settings.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use atlas_collab::app::commands::{ExportFormat, Folder, openapi};
use atlas_collab::app::{App, probe};
use atlas_collab::config::{Config, LogFormat};
use atlas_collab::{lifecycle, telemetry};
use atlas_crdt::ids::DesignId;
use clap::{Parser, Subcommand, ValueEnum};

/// A Yjs document may be nested as deep as the gate lets it; decoding one recurses.
const STACK_BYTES: usize = 4 << 20;
const FOUND_A_PROBLEM: u8 = 1;
const WRONG_USAGE: u8 = 2;

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
    Serve,
    /// Ask the server that runs with the same settings whether it is alive (exit code 0 or 1).
    Health,
    /// Write the OpenAPI document of the HTTP API to standard output.
    Openapi,
    /// Write a design to standard output. The server must not be running.
    Export {
        /// The design's id.
        design: DesignId,
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
    },
    /// Make a new design of a file. The server must not be running.
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
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(FOUND_A_PROBLEM, &format!("no threads to run on: {error}\n")),
    };
    match command {
        Command::Serve => runtime.block_on(serve(config)),
        command => match runtime.block_on(once(&config, command)) {
            Ok(output) => say(&output),
            Err(error) => fail(FOUND_A_PROBLEM, &format!("atlas-collab: {error:#}\n")),
        },
    }
}

/// A command that does one thing to the data folder and ends. Returns what goes to standard output.
async fn once(config: &Config, command: Command) -> anyhow::Result<Vec<u8>> {
    let folder = Folder::open(config).await?;
    let outcome = match command {
        Command::Serve | Command::Health | Command::Openapi => Ok(Vec::new()),
        Command::Export { design, format: Format::Json } => folder.export(design, ExportFormat::Json).await,
        Command::Export { design, format: Format::Yjs } => folder.export(design, ExportFormat::Yjs).await,
        Command::Import { file, owner, format } => {
            folder.import(&file, &format, &owner).await.map(|(design, report)| {
                format!("{:#}\n", serde_json::json!({ "id": design, "report": report })).into_bytes()
            })
        }
    };
    folder.close().await;
    outcome
}

async fn serve(config: Config) -> ExitCode {
    let public_url = config.server.public_url.clone();
    let listen = config.server.listen;
    let running = match App::start(config).await {
        Ok(running) => running,
        Err(error) => return fail(FOUND_A_PROBLEM, &format!("atlas-collab cannot start: {error:#}\n")),
    };
    // With port 0, or without a public address of its own, the address that the system gave us.
    let public_url = if public_url == format!("http://{listen}") {
        format!("http://{}", running.addr)
    } else {
        public_url
    };
    let mut greeting =
        format!("Atlas Collab is ready at {public_url} (open it in a browser; Ctrl-C stops).\n");
    if !running.has_users().await {
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
