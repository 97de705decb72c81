//! Redis is killed, stopped, emptied, or was never there. Each fault counts only if it happened.

use std::time::Instant;

use atlas_crdt::ids::{Generation, PodId, Seq};
use atlas_loadtest::services::redis::{OPERATOR, Redis, Setup, sha256_hex};
use atlas_loadtest::world;

use super::tests::{design, hear_gap, open, single, start, stats, until};
use super::*;
use crate::bus::conformance::{hear, message};
use crate::bus::{Heard, PodWord, Word};

const ALIVE: PodMessage = PodMessage { pod: PodId::new(1), word: PodWord::Alive };

/// Two pods, and what one hears of the other.
struct Stage {
    one: Arc<RedisBus>,
    two: Arc<RedisBus>,
    of_design: Subscription,
    of_pods: Subscription<PodMessage>,
    said: u64,
}

impl Stage {
    async fn new(settings: &RedisSettings) -> Self {
        let (one, two) = (open(settings).await, open(settings).await);
        let (of_design, of_pods) = (two.subscribe(design(1)).await, two.subscribe_to_pods().await);
        let mut stage = Self { one, two, of_design, of_pods, said: 0 };
        stage.flows().await;
        stage
    }

    /// What one says the other hears, and nothing else.
    async fn flows(&mut self) {
        self.said += 1;
        self.one.publish(design(1), message(self.said));
        self.one.publish_to_pods(ALIVE);
        let heard =
            tokio::time::timeout(Duration::from_secs(5), self.of_design.messages.recv()).await.unwrap();
        assert_eq!(heard, Some(Heard::Message(message(self.said))));
        assert_eq!(hear(&mut self.of_pods).await, ALIVE);
    }

    /// In both directions.
    async fn breaks(&self) {
        for Counters { can_publish, can_hear, .. } in [&*self.one.counters, &*self.two.counters] {
            until("it is noticed", async || {
                !can_publish.load(Ordering::Relaxed) && !can_hear.load(Ordering::Relaxed)
            })
            .await;
        }
    }

    /// Both are back, and everybody was told once.
    async fn recovers(&mut self) {
        for bus in [&self.one, &self.two] {
            until("it is connected again", async || stats(bus).is_connected).await;
        }
        self.is_told().await;
        self.flows().await;
        assert!(matches!(stats(&self.two).gaps, 2 | 4), "{:?}", stats(&self.two));
    }

    /// Of the gap. Twice when it heard again before it could speak again.
    async fn is_told(&mut self) {
        hear_gaps(&mut self.of_design).await;
        hear_gaps(&mut self.of_pods).await;
    }
}

/// One or two, and then nothing for a while.
async fn hear_gaps<M: fmt::Debug + PartialEq>(subscription: &mut Subscription<M>) {
    const WHILE: Duration = Duration::from_millis(300);
    hear_gap(subscription).await;
    if let Ok(more) = tokio::time::timeout(WHILE, subscription.messages.recv()).await {
        assert_eq!(more, Some(Heard::Gap));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_messages_flow_again_and_everybody_is_told_of_a_gap() {
    let mut redis = Redis::start().await.unwrap();
    let mut stage = Stage::new(&single(&redis)).await;
    redis.kill().await.unwrap();
    stage.breaks().await;
    let before = stats(&stage.one).dropped;
    for n in 0..100 {
        stage.one.publish(design(1), message(n));
    }
    assert_eq!(stats(&stage.one).dropped, before + 100, "at once");
    let began = world::now();
    let mut late = stage.two.subscribe(design(2)).await;
    assert!(began.elapsed() < Duration::from_millis(100), "nobody waits for what is away");

    redis.restart().await.unwrap();
    until("who came meanwhile is told, too", async || 3 <= stats(&stage.two).gaps).await;
    hear_gap(&mut late).await;
    drop(late);
    until("both are back", async || [&stage.one, &stage.two].iter().all(|bus| stats(bus).is_connected)).await;
    stage.is_told().await;
    stage.flows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_replaced() {
    let redis = Redis::start().await.unwrap();
    let mut stage = Stage::new(&single(&redis)).await;
    redis.must(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    hear_gap(&mut stage.of_design).await;
    hear_gap(&mut stage.of_pods).await;
    until("both are connected", async || [&stage.one, &stage.two].iter().all(|bus| stats(bus).is_connected))
        .await;
    stage.flows().await;
}

/// What was said while nothing left must be said anew by whoever is here, though nothing was missed.
#[tokio::test(flavor = "multi_thread")]
async fn when_only_what_is_said_was_cut_off_everybody_is_told_once_it_leaves_again() {
    let redis = Redis::start().await.unwrap();
    let mut stage = Stage::new(&single(&redis)).await;
    // So that of its connections only the one that publishes is of the kind that is killed.
    let mut at_one = stage.one.subscribe(design(1)).await;
    let subscribed = redis.calls("ssubscribe").await.unwrap();
    redis.must(&["CLIENT", "KILL", "TYPE", "normal"]).await.unwrap();
    hear_gap(&mut stage.of_design).await;
    stage.two.publish(design(1), message(77));
    assert_eq!(hear(&mut at_one).await, message(77), "it leaves by the time that this is told");
    assert_eq!(hear(&mut stage.of_design).await, message(77), "its own");
    hear_gap(&mut stage.of_pods).await;
    until("the other is connected", async || stats(&stage.one).is_connected).await;
    stage.flows().await;
    assert_eq!(stats(&stage.two).gaps, 2, "once");
    assert_eq!(redis.calls("ssubscribe").await.unwrap(), subscribed, "what it hears was never cut off");
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_holds_up_nobody_and_costs_no_memory() {
    const COUNT: u64 = 10_000;
    const BYTES: usize = 16 << 10;
    let redis = Redis::start().await.unwrap();
    let mut stage = Stage::new(&single(&redis)).await;
    let large = |seq| {
        let update = vec![7; BYTES].into();
        let word =
            Word::Commit { generation: Generation::new(1), seq: Seq::new(seq), update, claims: Vec::new() };
        BusMessage { pod: PodId::new(1), word }
    };
    until("all so far is counted", async || stats(&stage.one).published == 2).await;
    let before = stats(&stage.one);
    redis.freeze().await.unwrap();
    let (memory, began) = (resident(), world::now());
    let mut slowest = Duration::ZERO;
    for seq in 0..COUNT {
        let began: Instant = world::now();
        stage.one.publish(design(1), large(seq));
        slowest = slowest.max(began.elapsed());
    }
    let took = began.elapsed();
    let queued = stage.one.counters.queued_bytes.load(Ordering::Relaxed);
    let grown = resident().saturating_sub(memory) >> 20;
    println!(
        "{COUNT} publishes took {took:?}, the slowest {slowest:?}; {queued} bytes wait; {grown} MiB more"
    );
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(queued <= publisher::QUEUE_BYTES_MAX, "{queued}");
    assert!(grown < 64, "{grown} MiB of {} MiB", (COUNT * BYTES as u64) >> 20);
    assert!(before.dropped < stats(&stage.one).dropped);

    stage.breaks().await;
    println!("it was noticed after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(6));
    until("nothing waits any more", async || stage.one.counters.queued_bytes.load(Ordering::Relaxed) == 0)
        .await;
    let open = stats(&stage.one);
    for seq in 0..COUNT {
        stage.one.publish(design(1), large(seq));
    }
    assert_eq!(stats(&stage.one).dropped, open.dropped + COUNT, "the circuit is open");
    assert_eq!(stage.one.counters.queued_bytes.load(Ordering::Relaxed), 0);
    let told = stats(&stage.one);
    assert_eq!(
        told.published + told.dropped,
        before.published + before.dropped + 2 * COUNT,
        "all are counted"
    );

    redis.thaw().await.unwrap();
    // What Redis had in its buffers may still arrive over nobody's connection: it is gone with the old links.
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stops_for_a_moment_costs_nothing() {
    let redis = Redis::start().await.unwrap();
    let mut stage = Stage::new(&single(&redis)).await;
    redis.freeze().await.unwrap();
    for n in 100..110 {
        stage.one.publish(design(1), message(n));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(stage.of_design.messages.is_empty(), "it stood still");
    redis.thaw().await.unwrap();
    for n in 100..110 {
        assert_eq!(hear(&mut stage.of_design).await, message(n));
    }
    assert_eq!(stats(&stage.two).gaps, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_matter_what_becomes_of_the_data() {
    let redis = Redis::start().await.unwrap();
    let mut stage = Stage::new(&single(&redis)).await;
    redis.must(&["SET", "somebody", "else"]).await.unwrap();
    redis.must(&["FLUSHALL"]).await.unwrap();
    assert_eq!(redis.must(&["DBSIZE"]).await.unwrap(), atlas_loadtest::services::redis::Reply::Number(0));
    stage.flows().await;
    assert_eq!(stats(&stage.two).gaps, 0);
    assert_eq!(redis.info("db0").await.unwrap(), "", "we never write any");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_later_is_found() {
    let mut redis = Redis::start().await.unwrap();
    redis.kill().await.unwrap();
    let (one, two) = (start(&single(&redis)), start(&single(&redis)));
    let mut subscription = two.subscribe(design(1)).await;
    one.publish(design(1), message(1));
    assert_eq!(stats(&one).dropped, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!stats(&one).is_connected && !stats(&two).is_connected);
    redis.restart().await.unwrap();
    hear_gap(&mut subscription).await;
    until("it is connected", async || stats(&one).is_connected).await;
    one.publish(design(1), message(2));
    assert_eq!(hear(&mut subscription).await, message(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_wrong_may_become_right() {
    let wrong = sha256_hex("another").await.unwrap();
    let users = format!("user default off\nuser atlas on #{wrong} &atlas:* +@all");
    let redis = Redis::start_with(&Setup { users: Some(users), ..Setup::default() }).await.unwrap();
    let login = Some(RedisLogin { user: Some("atlas".into()), password: "hush".into() });
    let bus = start(&RedisSettings { login, ..single(&redis) });
    until("it was refused", async || {
        let log = redis.must(&["ACL", "LOG"]).await.unwrap();
        format!("{log:?}").contains("\"atlas\"")
    })
    .await;
    assert!(!stats(&bus).is_connected);
    redis.must(&["ACL", "SETUSER", "atlas", ">hush"]).await.unwrap();
    until("it is connected", async || stats(&bus).is_connected).await;
    let mut subscription = bus.subscribe(design(1)).await;
    bus.publish(design(1), message(1));
    assert_eq!(hear(&mut subscription).await, message(1));
    assert_ne!(OPERATOR.0, "atlas");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_rights_is_no_reason_to_connect_again_and_again() {
    let digest = sha256_hex("hush").await.unwrap();
    let users = format!(
        "user default off\nuser atlas on #{digest} -@all +ping +spublish +ssubscribe +client|id +info"
    );
    let redis = Redis::start_with(&Setup { users: Some(users), ..Setup::default() }).await.unwrap();
    let login = Some(RedisLogin { user: Some("atlas".into()), password: "hush".into() });
    let bus = open(&RedisSettings { login, ..single(&redis) }).await;
    let connections = redis.info("total_connections_received").await.unwrap().parse::<u64>().unwrap();
    let mut subscription = bus.subscribe(design(1)).await;
    for n in 0..10 {
        bus.publish(design(1), message(n));
    }
    until("all are counted", async || stats(&bus).dropped == 10).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = redis.info("total_connections_received").await.unwrap().parse::<u64>().unwrap();
    // Each of our own questions takes one.
    assert!(after < connections + 3 && stats(&bus).is_connected, "{connections} {after}");
    redis.must(&["ACL", "SETUSER", "atlas", "&atlas:*"]).await.unwrap();
    hear_gap(&mut subscription).await;
    bus.publish(design(1), message(11));
    assert_eq!(hear(&mut subscription).await, message(11));
}
