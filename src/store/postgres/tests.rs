//! What is Postgres' own; the contract of every store is `store/conformance.rs`. Each test has a cluster of its own.
//! What becomes of it in trouble: `trouble.rs`.

use std::collections::HashSet;
use std::sync::Mutex;

use atlas_crdt::ids::AppendId;
use atlas_crdt::roles::PlatformRole;
use atlas_crdt::room::QuarantineMark;
use atlas_loadtest::services::pgbouncer::PgBouncer;
use atlas_loadtest::services::postgres::Postgres;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::pool::Place;
use super::values::Fault;
use super::*;
use crate::store::{QUARANTINE_BYTES_MAX, QUARANTINE_PAYLOADS_MAX, StoreError, conformance};

/// A cluster with one empty database of this name.
pub(super) async fn cluster(database: &str) -> Postgres {
    let postgres = Postgres::start().await.unwrap();
    postgres.create_database(database).await.unwrap();
    postgres
}

pub(super) async fn open_with(url: &str, settings: PgSettings) -> PgStore {
    PgStore::open(url, settings, Clock::system(), &Tasks::new()).await.unwrap()
}

pub(super) async fn open(url: &str) -> PgStore {
    open_with(url, PgSettings::default()).await
}

pub(super) fn owner() -> UserId {
    UserId::from_u128(7)
}

pub(super) fn new_design(n: u128, name: &str) -> NewDesign {
    NewDesign {
        id: DesignId::from_u128(n),
        owner: owner(),
        name: name.to_owned(),
        description: None,
        first: Bytes::from_static(b"first"),
        claims: Vec::new(),
        append_id: AppendId::from_u128(n << 64),
        now: OffsetDateTime::UNIX_EPOCH,
    }
}

/// Designs 1, 2, 3 …, and their owner.
pub(super) async fn some_designs(store: &PgStore, count: u128) -> Vec<DesignId> {
    let user = NewUser {
        id: owner(),
        email: "ann@example.org".to_owned(),
        name: None,
        password_hash: String::new(),
        first_role: PlatformRole::Admin,
        role: PlatformRole::Architect,
        now: OffsetDateTime::UNIX_EPOCH,
    };
    store.create_user(user).await.unwrap();
    let mut designs = Vec::new();
    for n in 1..=count {
        designs.push(store.create_design(new_design(n, "D")).await.unwrap().id);
    }
    designs
}

/// An append whose payload names it.
pub(super) fn step(design: DesignId, n: u128) -> Append {
    let append_id = AppendId::from_u128((design.as_u128() << 64) + n);
    let update = Bytes::from(format!("step {n}"));
    Append {
        append_id,
        after: Seq::ZERO,
        exactly: false,
        update,
        authors: Vec::new(),
        claims: Vec::new(),
        name: None,
    }
}

/// Runs the suite through `url` of each database.
async fn keeps_the_contract(postgres: &Postgres, url: impl Fn(&str) -> String) {
    postgres.create_database("empty").await.unwrap();
    PgStore::migrate(&postgres.url("empty")).await.unwrap();
    let made = Mutex::new(HashSet::new());
    conformance::run_all(async |place| {
        let database = place.replace(' ', "-");
        if made.lock().unwrap().insert(place) {
            postgres.copy_database("empty", &database).await.unwrap();
        }
        Arc::new(open(&url(&database)).await) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let postgres = Postgres::start().await.unwrap();
    keeps_the_contract(&postgres, |database| postgres.url(database)).await;
}

/// Two sessions for all: whatever a transaction left behind in one would meet somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_behind_a_pooler_in_transaction_mode() {
    let postgres = Postgres::start().await.unwrap();
    let pooler = PgBouncer::start(&postgres, 2).await.unwrap();
    keeps_the_contract(&postgres, |database| pooler.url(database)).await;
    assert!(1_000 < pooler.transactions().await.unwrap(), "it went through the pooler");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bring_the_schema_up_to_date_at_once() {
    let postgres = cluster("direct").await;
    postgres.create_database("pooled").await.unwrap();
    let pooler = PgBouncer::start(&postgres, 2).await.unwrap();
    for (database, url) in [("direct", postgres.url("direct")), ("pooled", pooler.url("pooled"))] {
        for _ in 0..2 {
            let all = join_all((0..8).map(|_| PgStore::migrate(&url))).await;
            for one in all {
                one.unwrap();
            }
        }
        let steps = postgres.sql(database, "SELECT count(*), bool_and(success) FROM _sqlx_migrations").await;
        assert_eq!(
            steps.unwrap(),
            format!("{}|t", std::fs::read_dir("migrations/postgres").unwrap().count())
        );

        let from_the_future =
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', TRUE, '\\x00', 0)";
        postgres.sql(database, from_the_future).await.unwrap();
        let refused = PgStore::migrate(&url).await.unwrap_err();
        assert!(
            format!("{refused:#}")
                .contains("newer version of the server: this one does not know its step 9999")
        );
    }
    postgres.sql("postgres", "CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0").await.unwrap();
    let refused = PgStore::migrate(&postgres.url("old")).await.unwrap_err();
    assert!(format!("{refused:#}").contains("ENCODING 'UTF8'"), "{refused:#}");
    let refused = PgStore::migrate("postgres://user:secret@[nowhere").await.unwrap_err();
    assert!(!format!("{refused:#}").contains("secret"), "{refused:#}");
}

#[tokio::test]
async fn a_hole_in_the_log_is_told_and_never_served() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=5 {
        store.append(design, step(design, n)).await.unwrap();
    }
    let tamper = async |sql| drop(postgres.sql("one", sql).await.unwrap());
    let seqs = |rows: Vec<LogRow>| rows.iter().map(|row| row.seq.get()).collect::<Vec<_>>();

    // Folded in good order: snapshots at 2 and 4, rows 1 to 3 gone.
    tamper(
        "INSERT INTO design_snapshots SELECT design_id, seq, convert_to('folded ' || seq, 'UTF8'), now()
             FROM design_updates WHERE seq IN (2, 4); DELETE FROM design_updates WHERE seq <= 3",
    )
    .await;
    let loaded = store.load(design).await.unwrap().unwrap();
    assert_eq!(loaded.snapshot, Some((Seq::new(4), Bytes::from_static(b"folded 4"))));
    assert_eq!(seqs(loaded.tail), [5, 6]);
    for after in [0, 2] {
        let folded = store.log_after(design, Seq::new(after), 10).await;
        assert!(matches!(folded, Err(StoreError::Folded)), "{folded:?}");
    }
    assert_eq!(seqs(store.log_after(design, Seq::new(3), 10).await.unwrap()), [4, 5, 6]);

    tamper("DELETE FROM design_updates WHERE seq = 5").await;
    for damaged in
        [store.load(design).await.map(drop), store.log_after(design, Seq::new(3), 10).await.map(drop)]
    {
        assert!(
            matches!(damaged, Err(StoreError::Damaged(_))),
            "a row in the middle is missing: {damaged:?}"
        );
    }
    let damaged = store.log_after(design, Seq::new(4), 10).await;
    assert!(matches!(damaged, Err(StoreError::Damaged(_))), "no snapshot holds row 5: {damaged:?}");
    tamper("DELETE FROM design_updates WHERE seq = 6").await;
    let damaged = store.load(design).await;
    assert!(matches!(damaged, Err(StoreError::Damaged(_))), "the head's own row is missing: {damaged:?}");
    // What is folded completely reads on from its end.
    tamper("UPDATE design_heads SET head_seq = 4; DELETE FROM design_updates").await;
    assert_eq!(store.load(design).await.unwrap().unwrap().tail.len(), 0);
    assert!(store.log_after(design, Seq::new(4), 10).await.unwrap().is_empty());
    assert!(matches!(store.log_after(design, Seq::new(3), 10).await, Err(StoreError::Folded)));
}

#[tokio::test]
async fn an_append_that_is_repeated_after_its_row_was_folded_finds_its_seq() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let designs = some_designs(&store, 2).await;
    for n in 1..=3 {
        store.append(designs[0], step(designs[0], n)).await.unwrap();
    }
    let fold = "WITH gone AS (DELETE FROM design_updates WHERE seq <= 3 RETURNING *)
         INSERT INTO folded_appends SELECT append_id, design_id, seq, now() FROM gone";
    postgres.sql("one", fold).await.unwrap();
    assert_eq!(store.append(designs[0], step(designs[0], 2)).await.unwrap(), Seq::new(3));
    assert_eq!(store.append(designs[0], step(designs[0], 3)).await.unwrap(), Seq::new(4));
    let stolen = store.append(designs[1], step(designs[0], 2)).await;
    assert!(matches!(stolen, Err(StoreError::Conflict(_))), "{stolen:?}");
    assert_eq!(store.append(designs[0], step(designs[0], 4)).await.unwrap(), Seq::new(5));
}

#[tokio::test]
async fn a_character_that_postgres_cannot_store_fails_nothing() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    let email = "n\0l@example.org".to_owned();
    let user = NewUser {
        id: UserId::from_u128(8),
        email: email.clone(),
        name: Some("\0".to_owned()),
        password_hash: "$".to_owned(),
        first_role: PlatformRole::Admin,
        role: PlatformRole::Architect,
        now: OffsetDateTime::UNIX_EPOCH,
    };
    assert_eq!(store.create_user(user.clone()).await.unwrap().name.as_deref(), Some("\u{fffd}"));
    assert_eq!(store.user_by_email(&email).await.unwrap().unwrap().id, user.id);

    let new = NewDesign { description: Some("a\0b".to_owned()), ..new_design(2, "N\0L") };
    let row = store.create_design(new).await.unwrap();
    assert_eq!((&row.name[..], row.description.as_deref()), ("N\u{fffd}L", Some("a\u{fffd}b")));
    store.append(design, Append { name: Some("n\0n".to_owned()), ..step(design, 1) }).await.unwrap();
    assert_eq!(store.design(design).await.unwrap().unwrap().name, "n\u{fffd}n");
    let query = ListDesigns { name_contains: Some("N\0".to_owned()), limit: 9, ..ListDesigns::default() };
    assert_eq!(store.list_designs(query).await.unwrap().items.len(), 2);
    let mark = QuarantineMark { user: owner(), hash: [1; 32], clients: Vec::new() };
    let culprit = Quarantine { update: Bytes::from_static(b"x"), mark, reason: "why\0".to_owned() };
    store.quarantine(design, culprit).await.unwrap();
}

#[tokio::test]
async fn closing_answers_what_was_asked_before_and_leaves_no_connection() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let designs = some_designs(&store, 30).await;
    let appends = join_all(designs.iter().map(|design| store.append(*design, step(*design, 1))));
    // `join` polls in order: the appends are queued before the store is told to close.
    let (answers, ()) = futures_util::future::join(appends, store.close()).await;
    for answer in answers {
        assert_eq!(answer.unwrap(), Seq::new(2));
    }
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'one'";
    while postgres.sql("postgres", open).await.unwrap() != "0" {}
    assert!(matches!(store.head(designs[0]).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn short_calls_do_not_wait_for_logs_and_who_goes_away_holds_nothing() {
    let postgres = cluster("one").await;
    let store =
        open_with(&postgres.url("one"), PgSettings { loads: 1, connections: 1, ..PgSettings::default() })
            .await;
    let design = some_designs(&store, 1).await[0];
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut loading = Box::pin(store.long_read(async move |tx| {
        tell.send(()).unwrap();
        sqlx::query("SELECT pg_sleep(20)").persistent(false).execute(tx).await?;
        Ok(())
    }));
    tokio::select! {
        _ = &mut loading => panic!("it sleeps"),
        told = told => told.unwrap(),
    }
    assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(1));
    assert!(store.load(design).now_or_never().is_none(), "a log waits for its turn");
    drop(loading);
    assert!(store.load(design).await.unwrap().is_some());

    // A refusal is no reason to part with a connection, a fault is.
    let session = async || {
        let pid = store.write(async |tx| {
            Ok(sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()")
                .persistent(false)
                .fetch_one(tx)
                .await?)
        });
        pid.await.unwrap()
    };
    let first = session().await;
    assert!(matches!(store.create_design(new_design(1, "D")).await, Err(StoreError::Conflict(_))));
    assert!(matches!(
        store.put_member(DesignId::from_u128(9), owner(), DesignRole::Editor).await,
        Err(StoreError::NoSuchDesign)
    ));
    assert_eq!(session().await, first);
    let raised = store.write(async |tx| {
        let sql = "DO $$ BEGIN RAISE EXCEPTION 'a replica' USING ERRCODE = '25006'; END $$";
        sqlx::raw_sql(sql).execute(tx).await?;
        Ok(())
    });
    assert!(matches!(raised.await, Err(StoreError::Unavailable(_))));
    assert_ne!(session().await, first, "it may lead to what is no longer the primary");

    postgres.sql("one", "ALTER DATABASE one SET synchronous_commit = off").await.unwrap();
    let store = open(&postgres.url("one")).await;
    let durable = store.write(async |tx| {
        let shown = sqlx::query_scalar::<_, String>("SHOW synchronous_commit").persistent(false);
        Ok(shown.fetch_one(tx).await?)
    });
    assert_eq!(durable.await.unwrap(), "on", "whatever the server's default is");
}

/// Everything that expires is written by somebody who takes old rows of its kind along.
#[tokio::test]
async fn what_has_expired_does_not_pile_up() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    let user = owner();
    let begin = store.clock.utc();
    let hour = Duration::from_hours(1);
    let hash = |n: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&n.to_le_bytes());
        hash
    };
    let rows = async |table| postgres.sql("one", &format!("SELECT count(*) FROM {table}")).await.unwrap();
    for n in 0..10 {
        let now = begin + n * 2 * hour;
        let id = SessionId::from_u128(u128::from(n) + 1);
        let expires_at = now + hour;
        let session = NewSession { id, user, token_hash: hash(1_000 * n), now, expires_at };
        store.create_session(session).await.unwrap();
        let ticket = NewTicket {
            hash: hash(n),
            user,
            design,
            session: id,
            token_expires_at: expires_at,
            now,
            expires_at,
        };
        store.create_ticket(ticket).await.unwrap();
    }
    let left = [rows("sessions").await, rows("tickets").await, rows("refresh_tokens").await];
    assert_eq!(left, ["1", "1", "1"]);
    // One session that is prolonged again and again.
    for n in 9_000..9_020 {
        let now = begin + 18 * hour + (n - 9_000) * hour / 2;
        let (expires_at, grace) = (now + hour, time::Duration::ZERO);
        let rotate = RotateRefresh { old_hash: hash(n), new_hash: hash(n + 1), now, expires_at, grace };
        assert!(matches!(store.rotate_refresh(rotate).await.unwrap(), Rotation::Rotated { .. }), "{n}");
    }
    assert!(rows("refresh_tokens").await.parse::<u32>().unwrap() <= 4);
}

#[tokio::test]
async fn a_write_that_panics_ends_neither_its_lane_nor_its_place() {
    let postgres = cluster("one").await;
    let server = Server::new(connect_options(&postgres.url("one")).unwrap(), Clock::system());
    let terms = Terms::write(Duration::from_secs(5), Duration::from_secs(1));
    let mut place = Place::default();
    let session = async |tx: &mut PgConnection| {
        Ok(sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()").persistent(false).fetch_one(tx).await?)
    };
    let first = server.run(&mut place, terms, session).await.unwrap();
    assert_eq!(server.run(&mut place, terms, session).await.unwrap(), first, "it waited in its place");
    let panicked: std::result::Result<(), Fault> =
        server.run(&mut place, terms, async |_: &mut PgConnection| panic!("a deliberate panic")).await;
    assert!(matches!(panicked, Err(Fault::Statement(StoreError::Unavailable(_)))), "{panicked:?}");
    assert_ne!(
        server.run(&mut place, terms, session).await.unwrap(),
        first,
        "its connection was thrown away"
    );
}

#[tokio::test]
async fn the_servers_limits_grow_with_ours() {
    let postgres = cluster("one").await;
    let server = Server::new(connect_options(&postgres.url("one")).unwrap(), Clock::system());
    let terms = Terms::write(Duration::from_secs(5), Duration::from_secs(1));
    let mut place = Place::default();
    let limits = async |tx: &mut PgConnection| {
        let sql =
            "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' ||
                   current_setting('idle_in_transaction_session_timeout')";
        Ok(sqlx::query_scalar::<_, String>(sql).persistent(false).fetch_one(tx).await?)
    };
    assert_eq!(server.run(&mut place, terms, limits).await.unwrap(), "4s 1s 5s");
    let stretched = terms.with_bytes((20 << 20) - 1);
    assert_eq!(server.run(&mut place, stretched, limits).await.unwrap(), "19200ms 1s 24s");
}

#[tokio::test]
async fn quarantine_keeps_the_newest_payloads_within_its_bounds() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    let put = async |n: u8, bytes: usize| {
        let mark =
            QuarantineMark { user: owner(), hash: [n; 32], clients: vec![ClientId::new(u64::from(n))] };
        let update = Bytes::from(vec![n; bytes]);
        store.quarantine(design, Quarantine { update, mark, reason: "why".to_owned() }).await.unwrap();
    };
    // What the page for operators tells them to ask.
    let kept = async || -> Vec<(u8, usize)> {
        let sql = "SELECT get_byte(hash, 0) || ' ' || length(payload) FROM quarantine
                   WHERE payload IS NOT NULL AND length(payload) = bytes ORDER BY created_at, nth";
        let told = postgres.sql("one", sql).await.unwrap();
        let rows = told.lines().map(|line| line.split_once(' ').unwrap());
        rows.map(|(n, bytes)| (n.parse().unwrap(), bytes.parse().unwrap())).collect()
    };
    let rows = u8::try_from(QUARANTINE_PAYLOADS_MAX).unwrap();
    for n in 0..rows + 5 {
        put(n, 3).await;
    }
    assert_eq!(kept().await, (5..rows + 5).map(|n| (n, 3)).collect::<Vec<_>>());
    put(150, QUARANTINE_BYTES_MAX + 1).await;
    assert_eq!(kept().await.len(), QUARANTINE_PAYLOADS_MAX, "what never fits pushes nothing out");
    put(151, QUARANTINE_BYTES_MAX - 6).await;
    assert_eq!(kept().await, [(rows + 3, 3), (rows + 4, 3), (151, QUARANTINE_BYTES_MAX - 6)]);
    put(151, 9).await;
    assert_eq!(kept().await.len(), 3, "a known hash changes nothing");
    assert_eq!(store.load(design).await.unwrap().unwrap().quarantined.len(), usize::from(rows) + 7);
}
