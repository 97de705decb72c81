//! `/api/v1/designs/{design}/analyses` and `/api/v1/analysis`: how secure a design is, how that went, and analyses on
//! demand. What people decide about findings is `http/analyses/findings.rs`.
//!
//! Nothing is analysed here: jobs do it, whenever a design has settled, and this reads what they stored. Decisions are
//! laid over the findings as they are read.

use atlas_crdt::ids::{AnalysisRequestId, DesignId};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::extract::{DesignParam, DesignPath, JsonBody, Query, Signed, authorise};
use super::openapi::problems;
use super::problem::{Problem, Result};
use super::snapshot::{IfNoneMatch, found, knows, not_modified};
use crate::auth::{Action, Caller};
use crate::store::analyses::{Analysis, AnalysisPoint, AnalysisRequest, NewAnalysisRequest};

mod findings;
mod shape;
mod turns;

pub use turns::Turns;

use shape::AnalysisJson;
/// A decision as the OpenAPI document describes it.
pub use shape::TriageJson as TriageSchema;

/// Points on a page when nobody says how many.
const PAGE_DEFAULT: usize = 50;
/// Points on a page at most.
const PAGE_MAX: usize = 200;

// The bounds that the OpenAPI document names below as literals.
const _: () = assert!(PAGE_DEFAULT == 50 && PAGE_MAX == 200);

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(history))
        .routes(routes!(latest))
        .routes(routes!(run))
        .routes(routes!(status))
        .routes(routes!(results))
        .merge(findings::routes())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// Points on the page.
    #[param(minimum = 1, maximum = 200, default = 50, nullable = false)]
    limit: Option<usize>,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// A point in the history of a design's security.
#[derive(Serialize, ToSchema)]
#[schema(as = AnalysisPoint)]
struct PointJson {
    /// Of the analysis: two points may name the same one, as after an edit and its undo.
    #[schema(format = Uuid)]
    id: String,
    /// 0.0 to 10.0.
    security_score: f64,
    grade: String,
    /// Of the worst finding that counted. Null: there was none.
    #[schema(required)]
    severity: Option<String>,
    /// Findings that counted.
    findings_count: u64,
    /// Known attributes among all that the rules ask about, 0 to 1.
    coverage: f64,
    /// The log up to here.
    seq: u64,
    ruleset_version: String,
    /// When the rules ran.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it came to hold.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl From<AnalysisPoint> for PointJson {
    fn from(point: AnalysisPoint) -> Self {
        Self {
            id: point.analysis.to_string(),
            security_score: point.score,
            grade: point.grade,
            severity: point.severity,
            findings_count: point.findings,
            coverage: point.coverage,
            seq: point.seq.get(),
            ruleset_version: point.ruleset_version,
            created_at: point.created_at,
            at: point.at,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AnalysisHistory)]
struct HistoryJson {
    items: Vec<PointJson>,
    /// For the next page; null on the last.
    #[schema(required)]
    next: Option<String>,
}

/// List how a design's security went
///
/// Newest first; the newest 500 points are kept.
#[utoipa::path(get, path = "/api/v1/designs/{design}/analyses", operation_id = "listAnalyses", tag = "analysis",
    params(DesignParam, HistoryQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "One page of it.", body = HistoryJson),
        (status = 400, description = "A query parameter that cannot be used.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble))]
async fn history(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    Query(query): Query<HistoryQuery>,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::validation("limit", format!("is 1 to {PAGE_MAX}")));
    }
    let before = query.cursor.and_then(|cursor| cursor.parse().ok());
    // One more than asked for tells whether there is another page.
    let mut points = state.analyses.analysis_history(design, before, limit + 1).await?;
    let has_more = limit < points.len();
    points.truncate(limit);
    let next = points.last().filter(|_| has_more).map(|point| point.no.to_string());
    let body = HistoryJson { items: points.into_iter().map(PointJson::from).collect(), next };
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(body)).into_response())
}

/// Read what is known of a design's security
///
/// The newest analysis, with what people decided about its findings. 404 `no_analysis_yet` before the first.
#[utoipa::path(get, path = "/api/v1/designs/{design}/analyses/latest", operation_id = "readLatestAnalysis",
    tag = "analysis", params(DesignParam, IfNoneMatch), security(("bearer" = [])),
    responses(
        (status = 200, description = "The analysis.", body = AnalysisJson,
            headers(("ETag" = String, description = "A hash of this answer."))),
        (status = 304, description = "The caller has it."),
        problems::DesignTrouble))]
async fn latest(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    headers: HeaderMap,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    let Some(analysis) = state.analyses.latest_analysis(design).await? else {
        return Err(Problem::not_found("no_analysis_yet", "The design has not been analysed yet."));
    };
    if analysis.ruleset_version != state.analysing.ruleset_version {
        // Designs that nobody opens keep what older rules said.
        state.analysing.hints.settled(design);
    }
    show(&state, analysis, &headers).await
}

/// Parsing and writing takes a moment where there are thousands of findings.
async fn show(state: &AppState, analysis: Analysis, headers: &HeaderMap) -> Result<Response> {
    let (now, known) = (state.clock.utc(), headers.clone());
    let work = state.heavy.run(move || {
        let body = AnalysisJson::of(analysis, now)?;
        let body = serde_json::to_vec(&body).map_err(Problem::internal)?;
        let etag = shape::etag(&body);
        if knows(&known, &etag) {
            return Ok(not_modified(&etag));
        }
        Ok(found(&etag, "application/json", body.into()))
    });
    work.await?
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnalysisRun)]
struct RunBody {
    #[schema(format = Uuid)]
    design_id: String,
}

/// An analysis that was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = AnalysisJob)]
struct JobJson {
    #[schema(format = Uuid)]
    job_id: String,
    #[schema(format = Uuid)]
    design_id: String,
    status: JobStatus,
    /// Paths on this server.
    status_url: String,
    results_url: String,
}

/// Analyse a design now
///
/// Not needed after an edit: a design is analysed whenever it has settled. Five times a minute for each person.
#[utoipa::path(post, path = "/api/v1/analysis/security", operation_id = "runAnalysis", tag = "analysis",
    security(("bearer" = [])), request_body = RunBody,
    responses(
        (status = 202, description = "It will be done.", body = JobJson,
            headers(("Location" = String, description = "Where to ask how far it is."))),
        (status = 429, description = "Five times in the last minute: see `Retry-After`.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble, problems::BodyTrouble))]
async fn run(
    State(state): State<AppState>,
    Signed(caller): Signed,
    JsonBody(body): JsonBody<RunBody>,
) -> Result<Response> {
    let design: DesignId = body.design_id.parse().map_err(|_| Problem::no_such_design())?;
    authorise(&state, &caller, design, Action::AnalysisRun).await?;
    state.turns.take(caller.user, state.clock.now()).map_err(too_many)?;
    let id = state.ids.analysis_request();
    state.analyses.request_analysis(NewAnalysisRequest { id, design, by: caller.user }).await?;
    state.analysing.hints.waits();
    let status_url = format!("/api/v1/analysis/{id}/status");
    let body = JobJson {
        job_id: id.to_string(),
        design_id: design.to_string(),
        status: JobStatus::Queued,
        status_url: status_url.clone(),
        results_url: format!("/api/v1/analysis/{id}/results"),
    };
    let headers = [(CACHE_CONTROL, "no-store".to_owned()), (LOCATION, status_url)];
    Ok((StatusCode::ACCEPTED, headers, Json(body)).into_response())
}

fn too_many(seconds: u64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_analyses",
        "Too many requests",
        format!("You have asked for {} analyses within a minute. Wait a little.", turns::TURNS_MAX),
    )
    .with_retry_after(seconds)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AnalysisJobStatus)]
enum JobStatus {
    Queued,
    Running,
    Completed,
    Failed,
}

impl JobStatus {
    fn of(request: &AnalysisRequest) -> Self {
        match (&request.error, request.finished_at, request.started_at) {
            (Some(_), _, _) => Self::Failed,
            (None, Some(_), _) => Self::Completed,
            (None, None, Some(_)) => Self::Running,
            (None, None, None) => Self::Queued,
        }
    }
}

/// How far an analysis is.
#[derive(Serialize, ToSchema)]
#[schema(as = AnalysisProgress)]
struct StatusJson {
    #[schema(format = Uuid)]
    job_id: String,
    #[schema(format = Uuid)]
    design_id: String,
    status: JobStatus,
    /// In percent.
    #[schema(minimum = 0, maximum = 100)]
    progress: u64,
    /// How often it was begun.
    attempts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    finished_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid, nullable = false)]
    analysis_id: Option<String>,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only described; request_of reads it")]
struct JobParam {
    /// `job_id` of the answer to the request.
    #[param(format = Uuid)]
    job: String,
}

/// Whoever may read the design may ask what became of it.
async fn request_of(state: &AppState, caller: &Caller, job: &str) -> Result<AnalysisRequest> {
    let id: Option<AnalysisRequestId> = job.parse().ok();
    let request = match id {
        Some(id) => state.analyses.analysis_request(id).await?,
        None => None,
    };
    let request = request.ok_or_else(no_such_job)?;
    authorise(state, caller, request.design, Action::DesignRead).await?;
    Ok(request)
}

fn no_such_job() -> Problem {
    Problem::not_found("no_such_job", "There is no such analysis job, or it is more than a day old.")
}

/// Ask how far an analysis is
#[utoipa::path(get, path = "/api/v1/analysis/{job}/status", operation_id = "readAnalysisStatus", tag = "analysis",
    params(JobParam), security(("bearer" = [])),
    responses((status = 200, description = "So far.", body = StatusJson), problems::DesignTrouble))]
async fn status(
    State(state): State<AppState>,
    Signed(caller): Signed,
    Path(job): Path<String>,
) -> Result<Response> {
    let request = request_of(&state, &caller, &job).await?;
    let body = StatusJson {
        job_id: request.id.to_string(),
        design_id: request.design.to_string(),
        status: JobStatus::of(&request),
        progress: request.progress,
        attempts: request.attempts,
        analysis_id: request.analysis.map(|id| id.to_string()),
        error: request.error,
        created_at: request.created_at,
        started_at: request.started_at,
        finished_at: request.finished_at,
    };
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(body)).into_response())
}

/// Read what an analysis says
///
/// 409 `not_finished` before it is done, 409 `analysis_failed` when it was given up.
#[utoipa::path(get, path = "/api/v1/analysis/{job}/results", operation_id = "readAnalysisResults", tag = "analysis",
    params(JobParam, IfNoneMatch), security(("bearer" = [])),
    responses(
        (status = 200, description = "The analysis.", body = AnalysisJson,
            headers(("ETag" = String, description = "A hash of this answer."))),
        (status = 304, description = "The caller has it."),
        (status = 409, description = "There is none, yet or at all.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble))]
async fn results(
    State(state): State<AppState>,
    Signed(caller): Signed,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let request = request_of(&state, &caller, &job).await?;
    let id = match (JobStatus::of(&request), request.analysis) {
        (JobStatus::Failed, _) => {
            let error = request.error.unwrap_or_default();
            return Err(Problem::conflict("analysis_failed", error));
        }
        (JobStatus::Queued | JobStatus::Running, _) => {
            return Err(Problem::conflict("not_finished", "The analysis is not finished yet."));
        }
        (JobStatus::Completed, id) => id.ok_or_else(no_such_job)?,
    };
    let analysis = state.analyses.analysis(request.design, id).await?.ok_or_else(no_such_job)?;
    show(&state, analysis, &headers).await
}
