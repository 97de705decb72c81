//! How errors leave: problem documents (RFC 9457, `application/problem+json`).
//!
//! Handlers return `Result<_, Problem>`. What the caller can do something about stands in `detail` and `details`;
//! what went wrong inside travels as the cause, is logged once with the request's id, and is never shown. `error`
//! repeats the title for clients of the older API; `code` is the stable word for programs.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use atlas_crdt::design::ApplyFault;

use super::credentials::GrantError;
use crate::auth::AuthError;
use crate::auth::passwords::PasswordError;
use crate::store::StoreError;

pub mod codes;

pub type Result<T> = std::result::Result<T, Problem>;

/// One error on its way out.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// Stable, snake_case, one of [`codes::CODES`]; also the end of `type`.
    code: &'static str,
    title: &'static str,
    detail: String,
    details: Value,
    /// Seconds.
    retry_after: Option<u64>,
    /// Never shown.
    cause: Option<anyhow::Error>,
}

/// What a response carries to the log, see [`super::layers::observe`].
#[derive(Debug, Clone)]
pub struct Cause(pub std::sync::Arc<anyhow::Error>);

impl Problem {
    /// `code` is one of [`codes::CODES`]; any other panics in a debug build, since clients would not know it.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        debug_assert!(codes::is_known(code), "add the code {code} to http/problem/codes.rs and docs/API.md");
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            details: Value::Array(Vec::new()),
            retry_after: None,
            cause: None,
        }
    }

    /// The list of what exactly is wrong.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// 400: the request is well-formed and asks for something impossible.
    #[must_use]
    pub fn validation(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(
            StatusCode::BAD_REQUEST,
            "validation_failed",
            "Validation failed",
            format!("{field}: {message}"),
        )
        .with_details(json!([{ "field": field, "message": message }]))
    }

    /// 400: not JSON at all.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "Malformed request", detail)
    }

    /// 401.
    #[must_use]
    pub fn unauthorised(code: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, "Unauthorised", detail)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
    }

    /// 404.
    #[must_use]
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "Not found", detail)
    }

    #[must_use]
    pub fn no_such_design() -> Self {
        Self::not_found("no_such_design", "There is no such design, or it was deleted.")
    }

    /// 409.
    #[must_use]
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "Conflict", detail)
    }

    /// 413. `max` in bytes.
    #[must_use]
    pub fn too_large(max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "Too large",
            match max >> 20 {
                0 => format!("The body may have {} KiB at most.", max >> 10),
                mib => format!("The body may have {mib} MiB at most."),
            },
        )
        .with_details(json!([{ "max_bytes": max }]))
    }

    /// 503: passes by itself.
    #[must_use]
    pub fn unavailable(code: &'static str, detail: &str, retry_after: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Unavailable", detail).with_retry_after(retry_after)
    }

    /// 500: what the store holds of a design cannot be read without harm, or at all.
    #[must_use]
    pub fn unreadable_design(fault: ApplyFault) -> Self {
        Self::unreadable(&fault).with_cause(fault)
    }

    fn unreadable(why: &dyn std::fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable_design",
            "The design cannot be read",
            format!("The design is there, but it cannot be opened: {why}. Ask whoever runs this server."),
        )
    }

    /// 500: ours to mend. The cause goes to the log.
    #[must_use]
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "Something failed on our side. The log has more under this answer's X-Request-Id.",
        )
        .with_cause(cause)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:atlas-collab:problem:{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "error": self.title,
            "details": self.details,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 section 3.1.
            let challenge = match self.code {
                "no_credential" => "Bearer",
                _ => "Bearer error=\"invalid_token\"",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(Cause(std::sync::Arc::new(cause)));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchDesign => Self::no_such_design(),
            StoreError::Conflict(what) => {
                Self::conflict("conflict", format!("Refused: {what} exists already."))
            }
            StoreError::Unavailable(_) => Self::unavailable(
                "store_unavailable",
                "The store cannot be reached. Nothing is lost; try again.",
                2,
            )
            .with_cause(error),
            StoreError::Damaged(_) => Self::unreadable(&"what is stored is damaged").with_cause(error),
            StoreError::Foreign { .. }
            | StoreError::Folded
            | StoreError::Fenced
            | StoreError::Behind { .. }
            | StoreError::Overtaken { .. } => Self::internal(error),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing => {
                Self::unauthorised("no_credential", "Send an access token: `Authorization: Bearer <token>`.")
            }
            AuthError::Invalid => Self::unauthorised("invalid_token", "The access token is not valid."),
            AuthError::Expired => {
                Self::unauthorised("token_expired", "The access token has expired: refresh it or log in.")
            }
            AuthError::Revoked => Self::unauthorised("session_ended", "The session was ended: log in again."),
            AuthError::Store(error) => match error.downcast::<StoreError>() {
                Ok(error) => error.into(),
                Err(error) => Self::internal(error),
            },
        }
    }
}

impl From<GrantError> for Problem {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::VerifyOnly => Self::accounts_elsewhere(),
            GrantError::Signing(_) => Self::internal(error),
            GrantError::Store(error) => error.into(),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => {
                Self::unavailable("busy", "Many people are logging in at this moment. Try again.", 2)
            }
            PasswordError::Broken(_) => Self::internal(error),
        }
    }
}

impl Problem {
    /// 404: the built-in accounts are off, since this server only checks tokens.
    #[must_use]
    pub fn accounts_elsewhere() -> Self {
        Self::not_found(
            "accounts_elsewhere",
            "This server checks tokens that another service issues: log in there.",
        )
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn body(response: Response) -> Value {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_problem_has_the_fields_of_both_generations() {
        let response = Problem::validation("name", "is empty").into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            body(response).await,
            json!({
                "type": "urn:atlas-collab:problem:validation_failed",
                "title": "Validation failed",
                "status": 400,
                "detail": "name: is empty",
                "code": "validation_failed",
                "error": "Validation failed",
                "details": [{ "field": "name", "message": "is empty" }],
            })
        );
    }

    #[tokio::test]
    async fn a_private_cause_goes_to_the_log_and_not_to_the_caller() {
        let error = StoreError::Unavailable(anyhow::anyhow!("/var/lib/secret.db is locked"));
        let response = Problem::from(error).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let cause = response.extensions().get::<Cause>().unwrap().clone();
        assert!(format!("{:#}", cause.0).contains("secret.db"));
        assert!(!body(response).await.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn a_401_says_how_to_authenticate() {
        let challenge = |error: AuthError| {
            Problem::from(error).into_response().headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned()
        };
        assert_eq!(challenge(AuthError::Missing), "Bearer");
        assert_eq!(challenge(AuthError::Expired), "Bearer error=\"invalid_token\"");
    }
}
