//! What every [`Bus`] keeps, as tests. It may lose, double, delay and reorder; these promises are what is left.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{ClientId, DesignId, Generation, PodId, Seq, UserId};
use atlas_crdt::room::Claim;
use bytes::Bytes;

use super::{Bus, BusMessage, Subscription};

/// Longer than any bus that works needs; a test that fails waits for it once.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a message that must not come is waited for.
const QUIET: Duration = Duration::from_millis(50);

/// Two pods' sides of one bus.
type Pair = (Arc<dyn Bus>, Arc<dyn Bus>);

/// Runs every promise against a pair of its own.
pub async fn run_all(open: impl AsyncFn() -> Pair) {
    every_subscriber_of_the_design_hears_it(open().await).await;
    other_designs_hear_nothing(open().await).await;
    nobody_hears_what_was_said_before(open().await).await;
    a_message_arrives_unchanged(open().await).await;
    a_subscriber_that_left_disturbs_nobody(open().await).await;
    a_stuck_subscriber_holds_up_nobody(open().await).await;
}

pub(super) fn message(seq: u64) -> BusMessage {
    let update = Bytes::from(format!("update {seq}"));
    BusMessage {
        pod: PodId::new(u64::MAX),
        generation: Generation::new(1),
        seq: Seq::new(seq),
        update,
        claims: Vec::new(),
    }
}

async fn hear(subscription: &mut Subscription) -> BusMessage {
    tokio::time::timeout(PATIENCE, subscription.messages.recv()).await.unwrap().unwrap()
}

async fn hear_nothing(subscription: &mut Subscription) {
    let heard = tokio::time::timeout(QUIET, subscription.messages.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
}

async fn every_subscriber_of_the_design_hears_it((one, two): Pair) {
    let design = DesignId::from_u128(1);
    let mut near = one.subscribe(design).await.unwrap();
    let mut far = two.subscribe(design).await.unwrap();
    let mut also_far = two.subscribe(design).await.unwrap();
    one.publish(design, message(1));
    for subscription in [&mut near, &mut far, &mut also_far] {
        assert_eq!(hear(subscription).await, message(1));
    }
}

async fn other_designs_hear_nothing((one, two): Pair) {
    let mut other = two.subscribe(DesignId::from_u128(2)).await.unwrap();
    let mut right = two.subscribe(DesignId::from_u128(1)).await.unwrap();
    one.publish(DesignId::from_u128(1), message(1));
    one.publish(DesignId::from_u128(3), message(1));
    hear(&mut right).await;
    hear_nothing(&mut other).await;
}

async fn nobody_hears_what_was_said_before((one, two): Pair) {
    let design = DesignId::from_u128(1);
    let mut early = two.subscribe(design).await.unwrap();
    one.publish(design, message(1));
    hear(&mut early).await;
    let mut late = two.subscribe(design).await.unwrap();
    hear_nothing(&mut late).await;
}

async fn a_message_arrives_unchanged((one, two): Pair) {
    let design = DesignId::from_u128(u128::MAX);
    let mut subscription = two.subscribe(design).await.unwrap();
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
    let sent = BusMessage {
        pod: PodId::new(u64::MAX),
        generation: Generation::new(7),
        seq: Seq::new(1 << 53),
        update: Bytes::from(every_byte),
        claims: vec![
            Claim { client: ClientId::new((1 << 53) - 1), user: None },
            Claim { client: ClientId::new(0), user: Some(UserId::from_u128(u128::MAX)) },
        ],
    };
    one.publish(design, sent.clone());
    assert!(hear(&mut subscription).await == sent);
    let empty = BusMessage { update: Bytes::new(), ..message(0) };
    one.publish(design, empty.clone());
    assert_eq!(hear(&mut subscription).await, empty);
}

async fn a_subscriber_that_left_disturbs_nobody((one, two): Pair) {
    let design = DesignId::from_u128(1);
    let left = two.subscribe(design).await.unwrap();
    let mut stayed = two.subscribe(design).await.unwrap();
    drop(left);
    for n in 1..=3 {
        one.publish(design, message(n));
        assert_eq!(hear(&mut stayed).await, message(n));
    }
    drop(stayed);
    one.publish(design, message(4));
    let mut back = two.subscribe(design).await.unwrap();
    one.publish(design, message(5));
    assert_eq!(hear(&mut back).await, message(5));
}

async fn a_stuck_subscriber_holds_up_nobody((one, two): Pair) {
    const FLOOD: u64 = 20_000;
    let design = DesignId::from_u128(1);
    let mut stuck = two.subscribe(design).await.unwrap();
    let mut quick = two.subscribe(design).await.unwrap();
    for n in 1..=FLOOD {
        // Returns at once, though nobody makes room.
        one.publish(design, message(n));
        if n % 100 == 0 {
            while hear(&mut quick).await.seq.get() < n {}
        }
    }
    let mut held = 0;
    while tokio::time::timeout(QUIET, stuck.messages.recv()).await.is_ok() {
        held += 1;
    }
    assert!(0 < held && held < FLOOD, "the queue is bounded: {held}");
    one.publish(design, message(FLOOD + 1));
    assert_eq!(hear(&mut stuck).await, message(FLOOD + 1), "who reads again hears again");
}
