//! The appends of many designs in one transaction.
//!
//! Whoever appends to a design holds its head row until the commit, so that the next append of any pod gets the next
//! `seq`, and knows of every append id and every claim before its own.

use std::collections::{BTreeSet, HashMap, HashSet};

use atlas_crdt::ids::{ClientId, DesignId, Seq, UserId};
use atlas_crdt::room::{Append, Author, ClockRange};
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::claims::{self, NewClaims};
use super::pool::Terms;
use super::values::{column, counter, id, search_key, text};
use crate::store::{Result, StoreError};

/// Rows that are looked at for what they wrote; whoever knows less of the log is to read it first.
const NEWER_MAX: i64 = 1_024;
/// Bytes of update that take as long as one claim.
const CLAIM_BYTES: usize = 256;

/// One append that waits for its commit.
pub(super) struct PendingAppend {
    pub(super) design: DesignId,
    pub(super) append: Append,
    pub(super) answer: oneshot::Sender<Result<Seq>>,
}

impl PendingAppend {
    /// What it costs the database, about.
    pub(super) fn bytes(&self) -> usize {
        self.append.update.len() + self.append.claims.len() * CLAIM_BYTES
    }
}

/// What a transaction does about rows that somebody else has locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    /// Leaves their designs out.
    Skip,
    /// Waits for them, within the limit of the transaction.
    Wait,
}

/// On which terms these appends are written.
pub(super) fn terms(terms: Terms, batch: &[PendingAppend]) -> Terms {
    terms.with_bytes(batch.iter().map(PendingAppend::bytes).sum())
}

/// Writes them in their order. The answers are in the same order, and true once it is committed; `None`: left out.
pub(super) async fn write(
    tx: &mut PgConnection,
    batch: &[PendingAppend],
    locked: Locked,
    now: OffsetDateTime,
) -> Result<Vec<Option<Result<Seq>>>> {
    let mut heads = lock_heads(tx, batch, locked).await?;
    if locked == Locked::Skip {
        leave_out_locked_names(tx, batch, &mut heads).await?;
    }
    let mut known = Known::read(tx, batch, &heads).await?;
    let mut rows = Rows::default();
    let mut answers = Vec::with_capacity(batch.len());
    for pending in batch {
        answers.push(match heads.get_mut(&id(pending.design.as_u128())) {
            Some(head) => Some(known.judge(pending, head, &mut rows)),
            None if locked == Locked::Skip => None,
            None => Some(Err(StoreError::NoSuchDesign)),
        });
    }
    rows.write(tx, now).await?;
    Ok(answers)
}

/// The rows that appends need, each design's head before its row in `designs`: `head_seq` of every design whose both are
/// held now.
async fn lock_heads(
    tx: &mut PgConnection,
    batch: &[PendingAppend],
    locked: Locked,
) -> Result<HashMap<Uuid, i64>> {
    let designs: BTreeSet<Uuid> = batch.iter().map(|pending| id(pending.design.as_u128())).collect();
    let designs: Vec<Uuid> = designs.into_iter().collect();
    let sql = match locked {
        Locked::Skip => {
            "SELECT h.design_id, h.head_seq FROM design_heads h JOIN designs d ON d.id = h.design_id
             WHERE h.design_id = ANY ($1) ORDER BY h.design_id
             FOR UPDATE OF h SKIP LOCKED FOR KEY SHARE OF d SKIP LOCKED"
        }
        Locked::Wait => {
            "SELECT h.design_id, h.head_seq FROM design_heads h WHERE h.design_id = ANY ($1) ORDER BY h.design_id
             FOR UPDATE"
        }
    };
    let held: Vec<(Uuid, i64)> = sqlx::query_as(sql).persistent(false).bind(&designs).fetch_all(tx).await?;
    Ok(held.into_iter().collect())
}

/// A new name changes a row of `designs`, which somebody may hold who leaves the head alone.
async fn leave_out_locked_names(
    tx: &mut PgConnection,
    batch: &[PendingAppend],
    heads: &mut HashMap<Uuid, i64>,
) -> Result<()> {
    let named = batch.iter().filter(|pending| pending.append.name.is_some());
    let named: BTreeSet<Uuid> = named.map(|pending| id(pending.design.as_u128())).collect();
    let named: Vec<Uuid> = named.into_iter().filter(|design| heads.contains_key(design)).collect();
    if named.is_empty() {
        return Ok(());
    }
    let held: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM designs WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
    )
    .persistent(false)
    .bind(&named)
    .fetch_all(tx)
    .await?;
    let held: HashSet<Uuid> = held.into_iter().collect();
    heads.retain(|design, _| held.contains(design) || !named.contains(design));
    Ok(())
}

/// What earlier appends have taken.
struct Known {
    /// Design and `seq` of append ids.
    appends: HashMap<Uuid, (Uuid, i64)>,
    /// Whose client ids of a design are.
    owners: HashMap<(Uuid, ClientId), Owner>,
    /// What the rows wrote that the authors of these appends need not know of, oldest first.
    newer: HashMap<Uuid, Vec<(i64, Vec<ClockRange>)>>,
}

/// Whose a client id is.
#[derive(Clone, Copy)]
struct Owner {
    user: Option<UserId>,
    /// Otherwise it was only announced.
    has_written: bool,
}

impl Known {
    /// Of everything in the batch whose head is held.
    async fn read(
        tx: &mut PgConnection,
        batch: &[PendingAppend],
        heads: &HashMap<Uuid, i64>,
    ) -> Result<Self> {
        let held = || batch.iter().filter(|pending| heads.contains_key(&id(pending.design.as_u128())));
        let append_ids: Vec<Uuid> = held().map(|pending| id(pending.append.append_id.as_u128())).collect();
        // One statement, so that a row that is folded away at this moment is seen in one of both.
        let appends: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(
            "SELECT append_id, design_id, seq FROM design_updates WHERE append_id = ANY ($1)
             UNION ALL SELECT append_id, design_id, seq FROM folded_appends WHERE append_id = ANY ($1)",
        )
        .persistent(false)
        .bind(&append_ids)
        .fetch_all(&mut *tx)
        .await?;
        let appends = appends.into_iter().map(|(append, design, seq)| (append, (design, seq))).collect();

        let claimed = held().flat_map(|pending| {
            let design = id(pending.design.as_u128());
            pending.append.claims.iter().map(move |claim| (design, column(claim.client.get())))
        });
        let (designs, clients): (Vec<Uuid>, Vec<i64>) = claimed.unzip();
        let mut owners = HashMap::new();
        for (design, client, user, has_written) in claims::owners(tx, &designs, &clients).await? {
            let user = user.map(|user| UserId::from_u128(user.as_u128()));
            owners.insert((design, ClientId::new(counter(client)?)), Owner { user, has_written });
        }
        Ok(Self { appends, owners, newer: newer(tx, batch, heads).await? })
    }

    /// Whether a row that the append's author need not know of may have written under the same clocks.
    fn is_overtaken(&self, design: Uuid, append: &Append, head: i64) -> bool {
        let after = column(append.after.get());
        if append.exactly && after != head {
            return true;
        }
        if after == head || append.wrote().next().is_none() {
            return false;
        }
        let newer = self.newer.get(&design).map_or(&[][..], Vec::as_slice);
        let newer = newer.iter().filter(|(seq, _)| after < *seq);
        // Rows that are not there are folded, or too many to look at: what they wrote is in what a load brings.
        let is_whole = i64::try_from(newer.clone().count()) == Ok(head - after);
        !is_whole || append.writes_any_of(newer.flat_map(|(_, wrote)| wrote))
    }

    /// What becomes of one append, given all before it. Nothing of a refused one is kept.
    fn judge<'b>(&mut self, pending: &'b PendingAppend, head: &mut i64, rows: &mut Rows<'b>) -> Result<Seq> {
        let design = id(pending.design.as_u128());
        let append_id = id(pending.append.append_id.as_u128());
        let mut new_claims = HashMap::new();
        for claim in &pending.append.claims {
            let taken = self.owners.get(&(design, claim.client)).or_else(|| new_claims.get(&claim.client));
            match taken {
                Some(owner) if owner.user != claim.user => {
                    return Err(StoreError::Foreign { client: claim.client });
                }
                Some(Owner { has_written: true, .. }) => {}
                Some(_) | None => {
                    new_claims.insert(claim.client, Owner { user: claim.user, has_written: true });
                }
            }
        }
        match self.appends.get(&append_id) {
            Some((owner, seq)) if *owner == design => return counter(*seq).map(Seq::new),
            Some(_) => return Err(StoreError::Conflict("this append id")),
            None if counter(*head)? < pending.append.after.get() => {
                return Err(StoreError::Behind { head: Seq::new(counter(*head)?) });
            }
            None if self.is_overtaken(design, &pending.append, *head) => {
                return Err(StoreError::Overtaken { head: Seq::new(counter(*head)?) });
            }
            None => {}
        }
        *head += 1;
        self.appends.insert(append_id, (design, *head));
        for (client, owner) in new_claims {
            self.owners.insert((design, client), owner);
            rows.claims.push(design, atlas_crdt::room::Claim { client, user: owner.user }, *head);
        }
        let wrote = pending.append.wrote().copied().collect();
        self.newer.entry(design).or_default().push((*head, wrote));
        rows.push(design, append_id, *head, &pending.append);
        counter(*head).map(Seq::new)
    }
}

/// What was written behind the place in the log that the appends' authors know.
async fn newer(
    tx: &mut PgConnection,
    batch: &[PendingAppend],
    heads: &HashMap<Uuid, i64>,
) -> Result<HashMap<Uuid, Vec<(i64, Vec<ClockRange>)>>> {
    let mut known: HashMap<Uuid, i64> = HashMap::new();
    for PendingAppend { design, append, .. } in batch {
        let (design, after) = (id(design.as_u128()), column(append.after.get()));
        let is_behind = heads.get(&design).is_some_and(|head| after < *head && head - after <= NEWER_MAX);
        if is_behind && append.wrote().next().is_some() {
            let known = known.entry(design).or_insert(after);
            *known = after.min(*known);
        }
    }
    if known.is_empty() {
        return Ok(HashMap::new());
    }
    let (designs, known): (Vec<Uuid>, Vec<i64>) = known.into_iter().unzip();
    let rows: Vec<(Uuid, i64, Json<Vec<ClockRange>>)> = sqlx::query_as(
        "SELECT u.design_id, u.seq, jsonb_path_query_array(u.authors, '$[*].wrote[*]')
         FROM unnest($1::uuid[], $2::bigint[]) AS of (design_id, known)
         JOIN design_updates u ON u.design_id = of.design_id AND of.known < u.seq ORDER BY u.design_id, u.seq",
    )
    .persistent(false)
    .bind(designs)
    .bind(known)
    .fetch_all(tx)
    .await?;
    let mut newer: HashMap<Uuid, Vec<(i64, Vec<ClockRange>)>> = HashMap::new();
    for (design, seq, Json(wrote)) in rows {
        newer.entry(design).or_default().push((seq, wrote));
    }
    Ok(newer)
}

/// What the batch writes, column by column.
#[derive(Default)]
struct Rows<'b> {
    designs: Vec<Uuid>,
    seqs: Vec<i64>,
    append_ids: Vec<Uuid>,
    payloads: Vec<&'b [u8]>,
    authors: Vec<Json<&'b [Author]>>,
    /// Each design's new head.
    heads: HashMap<Uuid, i64>,
    /// Each design's new name.
    names: HashMap<Uuid, &'b str>,
    claims: NewClaims,
}

impl<'b> Rows<'b> {
    fn push(&mut self, design: Uuid, append_id: Uuid, seq: i64, append: &'b Append) {
        self.designs.push(design);
        self.seqs.push(seq);
        self.append_ids.push(append_id);
        self.payloads.push(&append.update);
        self.authors.push(Json(&append.authors));
        self.heads.insert(design, seq);
        if let Some(name) = &append.name {
            self.names.insert(design, name);
        }
    }

    async fn write(self, tx: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
        if self.designs.is_empty() {
            return Ok(());
        }
        let heads_expected = self.heads.len() as u64;
        let (heads, head_seqs): (Vec<Uuid>, Vec<i64>) = self.heads.into_iter().unzip();
        // A pod whose clock is ahead must not date rows later than pods and jobs will look for them.
        let advanced = sqlx::query(
            "WITH appended AS (
                 INSERT INTO design_updates (design_id, seq, append_id, payload, authors, created_at)
                 SELECT design_id, seq, append_id, payload, authors, least($8, now())
                 FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[], $5::jsonb[])
                     AS new (design_id, seq, append_id, payload, authors)
             )
             UPDATE design_heads AS h SET head_seq = new.seq, updated_at = greatest(h.updated_at, least($8, now()))
             FROM unnest($6::uuid[], $7::bigint[]) AS new (design_id, seq) WHERE h.design_id = new.design_id",
        )
        .persistent(false)
        .bind(self.designs)
        .bind(self.seqs)
        .bind(self.append_ids)
        .bind(self.payloads)
        .bind(self.authors)
        .bind(heads)
        .bind(head_seqs)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if advanced.rows_affected() != heads_expected {
            return Err(StoreError::Damaged("a head that was locked is not there".to_owned()));
        }
        self.claims.insert(tx).await?;
        rename(tx, self.names).await
    }
}

async fn rename(tx: &mut PgConnection, names: HashMap<Uuid, &str>) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = names.values().map(|name| search_key(name)).collect();
    let (designs, names): (Vec<Uuid>, Vec<_>) = names.into_iter().map(|(id, name)| (id, text(name))).unzip();
    sqlx::query(
        "UPDATE designs AS d SET name = new.name, name_key = new.name_key
         FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, name, name_key) WHERE d.id = new.id",
    )
    .persistent(false)
    .bind(designs)
    .bind(names)
    .bind(keys)
    .execute(tx)
    .await?;
    Ok(())
}
