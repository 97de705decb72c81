//! Whose client ids are. What an append claims is written with it: `batch.rs`.

use atlas_crdt::ids::{ClientId, DesignId, Seq, UserId};
use atlas_crdt::room::{Claim, LogRow};
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::values::{column, counter, id, micros};
use crate::store::Result;

/// Claims of any number of designs on their way into a statement.
#[derive(Default)]
pub(super) struct NewClaims {
    designs: Vec<Uuid>,
    clients: Vec<i64>,
    users: Vec<Option<Uuid>>,
    seqs: Vec<i64>,
}

impl NewClaims {
    pub(super) fn push(&mut self, design: Uuid, claim: Claim, seq: i64) {
        self.designs.push(design);
        self.clients.push(column(claim.client.get()));
        self.users.push(claim.user.map(|user| id(user.as_u128())));
        self.seqs.push(seq);
    }

    /// Takes the place of announcements. Two of one id in here are an error: look with [`owners`] before, under the
    /// locks of their heads.
    pub(super) async fn insert(&self, tx: &mut PgConnection) -> Result<()> {
        if self.designs.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO client_ids (design_id, client, user_id, seq)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[])
             ON CONFLICT (design_id, client) DO UPDATE
                 SET user_id = excluded.user_id, seq = excluded.seq, announced_at = NULL
                 WHERE client_ids.seq IS NULL",
        )
        .persistent(false)
        .bind(&self.designs)
        .bind(&self.clients)
        .bind(&self.users)
        .bind(&self.seqs)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Of these ids those that are somebody's, each with its user and whether something was written under it: what was only
/// announced is not free for others either.
pub(super) async fn owners(
    tx: &mut PgConnection,
    designs: &[Uuid],
    clients: &[i64],
) -> Result<Vec<(Uuid, i64, Option<Uuid>, bool)>> {
    if designs.is_empty() {
        return Ok(Vec::new());
    }
    let found = sqlx::query_as(
        "SELECT taken.design_id, taken.client, taken.user_id, taken.seq IS NOT NULL
         FROM unnest($1::uuid[], $2::bigint[]) AS claim (design_id, client)
         JOIN client_ids AS taken USING (design_id, client)",
    );
    Ok(found.persistent(false).bind(designs).bind(clients).fetch_all(tx).await?)
}

/// Notes what a user has announced, unless it is somebody's already, and forgets the oldest beyond `keep`.
pub(super) async fn announce(
    tx: &mut PgConnection,
    design: DesignId,
    (client, user): (ClientId, UserId),
    keep: usize,
    now: OffsetDateTime,
) -> Result<()> {
    // The lock that the reference takes anyway, a moment earlier: a design that is being deleted is then not found.
    let done = sqlx::query(
        "INSERT INTO client_ids (design_id, client, user_id, announced_at)
         SELECT id, $2, $3, $4 FROM designs WHERE id = $1 FOR KEY SHARE
         ON CONFLICT (design_id, client) DO NOTHING",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(client.get()))
    .bind(id(user.as_u128()))
    .bind(micros(now))
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    // One that an append is claiming at this moment is skipped: waiting for it while holding a row of our own could be
    // waiting for each other.
    sqlx::query(
        "DELETE FROM client_ids WHERE design_id = $1 AND client IN
             (SELECT client FROM client_ids WHERE design_id = $1 AND seq IS NULL AND client = ANY (ARRAY
                 (SELECT client FROM client_ids WHERE design_id = $1 AND user_id = $2 AND seq IS NULL
                  ORDER BY announced_at DESC, client OFFSET $3))
              FOR UPDATE SKIP LOCKED)",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(id(user.as_u128()))
    .bind(column(keep as u64))
    .execute(tx)
    .await?;
    Ok(())
}

/// What was announced and not written under, oldest first.
pub(super) async fn announced(tx: &mut PgConnection, design: DesignId) -> Result<Vec<Claim>> {
    let found: Vec<(i64, Option<Uuid>)> = sqlx::query_as(
        "SELECT client, user_id FROM client_ids WHERE design_id = $1 AND seq IS NULL ORDER BY announced_at, client",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_all(tx)
    .await?;
    found.into_iter().map(|(client, user)| claim(client, user)).collect()
}

/// Every client id that the design's log knows.
pub(super) async fn all(tx: &mut PgConnection, design: DesignId) -> Result<Vec<Claim>> {
    let found: Vec<(i64, Option<Uuid>)> =
        sqlx::query_as("SELECT client, user_id FROM client_ids WHERE design_id = $1 AND seq IS NOT NULL")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_all(tx)
            .await?;
    found.into_iter().map(|(client, user)| claim(client, user)).collect()
}

/// Puts what these rows claimed into them. They are contiguous.
pub(super) async fn fill(tx: &mut PgConnection, design: DesignId, rows: &mut [LogRow]) -> Result<()> {
    let Some(first) = rows.first().map(|row| row.seq) else { return Ok(()) };
    let last = rows.last().map_or(first, |row| row.seq);
    let found: Vec<(i64, i64, Option<Uuid>)> = sqlx::query_as(
        "SELECT seq, client, user_id FROM client_ids WHERE design_id = $1 AND seq BETWEEN $2 AND $3",
    )
    .persistent(false)
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
