//! POST `/api/v1/designs/import?format=auto`: a file becomes a new design of the caller's.
//!
//! The body is the file itself, whatever its media type, or `multipart/form-data` with one file in it. The answer
//! says what was kept, changed, guessed and dropped.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use serde::Deserialize;
use serde_json::json;

use super::AppState;
use super::designs::{require_may_create, store_new};
use super::extract::{Query, Signed, read_body};
use super::problem::{Problem, Result};
use crate::formats::{self, FILE_BYTES_MAX};

/// Bytes. What multipart adds around a file.
const ENVELOPE_BYTES_MAX: usize = 64 << 10;

pub fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/designs/import", post(import))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    format: Option<String>,
}

/// 201 `{id, report}` with `Location`. 400 when the file is of no known format, 413 above 5 MiB.
async fn import(
    State(state): State<AppState>,
    Signed(caller): Signed,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Result<Response> {
    require_may_create(&caller)?;
    let file = file_of(request).await?;
    if FILE_BYTES_MAX < file.len() {
        return Err(Problem::too_large(FILE_BYTES_MAX));
    }
    let format = query.format.unwrap_or_else(|| "auto".to_owned());
    let imported = state.heavy.run(move || formats::import(&file, &format)).await?;
    let imported = imported.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "not_importable", "Not importable", error.to_string())
    })?;
    let row = store_new(&state, &caller, imported.design).await?;
    let headers =
        [(CACHE_CONTROL, "private, no-cache".to_owned()), (LOCATION, format!("/api/v1/designs/{}", row.id))];
    let body = json!({ "id": row.id, "report": imported.report });
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

async fn file_of(request: Request) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    let media = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return read_body(body, FILE_BYTES_MAX).await;
    }
    let body = read_body(body, FILE_BYTES_MAX + ENVELOPE_BYTES_MAX).await?;
    let multipart = Multipart::from_request(Request::from_parts(parts, Body::from(body)), &()).await;
    let mut multipart = multipart.map_err(|error| Problem::malformed(error.body_text()))?;
    loop {
        let field = multipart.next_field().await.map_err(|error| Problem::malformed(error.body_text()))?;
        let Some(field) = field else {
            return Err(Problem::validation("file", "no file in the form: send it as the part `file`"));
        };
        if field.name() == Some("file") || field.file_name().is_some() {
            return field.bytes().await.map_err(|error| Problem::malformed(error.body_text()));
        }
    }
}
