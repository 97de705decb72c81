//! GET `/`: what this is and what to do, until there is a web client.

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::CACHE_CONTROL;

use super::AppState;

/// Self-contained: no script, no image, nothing from elsewhere, as the content security policy has it.
const PAGE: &str = include_str!("start_page.html");

pub fn routes() -> Router<AppState> {
    Router::new().route("/", get(page))
}

async fn page() -> Response {
    ([(CACHE_CONTROL, "no-cache")], Html(PAGE)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_but_itself() {
        for forbidden in ["<script", "<img", "<link", " src=", "javascript:", " onclick", "@import", "url("] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
    }
}
