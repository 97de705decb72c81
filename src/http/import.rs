//! POST `/api/v1/designs/import?format=auto`: a file becomes a new design of the caller's.
//!
//! The body is the file itself, whatever its media type, or `multipart/form-data` with one file in it. The answer
//! says what was kept, changed, guessed and dropped.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::designs::{require_may_create, store_new};
use super::extract::{Buffered, Query, Signed, read_body};
use super::openapi::problems;
use super::problem::{Problem, Result};
use crate::formats::{self, FILE_BYTES_MAX, ImportReport};

/// Bytes. What multipart adds around a file.
const ENVELOPE_BYTES_MAX: usize = 64 << 10;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(import))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// `auto` (looks into the file), `kohatlas`, `kohatlas-legacy` or `snapshot`.
    #[param(default = "auto", nullable = false)]
    format: Option<String>,
}

/// A form with the file in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described; file_of reads it")]
struct ImportForm {
    #[schema(format = Binary)]
    file: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Imported)]
struct ImportedJson {
    /// Of the new design.
    #[schema(format = Uuid)]
    id: String,
    report: ImportReport,
}

/// Make a new design of a file
///
/// The body is the file itself, whatever its media type, or a form with one file in it; 5 MiB at most. Nothing is
/// dropped in silence: the report says what was kept, changed, guessed and dropped.
#[utoipa::path(post, path = "/api/v1/designs/import", operation_id = "importDesign", tag = "designs",
    params(ImportQuery), security(("bearer" = [])),
    request_body(content((serde_json::Value = "application/json"), (ImportForm = "multipart/form-data"))),
    responses(
        (status = 201, description = "The new design, and what became of the file.", body = ImportedJson,
            headers(("Location" = String, description = "Of the new design."))),
        (status = 400, description = "The file is of no known format, or cannot be read.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller's role does not permit creating designs.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 413, description = "The file is too large.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::SignedTrouble))]
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
    let body = ImportedJson { id: row.id.to_string(), report };
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
