//! Who is asking, and what they may do: callers, keys and tokens, passwords, and the one table of permissions.
//!
//! Nothing here asks a store: `http/credentials.rs` does, and puts these parts together.

use atlas_crdt::ids::{SessionId, UserId};
use atlas_crdt::roles::PlatformRole;
use time::OffsetDateTime;

pub mod keys;
pub mod passwords;
pub mod permissions;
pub mod secrets;
pub mod throttle;
pub mod tokens;

pub use permissions::{Action, effective_design_role, permits};

/// Somebody whose credential has been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    pub user: UserId,
    /// The login that the credential descends from: revoking it closes what it opened.
    pub session: SessionId,
    /// As the token says it; a ticket looks it up.
    pub email: Option<String>,
    pub role: PlatformRole,
    /// When the access token ends. A socket opened with it, or with a ticket bought with it, lives no longer.
    pub expires_at: OffsetDateTime,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address does not belong in a log.
        f.debug_struct("Caller")
            .field("user", &self.user)
            .field("session", &self.session)
            .field("role", &self.role)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why a credential opens nothing. Says as little as its reader needs; what exactly was wrong with a token or a
/// ticket stays here.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No credential was presented.
    #[error("no credential was presented")]
    Missing,
    /// Not ours, forged, malformed, for somebody else, spent, or not valid yet.
    #[error("the credential is not valid")]
    Invalid,
    /// It was good once: a new one helps.
    #[error("the credential has expired")]
    Expired,
    /// Its session was ended by a logout or because a refresh token was used twice.
    #[error("the session was ended")]
    Revoked,
    /// Whether it is good cannot be known now.
    #[error("the credential could not be checked")]
    Store(#[source] anyhow::Error),
}

/// Terms of the credentials that this server issues and accepts.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// The `iss` claim, written and required.
    pub issuer: String,
    /// The `aud` claim, written and required.
    pub audience: String,
    /// How long an access token lives.
    pub access_ttl: time::Duration,
    /// How long a refresh token lives; each rotation starts it anew.
    pub refresh_ttl: time::Duration,
}
