//! Updates that a document could not take.

use atlas_crdt::ids::{ClientId, DesignId, UserId};
use atlas_crdt::room::{Quarantine, QuarantineMark};
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::values::{column, id, micros, text};
use crate::store::{QUARANTINE_BYTES_MAX, QUARANTINE_PAYLOADS_MAX, Result, StoreError};

/// One that is there already stays as it is.
pub(super) async fn insert(
    tx: &mut PgConnection,
    design: DesignId,
    quarantine: &Quarantine,
    now: OffsetDateTime,
) -> Result<()> {
    lock(tx, design).await?;
    let bytes = quarantine.update.len();
    // What could never stay must not push others out.
    let payload = (bytes <= QUARANTINE_BYTES_MAX).then_some(quarantine.update.as_ref());
    let done = sqlx::query(
        "INSERT INTO quarantine (design_id, hash, user_id, clients, bytes, reason, created_at, payload)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (design_id, hash) DO NOTHING",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(&quarantine.mark.hash[..])
    .bind(id(quarantine.mark.user.as_u128()))
    .bind(Json(&quarantine.mark.clients))
    .bind(column(bytes as u64))
    .bind(text(&quarantine.reason))
    .bind(micros(now))
    .bind(payload)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    forget_the_oldest_payloads(tx, design).await
}

/// One at a time for each design: two at once would each count without the other. Appends do not wait for it.
async fn lock(tx: &mut PgConnection, design: DesignId) -> Result<()> {
    let found = sqlx::query("SELECT FROM designs WHERE id = $1 FOR NO KEY UPDATE")
        .persistent(false)
        .bind(id(design.as_u128()))
        .fetch_optional(tx)
        .await?;
    found.map(|_| ()).ok_or(StoreError::NoSuchDesign)
}

async fn forget_the_oldest_payloads(tx: &mut PgConnection, design: DesignId) -> Result<()> {
    sqlx::query(
        "UPDATE quarantine SET payload = NULL WHERE design_id = $1 AND hash IN
             (SELECT hash FROM
                 (SELECT hash, sum(bytes) OVER newest_first AS bytes_until, count(*) OVER newest_first AS place
                  FROM quarantine WHERE design_id = $1 AND payload IS NOT NULL
                  WINDOW newest_first AS (ORDER BY nth DESC)) AS kept
              WHERE $2 < bytes_until OR $3 < place)",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(QUARANTINE_BYTES_MAX as u64))
    .bind(column(QUARANTINE_PAYLOADS_MAX as u64))
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn marks(tx: &mut PgConnection, design: DesignId) -> Result<Vec<QuarantineMark>> {
    let found: Vec<(Uuid, Vec<u8>, Json<Vec<ClientId>>)> =
        sqlx::query_as("SELECT user_id, hash, clients FROM quarantine WHERE design_id = $1 ORDER BY nth")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_all(tx)
            .await?;
    let mark = |(user, hash, Json(clients)): (Uuid, Vec<u8>, _)| {
        let damaged = |_| StoreError::Damaged("a mark in quarantine cannot be read".to_owned());
        let hash = hash.try_into().map_err(damaged)?;
        Ok(QuarantineMark { user: UserId::from_u128(user.as_u128()), hash, clients })
    };
    found.into_iter().map(mark).collect()
}
