//! The command line.
//!
//! Exit codes: 0 all went well, 1 something was found to be wrong, 2 wrong usage or settings.

use std::io::Write as _;
use std::process::ExitCode;

use atlas_collab::app::App;
use atlas_collab::config::{Config, LogFormat};
use atlas_collab::{lifecycle, telemetry};
use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    // Wrong usage ends here, with clap's exit code 2; `--help` with 0.
    let Cli { command: Command::Serve } = Cli::parse();
    let config = match Config::load() {
        Ok(config) => config,
        Err(mistakes) => {
            let mut text = String::from("These settings cannot be used:\n");
            for mistake in mistakes {
                text.push_str(&format!("  {mistake}\n"));
            }
            return fail(WRONG_USAGE, &text);
        }
    };
    if let Err(error) = telemetry::init(config.log.format == LogFormat::Json, &config.log.level) {
        return fail(WRONG_USAGE, &format!("{error:#}\n"));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => fail(FOUND_A_PROBLEM, &format!("no threads to run on: {error}\n")),
    }
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
    say(&format!("Atlas Collab is ready at {public_url} (open it in a browser; Ctrl-C stops).\n"));
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

/// For the person at the terminal. Nobody there is no reason to fail.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn fail(code: u8, text: &str) -> ExitCode {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(code)
}
