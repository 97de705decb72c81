//! The durable truth: designs, their logs, people, sessions and tickets behind one trait.
//!
//! A store never invents an outcome: an append whose commit is uncertain is [`StoreError::Unavailable`], and the
//! room tries again under the same `append_id`. `store/conformance.rs` says the contract as tests; every
//! implementation passes the same suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{AppendId, ClientId, DesignId, Epoch, Generation, Seq, SessionId, UserId};
use atlas_crdt::roles::{DesignRole, PlatformRole};
use atlas_crdt::room::{Append, Claim, Loaded, LogRow, Quarantine};
use bytes::Bytes;
use time::OffsetDateTime;

pub mod analyses;
mod columns;
#[cfg(test)]
pub mod conformance;
pub mod folds;
pub mod jobs;
pub mod postgres;
pub mod sqlite;
pub mod upkeep;

use analyses::{Analyses, AnalysisSummary};
use upkeep::Upkeep;

/// Bytes. What quarantine keeps of one design's updates; beyond it the oldest lose their payload.
pub const QUARANTINE_BYTES_MAX: usize = 16 << 20;
/// Updates in quarantine that keep their payload, for each design.
pub const QUARANTINE_PAYLOADS_MAX: usize = 100;

/// Why the store did not do it. Nothing was changed, except where `Unavailable` says that it is unknown.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, is busy, out of disk, or its answer was lost: the outcome is unknown, try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// What the store holds contradicts itself: a hole in a log, a payload that is no update.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// No such design, or it was deleted.
    #[error("no such design")]
    NoSuchDesign,
    /// The row exists already (an e-mail address, an id).
    #[error("{0} exists already")]
    Conflict(&'static str),
    /// An append claims a client id that belongs to somebody else, or that the server wrote under.
    #[error("client id {client} belongs to somebody else")]
    Foreign { client: ClientId },
    /// An append was made by somebody who knew a longer log than there is: rows are lost, as after a failover to a
    /// database that had not got them all. It may build upon them, and is not taken.
    #[error("the log ends at {head}, before what the append builds upon")]
    Behind { head: Seq },
    /// Somebody else was faster: the append was to stand right behind the log as its author knew it, or a row behind that wrote
    /// under the same clocks. Nothing was changed.
    #[error("the log ends at {head}, beyond what the append was made upon")]
    Overtaken { head: Seq },
    /// The log rows that were asked for are folded into a snapshot: load the design anew.
    #[error("the log is folded beyond the rows that were asked for")]
    Folded,
    /// The job is not the caller's any more, or the design is no longer what it was when the work began. Nothing was
    /// changed.
    #[error("the lease is lost")]
    Fenced,
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// SQLite for one process with nothing installed, Postgres for many.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Answers when the store can be read and written (`/ready`).
    async fn check(&self) -> Result<()>;
    /// Ends the store: what was asked before is still answered, everything after is `Unavailable`. Returns when
    /// everything is released, so that another process may open it. Once more changes nothing.
    async fn close(&self) {}

    // --- the log
    /// Appends one step and returns its `seq`: the head's successor. Returns only after the commit is durable.
    /// The same `append_id` again returns the `seq` it got the first time and changes nothing.
    /// Its claims are written with it: a claim that holds already is none, one of somebody else's id fails the
    /// append as `Foreign` and changes nothing.
    /// `Behind` when the log ends before [`Append::after`], unless the append is in it.
    /// `Overtaken` when the log is further than [`Append::after`] and the append is to stand right behind that
    /// ([`Append::exactly`]), or what is further wrote under one of its clocks ([`Append::writes_any_of`]), or is not there any more to be
    /// compared; unless the append is in the log. `NoSuchDesign` for a deleted design. Concurrent appends of many designs share one commit.
    async fn append(&self, design: DesignId, append: Append) -> Result<Seq>;
    /// Snapshot, tail, every claim and every mark in quarantine in one consistent read; `None`: no such design. Refuses
    /// a tail with holes as `Damaged`.
    async fn load(&self, design: DesignId) -> Result<Option<Loaded>>;
    /// At most `limit` rows after `after`, oldest first, without holes, each with what it claimed. `Folded` when the first
    /// of them is gone because a snapshot holds it.
    async fn log_after(&self, design: DesignId, after: Seq, limit: usize) -> Result<Vec<LogRow>>;
    /// `None`: no such design.
    async fn head(&self, design: DesignId) -> Result<Option<Head>>;
    /// Where each of these designs stands, in no order. One that is missing was deleted, or never was. One query for some
    /// thousands, so that a pod may ask for all that it has open, often.
    async fn look(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, Look)>>;
    /// What the newest analysis says, in brief, with what people decided about its findings. `None`: no such design, or it
    /// has none yet.
    async fn analysis_summary(&self, design: DesignId) -> Result<Option<AnalysisSummary>>;
    /// Keeps an update that the document could not take. One with the same hash is there already: nothing changes.
    /// Payloads are kept within [`QUARANTINE_BYTES_MAX`] and [`QUARANTINE_PAYLOADS_MAX`], marks always.
    async fn quarantine(&self, design: DesignId, quarantine: Quarantine) -> Result<()>;
    /// Remembers whose an id is under which nothing is written yet; of each user the newest
    /// [`atlas_crdt::limits::ANNOUNCED_IDS_PER_USER_MAX`] in a design. Changes nothing when the id is somebody's already, or when there is
    /// no such design.
    async fn announce(&self, design: DesignId, client: ClientId, user: UserId) -> Result<()>;

    // --- designs
    /// Creates the design, its head, its owner's membership, the first log row with its claims and an `Analyze` job in one
    /// transaction.
    async fn create_design(&self, new: NewDesign) -> Result<DesignRow>;
    async fn design(&self, design: DesignId) -> Result<Option<DesignRow>>;
    /// Newest change first, each with the role of whom the listing is for. `visible_to: None` lists every design.
    async fn list_designs(&self, query: ListDesigns) -> Result<Page<ListedDesign>>;
    /// Erases the design with its log, snapshots, claims, quarantine, members, tickets and what waits in the backlog, and
    /// enqueues an `Erase` job for its blobs, all at once. False: there was none.
    async fn delete_design(&self, design: DesignId) -> Result<bool>;

    // --- members
    async fn members(&self, design: DesignId) -> Result<Vec<Member>>;
    async fn member_role(&self, design: DesignId, user: UserId) -> Result<Option<DesignRole>>;
    /// The members of all these designs, in no order, in one query for some thousands. Every design has one at least.
    async fn member_roles(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, UserId, DesignRole)>>;
    /// Inserts or replaces, and advances [`Look::notice_seq`] with it. `NoSuchDesign` when the design is gone. The last owner cannot be demoted:
    /// `Conflict("the last owner")`.
    async fn put_member(&self, design: DesignId, user: UserId, role: DesignRole) -> Result<()>;
    /// As [`Self::put_member`]. False: was no member. `Conflict("the last owner")` as above.
    async fn remove_member(&self, design: DesignId, user: UserId) -> Result<bool>;

    // --- people
    /// The first user ever becomes `first_role`, decided in the same transaction. `Conflict("this e-mail address")`.
    async fn create_user(&self, new: NewUser) -> Result<User>;
    /// Whether anybody is registered.
    async fn has_users(&self) -> Result<bool> {
        Ok(true)
    }
    async fn user(&self, user: UserId) -> Result<Option<User>>;
    /// E-mail addresses are compared without regard to case (callers pass them in lower case).
    async fn user_by_email(&self, email: &str) -> Result<Option<User>>;
    async fn set_password_hash(&self, user: UserId, password_hash: &str) -> Result<()>;

    // --- sessions: families of refresh tokens, stored as SHA-256 only
    async fn create_session(&self, session: NewSession) -> Result<()>;
    /// Exchanges one refresh token for the next in one transaction. A session has one token that is not spent.
    ///
    /// A spent one is taken once more while its exchange is younger than [`RotateRefresh::grace`] and what it was
    /// exchanged for was never used: the answer may have been lost. That one is then spent instead.
    async fn rotate_refresh(&self, rotate: RotateRefresh) -> Result<Rotation>;
    /// False: unknown or already revoked.
    async fn revoke_session(&self, session: SessionId) -> Result<bool>;
    /// The session a refresh token belongs to, spent tokens included.
    async fn session_by_token(&self, token_hash: &[u8; 32]) -> Result<Option<SessionId>>;
    /// False when revoked, expired or unknown.
    async fn session_is_live(&self, session: SessionId, now: OffsetDateTime) -> Result<bool>;
    /// The sessions that were revoked so recently, by the store's own clock, and perhaps a few more: whoever asks again says
    /// how long ago it asked last, and some more for writes that were under way then.
    async fn revoked_within(&self, age: Duration) -> Result<Vec<SessionId>>;

    // --- tickets: one use, stored as SHA-256 only
    async fn create_ticket(&self, ticket: NewTicket) -> Result<()>;
    /// Consumes it with one DELETE. `None`: unknown, spent, for another design, or expired.
    async fn consume_ticket(
        &self,
        ticket_hash: &[u8; 32],
        design: DesignId,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>>;
}

/// One store, as its users see it: rooms and requests, the jobs that look after it, and whoever asks how secure designs are.
#[derive(Clone)]
pub struct Stores {
    pub store: Arc<dyn Store>,
    pub upkeep: Arc<dyn Upkeep>,
    pub analyses: Arc<dyn Analyses>,
}

impl Stores {
    pub fn new<S: Store + Upkeep + Analyses>(store: S) -> Self {
        Self::of(Arc::new(store))
    }

    pub fn of<S: Store + Upkeep + Analyses>(store: Arc<S>) -> Self {
        let (upkeep, analyses) = (Arc::clone(&store), Arc::clone(&store));
        Self { store, upkeep, analyses }
    }
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub generation: Generation,
    pub epoch: Epoch,
    pub seq: Seq,
}

/// What may change of a design without its room on this pod having a part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub generation: Generation,
    pub epoch: Epoch,
    /// Of the log.
    pub head: Seq,
    /// Grows with everything besides the log that open sockets must hear of, such as a member's role.
    pub notice_seq: u64,
    /// Grows with everything that changes what is said about the design's security. 0: nothing was said yet.
    pub analysis_no: u64,
}

#[derive(Debug, Clone)]
pub struct NewDesign {
    pub id: DesignId,
    pub owner: UserId,
    pub name: String,
    pub description: Option<String>,
    /// Log row 1: the whole document as one Yjs update v1.
    pub first: Bytes,
    /// Whose the client ids in `first` are: the server's.
    pub claims: Vec<Claim>,
    pub append_id: AppendId,
    pub now: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesignRow {
    pub id: DesignId,
    /// Follows `meta.name` in the append's transaction.
    pub name: String,
    pub description: Option<String>,
    pub owner: UserId,
    pub created_at: OffsetDateTime,
    /// Time of the newest append.
    pub updated_at: OffsetDateTime,
    pub head_seq: Seq,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDesign {
    pub row: DesignRow,
    /// The membership of [`ListDesigns::visible_to`]. `None`: nobody in particular asked.
    pub role: Option<DesignRole>,
}

#[derive(Debug, Clone, Default)]
pub struct ListDesigns {
    /// Only designs this user is a member of.
    pub visible_to: Option<UserId>,
    /// A part of the name, case-insensitive; `%` and `_` have no special meaning.
    pub name_contains: Option<String>,
    pub limit: usize,
    /// Opaque, from the previous page. A cursor that this store did not make lists from the start.
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None`: this was the last page.
    pub next: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user: UserId,
    pub email: String,
    pub name: Option<String>,
    pub role: DesignRole,
}

#[derive(Debug, Clone)]
pub struct NewUser {
    pub id: UserId,
    pub email: String,
    pub name: Option<String>,
    /// A PHC string.
    pub password_hash: String,
    /// The role if nobody is registered yet …
    pub first_role: PlatformRole,
    /// … and otherwise.
    pub role: PlatformRole,
    pub now: OffsetDateTime,
}

#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: Option<String>,
    pub password_hash: String,
    pub role: PlatformRole,
    pub is_active: bool,
    pub created_at: OffsetDateTime,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the address nor the hash belongs in a log.
        f.debug_struct("User").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: SessionId,
    pub user: UserId,
    pub token_hash: [u8; 32],
    pub now: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct RotateRefresh {
    pub old_hash: [u8; 32],
    pub new_hash: [u8; 32],
    pub now: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// How long after an exchange its answer may have been lost.
    pub grace: time::Duration,
}

/// The outcome of [`Store::rotate_refresh`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    Rotated {
        session: SessionId,
        user: UserId,
    },
    /// The token had been spent before: somebody has a copy. The whole family is revoked now.
    Reused {
        session: SessionId,
        user: UserId,
    },
    /// Unknown, expired, or of a revoked family.
    Invalid,
}

#[derive(Debug, Clone)]
pub struct NewTicket {
    pub hash: [u8; 32],
    pub user: UserId,
    pub design: DesignId,
    pub session: SessionId,
    /// When the access token that asked for it expires: the socket lives no longer.
    pub token_expires_at: OffsetDateTime,
    pub now: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub user: UserId,
    pub session: SessionId,
    pub token_expires_at: OffsetDateTime,
}
