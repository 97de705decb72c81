//! Users, their sessions with the refresh tokens, and tickets.
//!
//! Rows that expired are deleted by whoever writes one of their kind. Who deletes skips what somebody else holds, so
//! that nobody waits for another's clean-up.

use std::time::Duration;

use atlas_crdt::ids::{DesignId, SessionId, UserId};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::values::{duration, id, micros, or_conflict, role, text};
use crate::store::{
    NewSession, NewTicket, NewUser, Result, RotateRefresh, Rotation, StoreError, Ticket, User,
};

/// Rows that have expired and go with one write at most, so that none takes long.
const PURGED_MAX: i64 = 100;
/// Names the lock under which the first user is made among the advisory locks of the database: "atlas us".
const FIRST_USER_LOCK: i64 = 0x6174_6c61_7320_7573;

/// A row of `users`, as stored.
#[derive(FromRow)]
struct Stored {
    id: Uuid,
    email: String,
    name: Option<String>,
    password_hash: String,
    role: String,
    is_active: bool,
    created_at: OffsetDateTime,
}

impl Stored {
    fn read(self) -> Result<User> {
        Ok(User {
            id: UserId::from_u128(self.id.as_u128()),
            email: self.email,
            name: self.name,
            password_hash: self.password_hash,
            role: role(&self.role)?,
            is_active: self.is_active,
            created_at: self.created_at,
        })
    }
}

/// An address as it is stored and compared.
fn address(email: &str) -> String {
    text(email).to_lowercase()
}

pub(super) async fn has_users(tx: &mut PgConnection) -> Result<bool> {
    let is_anybody = sqlx::query_scalar("SELECT EXISTS (SELECT FROM users)");
    Ok(is_anybody.persistent(false).fetch_one(tx).await?)
}

/// Only as long as nobody is registered do registrations wait for each other.
async fn is_first(tx: &mut PgConnection) -> Result<bool> {
    if has_users(tx).await? {
        return Ok(false);
    }
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .persistent(false)
        .bind(FIRST_USER_LOCK)
        .execute(&mut *tx)
        .await?;
    Ok(!has_users(tx).await?)
}

pub(super) async fn create_user(tx: &mut PgConnection, new: &NewUser) -> Result<User> {
    let role = if is_first(tx).await? { new.first_role } else { new.role };
    sqlx::query(
        "INSERT INTO users (id, email, name, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .persistent(false)
    .bind(id(new.id.as_u128()))
    .bind(address(&new.email))
    .bind(new.name.as_deref().map(text))
    .bind(&new.password_hash)
    .bind(role.as_str())
    .bind(micros(new.now))
    .execute(&mut *tx)
    .await
    .map_err(|error| or_conflict(error, "this e-mail address"))?;
    user(tx, new.id).await?.ok_or_else(|| StoreError::Damaged("a new user is not there".to_owned()))
}

pub(super) async fn user(tx: &mut PgConnection, user: UserId) -> Result<Option<User>> {
    let row: Option<Stored> = sqlx::query_as("SELECT * FROM users WHERE id = $1")
        .persistent(false)
        .bind(id(user.as_u128()))
        .fetch_optional(tx)
        .await?;
    row.map(Stored::read).transpose()
}

pub(super) async fn user_by_email(tx: &mut PgConnection, email: &str) -> Result<Option<User>> {
    let row: Option<Stored> = sqlx::query_as("SELECT * FROM users WHERE email = $1")
        .persistent(false)
        .bind(address(email))
        .fetch_optional(tx)
        .await?;
    row.map(Stored::read).transpose()
}

pub(super) async fn set_password_hash(
    tx: &mut PgConnection,
    user: UserId,
    password_hash: &str,
) -> Result<()> {
    sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
        .persistent(false)
        .bind(id(user.as_u128()))
        .bind(password_hash)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn create_session(tx: &mut PgConnection, new: &NewSession) -> Result<()> {
    // Sessions that nobody can use any more go here with their tokens, since this is where they come from.
    sqlx::query(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .persistent(false)
    .bind(micros(new.now))
    .bind(PURGED_MAX)
    .execute(&mut *tx)
    .await?;
    sqlx::query("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .persistent(false)
        .bind(id(new.id.as_u128()))
        .bind(id(new.user.as_u128()))
        .bind(micros(new.now))
        .bind(micros(new.expires_at))
        .execute(&mut *tx)
        .await
        .map_err(|error| or_conflict(error, "this session"))?;
    insert_token(tx, &new.token_hash, id(new.id.as_u128()), new.now, new.expires_at).await
}

async fn insert_token(
    tx: &mut PgConnection,
    hash: &[u8; 32],
    session: Uuid,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO refresh_tokens (hash, session_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
    )
    .persistent(false)
    .bind(hash.as_slice())
    .bind(session)
    .bind(micros(now))
    .bind(micros(expires_at))
    .execute(tx)
    .await
    .map_err(|error| or_conflict(error, "this refresh token"))?;
    Ok(())
}

/// A refresh token with its session, as stored.
#[derive(FromRow)]
struct Held {
    session_id: Uuid,
    user_id: Uuid,
    expires_at: OffsetDateTime,
    spent_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
    /// The hash of what it was exchanged for, if that was never used.
    unused_successor: Option<Vec<u8>>,
}

impl Held {
    /// The token that an exchange spends: this one, or the one that its lost answer carried. `None`: this one was
    /// spent, and nothing excuses it.
    fn to_spend(&self, rotate: &RotateRefresh) -> Option<Vec<u8>> {
        let Some(spent_at) = self.spent_at else { return Some(rotate.old_hash.to_vec()) };
        let is_young = micros(rotate.now - rotate.grace) <= spent_at;
        self.unused_successor.clone().filter(|_| is_young)
    }
}

/// Reads after the session is locked, in a statement of its own: what the one before it did must be seen.
async fn hold(tx: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Held>> {
    sqlx::query(
        "SELECT FROM sessions WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = $1) FOR UPDATE",
    )
    .persistent(false)
    .bind(hash.as_slice())
    .execute(&mut *tx)
    .await?;
    let held = sqlx::query_as(
        "SELECT t.session_id, s.user_id, t.expires_at, t.spent_at, s.revoked_at, n.hash AS unused_successor
         FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
         LEFT JOIN refresh_tokens n ON n.hash = t.successor AND n.spent_at IS NULL WHERE t.hash = $1",
    );
    Ok(held.persistent(false).bind(hash.as_slice()).fetch_optional(tx).await?)
}

pub(super) async fn rotate_refresh(tx: &mut PgConnection, rotate: &RotateRefresh) -> Result<Rotation> {
    let now = micros(rotate.now);
    let Some(held) = hold(tx, &rotate.old_hash).await? else { return Ok(Rotation::Invalid) };
    if held.revoked_at.is_some() {
        return Ok(Rotation::Invalid);
    }
    let session = SessionId::from_u128(held.session_id.as_u128());
    let user = UserId::from_u128(held.user_id.as_u128());
    let Some(to_spend) = held.to_spend(rotate) else {
        revoke(tx, session).await?;
        return Ok(Rotation::Reused { session, user });
    };
    if held.expires_at <= now {
        return Ok(Rotation::Invalid);
    }
    // Whatever was exchanged already keeps its instant: asking again does not prolong the grace.
    sqlx::query(
        "UPDATE refresh_tokens SET spent_at = coalesce(spent_at, $3), successor = $4 WHERE hash IN ($1, $2)",
    )
    .persistent(false)
    .bind(rotate.old_hash.as_slice())
    .bind(to_spend)
    .bind(now)
    .bind(rotate.new_hash.as_slice())
    .execute(&mut *tx)
    .await?;
    // A session that is prolonged for years keeps the tokens of its last days only.
    sqlx::query(
        "DELETE FROM refresh_tokens WHERE hash IN
             (SELECT hash FROM refresh_tokens WHERE session_id = $1 AND expires_at <= $2 LIMIT $3)",
    )
    .persistent(false)
    .bind(held.session_id)
    .bind(now)
    .bind(PURGED_MAX)
    .execute(&mut *tx)
    .await?;
    insert_token(tx, &rotate.new_hash, held.session_id, rotate.now, rotate.expires_at).await?;
    sqlx::query("UPDATE sessions SET expires_at = $2 WHERE id = $1")
        .persistent(false)
        .bind(held.session_id)
        .bind(micros(rotate.expires_at))
        .execute(&mut *tx)
        .await?;
    Ok(Rotation::Rotated { session, user })
}

/// False: unknown or already revoked. The database's own time: other pods ask for what was revoked lately.
pub(super) async fn revoke(tx: &mut PgConnection, session: SessionId) -> Result<bool> {
    let done = sqlx::query("UPDATE sessions SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL")
        .persistent(false)
        .bind(id(session.as_u128()))
        .execute(tx)
        .await?;
    Ok(0 < done.rows_affected())
}

pub(super) async fn session_by_token(tx: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<SessionId>> {
    let session: Option<Uuid> = sqlx::query_scalar("SELECT session_id FROM refresh_tokens WHERE hash = $1")
        .persistent(false)
        .bind(hash.as_slice())
        .fetch_optional(tx)
        .await?;
    Ok(session.map(|session| SessionId::from_u128(session.as_u128())))
}

pub(super) async fn session_is_live(
    tx: &mut PgConnection,
    session: SessionId,
    now: OffsetDateTime,
) -> Result<bool> {
    let is_live = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND revoked_at IS NULL AND $2 < expires_at)",
    );
    let is_live = is_live.persistent(false).bind(id(session.as_u128())).bind(micros(now));
    Ok(is_live.fetch_one(tx).await?)
}

pub(super) async fn revoked_within(tx: &mut PgConnection, age: Duration) -> Result<Vec<SessionId>> {
    let sessions: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM sessions WHERE now() - $1 * interval '1 microsecond' <= revoked_at",
    )
    .persistent(false)
    .bind(duration(age))
    .fetch_all(tx)
    .await?;
    Ok(sessions.into_iter().map(|session| SessionId::from_u128(session.as_u128())).collect())
}

pub(super) async fn create_ticket(tx: &mut PgConnection, new: &NewTicket) -> Result<()> {
    purge_tickets(tx, new.now).await?;
    // The lock that the reference takes anyway, a moment earlier: a design that is being deleted is then not found.
    let done = sqlx::query(
        "INSERT INTO tickets (hash, user_id, design_id, session_id, token_expires_at, expires_at)
         SELECT $1, $2, id, $4, $5, $6 FROM designs WHERE id = $3 FOR KEY SHARE",
    )
    .persistent(false)
    .bind(new.hash.as_slice())
    .bind(id(new.user.as_u128()))
    .bind(id(new.design.as_u128()))
    .bind(id(new.session.as_u128()))
    .bind(micros(new.token_expires_at))
    .bind(micros(new.expires_at))
    .execute(tx)
    .await
    .map_err(|error| or_conflict(error, "this ticket"))?;
    if done.rows_affected() == 0 {
        return Err(StoreError::NoSuchDesign);
    }
    Ok(())
}

/// Tickets that nobody came for.
async fn purge_tickets(tx: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query(
        "DELETE FROM tickets WHERE hash IN
             (SELECT hash FROM tickets WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .persistent(false)
    .bind(micros(now))
    .bind(PURGED_MAX)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn consume_ticket(
    tx: &mut PgConnection,
    hash: &[u8; 32],
    design: DesignId,
    now: OffsetDateTime,
) -> Result<Option<Ticket>> {
    let taken: Option<(Uuid, Uuid, OffsetDateTime)> = sqlx::query_as(
        "DELETE FROM tickets WHERE hash = $1 AND design_id = $2 AND $3 < expires_at
         RETURNING user_id, session_id, token_expires_at",
    )
    .persistent(false)
    .bind(hash.as_slice())
    .bind(id(design.as_u128()))
    .bind(micros(now))
    .fetch_optional(&mut *tx)
    .await?;
    purge_tickets(tx, now).await?;
    let Some((user, session, token_expires_at)) = taken else { return Ok(None) };
    Ok(Some(Ticket {
        user: UserId::from_u128(user.as_u128()),
        session: SessionId::from_u128(session.as_u128()),
        token_expires_at,
    }))
}
