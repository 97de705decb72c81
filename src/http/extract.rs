//! What handlers take apart requests with. Every refusal is a problem document.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use atlas_crdt::ids::DesignId;
use atlas_crdt::roles::DesignRole;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::AppState;
use super::problem::{Problem, Result};
use crate::auth::{Action, AuthError, Caller, permits};

/// Bytes. Every body but an import's.
pub const BODY_BYTES_MAX: usize = 10 << 20;

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

/// A JSON body.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
                "Send JSON: `Content-Type: application/json`.",
            ));
        }
        let bytes = read_body(request.into_body(), BODY_BYTES_MAX).await?;
        read_json(&bytes).map(Self)
    }
}

/// Reads a body that is known to be meant as JSON.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::validation("body", error.to_string()),
        _ => Problem::malformed(format!("The body is not JSON: {error}.")),
    })
}

/// Reads a body to its end. One that is too large is read on for a while and thrown away: closing a connection on a
/// client that still writes may cost it the answer.
pub async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes> {
    let mut frames = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let mut seen: usize = 0;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_| Problem::malformed("The body could not be read to its end."))?;
        seen = seen.saturating_add(frame.len());
        if bytes_max < seen {
            bytes = BytesMut::new();
            if bytes_max.saturating_mul(4) < seen {
                break;
            }
        } else {
            bytes.extend_from_slice(&frame);
        }
    }
    if bytes_max < seen { Err(Problem::too_large(bytes_max)) } else { Ok(bytes.freeze()) }
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
        let read = async |size: usize| read_body(Body::from(vec![7; size]), 100).await;
        assert_eq!(read(100).await.unwrap().len(), 100);
        assert_eq!(read(0).await.unwrap().len(), 0);
        for size in [101, 399, 5_000] {
            assert_eq!(read(size).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE, "{size}");
        }
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
