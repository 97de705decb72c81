//! Opens what the settings name: the database, the blobs and the folder between them, the bus.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;

use super::Role;
use crate::blob::BlobStore;
use crate::blob::archive::{Archive, SealKey};
use crate::blob::dir::DirBlobs;
use crate::blob::s3::{S3Blobs, S3Encryption, S3Patience, S3Settings};
use crate::bus::Bus;
use crate::bus::local::LocalBus;
use crate::bus::redis::{RedisBus, RedisLayout, RedisLogin, RedisSettings};
use crate::clock::{Clock, Ids};
use crate::config::{self, Config};
use crate::jobs::{AnalysisSettings, FoldSettings, JobSettings};
use crate::lifecycle::Tasks;
use crate::store::Stores;
use crate::store::postgres::{PgSettings, PgStore};
use crate::store::sqlite::{SqliteStore, own_folder};

/// A design that nobody has edited for so long, and that no room said has settled, is analysed by whoever finds it.
const ANALYSIS_QUIET: Duration = Duration::from_secs(5);

/// What a process may do with what it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Everything.
    Serve,
    /// A command that changes designs. It makes no data folder where there is none.
    Write,
    /// A command that looks, also beside servers.
    Look,
}

/// The database.
pub async fn store(config: &Config, purpose: Use, clock: &Clock, tasks: &Tasks) -> anyhow::Result<Stores> {
    let Some(database) = &config.storage.database else {
        let data = &config.storage.data_dir;
        if purpose != Use::Serve && !data.is_dir() {
            bail!("there is no data folder {} (ATLAS_DATA_DIR)", data.display());
        }
        return Ok(Stores::new(SqliteStore::open(data, clock.clone(), tasks).await?));
    };
    let migrates = database.migrates && purpose != Use::Look;
    let settings = PgSettings { migrates, ..shares(database.connections) };
    let url = database.url.expose_secret();
    let store = PgStore::open(url, settings, clock.clone(), tasks).await;
    Ok(Stores::new(store.context("the database of DATABASE_URL cannot be used")?))
}

/// Brings the schema up to date.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    if let Some(database) = &config.storage.database {
        let url = database.url.expose_secret();
        return PgStore::migrate(url).await.context("the database of DATABASE_URL cannot be used");
    }
    // Opening it is all that it takes.
    let tasks = Tasks::new();
    let stores = store(config, Use::Write, &Clock::system(), &tasks).await?;
    stores.store.close().await;
    Ok(())
}

/// How the connections of a process are shared out. More lanes than a few make smaller commits, not faster ones, and each
/// load holds a log in memory: what is left is for requests.
fn shares(connections: u32) -> PgSettings {
    let part = (connections * 2 / 11).clamp(1, 16);
    let upkeep = (connections / 11).clamp(1, 8);
    // One of each kind at least.
    let asides = part.max(2);
    PgSettings {
        connections: connections - 2 * part - asides - upkeep,
        loads: part,
        upkeep,
        lanes: part as usize,
        asides: asides as usize,
        ..PgSettings::default()
    }
}

/// Where blobs lie.
#[derive(Debug)]
pub struct Blobs {
    pub archive: Archive,
    /// The data folder is this process's own for as long as it lives.
    _lock: Option<File>,
}

/// The blobs. A blob store that is away is no reason not to start: what is to be archived waits.
pub async fn blobs(config: &Config, purpose: Use, ids: &Ids) -> anyhow::Result<Blobs> {
    let data = &config.storage.data_dir;
    let folder = data.join("blobs");
    let mut lock = None;
    let blobs: Arc<dyn BlobStore> = match (&config.blobs.s3, purpose) {
        (Some(s3), _) => Arc::new(S3Blobs::open(s3_settings(s3)).await),
        (None, Use::Serve) => {
            // The embedded database holds the lock itself.
            if config.storage.database.is_some() {
                lock = Some(own_folder(data)?);
            }
            Arc::new(DirBlobs::open(&folder)?)
        }
        (None, Use::Write | Use::Look) => Arc::new(DirBlobs::beside(&folder)),
    };
    let keys = config.blobs.encryption_keys.iter().map(seal_key).collect::<anyhow::Result<Vec<_>>>();
    let keys = keys.context("ATLAS_ENCRYPTION_KEYS")?;
    Ok(Blobs { archive: Archive::new(blobs, keys, ids.clone()), _lock: lock })
}

fn seal_key(key: &config::EncryptionKey) -> anyhow::Result<SealKey> {
    let bytes: &[u8; 32] = key.key.expose_secret().try_into().context("a key has not 32 bytes")?;
    SealKey::new(&key.id, bytes)
}

fn s3_settings(s3: &config::S3) -> S3Settings {
    S3Settings {
        bucket: s3.bucket.clone(),
        endpoint: s3.endpoint.clone(),
        region: s3.region.clone(),
        key_prefix: s3.key_prefix.clone(),
        force_path_style: s3.force_path_style,
        encryption: match &s3.sse {
            config::Sse::None => S3Encryption::BucketDefault,
            config::Sse::Aes256 => S3Encryption::Aes256,
            config::Sse::Kms { key_id } => S3Encryption::Kms { key_id: key_id.clone() },
        },
        credentials: None,
        patience: S3Patience::default(),
    }
}

impl Blobs {
    /// Says so if they cannot be used, soon. What is to be archived waits in the database.
    pub fn look(&self, tasks: &Tasks) {
        let blobs = Arc::clone(self.archive.blobs());
        let stop = tasks.token().clone();
        drop(tasks.spawn("first look at the blobs", async move {
            let looked = tokio::select! {
                looked = blobs.check() => looked,
                () = stop.cancelled() => return,
            };
            if let Err(error) = looked {
                let cause = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(
                    cause,
                    "blobs cannot be stored: what is to be archived waits in the database"
                );
            }
        }));
    }
}

/// What connects this server to others. A Redis that is away is no reason not to start.
pub fn bus(config: &Config, clock: &Clock, ids: &Ids, tasks: &Tasks) -> anyhow::Result<Arc<dyn Bus>> {
    let Some(redis) = &config.bus.redis else { return Ok(Arc::new(LocalBus::new())) };
    let bus = RedisBus::open(&redis_settings(redis), clock, ids, tasks);
    Ok(Arc::new(bus.context("Redis cannot be used (REDIS_URL, REDIS_CA)")?))
}

fn redis_settings(redis: &config::Redis) -> RedisSettings {
    let login = |login: &Option<config::RedisLogin>| {
        login.as_ref().map(|login| RedisLogin { user: login.user.clone(), password: login.password.clone() })
    };
    RedisSettings {
        layout: match &redis.layout {
            config::RedisLayout::Single => RedisLayout::Single,
            config::RedisLayout::Cluster => RedisLayout::Cluster,
            config::RedisLayout::Sentinel { service, login: of_sentinels } => {
                RedisLayout::Sentinel { service: service.clone(), login: login(of_sentinels) }
            }
        },
        hosts: redis.hosts.clone(),
        has_tls: redis.has_tls,
        login: login(&redis.login),
        authority: redis.authority.clone(),
        prefix: redis.prefix.clone(),
    }
}

/// What works for one server and not for several.
pub fn warn_of_what_is_not_shared(config: &Config, role: Role) {
    let auth = &config.auth;
    if config.storage.database.is_none() {
        if config.bus.redis.is_some() {
            tracing::warn!(
                "nobody else can use the embedded database: there is nobody to reach through Redis"
            );
        }
        if role == Role::Web {
            tracing::warn!(
                "nobody else can use the embedded database: without jobs (`--role all`) logs grow for ever"
            );
        }
        return;
    }
    if config.bus.redis.is_none() && role != Role::Worker {
        tracing::info!(
            "servers on one database see each other's edits within a second, and nobody's pointers: REDIS_URL shows both at once"
        );
    }
    if config.blobs.s3.is_none() {
        tracing::warn!(
            "blobs lie in this server's data folder: several servers on one database need S3_BUCKET"
        );
    }
    if role != Role::Worker && auth.jwt_private_key.is_none() && auth.jwt_public_key.is_none() {
        tracing::warn!(
            "this server signs with a key of its own: several servers on one database need ATLAS_JWT_PRIVATE_KEY"
        );
    }
}

/// Settings of the jobs, as the jobs want them.
pub fn job_settings(config: &config::Jobs) -> JobSettings {
    JobSettings {
        folds: FoldSettings {
            rows: config.compact_rows,
            bytes: config.compact_bytes,
            rows_at_leave: config.compact_leave_rows,
            quiet_for: config.compact_quiet,
            keep: config.compact_keep,
            sweep_every: config.sweep,
        },
        analyses: AnalysisSettings {
            workers: config.analysis_workers,
            lease: config.analysis_lease,
            sweep_every: config.analysis_sweep,
            quiet_for: ANALYSIS_QUIET,
        },
        workers: config.workers,
        backlog_bytes_max: config.backlog_bytes,
        appends_kept: config.append_ids_kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_shared_out_to_the_last() {
        for total in [10, 11, 22, 23, 100, 500] {
            let PgSettings { connections, loads, upkeep, lanes, asides, .. } = shares(total);
            assert!(4 <= connections && 0 < loads && 0 < upkeep && 0 < lanes && 1 < asides, "{total}");
            assert_eq!(connections + loads + upkeep + u32::try_from(lanes + asides).unwrap(), total);
        }
        let (usual, ours) = (PgSettings::default(), shares(22));
        assert_eq!(format!("{usual:?}"), format!("{ours:?}"), "the default of both is the same");
    }
}
