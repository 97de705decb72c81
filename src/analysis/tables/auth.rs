//! How one proves who one is, by its words.

use crate::analysis::model::Authentication::{self, Anonymous, Basic, Iam, Mtls, Shared, Token};

/// What a text says. `None`: it says nothing that a table knows.
#[must_use]
pub fn of(text: &str) -> Option<Authentication> {
    let text = text.to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.first().is_some_and(|word| NONE.contains(word))
        || words.iter().any(|word| NOWHERE.contains(word))
    {
        return Some(Authentication::None);
    }
    WORDS
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| contains(&words, phrase)))
        .map(|(authentication, _)| *authentication)
}

/// Does this phrase of whole words stand among the words?
fn contains(words: &[&str], phrase: &str) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    words.windows(phrase.len()).any(|window| window == phrase)
}

/// First words of a text that says "none".
pub const NONE: &[&str] = &["none", "no", "off", "disabled", "false", "without", "missing"];
/// Words that say "none" wherever they stand.
pub const NOWHERE: &[&str] = &["unauthenticated", "noauth", "nobody"];

/// The most telling first: "SCRAM with dynamic credentials" is no shared password, "basic auth with a token" is basic.
pub const WORDS: &[(Authentication, &[&str])] = &[
    (Anonymous, &["anonymous", "guest", "public access", "allusers"]),
    (
        Mtls,
        &[
            "mtls",
            "mutual tls",
            "mutual",
            "client certificate",
            "client certificates",
            "client cert",
            "x509",
            "x 509",
            "certificate",
            "certificates",
            "spiffe",
            "smartcard",
        ],
    ),
    (Basic, &["basic", "digest", "http basic", "basicauth"]),
    (
        Iam,
        &[
            "iam",
            "workload identity",
            "managed identity",
            "kerberos",
            "scram",
            "approle",
            "sts",
            "dynamic",
            "dynamic credentials",
            "temporary credentials",
            "short lived",
            "sigv4",
            "instance role",
            "instance profile",
            "iam role",
            "role",
            "irsa",
            "service identity",
            "gssapi",
            "ssh key",
            "ssh keys",
            "public key",
            "active directory",
            "ad",
            "entra",
        ],
    ),
    (
        Token,
        &[
            "jwt",
            "oauth",
            "oauth2",
            "oidc",
            "openid",
            "saml",
            "sso",
            "bearer",
            "iap",
            "token",
            "tokens",
            "session",
            "session id",
            "cookie",
            "mfa",
            "two factor",
            "2fa",
            "webauthn",
            "passkey",
            "fido2",
            "externalized",
            "id token",
        ],
    ),
    (
        Shared,
        &[
            "shared",
            "shared key",
            "shared secret",
            "api key",
            "api keys",
            "apikey",
            "static",
            "password",
            "passwords",
            "psk",
            "pre shared key",
            "credentials",
            "access key",
            "access keys",
            "sas",
            "sas token",
            "connection string",
            "hmac",
            "secret",
            "secret key",
            "key",
            "redis auth",
            "username",
            "hardcoded",
            "ntlm",
            "service account key",
        ],
    ),
    (Iam, &["service account", "service accounts"]),
];
