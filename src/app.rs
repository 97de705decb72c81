//! The composition root: from settings to a running server. The only place that names concrete adapters.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::analysis::RULESET_VERSION;
use crate::auth::AuthSettings;
use crate::auth::keys::Keys;
use crate::bus::Bus;
use crate::clock::{Clock, Ids};
use crate::config::{self, Config};
use crate::http::accept::{self, AcceptLimits};
use crate::http::credentials::Credentials;
use crate::http::health::{self, Analysing, Probes};
use crate::http::{self, AppState, HttpSettings, Registration};
use crate::hub::folds::FoldHints;
use crate::hub::stop::Unsaved;
use crate::hub::{Hub, HubDeps};
use crate::jobs::{Hints, JobDeps, Jobs};
use crate::lifecycle::Tasks;
use crate::store::Stores;
use crate::store::analyses::{AnalysisCounters, AnalysisHints};

pub mod commands;
pub mod open;
pub mod probe;

use open::Use;

/// How long the question whether anybody can sign in may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// By when, in percent of the drain window, what comes first at a stop has to be done: rooms, requests, the store, its tasks.
const STOPS_AT: [u32; 4] = [70, 80, 90, 100];
/// Hints about long logs that wait for the jobs; more are dropped, since a sweep finds these logs, too.
const FOLD_HINTS_MAX: usize = 1_024;
/// The same, about designs to be analysed.
const ANALYSIS_HINTS_MAX: usize = 4_096;

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    All,
    /// Serves people, and leaves jobs to others.
    Web,
    /// Does jobs, and answers probes.
    Worker,
}

/// A server that accepts connections. Ends with [`Running::stop`].
pub struct Running {
    /// Where it listens; with port 0 in the settings, the port that the system chose.
    pub addr: SocketAddr,
    stores: Stores,
    bus: Arc<dyn Bus>,
    /// `None`: it serves nobody.
    hub: Option<Hub>,
    jobs: Jobs,
    draining: http::Draining,
    tasks: Tasks,
    /// Cancelled once the rooms have ended: no more connections.
    accepting: CancellationToken,
    /// The store's own tasks: they outlive everything that stands on the store.
    store_tasks: Tasks,
    drain: Duration,
    /// How much of it the closes of sockets are spread over.
    spread: Duration,
    clock: Clock,
    /// Keeps what it locks.
    _blobs: open::Blobs,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Starts a server.
#[derive(Debug)]
pub struct App;

impl App {
    /// Opens everything, in the order of what needs what; the port last.
    ///
    /// # Errors
    /// When the database, the data folder, a key or the port cannot be used; the chain says which and why.
    pub async fn start(config: Config, role: Role) -> anyhow::Result<Running> {
        let (clock, tasks, store_tasks) = (Clock::system(), Tasks::new(), Tasks::new());
        let ids = Ids::system(clock.clone());
        let pod = ids.pod();
        let stores = open::store(&config, Use::Serve, &clock, &store_tasks).await?;
        let blobs = open::blobs(&config, Use::Serve, &ids).await?;
        blobs.look(&tasks);
        open::warn_of_what_is_not_shared(&config, role);
        let (folds, hints) = mpsc::channel(FOLD_HINTS_MAX);
        let (analyses, settled) = AnalysisHints::channel(ANALYSIS_HINTS_MAX);
        let counters = Arc::new(AnalysisCounters::default());
        let analysing = Analysing {
            counters: Arc::clone(&counters),
            hints: analyses.clone(),
            ruleset_version: RULESET_VERSION,
        };
        // Its tasks end with the store's: the last words are said when the rooms have gone.
        let bus = open::bus(&config, &clock, &ids, &store_tasks)?;
        let draining = http::Draining::default();
        let base =
            Base { clock: clock.clone(), ids: ids.clone(), tasks: tasks.clone(), draining: draining.clone() };
        let (router, hub) = if role == Role::Worker {
            let (store, upkeep) = (Arc::clone(&stores.store), Arc::clone(&stores.upkeep));
            let draining = draining.clone();
            let probes = Probes { store, upkeep, clock: clock.clone(), draining, hub: None, analysing };
            (health::router(probes), None)
        } else {
            let jobs = &config.jobs;
            let folds = FoldHints {
                to: folds,
                rows: jobs.compact_rows,
                bytes: jobs.compact_bytes,
                rows_at_leave: jobs.compact_leave_rows,
            };
            let hub = base.hub(&config, &stores, Arc::clone(&bus), pod, (folds, analyses));
            tasks.spawn("watch", hub.clone().watch());
            (base.router(&config, &stores, hub.clone(), analysing).await?, Some(hub))
        };
        let listener = TcpListener::bind(config.server.listen)
            .await
            .with_context(|| format!("cannot listen on {} (ATLAS_LISTEN)", config.server.listen))?;
        let addr = listener.local_addr().context("the listening socket has no address")?;

        let jobs = JobDeps {
            stores: stores.clone(),
            bus: Arc::clone(&bus),
            archive: blobs.archive.clone(),
            clock: clock.clone(),
            ids,
            tasks: tasks.clone(),
            pod,
            settings: open::job_settings(&config.jobs),
            counters,
        };
        let hints = Hints { folds: hints, analyses: settled };
        let jobs = Jobs::start(jobs, hints, role != Role::Web);
        let accepting = CancellationToken::new();
        let limits = AcceptLimits {
            connections_max: config.server.connections_max,
            head_timeout: config.server.header_timeout,
        };
        let serve = accept::serve(listener, router, limits, accepting.clone(), tasks.clone());
        tasks.spawn("accept loop", serve);
        if atlas_crdt::design::CAN_BE_POISONED {
            tracing::warn!("this is a build for tests: it fails on purpose at certain updates");
        }
        let data = config.storage.data_dir.display();
        let database = if config.storage.database.is_some() { "Postgres" } else { "in the data folder" };
        tracing::info!(%addr, %data, database, ?role, "ready: the page under / says how to get in");
        let drain = config.server.drain;
        // The embedded database has one server: whoever is sent away waits for its successor.
        let spread = if config.storage.database.is_some() { drain / 2 } else { Duration::ZERO };
        Ok(Running {
            addr,
            stores,
            bus,
            hub,
            jobs,
            draining,
            tasks,
            accepting,
            store_tasks,
            drain,
            spread,
            clock,
            _blobs: blobs,
        })
    }
}

/// What everything that serves people stands on.
struct Base {
    clock: Clock,
    ids: Ids,
    tasks: Tasks,
    draining: http::Draining,
}

impl Base {
    fn hub(
        &self,
        config: &Config,
        stores: &Stores,
        bus: Arc<dyn Bus>,
        pod: atlas_crdt::ids::PodId,
        (folds, analyses): (FoldHints, AnalysisHints),
    ) -> Hub {
        Hub::new(HubDeps {
            store: Arc::clone(&stores.store),
            bus,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tasks: self.tasks.clone(),
            pod,
            idle_evict: config.server.idle_evict,
            unsaved_bytes_max: config.server.unsaved_bytes_max,
            unsaved_bytes_total_max: config.server.unsaved_bytes_total_max,
            folds,
            analyses,
        })
    }

    async fn router(
        &self,
        config: &Config,
        stores: &Stores,
        hub: Hub,
        analysing: Analysing,
    ) -> anyhow::Result<Router> {
        let keys = open_keys(&config.auth, &config.storage.data_dir).await?;
        let store = Arc::clone(&stores.store);
        let settings = auth_settings(&config.auth)?;
        let auth = Credentials::new(store, self.clock.clone(), self.ids.clone(), keys, settings);
        Ok(http::router(AppState {
            store: Arc::clone(&stores.store),
            upkeep: Arc::clone(&stores.upkeep),
            analyses: Arc::clone(&stores.analyses),
            analysing,
            turns: http::analyses::Turns::default(),
            hub,
            auth: Arc::new(auth),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tasks: self.tasks.clone(),
            settings: Arc::new(http_settings(config)),
            draining: self.draining.clone(),
            heavy: http::HeavyWork::default(),
            bodies: http::extract::Bodies::default(),
        }))
    }
}

impl Running {
    /// Whether anybody can sign in. In doubt somebody can.
    pub async fn has_users(&self) -> bool {
        let asked = tokio::time::timeout(ASK_LIMIT, self.stores.store.has_users()).await;
        asked.is_ok_and(|answer| answer.unwrap_or(true))
    }

    /// Turns people away, closes every socket with 1012, one after the other where other servers may take over, saves what is
    /// unsaved, lets requests finish, and closes the store last. Takes the drain window at most, whatever the store does. False: something was
    /// unsaved, or the store was still at work.
    pub async fn stop(&self) -> bool {
        tracing::info!(drain_s = self.drain.as_secs(), "stopping");
        let began = self.clock.now();
        let left = |until: u32| {
            let gone = Duration::from_millis(self.clock.now().since(began));
            (self.drain * until / 100).saturating_sub(gone)
        };
        let [rooms, requests, store, rest] = STOPS_AT;
        self.draining.begin();
        self.jobs.stop();
        // Whoever comes meanwhile, because nobody has told them yet, is told to come again soon.
        if let Some(hub) = &self.hub {
            hub.drain_spread(self.spread, left(rooms)).await;
        }
        self.accepting.cancel();
        // What was still answering somebody is told in the log, and loses nothing.
        self.tasks.close_and_wait(left(requests)).await;
        // Rooms that were late may have saved their edits meanwhile.
        let all_saved = self.name_unsaved();
        self.bus.close().await;
        let store_closed = tokio::time::timeout(left(store), self.stores.store.close()).await.is_ok();
        let store_ended = self.store_tasks.close_and_wait(left(rest)).await;
        tracing::info!("stopped");
        all_saved && store_closed && store_ended
    }

    /// One line for each design with edits that nobody was told are saved: each is still in its author's client, and comes
    /// back with it. True: there is none.
    pub fn name_unsaved(&self) -> bool {
        let unsaved = self.hub.as_ref().map(Hub::unsaved).unwrap_or_default();
        for Unsaved { design, bytes } in &unsaved {
            tracing::error!(%design, unsaved_bytes = bytes, "a design stops with unsaved edits: they are with their authors");
        }
        unsaved.is_empty()
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
