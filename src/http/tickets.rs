//! POST `/api/v1/designs/{design}/tickets`: a ticket for one socket, so that no access token stands in a URL.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;

use super::AppState;
use super::extract::{DesignPath, Signed, authorise};
use super::problem::Result;
use crate::auth::Action;

pub fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/designs/{design}/tickets", post(create))
}

#[derive(Serialize)]
struct TicketJson {
    ticket: String,
    /// Seconds.
    expires_in: i64,
}

/// Answers 201. The ticket opens one socket to this design within a minute; the socket lives as long as the access
/// token that asked. 403 when the caller may not read the design.
async fn create(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    let issued = state.auth.issue_ticket(&caller, design).await?;
    let body = TicketJson {
        ticket: issued.ticket,
        expires_in: (issued.expires_at - state.clock.utc()).whole_seconds(),
    };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
