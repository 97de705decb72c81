//! Against real servers. What every bus keeps is `bus/conformance.rs`; here is what is Redis' own. What becomes of it when
//! Redis is in trouble: `fault_tests.rs`.

use std::sync::atomic::AtomicU32;

use atlas_crdt::ids::{Generation, PodId, Seq};
use atlas_loadtest::services::redis::{Redis, Reply, Setup, Wire, sha256_hex};
use bytes::Bytes;
use rstest::rstest;

use super::*;
use crate::bus::conformance::{self, hear, message};
use crate::bus::{Heard, Word};

/// Longer than anything takes that happens at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const USERS: &str = include_str!("../../../deploy/redis/users.acl");
pub(super) const PASSWORD: &str = "correct \"horse\" bättery $staple\\";

pub(super) fn settings(layout: RedisLayout, ports: &[u16]) -> RedisSettings {
    let hosts = ports.iter().map(|port| ("127.0.0.1".to_owned(), *port)).collect();
    RedisSettings { layout, hosts, has_tls: false, login: None, authority: None, prefix: "atlas".into() }
}

pub(super) fn single(redis: &Redis) -> RedisSettings {
    settings(RedisLayout::Single, &[redis.port()])
}

/// With the account that `deploy/redis/users.acl` makes.
pub(super) fn with_login(settings: RedisSettings) -> RedisSettings {
    let login = RedisLogin { user: Some("atlas".into()), password: PASSWORD.into() };
    RedisSettings { login: Some(login), ..settings }
}

/// The file as an operator fills it in.
pub(super) async fn users() -> Option<String> {
    let (hole, digest) = ("PUT-THE-SHA256-OF-THE-PASSWORD-HERE", sha256_hex(PASSWORD).await.unwrap());
    assert!(USERS.contains(hole));
    Some(USERS.replace(hole, &digest))
}

/// Not connected yet.
pub(super) fn start(settings: &RedisSettings) -> Arc<RedisBus> {
    // Shown when a test fails.
    let _ =
        tracing_subscriber::fmt().with_env_filter("info,atlas_collab=debug").with_test_writer().try_init();
    let clock = Clock::system();
    let ids = Ids::system(clock.clone());
    Arc::new(RedisBus::open(settings, &clock, &ids, &Tasks::new()).unwrap())
}

pub(super) async fn open(settings: &RedisSettings) -> Arc<RedisBus> {
    let bus = start(settings);
    until("it is connected", async || stats(&bus).is_connected).await;
    bus
}

pub(super) fn stats(bus: &RedisBus) -> BusStats {
    bus.stats().unwrap()
}

pub(super) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "not so in time: {what}");
}

pub(super) fn design(n: u128) -> DesignId {
    DesignId::from_u128(n)
}

/// The next word that is no message must be a gap.
pub(super) async fn hear_gap<M: fmt::Debug + PartialEq>(subscription: &mut Subscription<M>) {
    let heard = tokio::time::timeout(PATIENCE, subscription.messages.recv()).await.unwrap();
    assert_eq!(heard, Some(Heard::Gap));
}

/// Each promise is kept among channels of its own.
pub(super) async fn keeps_the_contract(settings: &RedisSettings) {
    let count = AtomicU32::new(0);
    conformance::run_all(async || {
        let prefix = format!("atlas:{}", count.fetch_add(1, Ordering::Relaxed));
        let settings = RedisSettings { prefix, ..settings.clone() };
        (open(&settings).await as Arc<dyn Bus>, open(&settings).await as Arc<dyn Bus>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let redis = Redis::start().await.unwrap();
    keeps_the_contract(&single(&redis)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_over_tls_and_with_the_least_of_rights() {
    let setup = Setup { users: users().await, has_tls: true, ..Setup::default() };
    let redis = Redis::start_with(&setup).await.unwrap();
    let port = redis.tls_url().rsplit(':').next().unwrap().parse().unwrap();
    let plain = with_login(settings(RedisLayout::Single, &[port]));
    let authority = Some(redis.authority().unwrap());
    let secured = RedisSettings { has_tls: true, authority, ..plain.clone() };
    keeps_the_contract(&secured).await;

    let mut wire = Wire::open(redis.address()).await.unwrap();
    wire.must(&["AUTH", "atlas", PASSWORD]).await.unwrap();
    wire.must(&["SPUBLISH", "atlas:design:1", "a"]).await.unwrap();
    for refused in [
        &["GET", "atlas:design:1"][..],
        &["SET", "atlas:design:1", "a"],
        &["KEYS", "*"],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["CLIENT", "KILL", "TYPE", "normal"],
        &["PUBSUB", "CHANNELS"],
        &["EVAL", "return 1", "0"],
        &["PUBLISH", "atlas:design:1", "a"],
        &["SPUBLISH", "other:design:1", "a"],
        &["SSUBSCRIBE", "other:design:1"],
        &["SUBSCRIBE", "atlas:design:1"],
        &["PSUBSCRIBE", "atlas:*"],
        &["PSUBSCRIBE", "*"],
    ] {
        let reply = wire.ask(refused).await.unwrap();
        assert!(matches!(&reply, Reply::Refused(why) if why.starts_with("NOPERM")), "{refused:?}: {reply:?}");
    }

    // Whom this authority did not sign for is not believed: neither without it nor with another.
    let other = Redis::start_with(&Setup { has_tls: true, ..Setup::default() }).await.unwrap();
    let strangers = RedisSettings { authority: Some(other.authority().unwrap()), ..secured.clone() };
    for wrong in [RedisSettings { authority: None, ..secured.clone() }, strangers, plain] {
        let bus = start(&wrong);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!stats(&bus).is_connected);
        bus.close().await;
    }
    let broken = Some("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n".to_owned());
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let ids = Ids::system(clock.clone());
    for authority in [broken, Some("none".to_owned())] {
        let bad = RedisBus::open(&RedisSettings { authority, ..secured.clone() }, &clock, &ids, &tasks);
        assert!(bad.is_err(), "a certificate that is none is told at the start");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_to_be_sent_is_said_to_be_elsewhere() {
    let redis = Redis::start().await.unwrap();
    let (one, two) = (open(&single(&redis)).await, open(&single(&redis)).await);
    let mut subscription = two.subscribe(design(1)).await;
    let (pod, generation, seq) = (PodId::new(7), Generation::new(1), Seq::new(9));
    let word = Word::Commit { generation, seq, update: vec![7; 4 << 20].into(), claims: Vec::new() };
    one.publish(design(1), BusMessage { pod, word });
    let elsewhere = Word::CommitElsewhere { generation, seq };
    assert_eq!(hear(&mut subscription).await, BusMessage { pod, word: elsewhere });

    let before = stats(&one);
    let update = Bytes::from(vec![0; 16 << 20]);
    one.publish(
        design(1),
        BusMessage { pod, word: Word::Presence { update, users: Vec::new(), whole: true } },
    );
    until("it is counted", async || before.dropped < stats(&one).dropped).await;
    one.publish(design(1), message(1));
    assert_eq!(hear(&mut subscription).await, message(1));
}

/// What others put into our channels, and what a later version says.
#[rstest]
#[case::nothing("")]
#[case::text("OK")]
#[case::a_later_version("\u{2}\u{1}\0\0\0\0\0\0\0\0")]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_counted_and_skipped(#[case] payload: &str) {
    let redis = Redis::start().await.unwrap();
    let bus = open(&single(&redis)).await;
    let mut of_design = bus.subscribe(design(1)).await;
    let mut of_pods = bus.subscribe_to_pods().await;
    for topic in ["design:00000000-0000-0000-0000-000000000001", "pods"] {
        let told = redis.must(&["SPUBLISH", &format!("atlas:{topic}"), payload]).await.unwrap();
        assert_eq!(told, Reply::Number(1), "it was sent to us");
    }
    let sent = PodMessage { pod: PodId::new(1), word: crate::bus::PodWord::Alive };
    bus.publish(design(1), message(1));
    bus.publish_to_pods(sent.clone());
    assert_eq!(hear(&mut of_design).await, message(1));
    assert_eq!(hear(&mut of_pods).await, sent);
    let BusStats { received, undecodable, .. } = stats(&bus);
    assert_eq!((received, undecodable), (4, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_one_design_share_a_channel_and_leave_none_behind() {
    let redis = Redis::start().await.unwrap();
    let bus = open(&single(&redis)).await;
    let channels = async || match redis.must(&["PUBSUB", "SHARDCHANNELS"]).await.unwrap() {
        Reply::List(channels) => channels.len(),
        other => panic!("{other:?}"),
    };
    let mut all = Vec::new();
    for n in 0..2_000 {
        all.push(bus.subscribe(design(n % 1_000)).await);
    }
    assert_eq!(channels().await, 1_000);
    assert_eq!(redis.calls("ssubscribe").await.unwrap(), 1_000);
    let kept = all.split_off(1_500);
    drop(all);
    until("those are given up that nobody listens to", async || channels().await == 500).await;
    drop(kept);
    until("all are given up", async || channels().await == 0).await;
    let mut again = bus.subscribe(design(1)).await;
    bus.publish(design(1), message(1));
    assert_eq!(hear(&mut again).await, message(1));
    assert_eq!(stats(&bus).gaps, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_the_end_is_heard() {
    const COUNT: u64 = 500;
    let redis = Redis::start().await.unwrap();
    let (one, two) = (open(&single(&redis)).await, open(&single(&redis)).await);
    let mut far = two.subscribe(design(1)).await;
    let mut near = one.subscribe(design(1)).await;
    for n in 1..=COUNT {
        one.publish(design(1), message(n));
    }
    one.close().await;
    for n in 1..=COUNT {
        assert_eq!(hear(&mut far).await, message(n), "in order");
    }
    assert_eq!(stats(&one).published, COUNT);
    while near.messages.recv().await.is_some() {}
    one.publish(design(1), message(0));
    assert_eq!(stats(&one).dropped, 1);
    assert_eq!(one.subscribe(design(1)).await.messages.recv().await, None);
    one.close().await;
    until("its connections are closed", async || redis.info("connected_clients").await.unwrap() == "3").await;
}
