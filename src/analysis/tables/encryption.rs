//! What a text says about encryption on the way.

use crate::analysis::model::Encryption;

/// What a text says. `None`: nothing about a connection ("CMEK", "n/a").
#[must_use]
pub fn of(text: &str) -> Option<Encryption> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '.')
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
        .collect();
    let starts_with_no = words.first().is_some_and(|word| NONE.contains(word));
    let is_turned_off = words.len() <= SHORT_WORDS && words.iter().any(|word| OFF.contains(word));
    let is_denied = words.windows(2).any(|pair| DENIED.contains(&pair[0]) && DENIABLE.contains(&pair[1]));
    if starts_with_no || is_turned_off || is_denied || words.iter().any(|word| PLAIN.contains(word)) {
        return Some(Encryption::None);
    }
    if words.iter().any(|word| MAYBE.contains(word)) {
        return None;
    }
    if is_weak(&words) {
        return Some(Encryption::Weak);
    }
    if words.iter().any(|word| MUTUAL.contains(word)) {
        return Some(Encryption::Mtls);
    }
    let says =
        |word: &&str| TLS.contains(word) || version_of(word).is_some_and(|version| !version.is_empty());
    (words == ["on"] || words.iter().any(says)).then_some(Encryption::Tls)
}

/// The version behind "tls" or "ssl" in one word: "tlsv1.2" is "1.2", "tls" is "".
fn version_of(word: &str) -> Option<&str> {
    let rest = word.strip_prefix("tls").or_else(|| word.strip_prefix("ssl"))?;
    let rest = rest.strip_prefix('v').unwrap_or(rest);
    rest.chars().all(|c| c.is_ascii_digit() || c == '.').then_some(rest)
}

/// SSL with a version, or TLS 1.0 or 1.1, be it one among several.
fn is_weak(words: &[&str]) -> bool {
    let mut is_ssl = false;
    let mut is_tls = false;
    let mut before = "";
    for word in words {
        if let Some(version) = version_of(word) {
            is_ssl = word.starts_with("ssl");
            is_tls = !is_ssl;
            if is_weak_version(version, is_ssl) {
                return true;
            }
        } else if (is_ssl || is_tls) && !before.starts_with("http") {
            let version = word.strip_prefix('v').unwrap_or(word);
            // A bare number behind TLS is no version unless it has a point: "TLS 1 hop".
            if is_weak_version(version, is_ssl) && (is_ssl || version.contains('.')) {
                return true;
            }
        }
        before = word;
    }
    false
}

fn is_weak_version(version: &str, is_ssl: bool) -> bool {
    if is_ssl { SSL_VERSIONS.contains(&version) } else { TLS_VERSIONS_OLD.contains(&version) }
}

const SSL_VERSIONS: &[&str] = &["2", "2.0", "3", "3.0"];
const TLS_VERSIONS_OLD: &[&str] = &["1", "1.0", "1.1"];

/// Words of a text in which [`OFF`] means all of it.
const SHORT_WORDS: usize = 3;
/// First words of a text that says "none".
const NONE: &[&str] =
    &["none", "no", "not", "without", "false", "off", "disabled", "missing", "nothing", "clear"];
/// "no TLS", wherever it stands.
const DENIED: &[&str] = &["no", "without", "not", "non"];
const DENIABLE: &[&str] = &["tls", "ssl", "encryption", "encrypted", "https"];
const OFF: &[&str] = &["off", "disabled", "false", "none"];
/// Words that say "none" wherever they stand.
const PLAIN: &[&str] = &["plaintext", "cleartext", "unencrypted", "plain", "unprotected", "h2c"];
/// Both ways are open.
const MAYBE: &[&str] = &["optional", "opportunistic", "planned", "todo", "tbd"];
const MUTUAL: &[&str] = &["mtls", "mutual"];
const TLS: &[&str] = &[
    "tls",
    "ssl",
    "https",
    "ipsec",
    "wireguard",
    "vpn",
    "ssh",
    "encrypted",
    "yes",
    "true",
    "enabled",
    "required",
    "enforced",
    "starttls",
    "aes",
    "aes128",
    "aes256",
    "chacha20",
    "dtls",
    "quic",
    "e2e",
    "e2ee",
    "macsec",
    "noise",
    "sftp",
    "ftps",
    "wss",
    "ldaps",
];
