//! Probes: alive, ready, started, and the details for operators. A server that only does jobs offers nothing else.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::problems;
use super::problem::Problem;
use super::{AppState, Draining};
use crate::clock::Clock;
use crate::hub::Hub;
use crate::store::Store;
use crate::store::analyses::{AnalysisCounters, AnalysisHints};
use crate::store::folds::BacklogSize;
use crate::store::upkeep::Upkeep;

/// A store that takes longer to answer is not one to send people to.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What probes look at.
#[derive(Clone)]
pub struct Probes {
    pub store: Arc<dyn Store>,
    pub upkeep: Arc<dyn Upkeep>,
    pub clock: Clock,
    pub draining: Draining,
    /// `None`: no design is ever open here.
    pub hub: Option<Hub>,
    pub analysing: Analysing,
}

/// What those who serve people know of the jobs that analyse.
#[derive(Debug, Clone)]
pub struct Analysing {
    pub counters: Arc<AnalysisCounters>,
    pub hints: AnalysisHints,
    /// Of the rules that this server has.
    pub ruleset_version: &'static str,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

impl FromRef<AppState> for Probes {
    fn from_ref(state: &AppState) -> Self {
        Self {
            store: Arc::clone(&state.store),
            upkeep: Arc::clone(&state.upkeep),
            clock: state.clock.clone(),
            draining: state.draining.clone(),
            hub: Some(state.hub.clone()),
            analysing: state.analysing.clone(),
        }
    }
}

/// The probes alone.
pub fn router(probes: Probes) -> Router {
    let (router, _) = routes::<Probes>().split_for_parts();
    router.with_state(probes)
}

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Probes: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(ready))
        .routes(routes!(startup))
        .routes(routes!(details))
}

/// The answer of a probe.
#[derive(Serialize, ToSchema)]
#[schema(as = Probe)]
struct ProbeJson {
    status: ProbeStatus,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ProbeStatus {
    Ok,
    Started,
    Ready,
}

/// How the server is.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerHealth)]
struct HealthJson {
    status: Health,
    version: &'static str,
    /// Seconds.
    uptime_s: u64,
    /// A stop has begun.
    draining: bool,
    database: DatabaseJson,
    /// Archived pieces of logs, and snapshots, that wait in the database for the blob store. `null`: the store does not say.
    blob_backlog: Option<BacklogJson>,
    /// Redis, as far as this server knows it. `null`: none is set.
    bus: Option<BusJson>,
    /// Designs that are open.
    rooms: usize,
    /// Open sockets.
    connections: usize,
    /// Other servers on the same bus that are heard of.
    pods: usize,
    /// How often a document here and the one of another server differed at the same place of the log, and was loaded anew. Not
    /// 0: report it.
    divergences: u64,
    look: LookJson,
    analysis: AnalysisJson,
}

/// What became of the analyses that this server made, since its start.
#[derive(Serialize, ToSchema)]
#[schema(as = AnalysisFigures)]
struct AnalysisJson {
    ruleset_version: &'static str,
    /// The rules ran.
    runs: u64,
    /// A design had settled, and nothing that rules can see had changed.
    settle_skipped_noop: u64,
    /// The rules had said it before, as after an edit and its undo.
    cache_hits: u64,
    /// Only what people decided had changed.
    rescored: u64,
    /// Tries that failed.
    failures: u64,
    /// Designs that are not tried again before their next edit. Not 0: the log says why.
    dead_letters: u64,
    /// Settled designs that the jobs were not told of at once, since they had too much to do.
    hints_dropped: u64,
}

impl AnalysisJson {
    fn of(analysing: &Analysing) -> Self {
        let figures = analysing.counters.read();
        Self {
            ruleset_version: analysing.ruleset_version,
            runs: figures.runs,
            settle_skipped_noop: figures.settle_skipped_noop,
            cache_hits: figures.cache_hits,
            rescored: figures.rescored,
            failures: figures.failures,
            dead_letters: figures.dead_letters,
            hints_dropped: analysing.hints.dropped(),
        }
    }
}

/// The looks into the database by which a server notices what others changed, several times a second while a design is open.
#[derive(Serialize, ToSchema)]
#[schema(as = StoreLook)]
struct LookJson {
    status: Looks,
    /// Milliseconds since the last one that succeeded. `null`: there was none yet.
    #[schema(required)]
    age_ms: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = StoreLookStatus)]
enum Looks {
    Ok,
    Failing,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ServerHealthStatus)]
enum Health {
    Ok,
    Degraded,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseHealth)]
struct DatabaseJson {
    status: Database,
    /// Milliseconds that the check took.
    latency_ms: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BlobBacklog)]
struct BacklogJson {
    blobs: u64,
    bytes: u64,
    /// Since when the oldest waits.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest: Option<OffsetDateTime>,
}

/// What was counted since the start.
#[derive(Serialize, ToSchema)]
#[schema(as = BusHealth)]
struct BusJson {
    is_connected: bool,
    /// Messages.
    published: u64,
    /// Messages that were not published, since Redis was away or too slow.
    dropped: u64,
    /// Messages, this server's own among them.
    received: u64,
    /// Messages that this version cannot read.
    undecodable: u64,
    /// How often a design was told that it may have missed some, since Redis was away.
    gaps: u64,
    /// Messages that a design was too busy to take; it reads the log instead.
    lost: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DatabaseStatus)]
enum Database {
    Ok,
    Unavailable,
}

/// Whether the process runs
///
/// Asks nothing else: restarting it mends no store.
#[utoipa::path(get, path = "/health", operation_id = "health", tag = "operations",
    responses((status = 200, description = "It does.", body = ProbeJson)))]
async fn health() -> Response {
    ok(ProbeStatus::Ok)
}

/// Whether the server has started
///
/// Migrations are done before the port opens.
#[utoipa::path(get, path = "/startup", operation_id = "startup", tag = "operations",
    responses((status = 200, description = "It has.", body = ProbeJson)))]
async fn startup() -> Response {
    ok(ProbeStatus::Started)
}

/// Whether people can be sent here
///
/// The store answers and no stop has begun.
#[utoipa::path(get, path = "/ready", operation_id = "ready", tag = "operations",
    responses((status = 200, description = "They can.", body = ProbeJson), problems::Trouble))]
async fn ready(State(probes): State<Probes>) -> Result<Response, Problem> {
    if probes.draining.has_begun() {
        return Err(Problem::unavailable("draining", "This server is going away.", 5));
    }
    if !store_answers(&probes).await {
        return Err(Problem::unavailable("store_unavailable", "The store does not answer.", 5));
    }
    Ok(ok(ProbeStatus::Ready))
}

/// How the server is, with details
#[utoipa::path(get, path = "/api/ops/health", operation_id = "serverHealth", tag = "operations",
    responses(
        (status = 200, description = "The store answers.", body = HealthJson),
        (status = 503, description = "The store does not answer.", body = HealthJson)))]
async fn details(State(probes): State<Probes>) -> Response {
    let began = probes.clock.now();
    let store = store_answers(&probes).await;
    let latency_ms = probes.clock.now().since(began);
    let hub = probes.hub.as_ref().map(Hub::stats).unwrap_or_default();
    let blob_backlog = if store { backlog(&probes).await } else { None };
    let body = HealthJson {
        status: if store { Health::Ok } else { Health::Degraded },
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: probes.clock.now().get() / 1_000,
        draining: probes.draining.has_begun(),
        database: DatabaseJson {
            status: if store { Database::Ok } else { Database::Unavailable },
            latency_ms,
        },
        blob_backlog,
        bus: probes.hub.as_ref().and_then(bus),
        rooms: hub.rooms,
        connections: hub.connections,
        pods: hub.pods,
        divergences: hub.divergences,
        look: LookJson {
            status: if hub.looks_fail { Looks::Failing } else { Looks::Ok },
            age_ms: hub.look_age_ms,
        },
        analysis: AnalysisJson::of(&probes.analysing),
    };
    let status = if store { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn bus(hub: &Hub) -> Option<BusJson> {
    let stats = hub.bus().stats()?;
    Some(BusJson {
        is_connected: stats.is_connected,
        published: stats.published,
        dropped: stats.dropped,
        received: stats.received,
        undecodable: stats.undecodable,
        gaps: stats.gaps,
        lost: stats.lost,
    })
}

async fn backlog(probes: &Probes) -> Option<BacklogJson> {
    let size = tokio::time::timeout(CHECK_TIMEOUT, probes.upkeep.backlog_size()).await;
    let BacklogSize { blobs, bytes, oldest } = size.ok()?.ok()?;
    Some(BacklogJson { blobs, bytes, oldest })
}

async fn store_answers(probes: &Probes) -> bool {
    match tokio::time::timeout(CHECK_TIMEOUT, probes.store.check()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(cause = format!("{:#}", anyhow::Error::from(error)), "the store does not answer");
            false
        }
        Err(_) => {
            tracing::warn!("the store takes too long to answer");
            false
        }
    }
}

fn ok(status: ProbeStatus) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(ProbeJson { status })).into_response()
}
