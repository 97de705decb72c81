//! Probes: alive, ready, started, and the details for operators.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::openapi::problems;
use super::problem::Problem;

/// A store that takes longer to answer is not one to send people to.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

pub fn routes() -> OpenApiRouter<AppState> {
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
    /// Designs that are open.
    rooms: usize,
    /// Open sockets.
    connections: usize,
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
async fn ready(State(state): State<AppState>) -> Result<Response, Problem> {
    if state.draining.has_begun() {
        return Err(Problem::unavailable("draining", "This server is going away.", 5));
    }
    if !store_answers(&state).await {
        return Err(Problem::unavailable("store_unavailable", "The store does not answer.", 5));
    }
    Ok(ok(ProbeStatus::Ready))
}

/// How the server is, with details
#[utoipa::path(get, path = "/api/ops/health", operation_id = "serverHealth", tag = "operations",
    responses(
        (status = 200, description = "The store answers.", body = HealthJson),
        (status = 503, description = "The store does not answer.", body = HealthJson)))]
async fn details(State(state): State<AppState>) -> Response {
    let began = state.clock.now();
    let store = store_answers(&state).await;
    let latency_ms = state.clock.now().since(began);
    let hub = state.hub.stats();
    let body = HealthJson {
        status: if store { Health::Ok } else { Health::Degraded },
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: state.clock.now().get() / 1_000,
        draining: state.draining.has_begun(),
        database: DatabaseJson {
            status: if store { Database::Ok } else { Database::Unavailable },
            latency_ms,
        },
        rooms: hub.rooms,
        connections: hub.connections,
    };
    let status = if store { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn store_answers(state: &AppState) -> bool {
    match tokio::time::timeout(CHECK_TIMEOUT, state.store.check()).await {
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
