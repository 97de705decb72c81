//! `/ws/{design}`: one design over one WebSocket, for `y-websocket` and its kin and for clients of `atlas.v1`.
//!
//! - `socket/handshake.rs` reads the request: who may connect from where, with what credential, speaking what;
//! - `socket/session.rs` the one task of an open socket, `socket/life.rs` its patience,
//!   `socket/credentials.rs` its right to be there;
//! - `socket/reader.rs`, `socket/writer.rs` WebSocket frames in and out; `http/budget.rs` bounds what arrives.
//!
//! Credentials, role and design are checked before anything is upgraded, and no room is loaded before that. A failure
//! is an HTTP problem for stock clients, which then back off properly; a client of `atlas.v1` is let in and closed
//! with the code, since a browser cannot read the status of a failed upgrade.

use std::sync::Arc;

use atlas_crdt::ids::DesignId;
use atlas_crdt::room::Dialect;
use atlas_crdt::wire::CloseCode;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::AppState;
use super::accept::ConnectionSlot;
use super::extract::{DesignPath, authorise};
use super::problem::Problem;
use crate::auth::{Action, AuthError, effective_design_role};

mod credentials;
mod handshake;
mod life;
mod reader;
mod session;
mod writer;

use super::budget::{self, Purses};
use credentials::Guest;
use handshake::{Credential, Offer};
use session::Ground;

/// The routes of the stock and `atlas.v1` dialects. Made once in a process: they share one inbound budget.
pub fn routes() -> Router<AppState> {
    let purses = Arc::new(Purses::default());
    Router::new().route(
        "/ws/{design}",
        get(move |State(state): State<AppState>, design: Result<DesignPath, Problem>, request: Request| {
            open(state, Arc::clone(&purses), design.ok().map(|path| path.0), request)
        }),
    )
}

/// Why a socket is not opened, in both languages.
struct Refusal {
    problem: Problem,
    code: CloseCode,
    reason: String,
}

impl Refusal {
    fn new(problem: Problem, code: CloseCode, reason: impl Into<String>) -> Self {
        Self { problem, code, reason: reason.into() }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let code = match &error {
            AuthError::Store(_) => CloseCode::Overloaded,
            _ => CloseCode::Unauthorised,
        };
        let reason = error.to_string();
        Self::new(error.into(), code, reason)
    }
}

/// What `authorise` says is not permitted, or cannot be known.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (code, reason) = match problem.status() {
            StatusCode::NOT_FOUND => (CloseCode::NoSuchDesign, "no such design"),
            StatusCode::FORBIDDEN => (CloseCode::Forbidden, "not a member of this design"),
            _ => (CloseCode::Overloaded, "the server cannot look this design up"),
        };
        Self::new(problem, code, reason)
    }
}

async fn open(state: AppState, purses: Arc<Purses>, design: Option<DesignId>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let offer = match handshake::read(&parts, &state.settings) {
        Ok(offer) => offer,
        Err(problem) => return refused(problem),
    };
    let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
        return refused(Problem::malformed("This connection cannot be upgraded."));
    };
    let admitted = admit(&state, design, &offer).await;
    let admitted = match (admitted, offer.dialect) {
        (Err(refusal), Dialect::Stock) => return refused(refusal.problem),
        (admitted, _) => admitted,
    };
    let slot = parts.extensions.remove::<ConnectionSlot>();
    let tasks = state.tasks.clone();
    let user = admitted.as_ref().ok().map(|(_, guest)| guest.user);
    let ground = Ground { app: state, budget: purses.of(user), slot };
    let begin = async move {
        let upgraded = match on_upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "a client went away before its socket was open"),
        };
        // Without the indirection that hyper needs and an idle socket does not.
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(plain) => begin(plain.io.into_inner(), plain.read_buf, ground, admitted).await,
            Err(other) => begin(TokioIo::new(other), Bytes::new(), ground, admitted).await,
        }
    };
    drop(tasks.spawn("socket's beginning", begin));
    switching_protocols(&offer)
}

/// Opening a socket takes more memory than keeping it open: it lives on in a task of its own.
async fn begin<S>(io: S, unread: Bytes, ground: Ground, admitted: Result<(DesignId, Guest), Refusal>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tasks = ground.app.tasks.clone();
    let socket = match admitted {
        Ok((design, guest)) => session::take_part(io, &unread, ground, design, guest).await,
        Err(refusal) => session::refuse(io, &unread, ground, refusal.code, refusal.reason),
    };
    drop(tasks.spawn("socket", socket.run()));
}

/// Who this is, and whether they may read this design. Spends the ticket, if it is one.
async fn admit(
    state: &AppState,
    design: Option<DesignId>,
    offer: &Offer,
) -> Result<(DesignId, Guest), Refusal> {
    if state.draining.has_begun() || state.hub.is_draining() {
        let problem = Problem::unavailable("restarting", "This server is restarting. Connect again.", 1);
        return Err(Refusal::new(problem, CloseCode::Restarting, credentials::retry_reason(state)));
    }
    let design = design.ok_or_else(Problem::no_such_design)?;
    let caller = match &offer.credential {
        Some(Credential::TokenOrTicket(text)) => state.auth.verify_token_or_ticket(text, design).await?,
        Some(Credential::Token(token)) => state.auth.verify_token(token).await?,
        None => return Err(AuthError::Missing.into()),
    };
    let member = authorise(state, &caller, design, Action::DesignRead).await?;
    let role = effective_design_role(caller.role, member)
        .ok_or_else(|| Problem::forbidden("You are no member of this design."))?;
    let guest = Guest {
        user: caller.user,
        session: caller.session,
        platform: caller.role,
        role,
        dialect: offer.dialect,
        epoch: offer.epoch,
        expires_at: caller.expires_at,
    };
    Ok((design, guest))
}

/// RFC 6455 section 4.2.2.
fn switching_protocols(offer: &Offer) -> Response {
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, Body::empty()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(offer.key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = &offer.protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
    }
    response
}

fn refused(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110 section 15.5.22, RFC 6455 section 4.4.
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}
