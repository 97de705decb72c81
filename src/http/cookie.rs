//! The refresh token's cookie (RFC 6265): for pages, whose scripts must not see it.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::HttpSettings;

/// Also named in the OpenAPI document.
pub const NAME: &str = "atlas_refresh";
/// The only paths that get it.
const PATH: &str = "/api/v1/auth";

/// `Set-Cookie` for a fresh refresh token. `Secure` as soon as people reach us over TLS.
#[must_use]
pub fn set(token: &str, max_age_s: i64, settings: &HttpSettings) -> Option<HeaderValue> {
    let secure = if settings.is_https() { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{NAME}={token}; Path={PATH}; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
    ))
    .ok()
}

/// `Set-Cookie` that removes it.
#[must_use]
pub fn clear(settings: &HttpSettings) -> Option<HeaderValue> {
    set("", 0, settings)
}

/// The refresh token that a page's request carries.
#[must_use]
pub fn read(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == NAME && !value.is_empty()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_scripts_and_other_sites_never_see() {
        let plain = HttpSettings::default();
        assert_eq!(
            set("tok", 60, &plain).unwrap(),
            "atlas_refresh=tok; Path=/api/v1/auth; Max-Age=60; HttpOnly; SameSite=Strict"
        );
        let tls =
            HttpSettings { public_url: Some("https://draw.example".to_owned()), ..HttpSettings::default() };
        assert!(set("tok", 60, &tls).unwrap().to_str().unwrap().ends_with("; Secure"));
        assert!(
            clear(&plain)
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("atlas_refresh=; Path=/api/v1/auth; Max-Age=0")
        );
    }

    #[test]
    fn it_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers), None);
        headers.append(COOKIE, HeaderValue::from_static("a=b; atlas_refresh="));
        headers.append(COOKIE, HeaderValue::from_static("x_atlas_refresh=no;atlas_refresh=yes; c=d"));
        assert_eq!(read(&headers), Some("yes"));
    }
}
