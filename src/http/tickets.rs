//! POST `/api/v1/designs/{design}/tickets`: a ticket for one socket, so that no access token stands in a URL.

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
use super::extract::{DesignParam, DesignPath, Signed, authorise};
use super::openapi::problems;
use super::problem::Result;
use crate::auth::Action;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create))
}

/// Opens one socket to one design.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
struct TicketJson {
    ticket: String,
    /// Seconds.
    expires_in: i64,
}

/// Get a ticket for one socket
///
/// It opens one socket to this design within a minute, so that no access token stands in a URL. The socket lives as
/// long as the access token that asked.
#[utoipa::path(post, path = "/api/v1/designs/{design}/tickets", operation_id = "createTicket", tag = "designs",
    params(DesignParam), security(("bearer" = [])),
    responses((status = 201, description = "A ticket.", body = TicketJson), problems::DesignTrouble))]
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
