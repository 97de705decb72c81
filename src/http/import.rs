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
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use serde::Deserialize;
use serde_json::json;

use super::AppState;
use super::designs::{require_may_create, store_new};
use super::extract::{Buffered, Query, Signed, read_body};
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
    let file = file_of(&state, request).await?;
    if FILE_BYTES_MAX < file.bytes.len() {
        return Err(Problem::too_large(FILE_BYTES_MAX));
    }
    let format = query.format.unwrap_or_else(|| "auto".to_owned());
    let read = move || {
        let imported = formats::import(&file.bytes, &format).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "not_importable", "Not importable", error.to_string())
        })?;
        Ok((imported.design, imported.report))
    };
    let (row, report) = store_new(&state, &caller, read).await?;
    let headers =
        [(CACHE_CONTROL, "private, no-cache".to_owned()), (LOCATION, format!("/api/v1/designs/{}", row.id))];
    let body = json!({ "id": row.id, "report": report });
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

async fn file_of(state: &AppState, request: Request) -> Result<Buffered> {
    let (parts, body) = request.into_parts();
    let media = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return read_body(body, FILE_BYTES_MAX, &state.bodies).await;
    }
    let mut form = read_body(body, FILE_BYTES_MAX + ENVELOPE_BYTES_MAX, &state.bodies).await?;
    let body = Body::from(std::mem::take(&mut form.bytes));
    let multipart = Multipart::from_request(Request::from_parts(parts, body), &()).await;
    let mut multipart = multipart.map_err(|error| Problem::malformed(error.body_text()))?;
    loop {
        let field = multipart.next_field().await.map_err(|error| Problem::malformed(error.body_text()))?;
        let Some(field) = field else {
            return Err(Problem::validation("file", "no file in the form: send it as the part `file`"));
        };
        if field.name() == Some("file") || field.file_name().is_some() {
            form.bytes = field.bytes().await.map_err(|error| Problem::malformed(error.body_text()))?;
            return Ok(form);
        }
    }
}
