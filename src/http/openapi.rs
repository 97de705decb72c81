//! GET `/openapi.json`: what this server offers, as an OpenAPI 3.1 document. It is made of the handlers' own
//! annotations; the web client's types are generated from the copy in `web-client/openapi.json`, which a test holds
//! against what the binary prints (`atlas-collab openapi`).

use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{AppState, cookie};

pub mod analysis;
pub mod problems;
pub mod snapshot;
pub mod words;

/// The document as it is served and printed. Made once: it depends on nothing but the code.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let document = super::api().into_openapi();
    // Maps with string keys only, so this cannot fail; the test of the committed copy would show it.
    document.to_pretty_json().unwrap_or_default() + "\n"
});

#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Atlas Collab",
        description = "Many architects edit one design at the same time. Manners that hold everywhere (errors, \
            limits, caching) are told in docs/API.md, the WebSocket protocol in docs/PROTOCOL.md."
    ),
    modifiers(&Schemes),
    components(schemas(problems::Problem)),
    tags(
        (name = "accounts", description = "Registering, logging in and staying logged in."),
        (name = "designs", description = "Designs as documents: list, create, import, read, delete."),
        (name = "analysis", description = "How secure a design is, and what people decide about findings."),
        (name = "members", description = "Who takes part in a design, and as what."),
        (name = "operations", description = "For whoever runs the server."),
    )
)]
pub struct Frame;

/// How requests are signed.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".to_owned());
        bearer.description = Some("An access token.".to_owned());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let refresh = ApiKeyValue::with_description(
            cookie::NAME,
            "The refresh token of a page; its scripts never see it.",
        );
        components.add_security_scheme("refresh_cookie", SecurityScheme::ApiKey(ApiKey::Cookie(refresh)));
    }
}

/// The whole document, indented, with a newline at its end.
#[must_use]
pub fn text() -> &'static str {
    &TEXT
}

pub fn routes() -> Router<AppState> {
    // Its default is to ask a service on the internet what it thinks of the document.
    let config = Config::from("/openapi.json").validator_url("none");
    let page = SwaggerUi::new("/docs").config(config);
    Router::new().route("/openapi.json", get(document)).merge(page)
}

async fn document() -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, text()).into_response()
}
