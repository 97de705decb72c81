//! The web client: `/` and every address within it, and its files.
//!
//! - `client/files.rs` holds the files, `client/encoding.rs` chooses the form in which one travels.
//!
//! A browser that opens an address of the client (`/`, `/signin`, `/d/{id}`) gets its one page, which then shows what
//! the address says. Whatever else is asked for and is not there is a problem document, never that page: a chunk of a
//! previous release must fail as a chunk, or the browser would run a page as a script.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::problem::Problem;
use super::snapshot::knows;
use super::{AppState, layers, start_page};

mod encoding;
mod files;

use files::File;
pub use files::Files;

/// First segments of paths that belong to programs: none of them is ever an address within the client.
const NOT_PAGES: &[&str] =
    &["api", "assets", "ws", "docs", "doc", "hocuspocus", "health", "ready", "startup"];

/// `/` and the fallback of all routes.
pub fn add_to(router: Router<AppState>) -> Router<AppState> {
    let files = Arc::new(Files::built());
    if files.page().is_some() {
        tracing::debug!(files = files.len(), "serving the web client");
    } else {
        tracing::warn!("this build has no web client: / shows how to make one");
    }
    let of_root = Arc::clone(&files);
    let root = get(move |headers: HeaderMap| {
        let page = of_root.page().map(|page| send(page, &headers));
        std::future::ready(page.unwrap_or_else(start_page::page))
    });
    router.route("/", root).fallback(move |method: Method, uri: Uri, headers: HeaderMap| {
        let answer = answer(&files, &method, uri.path(), &headers);
        async { answer.unwrap_or_else(Problem::into_response) }
    })
}

/// What is served under a path that no route has.
fn answer(files: &Files, method: &Method, path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(layers::no_such_route());
    }
    if let Some(file) = files.get(path.trim_start_matches('/')) {
        return Ok(send(file, headers));
    }
    match files.page() {
        Some(page) if is_address(path) && wants_page(headers) => {
            let mut response = send(page, headers);
            // A program that asks for the same address is told that nothing is there.
            response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
            Ok(response)
        }
        _ => Err(layers::no_such_route()),
    }
}

/// Whether the client may have a page under this address: a name with a dot in it is a file.
fn is_address(path: &str) -> bool {
    let mut segments = path.trim_start_matches('/').split('/');
    let first = segments.next().unwrap_or_default();
    let last = segments.next_back().unwrap_or(first);
    !NOT_PAGES.contains(&first) && !last.contains('.')
}

/// Whether somebody opens this in a browser: one that loads a page names `text/html`, one that loads a script, and
/// most programs, do not.
fn wants_page(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media = lists.flat_map(|list| list.split(',')).map(encoding::weighted);
    media.any(|(name, weight)| name.eq_ignore_ascii_case("text/html") && 0 < weight)
}

/// The file in the form that the client likes best, or 304 when it has that already.
fn send(file: &File, headers: &HeaderMap) -> Response {
    let encoding = encoding::choose(headers, file.encodings());
    let form = file.form(encoding);
    let known = form.etag.to_str().is_ok_and(|etag| knows(headers, etag));
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { form.bytes.clone().into_response() };
    let answer = response.headers_mut();
    answer.insert(ETAG, form.etag.clone());
    answer.insert(CACHE_CONTROL, HeaderValue::from_static(file.cache));
    answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if !known {
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(file.media));
        if let Some(token) = encoding.token() {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static(token));
        }
    }
    response
}

#[cfg(test)]
mod tests;
