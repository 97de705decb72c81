//! Blobs that wait for their store.

use sqlx::sqlite::SqliteConnection;

use super::values::{column, counter, hash, id, instant};
use crate::store::folds::{BacklogBlob, BacklogSize};
use crate::store::{Result, StoreError};

/// `now` in microseconds.
pub(super) async fn add(tx: &mut SqliteConnection, blob: &BacklogBlob, now: i64) -> Result<()> {
    let design = blob.design().map(|design| id(design.as_u128()));
    let done = sqlx::query(
        "INSERT INTO blob_backlog (prefix, hash, design_id, bytes, created_at, payload)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?3 IS NULL OR EXISTS (SELECT 1 FROM designs WHERE id = ?3)
         ON CONFLICT (prefix, hash) DO NOTHING",
    )
    .bind(&blob.prefix)
    .bind(&blob.hash[..])
    .bind(design)
    .bind(column(blob.bytes.len() as u64))
    .bind(now)
    .bind(blob.bytes.as_ref())
    .execute(&mut *tx)
    .await?;
    if 0 < done.rows_affected() {
        return Ok(());
    }
    let found = sqlx::query("SELECT 1 FROM blob_backlog WHERE prefix = ?1 AND hash = ?2")
        .bind(&blob.prefix)
        .bind(&blob.hash[..])
        .fetch_optional(tx)
        .await?;
    found.map(|_| ()).ok_or(StoreError::NoSuchDesign)
}

/// One statement sees one state. A payload is read only if it fits.
pub(super) async fn oldest(
    connection: &mut SqliteConnection,
    after: u64,
    limit: i64,
    bytes: i64,
) -> Result<Vec<(u64, BacklogBlob)>> {
    let found: Vec<(i64, String, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT id, prefix, hash, payload FROM blob_backlog WHERE id IN
             (SELECT id FROM
                 (SELECT id, sum(bytes) OVER oldest_first AS total, row_number() OVER oldest_first AS nth
                  FROM (SELECT id, bytes FROM blob_backlog WHERE ?3 < id ORDER BY id LIMIT ?1)
                  WINDOW oldest_first AS (ORDER BY id))
              WHERE nth = 1 OR total <= ?2)
         ORDER BY id",
    )
    .bind(limit)
    .bind(bytes)
    .bind(column(after))
    .fetch_all(connection)
    .await?;
    let blob = |(number, prefix, name, bytes): (_, _, _, Vec<u8>)| {
        Ok((counter(number)?, BacklogBlob { prefix, hash: hash(name)?, bytes: bytes.into() }))
    };
    found.into_iter().map(blob).collect()
}

pub(super) async fn remove(tx: &mut SqliteConnection, prefix: &str, hash: [u8; 32]) -> Result<()> {
    sqlx::query("DELETE FROM blob_backlog WHERE prefix = ?1 AND hash = ?2")
        .bind(prefix)
        .bind(&hash[..])
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn size(connection: &mut SqliteConnection) -> Result<BacklogSize> {
    let (blobs, bytes, oldest): (i64, i64, Option<i64>) =
        sqlx::query_as("SELECT count(*), coalesce(sum(bytes), 0), min(created_at) FROM blob_backlog")
            .fetch_one(connection)
            .await?;
    Ok(BacklogSize {
        blobs: counter(blobs)?,
        bytes: counter(bytes)?,
        oldest: oldest.map(instant).transpose()?,
    })
}
