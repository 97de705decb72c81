//! Whose client ids are.
//!
//! Claims travel to SQLite as one JSON text, so that an append costs the same two statements whether it claims one id
//! or fifty thousand. An append that claims nothing, which is nearly every one, costs none.

use std::collections::HashMap;

use atlas_crdt::ids::{ClientId, DesignId, Seq, UserId};
use atlas_crdt::room::{Claim, LogRow};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::values::{column, counter, id};
use crate::store::{Result, StoreError};

/// Claims on their way into a statement.
pub(super) struct Claims(String);

impl Claims {
    /// `None`: there is nothing to claim. `Foreign` when two people claim one id.
    pub(super) fn of(claims: &[Claim]) -> Result<Option<Self>> {
        if claims.is_empty() {
            return Ok(None);
        }
        let mut users = HashMap::with_capacity(claims.len());
        let mut rows = Vec::with_capacity(claims.len());
        for Claim { client, user } in claims {
            match users.insert(*client, *user) {
                None => rows.push((client.get(), user.map(|user| user.to_string()))),
                Some(other) if other == *user => {}
                Some(_) => return Err(StoreError::Foreign { client: *client }),
            }
        }
        let json = serde_json::to_string(&rows)
            .map_err(|error| StoreError::Unavailable(anyhow::Error::from(error)))?;
        Ok(Some(Self(json)))
    }

    /// `Foreign` when one of the ids belongs to somebody else already, or was announced by somebody else. Writes nothing.
    pub(super) async fn check(&self, tx: &mut SqliteConnection, design: DesignId) -> Result<()> {
        let foreign: Option<i64> = sqlx::query_scalar(
            // CROSS JOIN: look each claim up; the other way round costs their product.
            "SELECT taken.client FROM json_each(?2) AS claim
             CROSS JOIN client_ids AS taken ON taken.design_id = ?1 AND taken.client = claim.value ->> 0
             WHERE taken.user_id IS NOT unhex(claim.value ->> 1, '-') LIMIT 1",
        )
        .bind(id(design.as_u128()))
        .bind(&self.0)
        .fetch_optional(tx)
        .await?;
        match foreign {
            None => Ok(()),
            Some(client) => Err(StoreError::Foreign { client: ClientId::new(counter(client)?) }),
        }
    }

    /// Writes those that are new. Call [`Self::check`] before, in the same transaction.
    pub(super) async fn insert(&self, tx: &mut SqliteConnection, design: DesignId, seq: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO client_ids (design_id, client, user_id, seq)
             SELECT ?1, value ->> 0, unhex(value ->> 1, '-'), ?3 FROM json_each(?2) WHERE TRUE
             ON CONFLICT (design_id, client) DO UPDATE
                 SET user_id = excluded.user_id, seq = excluded.seq, announced_at = NULL WHERE seq IS NULL",
        )
        .bind(id(design.as_u128()))
        .bind(&self.0)
        .bind(seq)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Notes what a user has announced, unless it is somebody's already, and forgets the oldest beyond `keep`. `now` in
/// microseconds.
pub(super) async fn announce(
    tx: &mut SqliteConnection,
    design: DesignId,
    (client, user): (ClientId, UserId),
    keep: usize,
    now: i64,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO client_ids (design_id, client, user_id, announced_at)
         SELECT id, ?2, ?3, ?4 FROM designs WHERE id = ?1
         ON CONFLICT (design_id, client) DO NOTHING",
    )
    .bind(id(design.as_u128()))
    .bind(column(client.get()))
    .bind(id(user.as_u128()))
    .bind(now)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM client_ids WHERE design_id = ?1 AND client IN
             (SELECT client FROM client_ids WHERE design_id = ?1 AND user_id = ?2 AND seq IS NULL
              ORDER BY announced_at DESC, client LIMIT -1 OFFSET ?3)",
    )
    .bind(id(design.as_u128()))
    .bind(id(user.as_u128()))
    .bind(column(keep as u64))
    .execute(tx)
    .await?;
    Ok(())
}

/// What was announced and not written under, oldest first.
pub(super) async fn announced(tx: &mut SqliteConnection, design: DesignId) -> Result<Vec<Claim>> {
    let found: Vec<(i64, Option<Uuid>)> = sqlx::query_as(
        "SELECT client, user_id FROM client_ids WHERE design_id = ?1 AND seq IS NULL ORDER BY announced_at, client",
    )
    .bind(id(design.as_u128()))
    .fetch_all(tx)
    .await?;
    found.into_iter().map(|(client, user)| claim(client, user)).collect()
}

/// Every client id that the design's log knows.
pub(super) async fn all(tx: &mut SqliteConnection, design: DesignId) -> Result<Vec<Claim>> {
    let found: Vec<(i64, Option<Uuid>)> =
        sqlx::query_as("SELECT client, user_id FROM client_ids WHERE design_id = ?1 AND seq IS NOT NULL")
            .bind(id(design.as_u128()))
            .fetch_all(tx)
            .await?;
    found.into_iter().map(|(client, user)| claim(client, user)).collect()
}

/// Puts what these rows claimed into them. They are contiguous.
pub(super) async fn fill(tx: &mut SqliteConnection, design: DesignId, rows: &mut [LogRow]) -> Result<()> {
    let Some(first) = rows.first().map(|row| row.seq) else { return Ok(()) };
    let last = rows.last().map_or(first, |row| row.seq);
    let found: Vec<(i64, i64, Option<Uuid>)> = sqlx::query_as(
        "SELECT seq, client, user_id FROM client_ids WHERE design_id = ?1 AND seq BETWEEN ?2 AND ?3",
    )
    .bind(id(design.as_u128()))
    .bind(column(first.get()))
    .bind(column(last.get()))
    .fetch_all(tx)
    .await?;
    for (seq, client, user) in found {
        let seq = Seq::new(counter(seq)?);
        if let Ok(at) = rows.binary_search_by_key(&seq, |row| row.seq) {
            rows[at].claims.push(claim(client, user)?);
        }
    }
    Ok(())
}

fn claim(client: i64, user: Option<Uuid>) -> Result<Claim> {
    let user = user.map(|user| UserId::from_u128(user.as_u128()));
    Ok(Claim { client: ClientId::new(counter(client)?), user })
}
