//! Settings: from the environment, and from the TOML file that `ATLAS_CONFIG` names. The environment wins.
//!
//! [`Config::load`] is the only place of the server that reads the environment. Everything below it is a pure
//! function of what was read. All mistakes are found before any port opens and told at once. `settings.rs` is the
//! list of all settings with their defaults, `reader.rs` finds and checks single values.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use self::reader::Reader;

mod blobs;
mod bus;
mod reader;
mod settings;

pub use blobs::{Blobs, EncryptionKey, S3, Sse};
pub use bus::{Bus, Redis, RedisLayout, RedisLogin};
pub use settings::{SETTINGS, Setting};

/// Everything that can be set, one struct per concern.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    pub storage: Storage,
    pub bus: Bus,
    pub blobs: Blobs,
    pub jobs: Jobs,
    pub auth: Auth,
    pub log: Log,
}

/// Sockets, and how long they may take.
#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// How people reach the server: scheme, host and perhaps port, without a slash at the end.
    pub public_url: String,
    /// Origins of pages that may open sockets, in lower case without a slash at the end.
    pub allowed_origins: Vec<String>,
    /// Open sockets, HTTP and WebSocket together. More are refused with 503.
    pub connections_max: usize,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// A room without connections leaves memory after this.
    pub idle_evict: Duration,
    /// How long a stop may take before what still runs is cut off.
    pub drain: Duration,
    /// Bytes that a design keeps unsaved while the database takes nothing.
    pub unsaved_bytes_max: usize,
    /// Bytes that all designs together keep unsaved then.
    pub unsaved_bytes_total_max: usize,
}

/// Where data lies.
#[derive(Debug, Clone)]
pub struct Storage {
    pub data_dir: PathBuf,
    /// `None`: the embedded database in the data folder.
    pub database: Option<Database>,
}

/// A Postgres database.
#[derive(Debug, Clone)]
pub struct Database {
    pub url: SecretString,
    /// Of this process, all kinds together.
    pub connections: u32,
    /// Whether a server brings the schema up to date when it starts.
    pub migrates: bool,
}

/// Folding of logs, and what belongs to it; analyses.
#[derive(Debug, Clone)]
pub struct Jobs {
    pub compact_rows: u64,
    pub compact_bytes: u64,
    pub compact_leave_rows: u64,
    pub compact_quiet: Duration,
    pub compact_keep: Duration,
    pub sweep: Duration,
    pub workers: usize,
    pub backlog_bytes: u64,
    pub append_ids_kept: Duration,
    pub analysis_workers: usize,
    pub analysis_lease: Duration,
    pub analysis_sweep: Duration,
}

/// Accounts and tokens.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The claim `iss` of our tokens.
    pub jwt_issuer: String,
    /// The claim `aud` of our tokens.
    pub jwt_audience: String,
    /// RSA private key in PEM. `None`: one is made in the data folder at the first start.
    pub jwt_private_key: Option<SecretString>,
    /// RSA public key in PEM. `None`: the private key's own.
    pub jwt_public_key: Option<String>,
    pub registration: Registration,
    pub access_token_ttl: Duration,
    pub refresh_token_ttl: Duration,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Everybody who reaches the server.
    Open,
    /// Nobody.
    Closed,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub format: LogFormat,
    /// A level or a list of `tracing` directives.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object per line.
    Json,
}

/// One setting that cannot be used, and why. Never carries the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The variable, or the key in the file.
    pub name: String,
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

impl Config {
    /// Reads the environment of this process and the files that it names.
    ///
    /// # Errors
    /// All mistakes at once, in the order of their names.
    pub fn load() -> Result<Self, Vec<Mistake>> {
        // `vars` would panic on a value that is not Unicode, perhaps one that is none of our business.
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Self::from_environment(&environment, &|path| std::fs::read_to_string(path))
    }

    /// The same for any environment; `read_file` reads what `ATLAS_CONFIG` and the `…_FILE` variables name.
    pub fn from_environment(
        environment: &BTreeMap<String, String>,
        read_file: &dyn Fn(&Path) -> std::io::Result<String>,
    ) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader::new(environment, read_file);
        let config = Self {
            server: Server::read(&mut reader),
            storage: Storage::read(&mut reader),
            bus: Bus::read(&mut reader),
            blobs: Blobs::read(&mut reader),
            jobs: Jobs::read(&mut reader),
            auth: Auth::read(&mut reader),
            log: Log::read(&mut reader),
        };
        let mut mistakes = reader.into_mistakes();
        if mistakes.is_empty() {
            return Ok(config);
        }
        mistakes.sort_by(|a, b| a.name.cmp(&b.name));
        Err(mistakes)
    }
}

impl Server {
    fn read(reader: &mut Reader<'_>) -> Self {
        let listen = reader.address("ATLAS_LISTEN");
        let set_url = reader.origin("ATLAS_PUBLIC_URL");
        let public_url = set_url.clone().unwrap_or_else(|| format!("http://{listen}"));
        let allowed_origins = reader.origins("ATLAS_ALLOWED_ORIGINS").unwrap_or_else(|| match set_url {
            Some(url) => vec![url],
            None => origins_of(listen),
        });
        Self {
            listen,
            public_url,
            allowed_origins,
            connections_max: reader.count("ATLAS_MAX_CONNECTIONS", 1..=1_000_000),
            header_timeout: reader.millis("ATLAS_HEADER_TIMEOUT_MS", 1..=600_000),
            idle_evict: reader.millis("ATLAS_IDLE_EVICT_MS", 1..=86_400_000),
            drain: reader.seconds("ATLAS_DRAIN_SECS", 0..=3_600),
            unsaved_bytes_max: reader.count("ATLAS_LIMIT_UNSAVED_BYTES", 4 << 20..=16 << 20),
            unsaved_bytes_total_max: reader.count("ATLAS_LIMIT_UNSAVED_TOTAL_BYTES", 4 << 20..=256 << 20),
        }
    }
}

impl Storage {
    fn read(reader: &mut Reader<'_>) -> Self {
        let connections = reader.count("ATLAS_DB_CONNECTIONS", 10..=500);
        let migrates = reader.choice("ATLAS_MIGRATE", &[("auto", true), ("off", false)]);
        let database = reader.postgres_url("DATABASE_URL").map(|url| Database {
            url: SecretString::from(url),
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            migrates,
        });
        Self { data_dir: PathBuf::from(reader.text("ATLAS_DATA_DIR")), database }
    }
}

impl Jobs {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            compact_rows: reader.number("ATLAS_COMPACT_ROWS", 10..=1_000_000),
            compact_bytes: reader.number("ATLAS_COMPACT_BYTES", 1 << 10..=1 << 30),
            compact_leave_rows: reader.number("ATLAS_COMPACT_LEAVE_ROWS", 1..=1_000_000),
            compact_quiet: reader.seconds("ATLAS_COMPACT_QUIET_SECS", 1..=31_536_000),
            compact_keep: reader.seconds("ATLAS_COMPACT_KEEP_SECS", 0..=86_400),
            sweep: reader.seconds("ATLAS_SWEEP_SECS", 1..=86_400),
            workers: reader.count("ATLAS_WORKERS", 1..=64),
            backlog_bytes: reader.number("ATLAS_BACKLOG_BYTES", 1 << 20..=1 << 40),
            append_ids_kept: reader.seconds("ATLAS_APPEND_IDS_KEPT_SECS", 3_600..=31_536_000),
            analysis_workers: reader.count("ATLAS_ANALYSIS_WORKERS", 1..=64),
            analysis_lease: reader.seconds("ATLAS_ANALYSIS_LEASE_SECS", 2..=600),
            analysis_sweep: reader.seconds("ATLAS_ANALYSIS_SWEEP_SECS", 1..=86_400),
        }
    }
}

/// What browsers on this machine call a server on this address.
fn origins_of(listen: SocketAddr) -> Vec<String> {
    let port = listen.port();
    let mut origins = vec![format!("http://{listen}")];
    for host in ["localhost", "127.0.0.1"] {
        let origin = format!("http://{host}:{port}");
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

impl Auth {
    fn read(reader: &mut Reader<'_>) -> Self {
        let access_token_ttl = reader.seconds("ATLAS_ACCESS_TOKEN_SECS", 1..=86_400);
        let refresh_token_ttl = reader.seconds("ATLAS_REFRESH_TOKEN_SECS", 1..=31_536_000);
        if refresh_token_ttl < access_token_ttl {
            reader.mistake("ATLAS_REFRESH_TOKEN_SECS", "must not be less than ATLAS_ACCESS_TOKEN_SECS");
        }
        Self {
            jwt_issuer: reader.text("ATLAS_JWT_ISSUER"),
            jwt_audience: reader.text("ATLAS_JWT_AUDIENCE"),
            jwt_private_key: reader.pem("ATLAS_JWT_PRIVATE_KEY").map(SecretString::from),
            jwt_public_key: reader.pem("ATLAS_JWT_PUBLIC_KEY"),
            registration: reader.choice(
                "ATLAS_REGISTRATION",
                &[("open", Registration::Open), ("closed", Registration::Closed)],
            ),
            access_token_ttl,
            refresh_token_ttl,
        }
    }
}

impl Log {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            format: reader.choice("LOG_FORMAT", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            level: reader.log_filter("LOG_LEVEL"),
        }
    }
}

#[cfg(test)]
mod blob_tests;
#[cfg(test)]
mod bus_tests;
#[cfg(test)]
mod tests;
