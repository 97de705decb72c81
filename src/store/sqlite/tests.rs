//! What is SQLite's own; the contract of every store is `store/conformance.rs`.

use std::sync::Arc;

use atlas_crdt::ids::AppendId;
use atlas_crdt::ids::ClientId;
use atlas_crdt::roles::PlatformRole;
use atlas_crdt::room::QuarantineMark;
use bytes::Bytes;
use futures_util::future::join_all;
use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::store::{QUARANTINE_BYTES_MAX, QUARANTINE_PAYLOADS_MAX, StoreError, Stores, conformance};

pub(super) async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, Clock::system(), &Tasks::new()).await.unwrap()
}

/// As another process would: without our lock.
pub(super) async fn tamper(dir: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(dir.join("atlas.db")).busy_timeout(BUSY_TIMEOUT);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

pub(super) async fn some_designs(store: &SqliteStore, count: u128) -> Vec<DesignId> {
    let now = store.clock.utc();
    let owner = UserId::from_u128(7);
    let user = NewUser {
        id: owner,
        email: "ann@example.org".to_owned(),
        name: None,
        password_hash: String::new(),
        first_role: PlatformRole::Admin,
        role: PlatformRole::Architect,
        now,
    };
    store.create_user(user).await.unwrap();
    let mut designs = Vec::new();
    for n in 1..=count {
        let id = DesignId::from_u128(n);
        let first = Bytes::from_static(b"first");
        let append_id = AppendId::from_u128(n << 64);
        let new = NewDesign {
            id,
            owner,
            name: "D".to_owned(),
            description: None,
            first,
            claims: Vec::new(),
            append_id,
            now,
        };
        designs.push(store.create_design(new).await.unwrap().id);
    }
    designs
}

pub(super) fn step(design: DesignId, n: u128) -> Append {
    let append_id = AppendId::from_u128((design.as_u128() << 64) + n);
    Append {
        append_id,
        after: Seq::ZERO,
        exactly: false,
        update: Bytes::from_static(b"next"),
        authors: Vec::new(),
        claims: Vec::new(),
        name: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    conformance::run_all(async |place| Arc::new(open(&path.join(place)).await) as Arc<dyn Store>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_upkeep() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    conformance::run_upkeep(async |place| Stores::new(open(&path.join(place)).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_analyses() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    conformance::run_analyses(async |place| Stores::new(open(&path.join(place)).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_design_stalls_nobody_else() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let designs = some_designs(&store, 20).await;
    tamper(
        root.path(),
        "CREATE TRIGGER curse BEFORE INSERT ON design_updates
         WHEN NEW.design_id = x'0000000000000000000000000000000d'
         BEGIN SELECT RAISE(ABORT, 'cursed'); END",
    )
    .await;
    let answers = join_all(designs.iter().map(|design| store.append(*design, step(*design, 1)))).await;
    for (design, answer) in designs.iter().zip(answers) {
        match answer {
            Err(StoreError::Unavailable(_)) => assert_eq!(design.as_u128(), 13),
            answer => {
                assert_eq!(answer.unwrap(), Seq::new(2));
                assert_ne!(design.as_u128(), 13);
            }
        }
    }
    // Once the cause is gone the same append passes, and no seq was lost to the failures.
    tamper(root.path(), "DROP TRIGGER curse").await;
    assert_eq!(store.append(designs[12], step(designs[12], 1)).await.unwrap(), Seq::new(2));
}

#[tokio::test]
async fn a_hole_in_the_log_is_told_and_never_served() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=4 {
        store.append(design, step(design, n)).await.unwrap();
    }
    tamper(root.path(), "DELETE FROM design_updates WHERE seq = 5").await;
    let load = store.load(design).await;
    assert!(matches!(load, Err(StoreError::Damaged(_))), "the head's own row is missing: {load:?}");
    tamper(root.path(), "UPDATE design_heads SET head_seq = 4; DELETE FROM design_updates WHERE seq = 3")
        .await;
    let load = store.load(design).await;
    assert!(matches!(load, Err(StoreError::Damaged(_))), "a row in the middle is missing: {load:?}");
    let rows = store.log_after(design, Seq::ZERO, 10).await;
    assert!(matches!(rows, Err(StoreError::Damaged(_))), "{rows:?}");
    assert_eq!(store.log_after(design, Seq::new(3), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_load_starts_at_the_newest_snapshot() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let design = some_designs(&store, 1).await[0];
    for n in 1..=4 {
        store.append(design, step(design, n)).await.unwrap();
    }
    tamper(
        root.path(),
        "INSERT INTO design_snapshots (design_id, seq, payload, created_at)
             SELECT design_id, seq, CAST('folded ' || seq AS BLOB), 0 FROM design_updates WHERE seq IN (2, 4);
         DELETE FROM design_updates WHERE seq <= 3",
    )
    .await;
    let loaded = store.load(design).await.unwrap().unwrap();
    assert_eq!(loaded.snapshot, Some((Seq::new(4), Bytes::from_static(b"folded 4"))));
    assert_eq!(loaded.tail.iter().map(|row| row.seq.get()).collect::<Vec<_>>(), [5]);
}

#[tokio::test]
async fn a_second_process_is_kept_out_until_the_first_has_closed() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).await;
    let refused = SqliteStore::open(root.path(), Clock::system(), &Tasks::new()).await.unwrap_err();
    assert!(refused.to_string().contains("another process has the data folder"), "{refused}");
    first.close().await;
    open(root.path()).await.check().await.unwrap();
}

#[tokio::test]
async fn closing_answers_what_was_asked_before() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let designs = some_designs(&store, 3).await;
    let appends = join_all(designs.iter().map(|design| store.append(*design, step(*design, 1))));
    // `join` polls in order: the appends are queued before the store is told to close.
    let (answers, ()) = futures_util::future::join(appends, store.close()).await;
    for answer in answers {
        assert_eq!(answer.unwrap(), Seq::new(2));
    }
    assert!(!root.path().join("atlas.db-wal").exists(), "the write-ahead log is folded in");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let root = tempfile::tempdir().unwrap();
    open(root.path()).await.close().await;
    tamper(
        root.path(),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .await;
    let refused = SqliteStore::open(root.path(), Clock::system(), &Tasks::new()).await.unwrap_err();
    assert!(format!("{refused:#}").contains("9999"), "{refused:#}");
}

#[tokio::test]
async fn commits_are_synchronous_and_readers_cannot_write() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let mut reader = store.reader().await.unwrap();
    assert!(sqlx::query("DELETE FROM users").execute(&mut *reader).await.is_err());
    let settings = store.writer.write(|tx| {
        Box::pin(async move {
            let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *tx).await?;
            let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *tx).await?;
            let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *tx).await?;
            Ok((journal, synchronous, keys))
        })
    });
    // synchronous: 2 is FULL.
    assert_eq!(settings.await.unwrap(), ("wal".to_owned(), 2, 1));
}

/// SQLite says that the disk is full when a database may not grow; the limit ends with its connection.
#[tokio::test]
async fn after_a_full_disk_the_same_append_passes() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let design = some_designs(&store, 1).await[0];
    let full = store.writer.write(|tx| {
        Box::pin(async move {
            sqlx::query("PRAGMA max_page_count = 1").execute(tx).await?;
            Ok(())
        })
    });
    full.await.unwrap();
    let large = Append { update: Bytes::from(vec![7; 1 << 20]), ..step(design, 1) };
    let refused = store.append(design, large.clone()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(1), "nothing of it remains");
    assert_eq!(store.append(design, large).await.unwrap(), Seq::new(2));
}

#[tokio::test]
async fn a_write_that_panics_ends_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let design = some_designs(&store, 1).await[0];
    let broken: Result<()> =
        store.writer.write(|_| Box::pin(async { panic!("a deliberate panic of this test") })).await;
    assert!(matches!(broken, Err(StoreError::Unavailable(_))));
    assert_eq!(store.append(design, step(design, 1)).await.unwrap(), Seq::new(2));
}

#[tokio::test]
async fn short_reads_do_not_wait_for_logs() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let design = some_designs(&store, 1).await[0];
    let mut loads = Vec::new();
    for _ in 0..LOAD_CONNECTIONS_MAX {
        loads.push(store.loader().await.unwrap());
    }
    assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(1));
    assert!(store.user(UserId::from_u128(7)).await.unwrap().is_some());
    assert!(futures_util::FutureExt::now_or_never(store.load(design)).is_none(), "a log waits for its turn");
    loads.clear();
    assert!(store.load(design).await.unwrap().is_some());
}

/// Everything that expires is written by somebody who takes old rows of its kind along.
#[tokio::test]
async fn what_has_expired_does_not_pile_up() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let design = some_designs(&store, 1).await[0];
    let user = UserId::from_u128(7);
    let begin = store.clock.utc();
    let hour = Duration::from_hours(1);
    let hash = |n: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&n.to_le_bytes());
        hash
    };
    let rows = async |table: &str| -> i64 {
        let count = match table {
            "sessions" => "SELECT count(*) FROM sessions",
            "tickets" => "SELECT count(*) FROM tickets",
            _ => "SELECT count(*) FROM refresh_tokens",
        };
        sqlx::query_scalar(count).fetch_one(&mut *store.reader().await.unwrap()).await.unwrap()
    };
    for n in 0..20 {
        let now = begin + n * 2 * hour;
        let id = SessionId::from_u128(u128::from(n) + 1);
        let session = NewSession { id, user, token_hash: hash(1_000 * n), now, expires_at: now + hour };
        store.create_session(session).await.unwrap();
        let (token_expires_at, expires_at) = (now + hour, now + hour);
        let ticket =
            NewTicket { hash: hash(n), user, design, session: id, token_expires_at, now, expires_at };
        store.create_ticket(ticket).await.unwrap();
    }
    assert_eq!((rows("sessions").await, rows("tickets").await, rows("tokens").await), (1, 1, 1));
    // One session that is prolonged again and again.
    for n in 19_000..19_040 {
        let now = begin + 38 * hour + (n - 19_000) * hour / 2;
        let expires_at = now + hour;
        let grace = time::Duration::ZERO;
        let rotate = RotateRefresh { old_hash: hash(n), new_hash: hash(n + 1), now, expires_at, grace };
        assert!(matches!(store.rotate_refresh(rotate).await.unwrap(), Rotation::Rotated { .. }), "{n}");
    }
    assert!(rows("tokens").await <= 4);
}

#[tokio::test]
async fn quarantine_keeps_the_newest_payloads_within_its_bounds() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let designs = some_designs(&store, 2).await;
    let put = async |n: u8, bytes: usize| {
        let (user, clients) = (UserId::from_u128(7), vec![ClientId::new(u64::from(n))]);
        let mark = QuarantineMark { user, hash: [n; 32], clients };
        let update = Bytes::from(vec![n; bytes]);
        let culprit = Quarantine { update, mark, reason: "why".to_owned() };
        store.quarantine(designs[0], culprit).await.unwrap();
    };
    // What the page for operators tells them to ask.
    let kept = async || -> Vec<(u8, usize)> {
        let rows: Vec<(Vec<u8>, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT hash, payload, bytes FROM quarantine WHERE payload IS NOT NULL ORDER BY created_at, rowid",
        )
        .fetch_all(&mut *store.reader().await.unwrap())
        .await
        .unwrap();
        let as_put = |(hash, payload, bytes): (Vec<u8>, Vec<u8>, i64)| {
            assert_eq!(payload, vec![hash[0]; payload.len()]);
            assert_eq!(i64::try_from(payload.len()), Ok(bytes));
            (hash[0], payload.len())
        };
        rows.into_iter().map(as_put).collect()
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
    put(152, QUARANTINE_BYTES_MAX).await;
    assert_eq!(kept().await, [(152, QUARANTINE_BYTES_MAX)]);
    put(151, 9).await;
    assert_eq!(kept().await, [(152, QUARANTINE_BYTES_MAX)], "a known hash changes nothing");
    assert_eq!(store.load(designs[0]).await.unwrap().unwrap().quarantined.len(), usize::from(rows) + 8);
}
