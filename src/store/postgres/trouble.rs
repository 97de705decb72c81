//! The store in trouble: poisoned designs, strangers' locks, a database that is killed, a network that is cut or
//! frozen. Each test proves that its trouble came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atlas_loadtest::proxy::Proxy;
use atlas_loadtest::services::postgres::Postgres;
use futures_util::FutureExt;
use futures_util::future::join_all;
use sqlx::Connection;

use super::tests::{cluster, open, open_with, owner, some_designs, step};
use super::*;
use crate::store::StoreError;

/// How long a room waits before it asks again.
const PAUSE: Duration = Duration::from_millis(20);

fn patient() -> PgSettings {
    let (call_limit, lock_limit) = (Duration::from_mins(1), Duration::from_secs(40));
    PgSettings { call_limit, lock_limit, ..PgSettings::default() }
}

fn impatient() -> PgSettings {
    let (call_limit, lock_limit) = (Duration::from_secs(1), Duration::from_millis(300));
    PgSettings { call_limit, load_limit: call_limit, lock_limit, ..PgSettings::default() }
}

fn is_unavailable<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable(_)))
}

/// As a room does: the same append until it is answered.
async fn insist(store: &PgStore, design: DesignId, n: u128) -> Seq {
    loop {
        match store.append(design, step(design, n)).await {
            Ok(seq) => return seq,
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until the database says `t`.
async fn until(postgres: &Postgres, sql: &str) {
    while postgres.sql("one", sql).await.unwrap() != "t" {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Each payload stands once, at the `seq` that was answered for it.
async fn holds_exactly(store: &PgStore, design: DesignId, answered: &BTreeMap<u64, u128>) {
    let log = store.load(design).await.unwrap().unwrap().tail;
    let rows: Vec<_> = log[1..].iter().map(|row| (row.seq.get(), row.update.clone())).collect();
    let expected = answered.iter().map(|(seq, n)| (*seq, step(design, *n).update));
    assert_eq!(rows, expected.collect::<Vec<_>>());
}

const CURSE: &str = "CREATE FUNCTION curse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.design_id = '00000000-0000-0000-0000-00000000000d' THEN RAISE EXCEPTION 'cursed'; END IF;
        IF NEW.design_id = '00000000-0000-0000-0000-00000000000e' THEN PERFORM pg_sleep(600); END IF;
        RETURN NEW; END $$;
    CREATE TRIGGER curse BEFORE INSERT ON design_updates FOR EACH ROW EXECUTE FUNCTION curse()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_design_that_fails_and_one_that_never_ends_stall_nobody_else() {
    let postgres = cluster("one").await;
    let settings = PgSettings { lanes: 1, call_limit: Duration::from_secs(2), ..impatient() };
    let statement_limit = settings.call_limit * 4 / 5;
    let store = open_with(&postgres.url("one"), settings).await;
    let designs = some_designs(&store, 60).await;
    postgres.sql("one", CURSE).await.unwrap();
    let is_cursed = |design: &DesignId| [13, 14].contains(&design.as_u128());
    // The first time each culprit is found among the others …
    let answers = join_all(designs.iter().map(|design| store.append(*design, step(*design, 1)))).await;
    for (design, answer) in designs.iter().zip(answers) {
        assert_eq!(is_unavailable(&answer), is_cursed(design), "{design} {answer:?}");
        assert!(is_cursed(design) || answer.unwrap() == Seq::new(2));
    }
    // … and from then on it is kept apart: the others are done before anybody gave up on it.
    let began = atlas_loadtest::world::now();
    let mut endless = Box::pin(store.append(designs[13], step(designs[13], 1)));
    assert!(endless.as_mut().now_or_never().is_none());
    let healthy = designs.iter().filter(|design| !is_cursed(design));
    for answer in join_all(healthy.map(|design| store.append(*design, step(*design, 2)))).await {
        assert_eq!(answer.unwrap(), Seq::new(3));
    }
    assert!(began.elapsed() < statement_limit, "{:?}", began.elapsed());
    assert!(endless.as_mut().now_or_never().is_none());
    assert!(is_unavailable(&endless.await));
    assert!(is_unavailable(&store.append(designs[12], step(designs[12], 1)).await));

    // Once the cause is gone the same appends pass, and no seq was lost to the failures.
    postgres.sql("one", "DROP TRIGGER curse ON design_updates").await.unwrap();
    for design in [designs[12], designs[13]] {
        assert_eq!(store.append(design, step(design, 1)).await.unwrap(), Seq::new(2));
        assert_eq!(store.append(design, step(design, 2)).await.unwrap(), Seq::new(3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_lock_holds_up_one_design_until_it_is_released() {
    let postgres = cluster("one").await;
    let store = open_with(&postgres.url("one"), PgSettings { lanes: 1, ..patient() }).await;
    let hasty = open_with(&postgres.url("one"), PgSettings { lanes: 1, ..impatient() }).await;
    let designs = some_designs(&store, 20).await;
    let locks = [
        "SELECT FROM design_heads WHERE design_id = '00000000-0000-0000-0000-00000000000d' FOR UPDATE",
        "SELECT FROM designs WHERE id = '00000000-0000-0000-0000-00000000000d' FOR UPDATE",
        "SELECT FROM designs WHERE id = '00000000-0000-0000-0000-00000000000d' FOR SHARE",
    ];
    for (round, lock) in (1..).zip(locks) {
        let mut stranger = PgConnection::connect(&postgres.url("one")).await.unwrap();
        let mut held = stranger.begin().await.unwrap();
        sqlx::query(lock).fetch_one(&mut *held).await.unwrap();
        let rename = |design| Append { name: Some(format!("round {round}")), ..step(design, round) };

        let refused = hasty.append(designs[12], rename(designs[12])).await;
        assert!(is_unavailable(&refused), "{lock}: {refused:?}");
        let mut blocked = Box::pin(store.append(designs[12], rename(designs[12])));
        assert!(blocked.as_mut().now_or_never().is_none());
        let others = designs.iter().filter(|design| **design != designs[12]);
        for answer in join_all(others.map(|design| store.append(*design, rename(*design)))).await {
            assert_eq!(answer.unwrap().get(), 1 + u64::try_from(round).unwrap());
        }
        assert!(blocked.as_mut().now_or_never().is_none(), "{lock}");
        held.rollback().await.unwrap();
        assert_eq!(blocked.await.unwrap().get(), 1 + u64::try_from(round).unwrap());
        let row = store.design(designs[12]).await.unwrap().unwrap();
        assert_eq!(row.name, format!("round {round}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_design_that_is_deleted_meanwhile_is_not_there() {
    let postgres = cluster("one").await;
    let store = open_with(&postgres.url("one"), patient()).await;
    let design = some_designs(&store, 1).await[0];
    let (now, session) = (OffsetDateTime::UNIX_EPOCH, SessionId::from_u128(1));
    let expires_at = now + time::Duration::days(1);
    let user = owner();
    let new = NewSession { id: session, user, token_hash: [1; 32], now, expires_at };
    store.create_session(new).await.unwrap();
    let ticket =
        NewTicket { hash: [2; 32], user, design, session, token_expires_at: expires_at, now, expires_at };
    let mut stranger = PgConnection::connect(&postgres.url("one")).await.unwrap();
    let mut deletion = stranger.begin().await.unwrap();
    sqlx::query("DELETE FROM designs").execute(&mut *deletion).await.unwrap();
    let deleted = async {
        let are_waiting = "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        until(&postgres, are_waiting).await;
        deletion.commit().await.unwrap();
    };
    let announce = store.announce(design, ClientId::new(5), user);
    let (ticket, announced, ()) = tokio::join!(store.create_ticket(ticket), announce, deleted);
    assert!(matches!(ticket, Err(StoreError::NoSuchDesign)), "{ticket:?}");
    announced.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pods_that_append_to_the_same_designs_leave_no_gap() {
    const EACH: u64 = 60;
    let postgres = cluster("one").await;
    let (one, two) = (open(&postgres.url("one")).await, open(&postgres.url("one")).await);
    let designs = some_designs(&one, 4).await;
    let appender = async |store: &PgStore, design: DesignId, from: u128| {
        let mut answered = Vec::new();
        for n in from..from + u128::from(EACH) {
            answered.push((insist(store, design, n).await.get(), n));
        }
        assert!(answered.is_sorted(), "an appender's steps keep their order");
        answered
    };
    let designs_of_both = designs.iter().flat_map(|design| [(&one, design, 1_000), (&two, design, 2_000)]);
    let answers = join_all(designs_of_both.map(|(store, design, from)| appender(store, *design, from))).await;
    for (design, answered) in designs.iter().zip(answers.chunks(2)) {
        let answered: BTreeMap<u64, u128> = answered.concat().into_iter().collect();
        assert_eq!(answered.keys().copied().collect::<Vec<_>>(), (2..2 + 2 * EACH).collect::<Vec<_>>());
        holds_exactly(&one, *design, &answered).await;
    }
    // One append asked of both at once is one row.
    let design = designs[0];
    let both =
        join_all((0..20).map(|n| if n % 2 == 0 { &one } else { &two }.append(design, step(design, 1)))).await;
    let seqs: BTreeSet<Seq> = both.into_iter().map(|answer| answer.unwrap()).collect();
    assert_eq!(seqs, BTreeSet::from([Seq::new(2 + 2 * EACH)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_the_death_of_the_database() {
    const KILLS: u32 = 4;
    const ACKS_BETWEEN: u64 = 150;
    let mut postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let designs = some_designs(&store, 12).await;
    let (acks, failures, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let appender = async |design: DesignId| {
        let mut answered = BTreeMap::new();
        for n in 1.. {
            let seq = loop {
                match store.append(design, step(design, n)).await {
                    Ok(seq) => break seq,
                    Err(StoreError::Unavailable(_)) => failures.fetch_add(1, Ordering::Relaxed),
                    Err(error) => panic!("{error}"),
                };
                tokio::time::sleep(PAUSE).await;
            };
            acks.fetch_add(1, Ordering::Relaxed);
            assert_eq!(answered.insert(seq.get(), n), None, "no two appends share a seq");
            if is_over.load(Ordering::Relaxed) {
                break;
            }
        }
        answered
    };
    let killer = async {
        for kill in 1..=KILLS {
            let (acks_before, failures_before) =
                (acks.load(Ordering::Relaxed), failures.load(Ordering::Relaxed));
            while acks.load(Ordering::Relaxed) < acks_before + ACKS_BETWEEN {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            postgres.kill().await.unwrap();
            while failures.load(Ordering::Relaxed) < failures_before + 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            postgres.restart().await.unwrap();
            let replayed = postgres.log().matches("not properly shut down").count();
            assert_eq!(replayed, kill as usize, "it found itself killed");
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let appenders = join_all(designs.iter().map(|design| appender(*design)));
    let (answered, ()) = futures_util::future::join(appenders, killer).await;
    for (design, answered) in designs.iter().zip(answered) {
        holds_exactly(&store, *design, &answered).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_cut_or_frozen_ends_every_call_in_time() {
    let postgres = cluster("one").await;
    let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await.unwrap();
    let url = format!("postgres://postgres@{}/one", proxy.address());
    let store = open_with(&url, impatient()).await;
    let designs = some_designs(&store, 8).await;
    let append_all =
        async |n| join_all(designs.iter().map(|design| store.append(*design, step(*design, n)))).await;
    let mut expected = 2;
    let mut n = 1;
    for fail in [Proxy::freeze, Proxy::cut, Proxy::freeze] {
        for answer in append_all(n).await {
            assert_eq!(answer.unwrap().get(), expected);
        }
        fail(&proxy);
        let began = atlas_loadtest::world::now();
        let (appends, head, load, check) =
            tokio::join!(append_all(n + 1), store.head(designs[0]), store.load(designs[0]), store.check());
        assert!(appends.iter().all(is_unavailable), "{appends:?}");
        assert!(is_unavailable(&head) && is_unavailable(&load) && is_unavailable(&check));
        let limit = 3 * impatient().call_limit;
        assert!(began.elapsed() < limit + Duration::from_millis(500), "{:?}", began.elapsed());
        proxy.restore();
        for design in &designs {
            assert_eq!(insist(&store, *design, n + 1).await.get(), expected + 1);
        }
        expected += 2;
        n += 2;
    }
}

/// Sleeps in the middle of an append to design 1 while the table `slow` is not empty.
const SLOW: &str = "CREATE TABLE slow (seconds float);
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_sleep(seconds) FROM slow WHERE NEW.design_id = '00000000-0000-0000-0000-000000000001';
        RETURN NEW; END $$;
    INSERT INTO slow VALUES (0.4)";
const IS_SLEEPING: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')";

/// Its transaction is open on the server, with the head locked, and nobody is there to end it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_vanishes_in_the_middle_of_an_append_holds_nobody_up_for_long() {
    let postgres = cluster("one").await;
    let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await.unwrap();
    let vanishing = open_with(&format!("postgres://postgres@{}/one", proxy.address()), impatient()).await;
    let other = open_with(&postgres.url("one"), impatient()).await;
    let design = some_designs(&other, 1).await[0];
    let trigger = "CREATE TRIGGER slow BEFORE INSERT ON design_updates FOR EACH ROW EXECUTE FUNCTION slow()";
    postgres.sql("one", &format!("{SLOW}; {trigger}")).await.unwrap();
    let frozen = async {
        until(&postgres, IS_SLEEPING).await;
        proxy.freeze();
    };
    let (lost, ()) = tokio::join!(vanishing.append(design, step(design, 1)), frozen);
    assert!(is_unavailable(&lost), "{lost:?}");
    postgres.sql("one", "DELETE FROM slow").await.unwrap();
    assert_eq!(insist(&other, design, 2).await, Seq::new(2), "what was not committed is gone");
    proxy.restore();
    assert_eq!(insist(&vanishing, design, 1).await, Seq::new(3));
}

/// The commit happens, and nobody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_commit_went_unheard_is_found_again() {
    let postgres = cluster("one").await;
    let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await.unwrap();
    let store = open_with(&format!("postgres://postgres@{}/one", proxy.address()), impatient()).await;
    let design = some_designs(&store, 1).await[0];
    let trigger =
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON design_updates DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION slow()";
    postgres.sql("one", &format!("{SLOW}; {trigger}")).await.unwrap();
    let frozen = async {
        until(&postgres, IS_SLEEPING).await;
        proxy.freeze();
    };
    let (unheard, ()) = tokio::join!(store.append(design, step(design, 1)), frozen);
    assert!(is_unavailable(&unheard), "{unheard:?}");
    assert_eq!(
        postgres.sql("one", "SELECT head_seq FROM design_heads").await.unwrap(),
        "2",
        "it was committed"
    );
    proxy.restore();
    assert_eq!(insist(&store, design, 1).await, Seq::new(2));
    assert_eq!(insist(&store, design, 2).await, Seq::new(3));
    holds_exactly(&store, design, &BTreeMap::from([(2, 1), (3, 2)])).await;
}

/// Faults of the whole database, as it words them: nobody is to blame, everybody may ask again.
#[tokio::test]
async fn a_database_in_trouble_is_unavailable_and_a_broken_one_is_damaged() {
    let postgres = cluster("one").await;
    let store = open(&postgres.url("one")).await;
    let design = some_designs(&store, 1).await[0];
    let raise = async |code: &str| {
        let sql = format!(
            "CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{code}'; END $$;
             CREATE OR REPLACE TRIGGER trouble BEFORE INSERT ON design_updates
                 FOR EACH ROW EXECUTE FUNCTION trouble()"
        );
        drop(postgres.sql("one", &sql).await.unwrap());
    };
    // Disk full, shutdown, read-only, deadlock, input or output.
    for code in ["53100", "57P01", "25006", "40P01", "58030", "08006", "P0001"] {
        raise(code).await;
        let answer = store.append(design, step(design, 1)).await;
        assert!(is_unavailable(&answer), "{code} {answer:?}");
    }
    for code in ["XX001", "XX002"] {
        raise(code).await;
        let answer = store.append(design, step(design, 1)).await;
        assert!(matches!(answer, Err(StoreError::Damaged(_))), "{code} {answer:?}");
    }
    postgres.sql("one", "DROP TRIGGER trouble ON design_updates").await.unwrap();
    assert_eq!(store.append(design, step(design, 1)).await.unwrap(), Seq::new(2));
}
