//! The schema: brought up to date by whichever process comes first, checked by all.

use std::time::Duration;

use anyhow::Context;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

/// How long all of it may take: the wait for another process that does it, and the steps.
const LIMIT: Duration = Duration::from_mins(10);
/// How long a look at a schema that is up to date may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// Names our lock among the advisory locks of the database: the letters "atlas db".
const LOCK: i64 = 0x6174_6c61_7320_6462;

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    // Its own lock belongs to a session.
    migrator.set_locking(false);
    migrator
}

/// Brings the schema up to date, in one transaction under a lock that ends with it: any number of processes may do
/// this at once, also through a pooler that gives each transaction another session.
pub(super) async fn run(options: &PgConnectOptions) -> anyhow::Result<()> {
    let (mut connection, is_up_to_date) = look(options).await?;
    if is_up_to_date {
        let _ = connection.close().await;
        return Ok(());
    }
    tokio::time::timeout(LIMIT, bring_up_to_date(&mut connection))
        .await
        .context("the schema was not brought up to date in time")?
        .context("cannot bring the database to the schema of this version of the server")?;
    let _ = connection.close().await;
    Ok(())
}

/// Refuses a schema that is not this version's, and changes nothing.
pub(super) async fn check(options: &PgConnectOptions) -> anyhow::Result<()> {
    let (connection, is_up_to_date) = look(options).await?;
    let _ = connection.close().await;
    anyhow::ensure!(
        is_up_to_date,
        "the schema of the database is not that of this version of the server: run `atlas-collab migrate`"
    );
    Ok(())
}

async fn look(options: &PgConnectOptions) -> anyhow::Result<(PgConnection, bool)> {
    let connecting = tokio::time::timeout(LOOK_LIMIT, options.connect()).await;
    let mut connection =
        connecting.context("the database does not answer")?.context("cannot connect to the database")?;
    let looked = tokio::time::timeout(LOOK_LIMIT, is_up_to_date(&mut connection)).await;
    let is_up_to_date = looked.context("the database does not answer")??;
    Ok((connection, is_up_to_date))
}

/// Needs no right to change anything.
async fn is_up_to_date(connection: &mut PgConnection) -> anyhow::Result<bool> {
    let mut tx = connection.begin_with("BEGIN READ ONLY").await?;
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .persistent(false)
        .fetch_one(&mut *tx)
        .await?;
    anyhow::ensure!(
        encoding == "UTF8",
        "the database has the encoding {encoding}: create it with ENCODING 'UTF8'"
    );
    let is_syncing: bool = sqlx::query_scalar("SELECT current_setting('fsync')::boolean")
        .persistent(false)
        .fetch_one(&mut *tx)
        .await?;
    if !is_syncing {
        tracing::warn!(
            "the database runs with fsync = off: a crash of its machine may lose edits said to be saved"
        );
    }
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .persistent(false)
        .fetch_one(&mut *tx)
        .await?;
    if !is_there {
        return Ok(false);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .persistent(false)
            .fetch_all(&mut *tx)
            .await?;
    tx.commit().await?;
    let migrator = migrator();
    let known = migrator.iter().map(|step| (step.version, step.checksum.to_vec()));
    Ok(known.eq(applied))
}

async fn bring_up_to_date(connection: &mut PgConnection) -> anyhow::Result<()> {
    // What is missing is read after the lock is ours, and must be what whoever had it before us left. Should we vanish in
    // the middle, the lock goes soon.
    let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let limits = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                  SET LOCAL idle_in_transaction_session_timeout = '60s'";
    sqlx::raw_sql(limits).execute(&mut *tx).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").persistent(false).bind(LOCK).execute(&mut *tx).await?;
    // Everybody who wants a table waits behind us while we wait for it.
    sqlx::raw_sql("SET LOCAL lock_timeout = '5s'").execute(&mut *tx).await?;
    migrator().run(&mut *tx).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => anyhow::anyhow!(
            "the database was made by a newer version of the server: this one does not know its step {version}"
        ),
        error => error.into(),
    })?;
    // The migrator names its statements, and the session outlives us behind a pooler.
    sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
