//! Updates that a document could not take.

use atlas_crdt::ids::{ClientId, DesignId, UserId};
use atlas_crdt::room::{Quarantine, QuarantineMark};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::values::{column, id};
use crate::store::{QUARANTINE_BYTES_MAX, QUARANTINE_PAYLOADS_MAX, Result, StoreError};

/// `now` in microseconds. One that is there already stays as it is.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    design: DesignId,
    quarantine: &Quarantine,
    now: i64,
) -> Result<()> {
    let clients = serde_json::to_string(&quarantine.mark.clients)
        .map_err(|error| StoreError::Unavailable(anyhow::Error::from(error)))?;
    let bytes = quarantine.update.len();
    // What could never stay must not push others out.
    let payload = (bytes <= QUARANTINE_BYTES_MAX).then_some(quarantine.update.as_ref());
    let done = sqlx::query(
        "INSERT INTO quarantine (design_id, hash, user_id, clients, bytes, reason, created_at, payload)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM designs WHERE id = ?1
         ON CONFLICT (design_id, hash) DO NOTHING",
    )
    .bind(id(design.as_u128()))
    .bind(&quarantine.mark.hash[..])
    .bind(id(quarantine.mark.user.as_u128()))
    .bind(clients)
    .bind(column(bytes as u64))
    .bind(&quarantine.reason)
    .bind(now)
    .bind(payload)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return require_design(tx, design).await;
    }
    forget_the_oldest_payloads(tx, design).await
}

async fn require_design(tx: &mut SqliteConnection, design: DesignId) -> Result<()> {
    let found = sqlx::query("SELECT 1 FROM designs WHERE id = ?1")
        .bind(id(design.as_u128()))
        .fetch_optional(tx)
        .await?;
    found.map(|_| ()).ok_or(StoreError::NoSuchDesign)
}

/// Rows are never deleted one by one, so that a higher rowid is a later row.
async fn forget_the_oldest_payloads(tx: &mut SqliteConnection, design: DesignId) -> Result<()> {
    sqlx::query(
        "UPDATE quarantine SET payload = NULL WHERE rowid IN
             (SELECT rowid FROM
                 (SELECT rowid, sum(bytes) OVER newest_first AS bytes_until, count(*) OVER newest_first AS nth
                  FROM quarantine WHERE design_id = ?1 AND payload IS NOT NULL
                  WINDOW newest_first AS (ORDER BY rowid DESC))
              WHERE ?2 < bytes_until OR ?3 < nth)",
    )
    .bind(id(design.as_u128()))
    .bind(column(QUARANTINE_BYTES_MAX as u64))
    .bind(column(QUARANTINE_PAYLOADS_MAX as u64))
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn marks(tx: &mut SqliteConnection, design: DesignId) -> Result<Vec<QuarantineMark>> {
    let found: Vec<(Uuid, Vec<u8>, String)> =
        sqlx::query_as("SELECT user_id, hash, clients FROM quarantine WHERE design_id = ?1 ORDER BY rowid")
            .bind(id(design.as_u128()))
            .fetch_all(tx)
            .await?;
    found.into_iter().map(|(user, hash, clients)| mark(user, &hash, &clients)).collect()
}

fn mark(user: Uuid, hash: &[u8], clients: &str) -> Result<QuarantineMark> {
    let damaged = || StoreError::Damaged("a mark in quarantine cannot be read".to_owned());
    let hash = hash.try_into().map_err(|_| damaged())?;
    let clients: Vec<ClientId> = serde_json::from_str(clients).map_err(|_| damaged())?;
    Ok(QuarantineMark { user: UserId::from_u128(user.as_u128()), hash, clients })
}
