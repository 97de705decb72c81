//! The store for many pods: Postgres 13 or newer, directly or behind a pooler in transaction mode.
//!
//! - `lanes.rs`, `aside.rs`, `batch.rs`: appends, many to a commit, none held up by another design's trouble;
//! - `pool.rs`: everything else is one transaction on one of a few connections;
//! - `migrate.rs`: the schema, brought up to date by whoever comes first.
//!
//! Every call ends in time, whatever becomes of the network: its transaction has a limit on our side, and a connection
//! that did not answer within it is never used again. Nothing here depends on which session of the server it runs in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use atlas_crdt::ids::{ClientId, DesignId, Seq, SessionId, UserId};
use atlas_crdt::limits::ANNOUNCED_IDS_PER_USER_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Append, Loaded, LogRow, Quarantine};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use time::OffsetDateTime;

use self::lanes::Lanes;
use self::pool::{Pool, Server, Terms};
use self::values::micros;
use super::analyses::AnalysisSummary;
use super::{
    DesignRow, Head, ListDesigns, ListedDesign, Look, Member, NewDesign, NewSession, NewTicket, NewUser,
    Page, Result, RotateRefresh, Rotation, Store, Ticket, User,
};
use crate::clock::Clock;
use crate::lifecycle::Tasks;

mod pool;
mod lanes;
mod aside;
mod batch;
mod migrate;
mod values;
mod log;
mod claims;
mod quarantine;
mod designs;
mod people;
mod upkeep;
mod folds;
mod jobs;
mod analyses;
mod backlog;
mod checks;
#[cfg(test)]
mod folded;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble;

/// How many connections, and how long they may take. One process opens at most
/// `connections + loads + upkeep + lanes + asides` of them.
#[derive(Debug, Clone)]
pub struct PgSettings {
    /// For requests.
    pub connections: u32,
    /// For whole logs, so that a login does not wait for somebody's large design. Each holds a log in memory.
    pub loads: u32,
    /// For folding and the other long steps of upkeep, so that no room waits for them.
    pub upkeep: u32,
    /// For appends.
    pub lanes: usize,
    /// For appends whose designs are locked by somebody else, or that fail.
    pub asides: usize,
    /// How long a request or the commit of a batch may take, connecting included; an append, three times as long. For
    /// each MiB of update a second more.
    pub call_limit: Duration,
    /// How long loading a log, deleting a design, or a step of upkeep may take.
    pub load_limit: Duration,
    /// How long a transaction waits for a lock.
    pub lock_limit: Duration,
    /// Whether opening brings the schema up to date.
    pub migrates: bool,
}

impl Default for PgSettings {
    fn default() -> Self {
        Self {
            connections: 8,
            loads: 4,
            upkeep: 2,
            lanes: 4,
            asides: 4,
            call_limit: Duration::from_secs(5),
            load_limit: Duration::from_secs(30),
            lock_limit: Duration::from_secs(2),
            migrates: true,
        }
    }
}

/// Cheap to share behind an `Arc`. Call [`Store::close`] before the process ends, after the rooms.
pub struct PgStore {
    /// For short transactions …
    requests: Pool,
    /// … and for long ones.
    loads: Pool,
    /// For the long ones of upkeep.
    upkeep: Pool,
    lanes: Lanes,
    clock: Clock,
    terms: AllTerms,
}

/// How each kind of transaction begins.
struct AllTerms {
    read: Terms,
    write: Terms,
    long_read: Terms,
    long_write: Terms,
}

impl std::fmt::Debug for PgStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgStore").finish_non_exhaustive()
    }
}

impl PgStore {
    /// Brings the schema up to date if need be and opens the store. `clock` dates the appends; the lanes run among
    /// `tasks` until the store is closed or dropped.
    ///
    /// # Errors
    /// When the database cannot be reached, has another encoding than UTF-8, or was made by a newer version; also when its
    /// schema is behind and is not to be brought up to date here.
    pub async fn open(url: &str, settings: PgSettings, clock: Clock, tasks: &Tasks) -> anyhow::Result<Self> {
        let options = connect_options(url)?;
        if settings.migrates {
            migrate::run(&options).await?;
        } else {
            migrate::check(&options).await?;
        }
        let server = Arc::new(Server::new(options, clock.clone()));
        let terms = AllTerms {
            read: Terms::read(settings.call_limit, settings.lock_limit),
            write: Terms::write(settings.call_limit, settings.lock_limit),
            long_read: Terms::read(settings.load_limit, settings.lock_limit),
            long_write: Terms::write(settings.load_limit, settings.lock_limit),
        };
        Ok(Self {
            requests: Pool::new(Arc::clone(&server), settings.connections.max(1)),
            loads: Pool::new(Arc::clone(&server), settings.loads.max(1)),
            upkeep: Pool::new(Arc::clone(&server), settings.upkeep.max(1)),
            lanes: Lanes::start(&server, &settings, &clock, tasks),
            clock,
            terms,
        })
    }

    /// Brings the schema up to date. Any number of processes may do this at once.
    ///
    /// # Errors
    /// As [`PgStore::open`].
    pub async fn migrate(url: &str) -> anyhow::Result<()> {
        migrate::run(&connect_options(url)?).await
    }

    /// One short transaction that sees one moment.
    async fn read<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.requests.run(&self.terms.read, work).await
    }

    /// One short transaction.
    async fn write<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.requests.run(&self.terms.write, work).await
    }

    /// A transaction over whole logs that sees one moment.
    async fn long_read<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.loads.run(&self.terms.long_read, work).await
    }

    /// A transaction over whole logs.
    async fn long_write<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.loads.run(&self.terms.long_write, work).await
    }

    /// A long step of upkeep that sees one moment.
    async fn upkeep_read<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.upkeep.run(&self.terms.long_read, work).await
    }

    /// A long step of upkeep.
    async fn upkeep_write<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.upkeep.run(&self.terms.long_write, work).await
    }
}

fn connect_options(url: &str) -> anyhow::Result<PgConnectOptions> {
    // The cause may repeat the address, and with it a password.
    let options: PgConnectOptions =
        url.parse().map_err(|_| ()).ok().context("the address of the database cannot be read")?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("atlas-collab"),
    };
    // A pooler in transaction mode refuses this setting at the start of a session, and statements live no longer than
    // their transactions.
    Ok(options.extra_float_digits(None).statement_cache_capacity(0).disable_statement_logging())
}

#[async_trait]
impl Store for PgStore {
    async fn check(&self) -> Result<()> {
        let now = micros(self.clock.utc());
        self.write(async |tx| {
            sqlx::query(
                "INSERT INTO readiness (id, checked_at) VALUES (1, $1)
                 ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at",
            )
            .persistent(false)
            .bind(now)
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
    }

    async fn close(&self) {
        self.lanes.close().await;
        self.requests.close().await;
        self.loads.close().await;
        self.upkeep.close().await;
    }

    async fn append(&self, design: DesignId, append: Append) -> Result<Seq> {
        self.lanes.append(design, append).await
    }

    async fn load(&self, design: DesignId) -> Result<Option<Loaded>> {
        self.long_read(async |tx| log::load(tx, design).await).await
    }

    async fn log_after(&self, design: DesignId, after: Seq, limit: usize) -> Result<Vec<LogRow>> {
        self.long_read(async |tx| log::log_after(tx, design, after, limit).await).await
    }

    async fn head(&self, design: DesignId) -> Result<Option<Head>> {
        self.read(async |tx| log::head(tx, design).await).await
    }

    async fn look(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, Look)>> {
        if designs.is_empty() {
            return Ok(Vec::new());
        }
        self.read(async |tx| log::look(tx, designs).await).await
    }

    async fn analysis_summary(&self, design: DesignId) -> Result<Option<AnalysisSummary>> {
        self.read(async |tx| analyses::summary(tx, design).await).await
    }

    async fn quarantine(&self, design: DesignId, quarantine: Quarantine) -> Result<()> {
        let now = self.clock.utc();
        self.long_write(async |tx| quarantine::insert(tx, design, &quarantine, now).await).await
    }

    async fn announce(&self, design: DesignId, client: ClientId, user: UserId) -> Result<()> {
        let (keep, now) = (ANNOUNCED_IDS_PER_USER_MAX, self.clock.utc());
        self.write(async |tx| claims::announce(tx, design, (client, user), keep, now).await).await
    }

    async fn create_design(&self, new: NewDesign) -> Result<DesignRow> {
        self.long_write(async |tx| designs::create(tx, &new).await).await
    }

    async fn design(&self, design: DesignId) -> Result<Option<DesignRow>> {
        self.read(async |tx| designs::get(tx, design).await).await
    }

    async fn list_designs(&self, query: ListDesigns) -> Result<Page<ListedDesign>> {
        self.read(async |tx| designs::list(tx, &query).await).await
    }

    async fn delete_design(&self, design: DesignId) -> Result<bool> {
        self.long_write(async |tx| designs::delete(tx, design).await).await
    }

    async fn members(&self, design: DesignId) -> Result<Vec<Member>> {
        self.read(async |tx| designs::members(tx, design).await).await
    }

    async fn member_role(&self, design: DesignId, user: UserId) -> Result<Option<DesignRole>> {
        self.read(async |tx| designs::member_role(tx, design, user).await).await
    }

    async fn member_roles(&self, designs: &[DesignId]) -> Result<Vec<(DesignId, UserId, DesignRole)>> {
        if designs.is_empty() {
            return Ok(Vec::new());
        }
        self.read(async |tx| designs::member_roles(tx, designs).await).await
    }

    async fn put_member(&self, design: DesignId, user: UserId, role: DesignRole) -> Result<()> {
        let now = self.clock.utc();
        self.write(async |tx| designs::put_member(tx, design, user, role, now).await).await
    }

    async fn remove_member(&self, design: DesignId, user: UserId) -> Result<bool> {
        self.write(async |tx| designs::remove_member(tx, design, user).await).await
    }

    async fn create_user(&self, new: NewUser) -> Result<User> {
        self.write(async |tx| people::create_user(tx, &new).await).await
    }

    async fn has_users(&self) -> Result<bool> {
        self.read(async |tx| people::has_users(tx).await).await
    }

    async fn user(&self, user: UserId) -> Result<Option<User>> {
        self.read(async |tx| people::user(tx, user).await).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.read(async |tx| people::user_by_email(tx, email).await).await
    }

    async fn set_password_hash(&self, user: UserId, password_hash: &str) -> Result<()> {
        self.write(async |tx| people::set_password_hash(tx, user, password_hash).await).await
    }

    async fn create_session(&self, session: NewSession) -> Result<()> {
        self.write(async |tx| people::create_session(tx, &session).await).await
    }

    async fn rotate_refresh(&self, rotate: RotateRefresh) -> Result<Rotation> {
        self.write(async |tx| people::rotate_refresh(tx, &rotate).await).await
    }

    async fn revoke_session(&self, session: SessionId) -> Result<bool> {
        self.write(async |tx| people::revoke(tx, session).await).await
    }

    async fn session_by_token(&self, token_hash: &[u8; 32]) -> Result<Option<SessionId>> {
        self.read(async |tx| people::session_by_token(tx, token_hash).await).await
    }

    async fn session_is_live(&self, session: SessionId, now: OffsetDateTime) -> Result<bool> {
        self.read(async |tx| people::session_is_live(tx, session, now).await).await
    }

    async fn revoked_within(&self, age: Duration) -> Result<Vec<SessionId>> {
        self.read(async |tx| people::revoked_within(tx, age).await).await
    }

    async fn create_ticket(&self, ticket: NewTicket) -> Result<()> {
        self.write(async |tx| people::create_ticket(tx, &ticket).await).await
    }

    async fn consume_ticket(
        &self,
        ticket_hash: &[u8; 32],
        design: DesignId,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>> {
        self.write(async |tx| people::consume_ticket(tx, ticket_hash, design, now).await).await
    }
}
