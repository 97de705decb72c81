//! What a request to open a socket says (RFC 6455 section 4.2.1), before anything is looked up.

use atlas_crdt::ids::Epoch;
use atlas_crdt::room::Dialect;
use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::super::HttpSettings;
use super::super::extract::bearer;
use super::super::problem::Problem;

/// The subprotocol of clients that understand `Saved`, `Notice` and `Renew`.
const ATLAS_V1: &str = "atlas.v1";
/// A subprotocol that carries an access token: the only header that a page can set on a WebSocket.
const TOKEN_PREFIX: &str = "atlas.token.";

/// A well-formed request to open a socket, from a page that may ask.
#[derive(Debug)]
pub(super) struct Offer {
    /// `Sec-WebSocket-Key`.
    pub(super) key: HeaderValue,
    pub(super) dialect: Dialect,
    /// The subprotocol to select: browsers fail a socket whose offers all go unanswered.
    pub(super) protocol: Option<HeaderValue>,
    pub(super) credential: Option<Credential>,
    pub(super) epoch: Option<Epoch>,
}

/// How somebody says who they are. Its `Debug` says only the kind.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// `?token=`: an access token or a ticket.
    TokenOrTicket(String),
    /// A subprotocol or the `Authorization` header: an access token.
    Token(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TokenOrTicket(_) => "TokenOrTicket(..)",
            Self::Token(_) => "Token(..)",
        })
    }
}

#[derive(Debug, Default, serde::Deserialize)]
struct Query {
    token: Option<String>,
    epoch: Option<u64>,
}

/// Reads the request. A credential may come in three ways; the query is asked first, then the subprotocols, then
/// `Authorization`.
pub(super) fn read(parts: &Parts, settings: &HttpSettings) -> Result<Offer, Problem> {
    if !is_from_allowed_origin(&parts.headers, settings) {
        return Err(Problem::forbidden("Pages of this origin may not connect here."));
    }
    let key = websocket_key(&parts.headers)?;
    let query: Query = axum::extract::Query::try_from_uri(&parts.uri)
        .map_err(|error| Problem::validation("query", error.body_text()))?
        .0;
    let offered = words(&parts.headers, &SEC_WEBSOCKET_PROTOCOL);
    let atlas = offered.iter().copied().find(|offer| *offer == ATLAS_V1);
    let with_token = offered.iter().copied().find(|offer| offer.starts_with(TOKEN_PREFIX));
    let token = query
        .token
        .filter(|token| !token.is_empty())
        .map(Credential::TokenOrTicket)
        .or_else(|| with_token.map(|offer| Credential::Token(offer[TOKEN_PREFIX.len()..].to_owned())))
        .or_else(|| bearer(&parts.headers).map(|token| Credential::Token(token.to_owned())));
    Ok(Offer {
        key,
        dialect: if atlas.is_some() { Dialect::Atlas } else { Dialect::Stock },
        protocol: atlas.or(with_token).and_then(|offer| HeaderValue::from_str(offer).ok()),
        credential: token,
        epoch: query.epoch.map(Epoch::new),
    })
}

fn websocket_key(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let asks = words(headers, &UPGRADE).iter().any(|word| word.eq_ignore_ascii_case("websocket"));
    if !asks || words(headers, &SEC_WEBSOCKET_VERSION) != ["13"] {
        return Err(Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "upgrade_required",
            "Upgrade required",
            "This address speaks WebSocket, version 13.",
        ));
    }
    let key =
        headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| Problem::malformed("Sec-WebSocket-Key is missing."))?;
    // Sixteen bytes in base64.
    let has_form = key.len() == 24 && key.as_bytes().ends_with(b"==");
    if has_form {
        Ok(key.clone())
    } else {
        Err(Problem::malformed("Sec-WebSocket-Key is not 16 bytes in base64."))
    }
}

/// Only pages send an `Origin`. Ours are those served from the address that the request itself went to, from the
/// public address, and from the origins that the settings name.
fn is_from_allowed_origin(headers: &HeaderMap, settings: &HttpSettings) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let named = settings.allowed_origins.iter().chain(&settings.public_url);
    if named.map(|allowed| allowed.trim_end_matches('/')).any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        return true;
    }
    let origin_host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    matches!((origin_host, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

/// The comma-separated words of a header, over all its lines.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    const UPGRADES: [(&str, &str); 2] = [("upgrade", "websocket"), ("sec-websocket-version", "13")];

    fn ask(uri: &str, headers: &[(&str, &str)]) -> Result<Offer, StatusCode> {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let settings = HttpSettings {
            allowed_origins: vec!["https://app.example/".into()],
            public_url: Some("https://atlas.example".into()),
            ..HttpSettings::default()
        };
        read(&parts, &settings).map_err(|problem| problem.status())
    }

    fn ask_with(headers: &[(&str, &str)]) -> Result<Offer, StatusCode> {
        ask("/ws/d", &[&UPGRADES[..], &[KEY], headers].concat())
    }

    // R-HAND-1
    #[test]
    fn what_is_no_websocket_is_told_how_to_become_one() {
        assert!(ask_with(&[]).is_ok());
        assert_eq!(ask("/", &[]).unwrap_err(), 426);
        assert_eq!(ask("/", &[UPGRADES[0], KEY]).unwrap_err(), 426);
        assert_eq!(ask("/", &[("upgrade", "h2c"), UPGRADES[1], KEY]).unwrap_err(), 426);
        assert_eq!(ask("/", &[UPGRADES[0], ("sec-websocket-version", "8"), KEY]).unwrap_err(), 426);
        assert_eq!(ask("/", &UPGRADES).unwrap_err(), 400);
        assert_eq!(ask("/", &[UPGRADES[0], UPGRADES[1], ("sec-websocket-key", "short")]).unwrap_err(), 400);
    }

    // R-HAND-2
    #[test]
    fn pages_from_elsewhere_are_refused() {
        for (origin, allowed) in [
            ("https://app.example", true),
            ("HTTPS://APP.example", true),
            ("https://atlas.example", true),
            ("http://localhost:3000", true),
            ("https://localhost:3000", true),
            ("http://localhost:3001", false),
            ("http://evil.example", false),
            ("https://app.example.evil.example", false),
            ("null", false),
            ("localhost:3000", false),
        ] {
            let answer = ask_with(&[("host", "localhost:3000"), ("origin", origin)]);
            assert_eq!(answer.err(), (!allowed).then_some(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    // R-HAND-3
    #[test]
    fn a_token_comes_in_three_ways_and_the_query_is_asked_first() {
        let token = |text: &str| Some(Credential::Token(text.into()));
        let query = Some(Credential::TokenOrTicket("q".into()));
        let header = ("authorization", "Bearer h");
        let protocol = ("sec-websocket-protocol", "atlas.v1, atlas.token.p");
        assert_eq!(ask_with(&[]).unwrap().credential, None);
        assert_eq!(ask_with(&[header]).unwrap().credential, token("h"));
        assert_eq!(ask_with(&[header, protocol]).unwrap().credential, token("p"));
        let all = [&UPGRADES[..], &[KEY, header, protocol]].concat();
        assert_eq!(ask("/ws/d?token=q", &all).unwrap().credential, query);
        assert_eq!(ask("/ws/d?token=", &all).unwrap().credential, token("p"));
    }

    // R-HAND-4
    #[test]
    fn one_offer_is_always_answered() {
        let selected = |offers: &str| {
            let offer = ask_with(&[("sec-websocket-protocol", offers)]).unwrap();
            (offer.dialect, offer.protocol.map(|protocol| protocol.to_str().unwrap().to_owned()))
        };
        assert_eq!(selected("atlas.token.x,atlas.v1"), (Dialect::Atlas, Some("atlas.v1".into())));
        assert_eq!(selected("atlas.token.x"), (Dialect::Stock, Some("atlas.token.x".into())));
        assert_eq!(selected("something.else"), (Dialect::Stock, None));
        assert_eq!(ask_with(&[]).unwrap().protocol, None);
    }

    // R-HAND-1, R-HAND-9
    #[test]
    fn an_epoch_is_a_number() {
        let all = [&UPGRADES[..], &[KEY]].concat();
        assert_eq!(ask("/ws/d?epoch=7&x=y", &all).unwrap().epoch, Some(Epoch::new(7)));
        assert_eq!(ask("/ws/d?epoch=seven", &all).unwrap_err(), 400);
    }
}
