//! Tickets: one socket, one design, one minute. They travel in a URL, where an access token would end up in logs.

use atlas_crdt::ids::DesignId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::{Auth, AuthError, Caller};
use crate::store::{NewTicket, StoreError};

/// How long a ticket waits for its socket.
pub const TICKET_TTL: Duration = Duration::seconds(60);

/// A ticket as its buyer gets it; the store keeps its hash only.
#[derive(Clone)]
pub struct IssuedTicket {
    /// 43 characters of base64url. Never contains a dot, which every token does.
    pub ticket: String,
    pub expires_at: OffsetDateTime,
}

impl std::fmt::Debug for IssuedTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedTicket").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Auth {
    /// Sells a ticket. The caller's right to the design is the buyer's business, and is checked again at the socket.
    pub async fn issue_ticket(&self, caller: &Caller, design: DesignId) -> Result<IssuedTicket, StoreError> {
        let secret = self.ids.secret();
        let now = self.clock.utc();
        let expires_at = now + TICKET_TTL;
        self.store
            .create_ticket(NewTicket {
                hash: Sha256::digest(secret).into(),
                user: caller.user,
                design,
                session: caller.session,
                token_expires_at: caller.expires_at,
                expires_at,
            })
            .await?;
        Ok(IssuedTicket { ticket: URL_SAFE_NO_PAD.encode(secret), expires_at })
    }
}

pub(super) async fn consume(auth: &Auth, ticket: &str, design: DesignId) -> Result<Caller, AuthError> {
    let secret = read_secret(ticket).ok_or(AuthError::Invalid)?;
    let now = auth.clock.utc();
    let hash = Sha256::digest(secret).into();
    let ticket = auth.store.consume_ticket(&hash, design, now).await?.ok_or(AuthError::Invalid)?;
    if ticket.token_expires_at <= now {
        return Err(AuthError::Expired);
    }
    auth.require_live(ticket.session).await?;
    let user = auth.store.user(ticket.user).await?.ok_or(AuthError::Invalid)?;
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

/// The 32 bytes behind a ticket or a refresh token; `None`: it is none.
pub(super) fn read_secret(text: &str) -> Option<[u8; 32]> {
    if text.len() != 43 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_could_have_issued_is_looked_up() {
        let issued = URL_SAFE_NO_PAD.encode([9; 32]);
        assert_eq!(read_secret(&issued), Some([9; 32]));
        for text in ["", "a", &issued[1..], &format!("{issued}A"), &issued.replace('C', "+"), &"é".repeat(22)]
        {
            assert_eq!(read_secret(text), None, "{text}");
        }
    }
}
