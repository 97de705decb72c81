//! Users, their sessions with the refresh tokens, and tickets.

use atlas_crdt::ids::{DesignId, SessionId, UserId};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{FromRow, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::values::{id, instant, micros, or_conflict, role};
use crate::store::{
    NewSession, NewTicket, NewUser, Result, RotateRefresh, Rotation, StoreError, Ticket, User,
};

/// Rows that have expired and go with one write at most, so that none takes long.
const PURGED_MAX: i64 = 100;

/// A row of `users`, as stored.
struct Stored {
    id: Uuid,
    email: String,
    name: Option<String>,
    password_hash: String,
    role: String,
    is_active: bool,
    created_at: i64,
}

impl FromRow<'_, SqliteRow> for Stored {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            name: row.try_get("name")?,
            password_hash: row.try_get("password_hash")?,
            role: row.try_get("role")?,
            is_active: row.try_get("is_active")?,
            created_at: row.try_get("created_at")?,
        })
    }
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
            created_at: instant(self.created_at)?,
        })
    }
}

pub(super) async fn has_users(connection: &mut SqliteConnection) -> Result<bool> {
    let somebody: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM users LIMIT 1").fetch_optional(connection).await?;
    Ok(somebody.is_some())
}

pub(super) async fn create_user(tx: &mut SqliteConnection, new: &NewUser) -> Result<User> {
    let role = if has_users(&mut *tx).await? { new.role } else { new.first_role };
    sqlx::query(
        "INSERT INTO users (id, email, name, password_hash, role, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(id(new.id.as_u128()))
    .bind(new.email.to_lowercase())
    .bind(&new.name)
    .bind(&new.password_hash)
    .bind(role.as_str())
    .bind(micros(new.now))
    .execute(&mut *tx)
    .await
    .map_err(|error| or_conflict(error, "this e-mail address"))?;
    user(tx, new.id).await?.ok_or_else(|| StoreError::Damaged("a new user is not there".to_owned()))
}

pub(super) async fn user(connection: &mut SqliteConnection, user: UserId) -> Result<Option<User>> {
    let row: Option<Stored> = sqlx::query_as("SELECT * FROM users WHERE id = ?1")
        .bind(id(user.as_u128()))
        .fetch_optional(connection)
        .await?;
    row.map(Stored::read).transpose()
}

pub(super) async fn user_by_email(connection: &mut SqliteConnection, email: &str) -> Result<Option<User>> {
    let row: Option<Stored> = sqlx::query_as("SELECT * FROM users WHERE email = ?1")
        .bind(email.to_lowercase())
        .fetch_optional(connection)
        .await?;
    row.map(Stored::read).transpose()
}

pub(super) async fn set_password_hash(
    tx: &mut SqliteConnection,
    user: UserId,
    password_hash: &str,
) -> Result<()> {
    sqlx::query("UPDATE users SET password_hash = ?2 WHERE id = ?1")
        .bind(id(user.as_u128()))
        .bind(password_hash)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn create_session(tx: &mut SqliteConnection, new: &NewSession) -> Result<()> {
    // Sessions that nobody can use any more go here with their tokens, since this is where they come from.
    sqlx::query("DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= ?1 LIMIT ?2)")
        .bind(micros(new.now))
        .bind(PURGED_MAX)
        .execute(&mut *tx)
        .await?;
    sqlx::query("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)")
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
    tx: &mut SqliteConnection,
    hash: &[u8; 32],
    session: Uuid,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO refresh_tokens (hash, session_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
    )
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
    expires_at: i64,
    spent_at: Option<i64>,
    revoked_at: Option<i64>,
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

/// `revoked_at`: what a family that ends here is said to have ended at, in microseconds.
pub(super) async fn rotate_refresh(
    tx: &mut SqliteConnection,
    rotate: &RotateRefresh,
    revoked_at: i64,
) -> Result<Rotation> {
    let now = micros(rotate.now);
    let held: Option<Held> = sqlx::query_as(
        "SELECT t.session_id, s.user_id, t.expires_at, t.spent_at, s.revoked_at, n.hash AS unused_successor
         FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
         LEFT JOIN refresh_tokens n ON n.hash = t.successor AND n.spent_at IS NULL WHERE t.hash = ?1",
    )
    .bind(rotate.old_hash.as_slice())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(held) = held else { return Ok(Rotation::Invalid) };
    if held.revoked_at.is_some() {
        return Ok(Rotation::Invalid);
    }
    let session = SessionId::from_u128(held.session_id.as_u128());
    let user = UserId::from_u128(held.user_id.as_u128());
    let Some(to_spend) = held.to_spend(rotate) else {
        revoke(tx, session, revoked_at).await?;
        return Ok(Rotation::Reused { session, user });
    };
    if held.expires_at <= now {
        return Ok(Rotation::Invalid);
    }
    // Whatever was exchanged already keeps its instant: asking again does not prolong the grace.
    sqlx::query(
        "UPDATE refresh_tokens SET spent_at = coalesce(spent_at, ?3), successor = ?4 WHERE hash IN (?1, ?2)",
    )
    .bind(rotate.old_hash.as_slice())
    .bind(to_spend)
    .bind(now)
    .bind(rotate.new_hash.as_slice())
    .execute(&mut *tx)
    .await?;
    // A session that is prolonged for years keeps the tokens of its last days only.
    sqlx::query(
        "DELETE FROM refresh_tokens WHERE hash IN
         (SELECT hash FROM refresh_tokens WHERE session_id = ?1 AND expires_at <= ?2 LIMIT ?3)",
    )
    .bind(held.session_id)
    .bind(now)
    .bind(PURGED_MAX)
    .execute(&mut *tx)
    .await?;
    insert_token(tx, &rotate.new_hash, held.session_id, rotate.now, rotate.expires_at).await?;
    sqlx::query("UPDATE sessions SET expires_at = ?2 WHERE id = ?1")
        .bind(held.session_id)
        .bind(micros(rotate.expires_at))
        .execute(&mut *tx)
        .await?;
    Ok(Rotation::Rotated { session, user })
}

/// `now` in microseconds. False: unknown or already revoked.
pub(super) async fn revoke(tx: &mut SqliteConnection, session: SessionId, now: i64) -> Result<bool> {
    let done = sqlx::query("UPDATE sessions SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")
        .bind(id(session.as_u128()))
        .bind(now)
        .execute(tx)
        .await?;
    Ok(0 < done.rows_affected())
}

pub(super) async fn session_by_token(
    connection: &mut SqliteConnection,
    hash: &[u8; 32],
) -> Result<Option<SessionId>> {
    let session: Option<Uuid> = sqlx::query_scalar("SELECT session_id FROM refresh_tokens WHERE hash = ?1")
        .bind(hash.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(session.map(|session| SessionId::from_u128(session.as_u128())))
}

pub(super) async fn session_is_live(
    connection: &mut SqliteConnection,
    session: SessionId,
    now: OffsetDateTime,
) -> Result<bool> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM sessions WHERE id = ?1 AND revoked_at IS NULL AND ?2 < expires_at")
            .bind(id(session.as_u128()))
            .bind(micros(now))
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

/// `since` in microseconds.
pub(super) async fn revoked_since(connection: &mut SqliteConnection, since: i64) -> Result<Vec<SessionId>> {
    let sessions: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM sessions WHERE ?1 <= revoked_at")
        .bind(since)
        .fetch_all(connection)
        .await?;
    Ok(sessions.into_iter().map(|session| SessionId::from_u128(session.as_u128())).collect())
}

pub(super) async fn create_ticket(tx: &mut SqliteConnection, new: &NewTicket) -> Result<()> {
    purge_tickets(tx, new.now).await?;
    let done = sqlx::query(
        "INSERT INTO tickets (hash, user_id, design_id, session_id, token_expires_at, expires_at)
         SELECT ?1, ?2, id, ?4, ?5, ?6 FROM designs WHERE id = ?3",
    )
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
async fn purge_tickets(tx: &mut SqliteConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query(
        "DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at <= ?1 LIMIT ?2)",
    )
    .bind(micros(now))
    .bind(PURGED_MAX)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn consume_ticket(
    tx: &mut SqliteConnection,
    hash: &[u8; 32],
    design: DesignId,
    now: OffsetDateTime,
) -> Result<Option<Ticket>> {
    let taken: Option<(Uuid, Uuid, i64)> = sqlx::query_as(
        "DELETE FROM tickets WHERE hash = ?1 AND design_id = ?2 AND ?3 < expires_at
         RETURNING user_id, session_id, token_expires_at",
    )
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
        token_expires_at: instant(token_expires_at)?,
    }))
}
