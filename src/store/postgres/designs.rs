//! Designs and their members.

use atlas_crdt::ids::{DesignId, Seq, UserId};
use atlas_crdt::roles::DesignRole;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, QueryBuilder, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::claims::NewClaims;
use super::jobs;
use super::values::{counter, id, ids, micros, or_conflict, role, search_key, text};
use crate::store::jobs::JobKind;
use crate::store::{DesignRow, ListDesigns, ListedDesign, Member, NewDesign, Page, Result, StoreError};

const SELECT: &str = "SELECT d.id, d.name, d.description, d.owner_id, d.created_at, h.updated_at, h.head_seq";
const FROM: &str = " FROM designs d JOIN design_heads h ON h.design_id = d.id";

/// A row of `SELECT`, as stored.
#[derive(FromRow)]
struct Stored {
    id: Uuid,
    name: String,
    description: Option<String>,
    owner_id: Uuid,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    head_seq: i64,
}

impl Stored {
    fn read(self) -> Result<DesignRow> {
        Ok(DesignRow {
            id: DesignId::from_u128(self.id.as_u128()),
            name: self.name,
            description: self.description,
            owner: UserId::from_u128(self.owner_id.as_u128()),
            created_at: self.created_at,
            updated_at: self.updated_at,
            head_seq: Seq::new(counter(self.head_seq)?),
        })
    }
}

/// A row of a listing, as stored.
struct Listed {
    stored: Stored,
    role: Option<String>,
}

impl FromRow<'_, PgRow> for Listed {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self { stored: Stored::from_row(row)?, role: row.try_get("role")? })
    }
}

impl Listed {
    fn read(self) -> Result<ListedDesign> {
        Ok(ListedDesign { row: self.stored.read()?, role: self.role.as_deref().map(role).transpose()? })
    }
}

pub(super) async fn create(tx: &mut PgConnection, new: &NewDesign) -> Result<DesignRow> {
    let now = micros(new.now);
    let design = id(new.id.as_u128());
    sqlx::query(
        "INSERT INTO designs (id, name, name_key, description, owner_id, created_at)
         VALUES ($1, $2, $3, $4, $5, least($6, now()))",
    )
    .persistent(false)
    .bind(design)
    .bind(text(&new.name))
    .bind(search_key(&new.name))
    .bind(new.description.as_deref().map(text))
    .bind(id(new.owner.as_u128()))
    .bind(now)
    .execute(&mut *tx)
    .await
    .map_err(|error| or_conflict(error, "this design"))?;
    sqlx::query(
        "INSERT INTO design_heads (design_id, generation, epoch, head_seq, updated_at) VALUES ($1, 1, 1, 1, least($2, now()))",
    )
    .persistent(false)
    .bind(design)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO design_updates (design_id, seq, append_id, payload, authors, created_at)
         VALUES ($1, 1, $2, $3, '[]', least($4, now()))",
    )
    .persistent(false)
    .bind(design)
    .bind(id(new.append_id.as_u128()))
    .bind(new.first.as_ref())
    .bind(now)
    .execute(&mut *tx)
    .await
    .map_err(|error| or_conflict(error, "this append id"))?;
    let mut users = std::collections::HashMap::new();
    let mut claims = NewClaims::default();
    for claim in &new.claims {
        match users.insert(claim.client, claim.user) {
            None => claims.push(design, *claim, 1),
            Some(other) if other == claim.user => {}
            Some(_) => return Err(StoreError::Foreign { client: claim.client }),
        }
    }
    claims.insert(tx).await?;
    insert_member(tx, new.id, new.owner, DesignRole::Owner, now).await?;
    jobs::enqueue(tx, JobKind::Analyze, new.id, 0).await?;
    get(tx, new.id).await?.ok_or(StoreError::NoSuchDesign)
}

pub(super) async fn get(tx: &mut PgConnection, design: DesignId) -> Result<Option<DesignRow>> {
    let mut sql = QueryBuilder::new(SELECT);
    sql.push(FROM).push(" WHERE d.id = ").push_bind(id(design.as_u128()));
    let row: Option<Stored> = sql.build_query_as().persistent(false).fetch_optional(tx).await?;
    row.map(Stored::read).transpose()
}

pub(super) async fn list(tx: &mut PgConnection, query: &ListDesigns) -> Result<Page<ListedDesign>> {
    let mut sql = QueryBuilder::new(SELECT);
    sql.push(if query.visible_to.is_some() { ", m.role" } else { ", NULL AS role" }).push(FROM);
    if let Some(user) = query.visible_to {
        sql.push(" JOIN design_members m ON m.design_id = d.id AND m.user_id = ")
            .push_bind(id(user.as_u128()));
    }
    sql.push(" WHERE TRUE");
    if let Some(part) = &query.name_contains {
        sql.push(" AND 0 < strpos(d.name_key, ").push_bind(search_key(part)).push(")");
    }
    if let Some(Cursor { updated_at, design }) = query.cursor.as_deref().and_then(Cursor::read) {
        sql.push(" AND (h.updated_at, h.design_id) < (").push_bind(updated_at);
        sql.push(", ").push_bind(design).push(")");
    }
    // One more than asked for tells whether there is another page.
    let more = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    sql.push(" ORDER BY h.updated_at DESC, h.design_id DESC LIMIT ").push_bind(more);

    let mut rows: Vec<Listed> = sql.build_query_as().persistent(false).fetch_all(tx).await?;
    let is_last = rows.len() <= query.limit;
    rows.truncate(query.limit);
    let next = match rows.last() {
        Some(row) if !is_last => {
            Some(Cursor { updated_at: row.stored.updated_at, design: row.stored.id }.write())
        }
        _ => None,
    };
    let items = rows.into_iter().map(Listed::read).collect::<Result<_>>()?;
    Ok(Page { items, next })
}

/// The place after one row of the listing: its sort key, 8 bytes of microseconds since 1970 and 16 of the id in
/// URL-safe base64.
struct Cursor {
    updated_at: OffsetDateTime,
    design: Uuid,
}

impl Cursor {
    fn write(&self) -> String {
        let micros = i64::try_from(self.updated_at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
        URL_SAFE_NO_PAD.encode([&micros.to_be_bytes()[..], self.design.as_bytes()].concat())
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (micros, design) = bytes.split_first_chunk::<8>()?;
        // Nothing was written before 1970; what a forger may put there is no instant for Postgres.
        let nanos = i128::from(u64::from_be_bytes(*micros)) * 1_000;
        let updated_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        Some(Self { updated_at, design: Uuid::from_slice(design).ok()? })
    }
}

pub(super) async fn delete(tx: &mut PgConnection, design: DesignId) -> Result<bool> {
    // The head first, as whoever appends does: the other way round two would wait for each other.
    sqlx::query("SELECT FROM design_heads WHERE design_id = $1 FOR UPDATE")
        .persistent(false)
        .bind(id(design.as_u128()))
        .execute(&mut *tx)
        .await?;
    // Everything that belongs to it references it with ON DELETE CASCADE.
    let done = sqlx::query("DELETE FROM designs WHERE id = $1")
        .persistent(false)
        .bind(id(design.as_u128()))
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    jobs::follow_deletion(tx, design).await?;
    Ok(true)
}

pub(super) async fn members(tx: &mut PgConnection, design: DesignId) -> Result<Vec<Member>> {
    let rows: Vec<(Uuid, String, Option<String>, String)> = sqlx::query_as(
        "SELECT u.id, u.email, u.name, m.role FROM design_members m JOIN users u ON u.id = m.user_id
         WHERE m.design_id = $1 ORDER BY u.email COLLATE \"C\"",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_all(tx)
    .await?;
    let member = |(user, email, name, word): (Uuid, _, _, String)| {
        Ok(Member { user: UserId::from_u128(user.as_u128()), email, name, role: role(&word)? })
    };
    rows.into_iter().map(member).collect()
}

pub(super) async fn member_role(
    tx: &mut PgConnection,
    design: DesignId,
    user: UserId,
) -> Result<Option<DesignRole>> {
    let word: Option<String> =
        sqlx::query_scalar("SELECT role FROM design_members WHERE design_id = $1 AND user_id = $2")
            .persistent(false)
            .bind(id(design.as_u128()))
            .bind(id(user.as_u128()))
            .fetch_optional(tx)
            .await?;
    word.as_deref().map(role).transpose()
}

/// Designs in one statement.
const ROLES_DESIGNS_MAX: usize = 4_096;

pub(super) async fn member_roles(
    tx: &mut PgConnection,
    designs: &[DesignId],
) -> Result<Vec<(DesignId, UserId, DesignRole)>> {
    let mut found = Vec::new();
    for designs in designs.chunks(ROLES_DESIGNS_MAX) {
        let rows: Vec<(Uuid, Uuid, String)> =
            sqlx::query_as("SELECT design_id, user_id, role FROM design_members WHERE design_id = ANY($1)")
                .persistent(false)
                .bind(ids(designs))
                .fetch_all(&mut *tx)
                .await?;
        for (design, user, word) in rows {
            let (design, user) = (DesignId::from_u128(design.as_u128()), UserId::from_u128(user.as_u128()));
            found.push((design, user, role(&word)?));
        }
    }
    Ok(found)
}

pub(super) async fn put_member(
    tx: &mut PgConnection,
    design: DesignId,
    user: UserId,
    role: DesignRole,
    now: OffsetDateTime,
) -> Result<()> {
    if !note_change(tx, design).await? {
        return Err(StoreError::NoSuchDesign);
    }
    if role != DesignRole::Owner {
        refuse_last_owner(tx, design, user).await?;
    }
    insert_member(tx, design, user, role, micros(now)).await?;
    follow_owner(tx, design).await
}

pub(super) async fn remove_member(tx: &mut PgConnection, design: DesignId, user: UserId) -> Result<bool> {
    note_change(tx, design).await?;
    refuse_last_owner(tx, design, user).await?;
    let done = sqlx::query("DELETE FROM design_members WHERE design_id = $1 AND user_id = $2")
        .persistent(false)
        .bind(id(design.as_u128()))
        .bind(id(user.as_u128()))
        .execute(&mut *tx)
        .await?;
    follow_owner(tx, design).await?;
    Ok(0 < done.rows_affected())
}

/// Open sockets will hear of the change. It also makes for one change of members at a time: two owners who leave at once
/// would each see the other. False: no such design.
async fn note_change(tx: &mut PgConnection, design: DesignId) -> Result<bool> {
    let done = sqlx::query("UPDATE design_heads SET notice_seq = notice_seq + 1 WHERE design_id = $1")
        .persistent(false)
        .bind(id(design.as_u128()))
        .execute(tx)
        .await?;
    Ok(0 < done.rows_affected())
}

async fn insert_member(
    tx: &mut PgConnection,
    design: DesignId,
    user: UserId,
    role: DesignRole,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO design_members (design_id, user_id, role, added_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (design_id, user_id) DO UPDATE SET role = excluded.role",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(id(user.as_u128()))
    .bind(role.as_str())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// A design without an owner could never be shared or deleted again.
async fn refuse_last_owner(tx: &mut PgConnection, design: DesignId, user: UserId) -> Result<()> {
    let owners: Vec<Uuid> =
        sqlx::query_scalar("SELECT user_id FROM design_members WHERE design_id = $1 AND role = 'owner'")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_all(tx)
            .await?;
    if owners == [id(user.as_u128())] {
        return Err(StoreError::Conflict("the last owner"));
    }
    Ok(())
}

/// `designs.owner_id` names a member who is an owner: when it no longer does, the owner of longest standing.
async fn follow_owner(tx: &mut PgConnection, design: DesignId) -> Result<()> {
    sqlx::query(
        "UPDATE designs SET owner_id =
             (SELECT user_id FROM design_members WHERE design_id = $1 AND role = 'owner'
              ORDER BY added_at, user_id LIMIT 1)
         WHERE id = $1 AND NOT EXISTS
             (SELECT FROM design_members
              WHERE design_id = $1 AND user_id = designs.owner_id AND role = 'owner')",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .execute(tx)
    .await?;
    Ok(())
}
