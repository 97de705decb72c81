//! Access tokens: JSON Web Tokens (RFC 7519) signed with RS256 and nothing else (RFC 8725 section 3.1). Which key
//! may check which token, and under which algorithm, is fixed before a token is read.

use atlas_crdt::ids::{SessionId, UserId};
use atlas_crdt::roles::PlatformRole;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::permissions::platform_role_of_token;
use super::{AuthError, AuthSettings, Caller};

/// Bytes. A longer token is not read.
const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Seconds by which two honest clocks may differ.
pub const LEEWAY_S: i64 = 5;

/// What a token says.
#[derive(Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id.
    pub sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A platform role, in our words or an older vocabulary's.
    pub role: String,
    /// The session's id. Always in ours; a token without one cannot be revoked before it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    pub iss: String,
    pub aud: Audience,
    /// Seconds since 1970, as are `nbf` and `exp`.
    #[serde(deserialize_with = "numeric_date")]
    pub iat: i64,
    #[serde(deserialize_with = "numeric_date")]
    pub nbf: i64,
    #[serde(deserialize_with = "numeric_date")]
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

/// Whom a fresh token is for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub user: UserId,
    pub email: &'a str,
    pub role: PlatformRole,
    pub session: SessionId,
    /// Becomes the token's `jti`.
    pub random: [u8; 32],
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

/// One audience or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("sub", &self.sub).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Claims {
    /// The claims of a fresh token for `subject`.
    #[must_use]
    pub fn new(subject: Subject<'_>, now: OffsetDateTime, settings: &AuthSettings) -> Self {
        let iat = now.unix_timestamp();
        Self {
            sub: subject.user.to_string(),
            email: Some(subject.email.to_owned()),
            role: subject.role.as_str().to_owned(),
            sid: Some(subject.session),
            iss: settings.issuer.clone(),
            aud: Audience::One(settings.audience.clone()),
            iat,
            nbf: iat,
            exp: iat + settings.access_ttl.whole_seconds(),
            jti: Some(URL_SAFE_NO_PAD.encode(&subject.random[..16])),
        }
    }

    /// The caller these claims describe at `now`. The signature, `iss` and `aud` have been checked.
    fn into_caller(self, now: OffsetDateTime) -> Result<Caller, AuthError> {
        let now = now.unix_timestamp();
        // The leeway is for clocks that run late; it does not lengthen a life: a socket ends at `exp` itself.
        if self.exp.saturating_add(LEEWAY_S) <= now {
            return Err(AuthError::Expired);
        }
        let not_before = self.nbf.max(self.iat);
        if now.saturating_add(LEEWAY_S) < not_before {
            return Err(AuthError::Invalid);
        }
        let user: UserId = self.sub.parse().map_err(|_| AuthError::Invalid)?;
        let session = self.sid.unwrap_or_else(|| session_of_foreign(&self));
        Ok(Caller {
            user,
            session,
            role: platform_role_of_token(&self.role).ok_or(AuthError::Invalid)?,
            expires_at: OffsetDateTime::from_unix_timestamp(self.exp).map_err(|_| AuthError::Invalid)?,
            email: self.email,
        })
    }
}

/// Whom a checked token names, and whether its session is one of ours that can be revoked.
#[derive(Debug)]
pub struct Verified {
    pub caller: Caller,
    pub revocable: bool,
}

/// Checks a token against the one key that its `kid` names.
pub(super) fn verify(
    jwt: &str,
    key: &DecodingKey,
    settings: &AuthSettings,
    now: OffsetDateTime,
) -> Result<Verified, AuthError> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    // Times are compared in `into_caller`, by our own clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims =
        jsonwebtoken::decode::<Claims>(jwt, key, &validation).map_err(|_| AuthError::Invalid)?.claims;
    let revocable = claims.sid.is_some();
    Ok(Verified { caller: claims.into_caller(now)?, revocable })
}

/// The `kid` of a token that claims RS256. `Ok(None)`: it names no key.
pub(super) fn key_id(jwt: &str) -> Result<Option<String>, AuthError> {
    if TOKEN_BYTES_MAX < jwt.len() {
        return Err(AuthError::Invalid);
    }
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| AuthError::Invalid)?;
    if header.alg != Algorithm::RS256 {
        return Err(AuthError::Invalid);
    }
    Ok(header.kid)
}

/// Another issuer's token names no session of ours: one of its own stands in, the same for the same token.
fn session_of_foreign(claims: &Claims) -> SessionId {
    let mut hash = Sha256::new();
    for part in
        [&claims.iss, &claims.sub, claims.jti.as_ref().unwrap_or(&String::new()), &claims.iat.to_string()]
    {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    SessionId::from_bytes(id)
}

/// RFC 7519 NumericDate: whole or fractional seconds.
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float saturates, and a saturated time is refused later"
    )]
    number
        .as_i64()
        .or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64))
        .ok_or_else(|| serde::de::Error::custom("not a time"))
}
