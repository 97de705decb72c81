//! GET `/api/v1/designs/{design}` and `…/snapshot?format=json|yjs`: a design as it stands in the store, never a live
//! room: whatever is read here is durable (INV-3).
//!
//! The JSON's ETag is a hash of its content, the Yjs update's the place of its newest edit: an edit and its undo give
//! equal JSON but other bytes.

use std::fmt::Write as _;

use atlas_crdt::ids::{DesignId, Generation, Seq};
use atlas_crdt::room::Loaded;
use atlas_crdt::view::SnapshotHead;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::extract::{DesignParam, DesignPath, Query, Signed, authorise};
use super::openapi::problems;
use super::openapi::snapshot::{DesignSnapshot, YjsUpdate};
use super::problem::{Problem, Result};
use crate::auth::Action;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(read))
}

#[derive(Deserialize, Default, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SnapshotFormat)]
enum Format {
    #[default]
    Json,
    Yjs,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SnapshotQuery {
    /// As JSON, or as the bytes of a Yjs update v1.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described; `knows` reads it")]
pub(super) struct IfNoneMatch {
    /// The `ETag` of what the caller has: 304 when it is still the newest.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
}

/// Read a design
///
/// As it stands in the store, never a live room: whatever is read here is durable.
#[utoipa::path(get, path = "/api/v1/designs/{design}/snapshot", operation_id = "readSnapshot", tag = "designs",
    params(DesignParam, SnapshotQuery, IfNoneMatch), security(("bearer" = [])),
    responses(
        (status = 200, description = "The design.",
            content((DesignSnapshot = "application/json"), (YjsUpdate = "application/octet-stream")),
            headers(("ETag" = String, description = "Of this form of the design."))),
        (status = 304, description = "The caller has it."),
        (status = 400, description = "A query parameter that cannot be used.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble))]
async fn read(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    Query(query): Query<SnapshotQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    match query.format {
        Format::Json => json(&state, design, &headers).await,
        Format::Yjs => yjs(&state, design, &headers).await,
    }
}

/// Read a design as JSON
///
/// The JSON snapshot under the design's own address.
#[utoipa::path(get, path = "/api/v1/designs/{design}", operation_id = "readDesign", tag = "designs",
    params(DesignParam, IfNoneMatch), security(("bearer" = [])),
    responses(
        (status = 200, description = "The design.", body = DesignSnapshot,
            headers(("ETag" = String, description = "A hash of the content."))),
        (status = 304, description = "The caller has it."),
        problems::DesignTrouble))]
pub async fn read_json(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    headers: HeaderMap,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    json(&state, design, &headers).await
}

async fn json(state: &AppState, design: DesignId, headers: &HeaderMap) -> Result<Response> {
    let client = state.ids.client();
    let known = headers.clone();
    state
        .heavy
        .run_on(load(state, design), move |loaded| {
            let head = SnapshotHead { id: design, epoch: loaded.epoch, seq: loaded.head() };
            let view = loaded.document(client).map_err(Problem::unreadable_design)?.view();
            let etag = json_etag(&view.content_hash());
            if knows(&known, &etag) {
                return Ok(not_modified(&etag));
            }
            let body = serde_json::to_vec(&view.to_snapshot_json(&head)).map_err(Problem::internal)?;
            Ok(found(&etag, "application/json", body.into()))
        })
        .await?
}

async fn yjs(state: &AppState, design: DesignId, headers: &HeaderMap) -> Result<Response> {
    if headers.contains_key(IF_NONE_MATCH) {
        let head = state.store.head(design).await?.ok_or_else(Problem::no_such_design)?;
        let etag = yjs_etag(head.generation, head.seq);
        if knows(headers, &etag) {
            return Ok(not_modified(&etag));
        }
    }
    let client = state.ids.client();
    state
        .heavy
        .run_on(load(state, design), move |loaded| {
            let etag = yjs_etag(loaded.generation, loaded.head());
            Ok(found(
                &etag,
                "application/octet-stream",
                loaded.document(client).map_err(Problem::unreadable_design)?.encode(),
            ))
        })
        .await?
}

async fn load(state: &AppState, design: DesignId) -> Result<Loaded> {
    state.store.load(design).await?.ok_or_else(Problem::no_such_design)
}

/// The tag of the JSON snapshot with this content.
#[must_use]
pub fn json_etag(content_hash: &[u8; 32]) -> String {
    let mut etag = String::from("\"j-");
    for byte in content_hash {
        // Writing to a string does not fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    etag
}

fn yjs_etag(generation: Generation, seq: Seq) -> String {
    format!("\"y-{generation}-{seq}\"")
}

/// Whether `If-None-Match` names this tag (RFC 9110 section 13.1.2: weak comparison).
#[must_use]
pub fn knows(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

pub(super) fn not_modified(etag: &str) -> Response {
    with_validators(StatusCode::NOT_MODIFIED.into_response(), etag)
}

pub(super) fn found(etag: &str, media: &'static str, body: Bytes) -> Response {
    let mut response = with_validators(body.into_response(), etag);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

fn with_validators(mut response: Response, etag: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(ETAG, etag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.append(VARY, HeaderValue::from_static("authorization"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        assert_eq!(yjs_etag(Generation::new(1), Seq::new(42)), "\"y-1-42\"");
        let etag = json_etag(&[0xab; 32]);
        assert_eq!(etag, format!("\"j-{}\"", "ab".repeat(32)));
    }

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        for (value, known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("\"b\",W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            assert_eq!(knows(&headers, "\"a\""), known, "{value}");
        }
        assert!(!knows(&HeaderMap::new(), "\"a\""));
    }
}
