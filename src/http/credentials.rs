//! Credentials: the parts of `auth` put together over the store.
//!
//! - An **access token** is checked by signature, and by asking the store whether its session still lives.
//! - A **session** is one login, one family of refresh tokens. Each refresh spends the token it was asked with; a
//!   token that is used twice has been copied, and ends its whole family.
//! - A **ticket** opens one socket to one design within a minute. It travels in a URL, where an access token would end
//!   up in logs.

use std::sync::Arc;

use atlas_crdt::ids::{DesignId, SessionId};
use time::{Duration, OffsetDateTime};

use crate::auth::keys::Keys;
use crate::auth::passwords::Passwords;
use crate::auth::secrets;
use crate::auth::throttle::LoginThrottle;
use crate::auth::tokens::{Claims, Subject};
use crate::auth::{AuthError, AuthSettings, Caller};
use crate::clock::{Clock, Ids};
use crate::store::{NewSession, NewTicket, RotateRefresh, Rotation, Store, StoreError, User};

/// How long after a refresh its answer may have been lost on the way: the spent token is taken once more, as long as
/// the one in that answer was never used.
const REFRESH_GRACE: Duration = Duration::seconds(30);
/// How long a ticket waits for its socket.
pub const TICKET_TTL: Duration = Duration::seconds(60);

/// Issues and checks every credential. Shared by all requests; holds no lock across an await.
pub struct Credentials {
    store: Arc<dyn Store>,
    clock: Clock,
    ids: Ids,
    keys: Keys,
    pub passwords: Passwords,
    pub throttle: LoginThrottle,
    settings: AuthSettings,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a login or a refresh hands out.
#[derive(Clone)]
pub struct Grant {
    /// RS256 JWT.
    pub access_token: String,
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

/// A ticket as its buyer gets it.
#[derive(Clone)]
pub struct IssuedTicket {
    pub ticket: String,
    pub expires_at: OffsetDateTime,
}

impl std::fmt::Debug for IssuedTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedTicket").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Credentials {
    pub fn new(store: Arc<dyn Store>, clock: Clock, ids: Ids, keys: Keys, settings: AuthSettings) -> Self {
        let (passwords, throttle) = (Passwords::new(), LoginThrottle::new());
        Self { store, clock, ids, keys, passwords, throttle, settings }
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

    /// Sells a ticket. The caller's right to the design is the buyer's business, and is checked again at the socket.
    pub async fn issue_ticket(&self, caller: &Caller, design: DesignId) -> Result<IssuedTicket, StoreError> {
        let secret = self.ids.secret();
        let now = self.clock.utc();
        let expires_at = now + TICKET_TTL;
        self.store
            .create_ticket(NewTicket {
                hash: secrets::hash(&secret),
                user: caller.user,
                design,
                session: caller.session,
                token_expires_at: caller.expires_at,
                now,
                expires_at,
            })
            .await?;
        Ok(IssuedTicket { ticket: secrets::to_text(&secret), expires_at })
    }

    /// Spends a ticket for one design. The caller is who bought it, for as long as the token that bought it lives.
    pub async fn consume_ticket(&self, ticket: &str, design: DesignId) -> Result<Caller, AuthError> {
        let hash = secrets::hash_of_text(ticket).ok_or(AuthError::Invalid)?;
        let now = self.clock.utc();
        let ticket = self.store.consume_ticket(&hash, design, now).await.map_err(unchecked)?;
        let ticket = ticket.ok_or(AuthError::Invalid)?;
        if ticket.token_expires_at <= now {
            return Err(AuthError::Expired);
        }
        self.require_live(ticket.session).await?;
        let user = self.store.user(ticket.user).await.map_err(unchecked)?.ok_or(AuthError::Invalid)?;
        if !user.is_active {
            return Err(AuthError::Revoked);
        }
        Ok(Caller {
            user: user.id,
            session: ticket.session,
            email: Some(user.email),
            role: user.role,
            expires_at: ticket.token_expires_at,
        })
    }

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
                token_hash: secrets::hash(&secret),
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
        let Some(old_hash) = secrets::hash_of_text(refresh_token) else { return Ok(Refreshed::Invalid) };
        let secret = self.ids.secret();
        let now = self.clock.utc();
        let rotate = RotateRefresh {
            old_hash,
            new_hash: secrets::hash(&secret),
            now,
            expires_at: now + self.settings.refresh_ttl,
            grace: REFRESH_GRACE,
        };
        match self.store.rotate_refresh(rotate).await? {
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
        match secrets::hash_of_text(refresh_token) {
            Some(hash) => self.store.session_by_token(&hash).await,
            None => Ok(None),
        }
    }

    fn grant(&self, session: SessionId, secret: &[u8; 32], user: User) -> Result<Grant, GrantError> {
        let random = self.ids.secret();
        let subject = Subject { user: user.id, email: &user.email, role: user.role, session, random };
        let claims = Claims::new(subject, self.clock.utc(), &self.settings);
        let access_token = match self.keys.sign(&claims) {
            Ok(Some(token)) => token,
            Ok(None) => return Err(GrantError::VerifyOnly),
            Err(error) => return Err(GrantError::Signing(error)),
        };
        Ok(Grant {
            access_token,
            refresh_token: secrets::to_text(secret),
            expires_in: self.settings.access_ttl.whole_seconds(),
            refresh_expires_in: self.settings.refresh_ttl.whole_seconds(),
            user,
        })
    }

    async fn require_live(&self, session: SessionId) -> Result<(), AuthError> {
        match self.store.session_is_live(session, self.clock.utc()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AuthError::Revoked),
            Err(error) => Err(unchecked(error)),
        }
    }
}

fn unchecked(error: StoreError) -> AuthError {
    AuthError::Store(error.into())
}
