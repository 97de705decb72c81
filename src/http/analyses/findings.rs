//! `/api/v1/designs/{design}/findings`: what people decide about findings. A decision stays when its finding goes, and
//! applies again when it comes back.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::shape::TriageJson;
use crate::auth::Action;
use crate::http::AppState;
use crate::http::extract::{DesignParam, DesignPath, JsonBody, Signed, authorise};
use crate::http::openapi::problems;
use crate::http::problem::{Problem, Result};
use crate::store::StoreError;
use crate::store::analyses::{Decision, TriageState};

/// Characters.
const REASON_CHARS_MAX: usize = 500;
const _: () = assert!(REASON_CHARS_MAX == 500, "the OpenAPI document names it below");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(decide))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FindingDecision)]
struct DecisionBody {
    #[schema(value_type = super::shape::State, inline)]
    state: TriageState,
    /// Required unless it is opened again.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500, nullable = false)]
    reason: Option<String>,
    /// Of an acceptance only: from then on the finding counts again.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = String, format = DateTime, required = false)]
    expires_at: Option<OffsetDateTime>,
}

impl DecisionBody {
    fn read(self, now: OffsetDateTime) -> Result<Decision> {
        let reason = self.reason.map(|reason| reason.trim().to_owned());
        match reason.as_ref().map(|reason| reason.chars().count()) {
            Some(1..=REASON_CHARS_MAX) => {}
            None if self.state == TriageState::Open => {}
            _ => {
                return Err(Problem::validation("reason", format!("has 1 to {REASON_CHARS_MAX} characters")));
            }
        }
        match self.expires_at {
            Some(_) if self.state != TriageState::Accepted => {
                Err(Problem::validation("expires_at", "only an acceptance runs out"))
            }
            Some(at) if at <= now => Err(Problem::validation("expires_at", "is in the future")),
            expires_at => Ok(Decision { state: self.state, reason, expires_at }),
        }
    }
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only described")]
struct FingerprintParam {
    /// 64 hexadecimal digits, as a finding carries them.
    fingerprint: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TriagedFinding)]
struct TriagedJson {
    fingerprint: String,
    #[serde(flatten)]
    triage: TriageJson,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TriagedFindings)]
struct ListJson {
    items: Vec<TriagedJson>,
}

/// List what was decided about findings
///
/// Newest first, also of findings that are gone.
#[utoipa::path(get, path = "/api/v1/designs/{design}/findings", operation_id = "listTriage", tag = "analysis",
    params(DesignParam), security(("bearer" = [])),
    responses((status = 200, description = "All of it.", body = ListJson), problems::DesignTrouble))]
async fn list(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignRead).await?;
    let now = state.clock.utc();
    let triage = state.analyses.triage(design).await?;
    let items = triage.iter().map(|triage| TriagedJson {
        fingerprint: atlas_crdt::view::hex(&triage.fingerprint),
        triage: TriageJson::of(triage, now),
    });
    let body = ListJson { items: items.collect() };
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(body)).into_response())
}

/// Decide about a finding
///
/// The score follows a moment later: whoever has the design open is told. 404 `no_such_finding` when the newest analysis has
/// none with this fingerprint, and nobody decided about it before.
#[utoipa::path(put, path = "/api/v1/designs/{design}/findings/{fingerprint}", operation_id = "decideFinding",
    tag = "analysis", params(DesignParam, FingerprintParam), security(("bearer" = [])), request_body = DecisionBody,
    responses(
        (status = 200, description = "What holds now.", body = TriageJson),
        (status = 409, description = "The design has as many decisions as it may.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::DesignTrouble, problems::BodyTrouble))]
async fn decide(
    State(state): State<AppState>,
    Signed(caller): Signed,
    DesignPath(design): DesignPath,
    Path((_, fingerprint)): Path<(String, String)>,
    JsonBody(body): JsonBody<DecisionBody>,
) -> Result<Response> {
    authorise(&state, &caller, design, Action::DesignWrite).await?;
    let now = state.clock.utc();
    let decision = body.read(now)?;
    let word = decision.state.as_str();
    let fingerprint = read_fingerprint(&fingerprint).ok_or_else(no_such_finding)?;
    let put = state.analyses.put_triage(design, fingerprint, decision, caller.user).await;
    let triage = put.map_err(too_many)?.ok_or_else(no_such_finding)?;
    state.analysing.hints.waits();
    tracing::info!(%design, by = %caller.user, decision = word, "a finding was decided about");
    let body = TriageJson::of(&triage, now);
    Ok(([(CACHE_CONTROL, "private, no-cache")], Json(body)).into_response())
}

fn too_many(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict(what) => Problem::conflict("too_many", format!("There are {what}.")),
        other => other.into(),
    }
}

fn no_such_finding() -> Problem {
    Problem::not_found(
        "no_such_finding",
        "The design has no such finding, and never had a decision about it.",
    )
}

/// Lower-case hexadecimal only: that is how they are compared.
fn read_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    #[test]
    fn decisions_are_checked() {
        let body = |state, reason: Option<&str>, expires_at| {
            DecisionBody { state, reason: reason.map(str::to_owned), expires_at }.read(NOW)
        };
        let later = Some(NOW + time::Duration::SECOND);
        use TriageState::{Accepted, FalsePositive, Open};
        let accepted = body(Accepted, Some("  known "), later).unwrap();
        assert_eq!((accepted.reason.as_deref(), accepted.expires_at), (Some("known"), later));
        assert!(body(Open, None, None).is_ok());
        assert!(body(FalsePositive, Some("no"), None).is_ok());
        let long = "ä".repeat(REASON_CHARS_MAX + 1);
        assert!(body(Accepted, Some(&long[2..]), None).is_ok());
        for bad in [
            body(Accepted, None, None),
            body(FalsePositive, Some("  "), None),
            body(Accepted, Some(&long), None),
            body(FalsePositive, Some("no"), later),
            body(Open, None, later),
            body(Accepted, Some("known"), Some(NOW)),
        ] {
            assert_eq!(bad.unwrap_err().status(), 400);
        }
    }

    #[test]
    fn fingerprints_are_64_digits() {
        assert_eq!(read_fingerprint(&"0f".repeat(32)), Some([15; 32]));
        for bad in ["", "0f", &"0F".repeat(32), &"0f".repeat(33), &format!("{}0", "0f".repeat(32))] {
            assert_eq!(read_fingerprint(bad), None, "{bad}");
        }
    }
}
