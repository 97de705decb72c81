//! `/api/v1/auth`: register, login, refresh, logout, me.
//!
//! A login answers with an access token (15 minutes) and a refresh token (7 days), the latter also as a cookie that
//! only these paths get. A refresh by cookie does not repeat the token in its body, so that a page's scripts never
//! see it.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::credentials::{Grant, Refreshed};
use super::extract::{BODY_BYTES_MAX, ClientIp, JsonBody, Signed, bearer, read_body, read_json};
use super::layers::origin_allowed;
use super::openapi::{problems, words};
use super::problem::{Problem, Result};
use super::{AppState, Registration, cookie};
use crate::auth::AuthError;
use crate::auth::passwords::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN};
use crate::auth::throttle::Attempt;
use crate::store::{NewUser, StoreError, User};
use atlas_crdt::roles::PlatformRole;

/// Characters. What SMTP can carry (RFC 5321 section 4.5.3.1.3).
const EMAIL_CHARS_MAX: usize = 254;
/// Characters.
const NAME_CHARS_MAX: usize = 100;

// The bounds that the OpenAPI document names below as literals.
const _: () = assert!(PASSWORD_CHARS_MIN == 8 && PASSWORD_CHARS_MAX == 128);
const _: () = assert!(EMAIL_CHARS_MAX == 254 && NAME_CHARS_MAX == 100);

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(me))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Registration)]
struct RegisterBody {
    #[schema(max_length = 254)]
    email: String,
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: SecretString,
    #[serde(default)]
    #[schema(max_length = 100)]
    name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Login)]
struct LoginBody {
    email: String,
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefreshToken)]
struct RefreshBody {
    #[serde(default)]
    refresh_token: Option<String>,
}

/// A person as the API shows them.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct UserJson {
    #[schema(format = Uuid)]
    id: String,
    email: String,
    #[schema(required)]
    name: Option<String>,
    #[schema(value_type = words::PlatformRole)]
    role: PlatformRole,
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
}

impl From<User> for UserJson {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email,
            name: user.name,
            role: user.role,
            created_at: user.created_at,
        }
    }
}

/// What a login or a refresh hands out.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
struct GrantJson {
    /// A JWT.
    access_token: String,
    /// Missing where it came by cookie: then the next one goes that way, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<String>,
    token_type: TokenType,
    /// Seconds that the access token lives.
    expires_in: i64,
    user: UserJson,
}

#[derive(Serialize, ToSchema)]
enum TokenType {
    Bearer,
}

/// Make an account
///
/// The first account ever becomes admin, all others architects.
#[utoipa::path(post, path = "/api/v1/auth/register", operation_id = "register", tag = "accounts",
    request_body = RegisterBody,
    responses(
        (status = 201, description = "Logged in. The refresh token also goes into a cookie.", body = GrantJson),
        (status = 403, description = "Registration is closed.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Accounts are elsewhere: this server only checks tokens.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 409, description = "The address is taken.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::BodyTrouble, problems::Trouble))]
async fn register(State(state): State<AppState>, JsonBody(body): JsonBody<RegisterBody>) -> Result<Response> {
    require_accounts(&state)?;
    let email = valid_email(&body.email)?;
    let name = valid_name(body.name)?;
    require_good_password(&body.password)?;
    // The first account is the server's owner's: without it a closed server would have none.
    if state.settings.registration == Registration::Closed && state.store.has_users().await? {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "registration_closed",
            "Registration is closed",
            "Ask an administrator of this server for an account.",
        ));
    }
    let mut salt = [0; 16];
    salt.copy_from_slice(&state.ids.secret()[..16]);
    let password_hash = state.auth.passwords.hash(body.password, salt).await?;
    let user = NewUser {
        id: state.ids.user(),
        email,
        name,
        password_hash,
        first_role: PlatformRole::Admin,
        role: PlatformRole::Architect,
        now: state.clock.utc(),
    };
    let user = state.store.create_user(user).await.map_err(|error| match error {
        StoreError::Conflict(_) => {
            Problem::conflict("email_taken", "There is an account with this e-mail address.")
        }
        other => other.into(),
    })?;
    tracing::info!(user = %user.id, role = user.role.as_str(), "somebody registered");
    let grant = state.auth.open_session(user).await?;
    Ok((StatusCode::CREATED, granted(&state, grant, true)).into_response())
}

/// Log in
///
/// A wrong address, a wrong password and a closed account look alike. 429 after five failures in fifteen minutes.
#[utoipa::path(post, path = "/api/v1/auth/login", operation_id = "login", tag = "accounts",
    request_body = LoginBody,
    responses(
        (status = 200, description = "Logged in. The refresh token also goes into a cookie.", body = GrantJson),
        (status = 401, description = "The address or the password is wrong.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Accounts are elsewhere: this server only checks tokens.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many failed logins: see `Retry-After`.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::BodyTrouble, problems::Trouble))]
async fn login(
    State(state): State<AppState>,
    ClientIp(from): ClientIp,
    JsonBody(body): JsonBody<LoginBody>,
) -> Result<Response> {
    require_accounts(&state)?;
    // What could not have been registered is nobody's; the attempt counts and takes its time all the same.
    let email = normal_email(&body.email);
    let attempt = Attempt::new(from, &email);
    state.auth.throttle.begin(attempt, state.clock.now()).map_err(|wait| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            "Too many attempts",
            "Too many failed logins. Wait before the next one.",
        )
        .with_retry_after(wait.0)
    })?;
    match check_password(&state, &email, body.password).await {
        Ok(Some(user)) => {
            state.auth.throttle.succeeded(attempt);
            let grant = state.auth.open_session(user).await?;
            Ok(granted(&state, grant, true))
        }
        Ok(None) => {
            Err(Problem::unauthorised("bad_credentials", "The e-mail address or the password is wrong."))
        }
        Err(problem) => {
            state.auth.throttle.undecided(attempt);
            Err(problem)
        }
    }
}

/// `None`: nobody, a wrong password, or an account that is closed.
async fn check_password(state: &AppState, email: &str, password: SecretString) -> Result<Option<User>> {
    let user = match email.chars().count() {
        ..=EMAIL_CHARS_MAX => state.store.user_by_email(email).await?,
        _ => None,
    };
    // No account has a longer password, and hashing a longer one is work for nothing.
    let too_long = PASSWORD_CHARS_MAX < password.expose_secret().chars().count();
    let password = if too_long { SecretString::from(String::new()) } else { password };
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let matches = state.auth.passwords.verify(password, stored).await?;
    Ok(user.filter(|user| matches && !too_long && user.is_active))
}

/// Exchange a refresh token for a new pair
///
/// The token stands in the body, or comes as the cookie. It is spent by this: who uses it again ends the session and
/// closes its sockets.
#[utoipa::path(post, path = "/api/v1/auth/refresh", operation_id = "refresh", tag = "accounts",
    security((), ("refresh_cookie" = [])), request_body = Option<RefreshBody>,
    responses(
        (status = 200, description = "A new pair.", body = GrantJson),
        (status = 401, description = "No refresh token, or one that is not good any more.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 403, description = "A page of a foreign origin used the cookie.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Accounts are elsewhere: this server only checks tokens.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::BodyTrouble, problems::Trouble))]
async fn refresh(State(state): State<AppState>, request: Request) -> Result<Response> {
    require_accounts(&state)?;
    let (presented, _) = refresh_token(&state, request).await?;
    let Some((token, from_cookie)) = presented else {
        return Err(Problem::unauthorised(
            "no_credential",
            "Send the refresh token as `refresh_token` or as a cookie.",
        ));
    };
    match state.auth.refresh(&token).await? {
        Refreshed::Renewed(grant) => Ok(granted(&state, *grant, !from_cookie)),
        Refreshed::Reused(session) => {
            state.hub.session_revoked(session);
            Err(invalid_refresh_token())
        }
        Refreshed::Invalid => Err(invalid_refresh_token()),
    }
}

fn invalid_refresh_token() -> Problem {
    Problem::unauthorised("invalid_refresh_token", "The refresh token is not valid (any more): log in again.")
}

/// Log out
///
/// With the access token, the refresh token or the cookie. Ends the session, its tokens and its open sockets. A spent
/// refresh token logs out as well, until it would have expired.
#[utoipa::path(post, path = "/api/v1/auth/logout", operation_id = "logout", tag = "accounts",
    security((), ("bearer" = []), ("refresh_cookie" = [])), request_body = Option<RefreshBody>,
    responses(
        (status = 204, description = "The session has ended."),
        (status = 401, description = "Nothing that tells which session.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 403, description = "A page of a foreign origin used the cookie.",
            body = problems::Problem, content_type = "application/problem+json"),
        (status = 404, description = "Accounts are elsewhere: this server only checks tokens.",
            body = problems::Problem, content_type = "application/problem+json"),
        problems::BodyTrouble, problems::Trouble))]
async fn logout(State(state): State<AppState>, request: Request) -> Result<Response> {
    require_accounts(&state)?;
    let (presented, headers) = refresh_token(&state, request).await?;
    let mut sessions = Vec::new();
    let access = bearer(&headers);
    if let Some(token) = access {
        match state.auth.verify_token(token).await {
            Ok(caller) => sessions.push(caller.session),
            Err(error @ AuthError::Store(_)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    if let Some((token, _)) = &presented {
        sessions.extend(state.auth.session_of(token).await?);
    }
    if access.is_none() && presented.is_none() {
        return Err(AuthError::Missing.into());
    }
    sessions.dedup();
    for session in sessions {
        state.auth.end_session(session).await?;
        state.hub.session_revoked(session);
    }
    let mut response = (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response();
    set_cookie(&mut response, cookie::clear(&state.settings));
    Ok(response)
}

/// Who the access token belongs to
#[utoipa::path(get, path = "/api/v1/auth/me", operation_id = "me", tag = "accounts",
    security(("bearer" = [])),
    responses((status = 200, description = "The user.", body = UserJson), problems::SignedTrouble))]
async fn me(State(state): State<AppState>, Signed(caller): Signed) -> Result<Response> {
    let user = state.store.user(caller.user).await?.ok_or(AuthError::Invalid)?;
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(UserJson::from(user))).into_response())
}

fn require_accounts(state: &AppState) -> Result<()> {
    if state.auth.issues_tokens() { Ok(()) } else { Err(Problem::accounts_elsewhere()) }
}

/// The refresh token of a request and whether it came as a cookie; the body wins. A cookie counts only when the page
/// that sent it is one of ours.
async fn refresh_token(state: &AppState, request: Request) -> Result<(Option<(String, bool)>, HeaderMap)> {
    let headers = request.headers().clone();
    let body = read_body(request.into_body(), BODY_BYTES_MAX, &state.bodies).await?;
    let body = if body.bytes.is_empty() { RefreshBody::default() } else { read_json(&body.bytes)? };
    let presented = match body.refresh_token {
        Some(token) => Some((token, false)),
        None => match cookie::read(&headers) {
            Some(_) if !origin_allowed(&state.settings, &headers) => {
                return Err(Problem::forbidden("This page's origin is not allowed."));
            }
            Some(token) => Some((token.to_owned(), true)),
            None => None,
        },
    };
    Ok((presented, headers))
}

fn granted(state: &AppState, grant: Grant, token_in_body: bool) -> Response {
    let cookie = cookie::set(&grant.refresh_token, grant.refresh_expires_in, &state.settings);
    let body = GrantJson {
        access_token: grant.access_token,
        refresh_token: token_in_body.then_some(grant.refresh_token),
        token_type: TokenType::Bearer,
        expires_in: grant.expires_in,
        user: grant.user.into(),
    };
    let mut response = ([(CACHE_CONTROL, "no-store")], axum::Json(body)).into_response();
    set_cookie(&mut response, cookie);
    response
}

fn set_cookie(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// As stored and looked up.
#[must_use]
pub fn normal_email(text: &str) -> String {
    text.trim().to_lowercase()
}

fn valid_email(text: &str) -> Result<String> {
    let email = normal_email(text);
    if EMAIL_CHARS_MAX < email.chars().count() || garde::rules::email::apply(&email, ()).is_err() {
        return Err(Problem::validation("email", "is not an e-mail address"));
    }
    Ok(email)
}

fn valid_name(name: Option<String>) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    match name.chars().count() {
        0 => Ok(None),
        1..=NAME_CHARS_MAX if !name.chars().any(char::is_control) => Ok(Some(name.to_owned())),
        _ => Err(Problem::validation(
            "name",
            format!("has 1 to {NAME_CHARS_MAX} characters, none of them control characters"),
        )),
    }
}

fn require_good_password(password: &SecretString) -> Result<()> {
    match password.expose_secret().chars().count() {
        PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX => Ok(()),
        _ => Err(Problem::validation(
            "password",
            format!("has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_lower_cased() {
        assert_eq!(valid_email("  Ada@Example.COM ").unwrap(), "ada@example.com");
        for text in
            ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example.com\n<x>", &"a".repeat(300)]
        {
            assert!(valid_email(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(valid_name(Some("  Ada  ".to_owned())).unwrap().as_deref(), Some("Ada"));
        assert_eq!(valid_name(Some("   ".to_owned())).unwrap(), None);
        assert_eq!(valid_name(None).unwrap(), None);
        assert!(valid_name(Some("a\u{0}b".to_owned())).is_err());
        assert!(valid_name(Some("a".repeat(101))).is_err());
    }

    #[test]
    fn password_lengths_count_characters() {
        for (length, good) in [(7, false), (8, true), (128, true), (129, false)] {
            let outcome = require_good_password(&SecretString::from("ä".repeat(length)));
            assert_eq!(outcome.is_ok(), good, "{length}");
        }
    }
}
