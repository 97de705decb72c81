//! What stands under `/` in a build without a web client: that it is missing, how to get it, and what works without.

use axum::response::{Html, IntoResponse, Response};
use http::header::CACHE_CONTROL;

/// Self-contained: no script, no image, nothing from elsewhere, as the content security policy has it.
const PAGE: &str = include_str!("start_page.html");

#[must_use]
pub fn page() -> Response {
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

    #[test]
    fn the_page_says_what_is_missing_and_how_to_get_it() {
        assert!(PAGE.contains("web client is not built") && PAGE.contains("make run"));
    }
}
