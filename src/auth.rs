//! Who is asking, and what they may do: callers, tokens, tickets, passwords, and the one table of permissions.

use std::sync::Arc;

use atlas_crdt::ids::{DesignId, SessionId, UserId};
use atlas_crdt::roles::PlatformRole;
use time::OffsetDateTime;

use crate::clock::{Clock, Ids};
use crate::store::{Store, StoreError};

pub mod keys;
pub mod passwords;
pub mod permissions;
pub mod sessions;
pub mod throttle;
pub mod tickets;
pub mod tokens;

pub use permissions::{Action, effective_design_role, permits};
pub use sessions::{Grant, Refreshed};

use keys::Keys;
use passwords::Passwords;
use throttle::LoginThrottle;

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
    Store(#[source] StoreError),
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
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

/// Issues and checks every credential. Shared by all requests; holds no lock across an await.
pub struct Auth {
    store: Arc<dyn Store>,
    clock: Clock,
    ids: Ids,
    keys: Keys,
    pub passwords: Passwords,
    pub throttle: LoginThrottle,
    settings: AuthSettings,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Auth {
    pub fn new(store: Arc<dyn Store>, clock: Clock, ids: Ids, keys: Keys, settings: AuthSettings) -> Self {
        Self {
            passwords: Passwords::new(),
            throttle: LoginThrottle::new(),
            store,
            clock,
            ids,
            keys,
            settings,
        }
    }

    /// False for a server that only holds public keys: it checks tokens and issues none.
    pub fn issues_tokens(&self) -> bool {
        self.keys.can_sign()
    }

    /// Checks an access token: signature, terms, time, and that its session still lives.
    pub async fn verify_token(&self, jwt: &str) -> Result<Caller, AuthError> {
        let verified = self.keys.verify(jwt, &self.settings, self.clock.utc())?;
        if verified.revocable {
            self.require_live(verified.caller.session).await?;
        }
        Ok(verified.caller)
    }

    /// Checks what came in a socket's `?token=`: a ticket, or an access token, which always has dots.
    pub async fn verify_token_or_ticket(&self, text: &str, design: DesignId) -> Result<Caller, AuthError> {
        if text.contains('.') {
            self.verify_token(text).await
        } else {
            self.consume_ticket(text, design).await
        }
    }

    /// Spends a ticket for one design. The caller is who bought it, for as long as the token that bought it lives.
    pub async fn consume_ticket(&self, ticket: &str, design: DesignId) -> Result<Caller, AuthError> {
        tickets::consume(self, ticket, design).await
    }

    async fn require_live(&self, session: SessionId) -> Result<(), AuthError> {
        if self.store.session_is_live(session, self.clock.utc()).await? {
            Ok(())
        } else {
            Err(AuthError::Revoked)
        }
    }
}
