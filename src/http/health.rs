//! Probes: alive, ready, started, and the details for operators.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::json;

use super::AppState;
use super::problem::Problem;

/// A store that takes longer to answer is not one to send people to.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/startup", get(startup))
        .route("/api/ops/health", get(details))
}

/// The process runs and answers. Asks nothing else: restarting it mends no store.
async fn health() -> Response {
    ok(json!({ "status": "ok" }))
}

/// Migrations are done before the port opens.
async fn startup() -> Response {
    ok(json!({ "status": "started" }))
}

/// 200 when people can be sent here: the store answers and no stop has begun. 503 otherwise.
async fn ready(State(state): State<AppState>) -> Result<Response, Problem> {
    if state.draining.has_begun() {
        return Err(Problem::unavailable("draining", "This server is going away.", 5));
    }
    if !store_answers(&state).await {
        return Err(Problem::unavailable("store_unavailable", "The store does not answer.", 5));
    }
    Ok(ok(json!({ "status": "ready" })))
}

/// 200 with details, or 503 with the same shape when the store does not answer.
async fn details(State(state): State<AppState>) -> Response {
    let began = state.clock.now();
    let store = store_answers(&state).await;
    let latency_ms = state.clock.now().since(began);
    let hub = state.hub.stats();
    let body = json!({
        "status": if store { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": state.clock.now().get() / 1_000,
        "draining": state.draining.has_begun(),
        "database": { "status": if store { "ok" } else { "unavailable" }, "latency_ms": latency_ms },
        "rooms": hub.rooms,
        "connections": hub.connections,
    });
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

fn ok(body: serde_json::Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
