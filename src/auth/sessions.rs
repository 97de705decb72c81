//! Sessions: one login, one family of refresh tokens. Each refresh spends the token it was asked with; a token that
//! is used twice has been copied, and ends its whole family.

use atlas_crdt::ids::SessionId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::tickets::read_secret;
use super::tokens::Claims;
use super::{Auth, AuthError};
use crate::store::{NewSession, RotateRefresh, Rotation, StoreError, User};

/// What a login or a refresh hands out.
#[derive(Clone)]
pub struct Grant {
    /// RS256 JWT.
    pub access_token: String,
    /// 43 characters of base64url; the store keeps its hash only.
    pub refresh_token: String,
    /// Seconds that the access token lives from now.
    pub expires_in: i64,
    /// Seconds that the refresh token lives from now.
    pub refresh_expires_in: i64,
    pub user: User,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What became of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    Renewed(Box<Grant>),
    /// The token had been spent before. Its session is revoked: close what it opened.
    Reused(SessionId),
    /// Unknown, expired, or of an ended session.
    Invalid,
}

/// Why no grant was made.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    #[error("this server issues no tokens")]
    VerifyOnly,
    #[error("the token could not be signed")]
    Signing(#[source] AuthError),
    #[error("the session could not be stored")]
    Store(#[from] StoreError),
}

impl Auth {
    /// Begins a session for somebody who has just proved who they are.
    pub async fn open_session(&self, user: User) -> Result<Grant, GrantError> {
        let session = self.ids.session();
        let secret = self.ids.secret();
        let now = self.clock.utc();
        let grant = self.grant(session, &secret, user)?;
        self.store
            .create_session(NewSession {
                id: session,
                user: grant.user.id,
                token_hash: Sha256::digest(secret).into(),
                now,
                expires_at: now + self.settings.refresh_ttl,
            })
            .await?;
        Ok(grant)
    }

    /// Exchanges a refresh token for a new pair.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Refreshed, GrantError> {
        if !self.issues_tokens() {
            return Err(GrantError::VerifyOnly);
        }
        let Some(old) = read_secret(refresh_token) else { return Ok(Refreshed::Invalid) };
        let secret = self.ids.secret();
        let now = self.clock.utc();
        let rotation = self
            .store
            .rotate_refresh(RotateRefresh {
                old_hash: Sha256::digest(old).into(),
                new_hash: Sha256::digest(secret).into(),
                now,
                expires_at: now + self.settings.refresh_ttl,
            })
            .await?;
        match rotation {
            Rotation::Invalid => Ok(Refreshed::Invalid),
            Rotation::Reused { session, user } => {
                tracing::warn!(%session, %user, "a refresh token was used twice: its session is revoked");
                Ok(Refreshed::Reused(session))
            }
            Rotation::Rotated { session, user } => match self.store.user(user).await? {
                Some(user) if user.is_active => {
                    Ok(Refreshed::Renewed(Box::new(self.grant(session, &secret, user)?)))
                }
                Some(_) | None => {
                    self.store.revoke_session(session).await?;
                    Ok(Refreshed::Invalid)
                }
            },
        }
    }

    /// Ends a session. False: it had ended already.
    pub async fn end_session(&self, session: SessionId) -> Result<bool, StoreError> {
        self.store.revoke_session(session).await
    }

    /// Whose family a refresh token belongs to, spent or not.
    pub async fn session_of(&self, refresh_token: &str) -> Result<Option<SessionId>, StoreError> {
        match read_secret(refresh_token) {
            Some(secret) => self.store.session_by_token(&Sha256::digest(secret).into()).await,
            None => Ok(None),
        }
    }

    fn grant(&self, session: SessionId, secret: &[u8; 32], user: User) -> Result<Grant, GrantError> {
        let now = self.clock.utc();
        let claims = Claims::new(&user, session, self.ids.secret(), now, &self.settings);
        let access_token = match self.keys.sign(&claims) {
            Ok(Some(token)) => token,
            Ok(None) => return Err(GrantError::VerifyOnly),
            Err(error) => return Err(GrantError::Signing(error)),
        };
        Ok(Grant {
            access_token,
            refresh_token: URL_SAFE_NO_PAD.encode(secret),
            expires_in: self.settings.access_ttl.whole_seconds(),
            refresh_expires_in: self.settings.refresh_ttl.whole_seconds(),
            user,
        })
    }
}
