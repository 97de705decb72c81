//! What handlers take apart requests with. Every refusal is a problem document.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use atlas_crdt::ids::DesignId;
use atlas_crdt::limits::INBOUND_FREE_BYTES;
use atlas_crdt::roles::DesignRole;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::AppState;
use super::budget::{Budget, Share};
use super::problem::{Problem, Result};
use crate::auth::{Action, AuthError, Caller, permits};

/// Bytes. Every body but those of a new design and of an import.
pub const BODY_BYTES_MAX: usize = 16 << 10;
/// Bytes. All request bodies that are in memory, in the whole process, besides a little of each (`INBOUND_FREE_BYTES`).
const BODIES_BYTES_MAX: usize = 256 << 20;
/// Bytes. What is read and thrown away behind the limit of a body.
const DISCARDED_BYTES_MAX: usize = 32 << 20;
/// Bytes. The first piece of memory for a body.
const FIRST_BYTES: usize = 1 << 10;
/// Seconds. When to come again while there is no memory for a body.
const RETRY_AFTER_S: u64 = 2;

// Small bodies, all that strangers may send among them, pass whatever the large ones hold.
const _: () = assert!(BODY_BYTES_MAX <= INBOUND_FREE_BYTES);

/// What request bodies may keep in memory together. One in each process.
#[derive(Debug, Clone)]
pub struct Bodies(Arc<Budget>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Budget::of(BODIES_BYTES_MAX)))
    }
}

/// A body in memory. Counts against the budget until it is dropped: keep it for as long as its bytes.
#[derive(Debug)]
pub struct Buffered {
    pub bytes: Bytes,
    #[expect(dead_code, reason = "held, never read")]
    share: Share,
}

/// A checked access token from the `Authorization` header.
#[derive(Debug, Clone)]
pub struct Signed(pub Caller);

impl FromRequestParts<AppState> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        let token = bearer(&parts.headers).ok_or(AuthError::Missing)?;
        Ok(Self(state.auth.verify_token(token).await?))
    }
}

/// The token of `Authorization: Bearer …`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `{design}` in paths, as the OpenAPI document describes it.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only described; DesignPath reads it")]
pub struct DesignParam {
    /// The design's id.
    #[param(format = Uuid)]
    design: String,
}

/// The design that a path names. What is no id names no design.
#[derive(Debug, Clone, Copy)]
pub struct DesignPath(pub DesignId);

impl<S: Send + Sync> FromRequestParts<S> for DesignPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Path(segments) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::no_such_design())?;
        let design = segments.into_iter().find(|(name, _)| name == "design");
        let design = design.and_then(|(_, text)| text.parse().ok());
        design.map(Self).ok_or_else(Problem::no_such_design)
    }
}

/// A small JSON body. The last argument of a handler: what stands before it, such as [`Signed`], is checked first.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self> {
        require_json(request.headers())?;
        let body = read_body(request.into_body(), BODY_BYTES_MAX, &state.bodies).await?;
        read_json(&body.bytes).map(Self)
    }
}

/// 415 for what does not say that it is JSON.
pub fn require_json(headers: &HeaderMap) -> Result<()> {
    if is_json(headers) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Unsupported media type",
        "Send JSON: `Content-Type: application/json`.",
    ))
}

/// Reads a body that is known to be meant as JSON.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::validation("body", error.to_string()),
        _ => Problem::malformed(format!("The body is not JSON: {error}.")),
    })
}

/// Reads a body to its end. One that is too large, or for which there is no memory at this moment, is read on for a
/// while and thrown away: closing a connection on a client that still writes may cost it the answer. The time limit of
/// all handlers (`http/layers.rs`) holds for the reading, too.
///
/// # Errors
/// 413 above `bytes_max`, 503 when all bodies together are too large, 400 when it ends early.
pub async fn read_body(body: Body, bytes_max: usize, bodies: &Bodies) -> Result<Buffered> {
    let mut frames = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut share = Share::new(Arc::clone(&bodies.0));
    let mut refusal = None;
    let mut seen: usize = 0;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_| Problem::malformed("The body could not be read to its end."))?;
        seen = seen.saturating_add(frame.len());
        if refusal.is_some() {
            if bytes_max.saturating_add(DISCARDED_BYTES_MAX) < seen {
                break;
            }
            continue;
        }
        let room = room_for(seen, bytes_max);
        if bytes_max < seen {
            refusal = Some(Problem::too_large(bytes_max));
        } else if !share.grow_to(room) {
            refusal = Some(Problem::unavailable(
                "overloaded",
                "Too many large requests arrive at this moment. Nothing was done; try again.",
                RETRY_AFTER_S,
            ));
        } else {
            bytes.reserve_exact(room - bytes.len());
            bytes.extend_from_slice(&frame);
            continue;
        }
        bytes = Vec::new();
        share.release();
    }
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(Buffered { bytes: bytes.into(), share }),
    }
}

/// Bytes of memory that hold `bytes` of a body. In doubling steps, so that a body is copied a few times only and the
/// budget knows what is really held.
fn room_for(bytes: usize, bytes_max: usize) -> usize {
    bytes.next_power_of_two().max(FIRST_BYTES).min(bytes_max.max(bytes))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(media) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media = media.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
        || (media.len() > 5
            && media.is_char_boundary(media.len() - 5)
            && media[media.len() - 5..].eq_ignore_ascii_case("+json"))
}

/// Query parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(Problem::validation("query", error.body_text())),
        }
    }
}

/// The network address that a connection came from, put on each request by the accept loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// Whose request this is, seen from the network.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> std::result::Result<Self, Infallible> {
        let peer = parts.extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
        Ok(Self(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// The caller's role on a design, or why not: 404 when there is none, 403 when the caller may not do this to it.
pub async fn authorise(
    state: &AppState,
    caller: &Caller,
    design: DesignId,
    action: Action,
) -> Result<Option<DesignRole>> {
    if state.store.head(design).await?.is_none() {
        return Err(Problem::no_such_design());
    }
    let role = state.store.member_role(design, caller.user).await?;
    if permits(caller.role, role, action) {
        Ok(role)
    } else {
        Err(Problem::forbidden(format!("Your role does not permit {} on this design.", action.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_are_read_up_to_their_limit() {
        let bodies = Bodies::default();
        let read = async |size: usize| read_body(Body::from(vec![7; size]), 100, &bodies).await;
        assert_eq!(read(100).await.unwrap().bytes.len(), 100);
        assert_eq!(read(0).await.unwrap().bytes.len(), 0);
        for size in [101, 399, 5_000] {
            assert_eq!(read(size).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE, "{size}");
        }
    }

    /// A hundred requests that each send all of their body but its end: the process keeps what its budget says, and
    /// small bodies pass all the same.
    #[tokio::test]
    async fn bodies_that_never_end_share_one_budget() {
        const LARGE: usize = 1 << 20;
        let bodies = Bodies(Arc::new(Budget::of(10 * LARGE)));
        let half_sent = || {
            let sent = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from(vec![7; LARGE - 1]))]);
            Body::from_stream(sent.chain(futures_util::stream::pending()))
        };
        let mut waiting = Vec::new();
        for _ in 0..100 {
            let mut reading = Box::pin(read_body(half_sent(), LARGE, &bodies));
            assert!(futures_util::poll!(&mut reading).is_pending());
            waiting.push(reading);
        }
        let read = async |size: usize| read_body(Body::from(vec![7; size]), LARGE, &bodies).await;
        let refused = read(LARGE).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(read(BODY_BYTES_MAX).await.is_ok());
        waiting.clear();
        let kept = read(LARGE).await.unwrap();
        assert_eq!(kept.bytes.len(), LARGE, "what is given up is given back");
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn bearer_tokens() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("abc", None),
        ] {
            assert_eq!(bearer(&headers(&[("authorization", value)])), token, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn json_media_types() {
        for (value, json) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("APPLICATION/JSON", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("é+json", false),
            ("", false),
        ] {
            let mut map = HeaderMap::new();
            map.insert(CONTENT_TYPE, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            assert_eq!(is_json(&map), json, "{value}");
        }
    }
}
