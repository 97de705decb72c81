//! The composition root: from settings to a running server. The only place that names concrete adapters.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::auth::AuthSettings;
use crate::auth::keys::Keys;
use crate::blob::BlobStore;
use crate::blob::dir::DirBlobs;
use crate::bus::local::LocalBus;
use crate::clock::{Clock, Ids};
use crate::config::{self, Config};
use crate::http::accept::{self, AcceptLimits};
use crate::http::credentials::Credentials;
use crate::http::{self, AppState, HttpSettings, Registration};
use crate::hub::folds::FoldHints;
use crate::hub::{Hub, HubDeps, Unsaved};
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

pub mod commands;
pub mod probe;

/// After the drain window: for requests that are still being answered, and again for the store.
const TASKS_GRACE: Duration = Duration::from_secs(5);

/// Hints about long logs that wait for the jobs; more are dropped, since a sweep finds these logs, too.
const FOLD_HINTS_MAX: usize = 1_024;

/// A server that accepts connections. Ends with [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    /// Where it listens; with port 0 in the settings, the port that the system chose.
    pub addr: SocketAddr,
    state: AppState,
    /// Cancelled first: no more connections.
    accepting: CancellationToken,
    /// The store's own tasks: they outlive everything that stands on the store.
    store_tasks: Tasks,
    drain: Duration,
}

/// Starts a server.
#[derive(Debug)]
pub struct App;

impl App {
    /// Opens everything, in the order of what needs what; the port last.
    ///
    /// # Errors
    /// When the data folder, a key or the port cannot be used; the chain says which and why.
    pub async fn start(config: Config) -> anyhow::Result<Running> {
        let (clock, tasks, store_tasks) = (Clock::system(), Tasks::new(), Tasks::new());
        let ids = Ids::system(clock.clone());
        let data = &config.storage.data_dir;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(data, clock.clone(), &store_tasks).await?);
        let blobs = DirBlobs::open(&data.join("blobs"))?;
        blobs.check().await.context("the blob folder cannot be written")?;
        let keys = open_keys(&config.auth, data).await?;
        let auth = Credentials::new(
            Arc::clone(&store),
            clock.clone(),
            ids.clone(),
            keys,
            auth_settings(&config.auth)?,
        );
        let (folds, _) = tokio::sync::mpsc::channel(FOLD_HINTS_MAX);
        let hub = Hub::new(HubDeps {
            store: Arc::clone(&store),
            bus: Arc::new(LocalBus::new()),
            clock: clock.clone(),
            ids: ids.clone(),
            tasks: tasks.clone(),
            pod: ids.pod(),
            idle_evict: config.server.idle_evict,
            folds: FoldHints { to: folds, rows: 1_000, bytes: 1 << 20, rows_at_leave: 32 },
        });
        let listener = TcpListener::bind(config.server.listen)
            .await
            .with_context(|| format!("cannot listen on {} (ATLAS_LISTEN)", config.server.listen))?;
        let addr = listener.local_addr().context("the listening socket has no address")?;

        let accepting = CancellationToken::new();
        let state = AppState {
            store,
            hub,
            auth: Arc::new(auth),
            clock,
            ids,
            tasks,
            settings: Arc::new(http_settings(&config)),
            draining: http::Draining::default(),
            heavy: http::HeavyWork::default(),
            bodies: http::extract::Bodies::default(),
        };
        let limits = AcceptLimits {
            connections_max: config.server.connections_max,
            head_timeout: config.server.header_timeout,
        };
        let router = http::router(state.clone());
        let serve = accept::serve(listener, router, limits, accepting.clone(), state.tasks.clone());
        state.tasks.spawn("accept loop", serve);
        if atlas_crdt::design::CAN_BE_POISONED {
            tracing::warn!("this is a build for tests: it fails on purpose at certain updates");
        }
        tracing::info!(%addr, data = %data.display(), "ready: the page under / says how to get in");
        Ok(Running { addr, state, accepting, store_tasks, drain: config.server.drain })
    }
}

impl Running {
    /// Whether anybody can sign in. In doubt somebody can.
    pub async fn has_users(&self) -> bool {
        self.state.store.has_users().await.unwrap_or(true)
    }

    /// Turns people away, closes every socket with 1012 once its edits are saved, lets requests finish, and closes
    /// the store last. False: something was still at work after its time.
    pub async fn stop(self) -> bool {
        let Self { state, accepting, store_tasks, drain, .. } = self;
        tracing::info!(drain_s = drain.as_secs(), "stopping");
        state.draining.begin();
        accepting.cancel();
        let drained = state.hub.drain(drain).await;
        name_unsaved(&drained.unsaved);
        let tasks_ended = state.tasks.close_and_wait(TASKS_GRACE).await;
        let store_closed = tokio::time::timeout(TASKS_GRACE, state.store.close()).await.is_ok();
        let store_ended = store_tasks.close_and_wait(TASKS_GRACE).await;
        tracing::info!("stopped");
        drained.is_whole() && tasks_ended && store_closed && store_ended
    }
}

/// Nobody was told that these edits are saved: each is still in its author's client, and comes back with it.
fn name_unsaved(unsaved: &[Unsaved]) {
    for Unsaved { design, bytes } in unsaved {
        tracing::error!(%design, unsaved_bytes = bytes, "a design stops with unsaved edits: they are with their authors");
    }
}

/// Making a key takes up to a second, on a thread of its own.
async fn open_keys(auth: &config::Auth, data: &Path) -> anyhow::Result<Keys> {
    let private = auth.jwt_private_key.as_ref().map(ExposeSecret::expose_secret);
    let public: Vec<&str> = auth.jwt_public_key.as_deref().into_iter().collect();
    if private.is_some() || !public.is_empty() {
        return Ok(Keys::from_pem(private, &public)?);
    }
    let folder = data.join("keys");
    let keys = tokio::task::spawn_blocking(move || Keys::load_or_create(&folder)).await?;
    keys.context("the keys in the data folder cannot be used")
}

fn auth_settings(auth: &config::Auth) -> anyhow::Result<AuthSettings> {
    Ok(AuthSettings {
        issuer: auth.jwt_issuer.clone(),
        audience: auth.jwt_audience.clone(),
        access_ttl: auth.access_token_ttl.try_into().context("ATLAS_ACCESS_TOKEN_SECS")?,
        refresh_ttl: auth.refresh_token_ttl.try_into().context("ATLAS_REFRESH_TOKEN_SECS")?,
    })
}

fn http_settings(config: &Config) -> HttpSettings {
    let server = &config.server;
    // The address that we listen on is not one that people need to type: their own `Host` says how they reach us.
    let listening = format!("http://{}", server.listen);
    HttpSettings {
        allowed_origins: server.allowed_origins.clone(),
        public_url: (server.public_url != listening).then(|| server.public_url.clone()),
        registration: match config.auth.registration {
            config::Registration::Open => Registration::Open,
            config::Registration::Closed => Registration::Closed,
        },
    }
}
