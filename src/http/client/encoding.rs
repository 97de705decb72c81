//! Which compressed form of a file a client gets: `Accept-Encoding` (RFC 9110 section 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// How the bytes of a file travel. The better comes first: of what a client wants equally, the smallest is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

impl Encoding {
    /// As in `Content-Encoding`; `None` for what has no such header.
    pub(super) const fn token(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// What to send, of the encodings that there are; `Identity` is always among them. A client that refuses all of them,
/// which the RFC lets it, gets the file as it is: an answer that it may not like is better than none.
pub(super) fn choose(headers: &HeaderMap, available: impl Iterator<Item = Encoding>) -> Encoding {
    let wishes = Wishes::of(headers);
    let wanted =
        available.map(|encoding| (wishes.weight(encoding), encoding)).filter(|(weight, _)| 0 < *weight);
    let best = wanted.max_by_key(|(weight, encoding)| (*weight, std::cmp::Reverse(*encoding)));
    best.map_or(Encoding::Identity, |(_, encoding)| encoding)
}

/// Weights in thousandths, as the header gives them.
#[derive(Default)]
struct Wishes {
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    /// `*`.
    others: Option<u16>,
}

impl Wishes {
    fn of(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for item in lists.flat_map(|list| list.split(',')) {
            let (name, weight) = weighted(item);
            match &name.to_ascii_lowercase()[..] {
                "br" => wishes.brotli = Some(weight),
                "gzip" | "x-gzip" => wishes.gzip = Some(weight),
                "identity" => wishes.identity = Some(weight),
                "*" => wishes.others = Some(weight),
                _ => {}
            }
        }
        wishes
    }

    fn weight(&self, encoding: Encoding) -> u16 {
        match encoding {
            Encoding::Brotli => self.brotli.or(self.others).unwrap_or(0),
            Encoding::Gzip => self.gzip.or(self.others).unwrap_or(0),
            // Acceptable unless it is refused; whoever names another encoding prefers that.
            Encoding::Identity => self.identity.or(self.others).unwrap_or(1),
        }
    }
}

/// `name;q=0.5` as the name and its weight in thousandths. A weight that is no number counts as refused.
pub(super) fn weighted(item: &str) -> (&str, u16) {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    (name, weight.map_or(1_000, thousandths))
}

/// `0`, `1`, `0.5`, `0.333`: at most three digits behind the point (RFC 9110 section 12.4.2).
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    if 3 < fraction.len() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" => 1_000,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_smallest_form_that_is_wanted_most() {
        use Encoding::{Brotli, Gzip, Identity};
        for (header, chosen) in [
            ("gzip, deflate, br, zstd", Brotli),
            ("gzip, deflate", Gzip),
            ("br;q=0.5, gzip;q=0.8", Gzip),
            ("br;q=0.800, gzip;q=0.8", Brotli),
            ("BR;Q=1", Brotli),
            ("br;q=0, gzip;q=0", Identity),
            ("br;q=0, *;q=0.1", Gzip),
            ("*", Brotli),
            ("identity", Identity),
            ("identity;q=0.5, gzip;q=0.2", Identity),
            ("identity;q=0, gzip;q=0.001", Gzip),
            ("identity;q=0", Identity),
            ("*;q=0", Identity),
            ("br;q=2, gzip;q=x", Identity),
            ("br ; q=0.9 , gzip ; q=0.7", Brotli),
            ("deflate", Identity),
            ("", Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(header));
            assert_eq!(choose(&headers, [Brotli, Gzip, Identity].into_iter()), chosen, "{header}");
        }
        assert_eq!(choose(&HeaderMap::new(), [Brotli, Gzip, Identity].into_iter()), Identity);
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br;q=0"));
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(
            choose(&headers, [Brotli, Gzip, Identity].into_iter()),
            Gzip,
            "several headers are one list"
        );
        assert_eq!(choose(&headers, [Identity].into_iter()), Identity, "only what there is");
    }
}
