//! What people decided about findings.

use atlas_crdt::ids::{DesignId, UserId};
use atlas_crdt::view::hex;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::jobs;
use super::super::values::{column, hash, id, micros, text};
use crate::store::analyses::{Decider, Decision, TRIAGE_MAX, Triage, TriageState};
use crate::store::jobs::JobKind;
use crate::store::{Result, StoreError};

/// A row of a decision: fingerprint, word, reason, who, name, when, until when.
type Stored =
    (Vec<u8>, String, Option<String>, Option<Uuid>, Option<String>, OffsetDateTime, Option<OffsetDateTime>);

const SELECT: &str =
    "SELECT t.fingerprint, t.decision, t.note, t.decided_by, u.name, t.decided_at, t.expires_at
     FROM triage AS t LEFT JOIN users AS u ON u.id = t.decided_by WHERE t.design_id = ";

pub(super) async fn of_design(tx: &mut PgConnection, design: DesignId) -> Result<Vec<Triage>> {
    let mut sql = sqlx::QueryBuilder::new(SELECT);
    sql.push_bind(id(design.as_u128())).push(" ORDER BY t.decided_at DESC, t.fingerprint");
    let rows: Vec<Stored> = sql.build_query_as().persistent(false).fetch_all(tx).await?;
    rows.into_iter().map(read).collect()
}

fn read((fingerprint, word, reason, by, name, at, expires_at): Stored) -> Result<Triage> {
    let state = TriageState::from_word(&word)
        .ok_or_else(|| StoreError::Damaged(format!("an unknown decision: {word}")))?;
    Ok(Triage {
        fingerprint: hash(fingerprint)?,
        decision: Decision { state, reason, expires_at },
        by: by.map(|by| Decider { id: UserId::from_u128(by.as_u128()), name }),
        at,
    })
}

pub(super) async fn put(
    tx: &mut PgConnection,
    (design, fingerprint): (DesignId, [u8; 32]),
    decision: &Decision,
    by: UserId,
) -> Result<Option<Triage>> {
    // One decision at a time: the score knows them by their number.
    let head = sqlx::query("SELECT FROM design_heads WHERE design_id = $1 FOR NO KEY UPDATE")
        .persistent(false)
        .bind(id(design.as_u128()))
        .fetch_optional(&mut *tx)
        .await?;
    if head.is_none() {
        return Err(StoreError::NoSuchDesign);
    }
    if !is_known(tx, design, &fingerprint).await? {
        return Ok(None);
    }
    sqlx::query("UPDATE design_heads SET triage_no = triage_no + 1 WHERE design_id = $1")
        .persistent(false)
        .bind(id(design.as_u128()))
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO triage (design_id, fingerprint, decision, note, decided_by, decided_at, expires_at)
         VALUES ($1, $2, $3, $4, (SELECT id FROM users WHERE id = $5), now(), $6)
         ON CONFLICT (design_id, fingerprint) DO UPDATE SET
             decision = excluded.decision, note = excluded.note, decided_by = excluded.decided_by,
             decided_at = excluded.decided_at, expires_at = excluded.expires_at, expiry_handled = FALSE",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(&fingerprint[..])
    .bind(decision.state.as_str())
    .bind(decision.reason.as_deref().map(text))
    .bind(id(by.as_u128()))
    .bind(decision.expires_at.map(micros))
    .execute(&mut *tx)
    .await?;
    jobs::enqueue(tx, JobKind::Analyze, design, 0).await?;
    let mut sql = sqlx::QueryBuilder::new(SELECT);
    sql.push_bind(id(design.as_u128())).push(" AND t.fingerprint = ").push_bind(fingerprint.to_vec());
    let row: Stored = sql.build_query_as().persistent(false).fetch_one(tx).await?;
    read(row).map(Some)
}

/// Whether it was decided about before, or what holds now has such a finding.
async fn is_known(tx: &mut PgConnection, design: DesignId, fingerprint: &[u8; 32]) -> Result<bool> {
    let (is_decided, decided): (bool, i64) = sqlx::query_as(
        "SELECT coalesce(bool_or(fingerprint = $2), FALSE), count(*) FROM triage WHERE design_id = $1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(&fingerprint[..])
    .fetch_one(&mut *tx)
    .await?;
    if is_decided {
        return Ok(true);
    }
    let is_found: bool = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM analyses AS analysis WHERE analysis.id = (SELECT analysis_id FROM analysis_points
                                  WHERE design_id = $1 ORDER BY no DESC LIMIT 1)
               AND analysis.issues @> jsonb_build_array(jsonb_build_object('fingerprint', $2::text)))",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(hex(fingerprint))
    .fetch_one(tx)
    .await?;
    if is_found && column(TRIAGE_MAX) <= decided {
        return Err(StoreError::Conflict("as many decisions as a design may have"));
    }
    Ok(is_found)
}
