//! Logs: sentences that read alone, plus fields with units, to the standard error stream.
//!
//! Never logged, at no level: tokens, tickets, passwords and their hashes, keys, e-mail addresses, names and labels,
//! update bytes, SQL parameters. Ids, counts, sizes and durations are fine.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins to log, once per process. `filter` is a level or a list of directives (`info,atlas_collab::hub=debug`);
/// with `json` each event is one JSON object per line.
///
/// # Errors
/// When the filter cannot be read, or somebody set up logging before.
pub fn init(json: bool, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("not a log filter: {filter}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr);
        registry.with(layer).try_init()
    } else {
        // Colours only for people.
        let layer =
            tracing_subscriber::fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
        registry.with(layer).try_init()
    };
    started.context("logging was set up before")
}
