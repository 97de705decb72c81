//! Logs: sentences that read alone, plus fields with units, to the standard error stream.
//!
//! Never logged, at no level: tokens, tickets, passwords and their hashes, keys, e-mail addresses, names and labels,
//! update bytes, SQL parameters. Ids, counts, sizes and durations are fine.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins to log, once per process. `filter` is a level or a list of directives (`info,atlas_collab::hub=debug`);
/// with `json` each event is one JSON object per line.
///
/// # Errors
/// When the filter cannot be read, or somebody set up logging before.
pub fn init(json: bool, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("not a log filter: {filter}"))?;
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(is_fit));
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

/// The beginnings of targets, and the most that is heard of them. Below `info` the AWS crates log whole requests, session
/// tokens and bodies among them; what happens to Redis the bus says itself, once.
const TALKATIVE: [(&str, Level); 3] =
    [("aws_", Level::INFO), ("fred", Level::ERROR), ("redis_protocol", Level::ERROR)];

fn is_fit(event: &Metadata<'_>) -> bool {
    let is_too_much =
        |(target, most): &(&str, Level)| event.target().starts_with(target) && *most < *event.level();
    !TALKATIVE.iter().any(is_too_much)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_to_others_are_logged_at_no_level() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new("trace,aws_sigv4=trace"));
        tracing::subscriber::with_default(subscriber.with(filter_fn(is_fit)).with(layer), || {
            tracing::trace!(target: "aws_smithy_runtime::client", "secret 1");
            tracing::debug!(target: "aws_sigv4", "secret 2");
            tracing::warn!(target: "fred::router", "secret 3");
            tracing::info!(target: "aws_config", "harmless 1");
            tracing::trace!(target: "atlas_collab::blob", "harmless 2");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("secret") && text.matches("harmless").count() == 2, "{text}");
    }
}
