//! The web client as a browser and as programs ask for it.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderName, IF_NONE_MATCH};
use http_body_util::BodyExt as _;

use super::*;

/// What browsers send when somebody opens an address.
const NAVIGATION: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
const PAGE: &str = "<!doctype html><title>Atlas Collab</title>";

fn built() -> Files {
    let files = [
        ("index.html", PAGE),
        ("index.html.br", "page as brotli"),
        ("sw.js", "self.skipWaiting()"),
        ("assets/index-B2x.js", "console.log(1)"),
        ("assets/index-B2x.js.br", "script as brotli"),
        ("assets/index-B2x.js.gz", "script as gzip"),
    ];
    Files::of(files.into_iter().map(|(path, text)| (path.to_owned(), Bytes::from_static(text.as_bytes()))))
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

fn open(files: &Files, path: &str) -> Result<Response, Problem> {
    answer(files, &Method::GET, path, &headers(&[(ACCEPT, NAVIGATION)]))
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn every_address_within_the_client_is_its_page() {
    for path in ["/signin", "/d/0197a1b2-0000-7000-8000-000000000000", "/d/x/members", "/settings/"] {
        let response = open(&built(), path).unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache", "{path}");
        let vary: Vec<_> = response.headers().get_all(VARY).iter().collect();
        assert_eq!(vary, ["accept-encoding", "accept"], "{path}");
        assert_eq!(text(response).await, PAGE, "{path}");
    }
}

/// A page of the previous release asks for a chunk that is gone: never the page as if it were a script, also when
/// somebody types its address.
#[test]
fn what_is_no_address_of_the_client_stays_unknown() {
    let paths = [
        "/assets/index-OLD.js",
        "/assets/",
        "/assets",
        "/api/v1/nothing",
        "/api",
        "/ws/x/y",
        "/docs/x",
        "/health/x",
        "/old-sw.js",
        "/d/picture.png",
        "/index.html.br",
        "/../Cargo.toml",
        "/.env",
    ];
    for path in paths {
        let problem = open(&built(), path).unwrap_err();
        assert_eq!(problem.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn programs_and_other_methods_get_no_page() {
    let files = built();
    for accept in ["*/*", "application/json", "text/html;q=0, */*", "image/avif,image/webp,*/*;q=0.8"] {
        let headers = headers(&[(ACCEPT, accept)]);
        assert!(answer(&files, &Method::GET, "/d/x", &headers).is_err(), "{accept}");
    }
    let headers = headers(&[(ACCEPT, NAVIGATION)]);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        assert!(answer(&files, &method, "/d/x", &headers).is_err(), "{method}");
        assert!(answer(&files, &method, "/sw.js", &headers).is_err(), "{method}");
    }
    assert!(answer(&files, &Method::HEAD, "/d/x", &headers).is_ok());
}

#[test]
fn without_a_client_there_is_nothing_to_open() {
    assert!(open(&Files::default(), "/d/x").is_err());
}

#[tokio::test]
async fn a_file_travels_in_the_form_that_is_wanted_most() {
    let files = built();
    let path = "/assets/index-B2x.js";
    for (accepted, encoding, body) in [
        ("gzip, deflate, br, zstd", Some("br"), "script as brotli"),
        ("gzip", Some("gzip"), "script as gzip"),
        ("br;q=0.1, gzip;q=0.9", Some("gzip"), "script as gzip"),
        ("identity", None, "console.log(1)"),
    ] {
        let response = answer(&files, &Method::GET, path, &headers(&[(ACCEPT_ENCODING, accepted)])).unwrap();
        let got = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(got, encoding, "{accepted}");
        assert_eq!(response.headers()[VARY], "accept-encoding");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(text(response).await, body, "{accepted}");
    }
}

#[tokio::test]
async fn a_form_that_is_known_is_not_sent_again() {
    let files = built();
    let ask = |accepted: &str, known: &str| {
        let headers = headers(&[(ACCEPT_ENCODING, accepted), (IF_NONE_MATCH, known)]);
        answer(&files, &Method::GET, "/assets/index-B2x.js", &headers).unwrap()
    };
    let tag = ask("br", "\"other\"").headers()[ETAG].to_str().unwrap().to_owned();
    let known = ask("br", &tag);
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.headers()[ETAG], tag.as_str());
    assert_eq!(known.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(known.headers()[VARY], "accept-encoding");
    assert_eq!(text(known).await, "");
    assert_eq!(
        ask("gzip", &tag).status(),
        StatusCode::OK,
        "the tag of another form says nothing about this one"
    );
}
