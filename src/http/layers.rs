//! What every request passes and every answer carries: a request id, one log line, security headers, CORS, a time
//! limit, and a panic turned into a problem.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::problem::{Cause, Problem};
use super::{AppState, HttpSettings};
use crate::lifecycle::panic_text;

/// How long a handler may take, the reading of its body included. An upgraded socket is past it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Characters. A longer request id from outside is replaced.
const REQUEST_ID_CHARS_MAX: usize = 64;
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Seconds for which a browser may remember what CORS allows.
const CORS_MAX_AGE_S: u64 = 86_400;

/// Wraps all routes. The first named is the innermost.
pub fn wrap(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    let mut router = guard(router, REQUEST_TIMEOUT);
    if !state.settings.allowed_origins.is_empty() {
        router = router.layer(cors(&state.settings));
    }
    router
        .layer(from_fn_with_state(state.clone(), security_headers))
        .layer(from_fn_with_state(state.clone(), observe))
}

/// A handler that takes too long is given up, one that panics ends alone; both are answered with a problem.
fn guard<S: Clone + Send + Sync + 'static>(router: Router<S>, timeout: Duration) -> Router<S> {
    router
        // Every body is read by `extract::read_body`, which has limits of its own.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(timeout, time_limit))
        .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| {
            Problem::internal(anyhow::anyhow!("a handler panicked: {}", panic_text(&*panic))).into_response()
        }))
}

async fn time_limit(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::unavailable("timeout", "The request took too long and was given up.", 5).into_response()
        }
    }
}

/// The origins of the settings may call with credentials; all others are left to the browser's same-origin rule.
fn cors(settings: &HttpSettings) -> CorsLayer {
    let origins: Vec<HeaderValue> =
        settings.allowed_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            X_REQUEST_ID,
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER, X_REQUEST_ID])
        .max_age(Duration::from_secs(CORS_MAX_AGE_S))
}

async fn security_headers(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let csp = content_security_policy(&state.settings, request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, csp);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (header::X_XSS_PROTECTION, "0"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("origin-agent-cluster"), "?1"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=()",
        ),
        (HeaderName::from_static("x-permitted-cross-domain-policies"), "none"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if state.settings.is_https() {
        let value = HeaderValue::from_static("max-age=31536000; includeSubDomains; preload");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// Scripts, workers and connections are our own only; pictures may also be made by the page itself (`data:`, `blob:`),
/// which is how it exports one. Nothing runs that stands in the page: the bundler writes no inline script. Styles do,
/// since the canvas places its elements by them. `'self'` does not cover WebSockets in every browser, so the own origin
/// is named: `wss:`, and `ws:` where the host is this machine.
fn content_security_policy(settings: &HttpSettings, headers: &HeaderMap) -> HeaderValue {
    let mut connect = String::from("'self'");
    if let Some(host) = settings.public_host().or_else(|| own_host(headers)) {
        connect.push_str(" wss://");
        connect.push_str(host);
        if is_loopback(host) {
            connect.push_str(" ws://");
            connect.push_str(host);
        }
    }
    let policy = format!(
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src {connect}; \
         img-src 'self' data: blob:; font-src 'self'; worker-src 'self'; manifest-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'self'"))
}

/// The `Host` of a request, if it can be nothing but a host.
fn own_host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '[' | ']');
    (!host.is_empty() && host.len() <= 255 && host.chars().all(plain)).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "[::1]")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a page of this request's `Origin` may open sockets and use cookies here: our own pages and those of the
/// settings. A request without `Origin` comes from no page.
#[must_use]
pub fn origin_allowed(settings: &HttpSettings, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if origins.next().is_some() {
        return false;
    }
    if settings.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    if !matches!(scheme, "http" | "https") {
        return false;
    }
    match settings.public_host() {
        Some(public) if public.eq_ignore_ascii_case(host) => !settings.is_https() || scheme == "https",
        _ => own_host(headers).is_some_and(|own| own.eq_ignore_ascii_case(host)),
    }
}

/// Gives the request its id, and writes one line when it is answered; the private cause of an error goes there.
pub async fn observe(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = request.headers().get(&X_REQUEST_ID).filter(|id| is_request_id(id)).cloned();
    let id = id.unwrap_or_else(|| {
        HeaderValue::from_str(&format!("{:032x}", state.ids.append_salt()))
            .unwrap_or_else(|_| HeaderValue::from_static("-"))
    });
    request.headers_mut().insert(X_REQUEST_ID, id.clone());
    let method = request.method().clone();
    // The route and never the path: paths hold ids and addresses.
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(String::new, |path| path.as_str().to_owned());
    let began = state.clock.now();
    let mut response = next.run(request).await;
    let elapsed_ms = state.clock.now().since(began);
    let status = response.status().as_u16();
    let request_id = id.to_str().unwrap_or_default();
    match response.extensions_mut().remove::<Cause>() {
        Some(Cause(cause)) => {
            tracing::error!(%method, route, status, elapsed_ms, request_id, cause = format!("{cause:#}"), "a request failed");
        }
        None if response.status().is_server_error() => {
            tracing::warn!(%method, route, status, elapsed_ms, request_id, "a request was turned away");
        }
        None if is_probe(&route) => {
            tracing::trace!(%method, route, status, elapsed_ms, request_id, "answered a probe");
        }
        None => tracing::info!(%method, route, status, elapsed_ms, request_id, "answered a request"),
    }
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

fn is_probe(route: &str) -> bool {
    matches!(route, "/health" | "/ready" | "/startup" | "/api/ops/health")
}

fn is_request_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= REQUEST_ID_CHARS_MAX
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A route that does not exist.
#[must_use]
pub fn no_such_route() -> Problem {
    Problem::not_found("no_such_route", "Nothing is served under this path.")
}

/// A route that exists, asked in a way that it does not understand.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Method not allowed",
        "The header Allow lists what this path understands.",
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_or_never_ends_is_answered_for() {
        let routes = Router::new()
            .route("/panics", get(async || -> StatusCode { panic!("a deliberate panic with a secret") }))
            .route("/sleeps", get(std::future::pending::<StatusCode>))
            .route(
                "/reads",
                get(async |body: Body| -> StatusCode {
                    drop(body.collect().await);
                    StatusCode::OK
                }),
            )
            .route("/works", get(async || StatusCode::NO_CONTENT));
        let guarded = guard(routes, Duration::from_millis(20));
        for (path, status, code) in
            [("/panics", 500, "internal"), ("/sleeps", 503, "timeout"), ("/reads", 503, "timeout")]
        {
            let never_ends = futures_util::stream::pending::<Result<String, std::io::Error>>();
            let request = Request::get(path).body(Body::from_stream(never_ends)).unwrap();
            let response = guarded.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{path}");
            assert_eq!(response.extensions().get::<Cause>().is_some(), status == 500, "{path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body);
            assert!(body.contains(code) && !body.contains("secret"), "{path}: {body}");
        }
        let request = Request::get("/works").body(Body::empty()).unwrap();
        assert_eq!(guarded.oneshot(request).await.unwrap().status(), StatusCode::NO_CONTENT);
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn policy(settings: &HttpSettings, host: &str) -> String {
        content_security_policy(settings, &headers(&[("host", host)])).to_str().unwrap().to_owned()
    }

    #[test]
    fn the_policy_names_our_own_sockets() {
        let plain = HttpSettings::default();
        assert!(
            policy(&plain, "localhost:3000")
                .contains("connect-src 'self' wss://localhost:3000 ws://localhost:3000;")
        );
        assert!(policy(&plain, "127.0.0.1:3000").contains(" ws://127.0.0.1:3000;"));
        assert!(policy(&plain, "[::1]:3000").contains(" ws://[::1]:3000;"));
        let remote = policy(&plain, "atlas.example");
        assert!(remote.contains("connect-src 'self' wss://atlas.example;"), "{remote}");
        assert!(!remote.contains("ws://atlas.example"), "{remote}");
        let public =
            HttpSettings { public_url: Some("https://draw.example/".to_owned()), ..HttpSettings::default() };
        assert!(policy(&public, "10.1.2.3:3000").contains("connect-src 'self' wss://draw.example;"));
    }

    #[test]
    fn a_host_cannot_write_into_the_policy() {
        let policy = policy(&HttpSettings::default(), "evil.example; script-src *");
        assert!(policy.contains("connect-src 'self';"), "{policy}");
        assert!(!policy.contains("evil"), "{policy}");
    }

    #[test]
    fn origins() {
        let settings = HttpSettings {
            allowed_origins: vec!["https://app.kohatlas.com".to_owned()],
            public_url: Some("https://draw.example".to_owned()),
            ..HttpSettings::default()
        };
        for (origin, allowed) in [
            ("https://app.kohatlas.com", true),
            ("https://app.kohatlas.com.evil.example", false),
            ("https://draw.example", true),
            ("http://draw.example", false),
            ("http://10.1.2.3:3000", true),
            ("https://evil.example", false),
            ("null", false),
            ("file://", false),
            ("chrome-extension://10.1.2.3:3000", false),
        ] {
            let headers = headers(&[("host", "10.1.2.3:3000"), ("origin", origin)]);
            assert_eq!(origin_allowed(&settings, &headers), allowed, "{origin}");
        }
        assert!(origin_allowed(&settings, &HeaderMap::new()));
    }

    #[test]
    fn request_ids_from_outside_are_short_and_plain() {
        for (id, good) in
            [("abc-1_2.3", true), ("a b", false), ("a\"b", false), (&"x".repeat(65), false), ("", false)]
        {
            assert_eq!(is_request_id(&HeaderValue::from_str(id).unwrap()), good, "{id}");
        }
    }
}
