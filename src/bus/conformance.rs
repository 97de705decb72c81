//! What every [`Bus`] keeps, as tests. It may lose, double, delay and reorder; these promises are what is left.

use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{ClientId, DesignId, Generation, PodId, Seq, SessionId, UserId};
use atlas_crdt::room::Claim;
use bytes::Bytes;

use super::{AnalysisWord, Bus, BusMessage, Heard, PodMessage, PodWord, Subscription, Word};

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
    every_pod_hears_what_is_said_to_all(open().await).await;
    a_subscriber_that_left_disturbs_nobody(open().await).await;
    a_stuck_subscriber_holds_up_nobody(open().await).await;
}

pub(super) fn message(seq: u64) -> BusMessage {
    let update = Bytes::from(format!("update {seq}"));
    let (generation, seq, claims) = (Generation::new(1), Seq::new(seq), Vec::new());
    BusMessage { pod: PodId::new(u64::MAX), word: Word::Commit { generation, seq, update, claims } }
}

fn seq(message: &BusMessage) -> u64 {
    match &message.word {
        Word::Commit { seq, .. } => seq.get(),
        other => panic!("{other:?}"),
    }
}

/// The next message, over gaps.
pub(super) async fn hear<M>(subscription: &mut Subscription<M>) -> M {
    loop {
        let heard = tokio::time::timeout(PATIENCE, subscription.messages.recv()).await.unwrap().unwrap();
        if let Heard::Message(message) = heard {
            return message;
        }
    }
}

/// No message. A gap may be told: a subscriber that a busy machine kept waiting is told of one.
async fn hear_nothing(subscription: &mut Subscription) {
    while let Ok(heard) = tokio::time::timeout(QUIET, subscription.messages.recv()).await {
        assert_eq!(heard, Some(Heard::Gap));
    }
}

async fn every_subscriber_of_the_design_hears_it((one, two): Pair) {
    let design = DesignId::from_u128(1);
    let mut near = one.subscribe(design).await;
    let mut far = two.subscribe(design).await;
    let mut also_far = two.subscribe(design).await;
    one.publish(design, message(1));
    for subscription in [&mut near, &mut far, &mut also_far] {
        assert_eq!(hear(subscription).await, message(1));
    }
}

async fn other_designs_hear_nothing((one, two): Pair) {
    let mut other = two.subscribe(DesignId::from_u128(2)).await;
    let mut right = two.subscribe(DesignId::from_u128(1)).await;
    one.publish(DesignId::from_u128(1), message(1));
    one.publish(DesignId::from_u128(3), message(1));
    hear(&mut right).await;
    hear_nothing(&mut other).await;
}

async fn nobody_hears_what_was_said_before((one, two): Pair) {
    let design = DesignId::from_u128(1);
    let mut early = two.subscribe(design).await;
    one.publish(design, message(1));
    hear(&mut early).await;
    let mut late = two.subscribe(design).await;
    hear_nothing(&mut late).await;
}

async fn a_message_arrives_unchanged((one, two): Pair) {
    let design = DesignId::from_u128(u128::MAX);
    let mut subscription = two.subscribe(design).await;
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
    let (client, user) = (ClientId::new((1 << 53) - 1), UserId::from_u128(u128::MAX));
    let commit = Word::Commit {
        generation: Generation::new(7),
        seq: Seq::new(1 << 53),
        update: Bytes::from(every_byte),
        claims: vec![Claim { client, user: None }, Claim { client: ClientId::new(0), user: Some(user) }],
    };
    let (generation, seq) = (Generation::new(0), Seq::ZERO);
    for word in [
        commit,
        Word::Commit { generation, seq, update: Bytes::new(), claims: Vec::new() },
        Word::Presence { update: Bytes::from_static(b"\0"), users: vec![(client, user)], whole: true },
        Word::Presence { update: Bytes::new(), users: Vec::new(), whole: false },
        Word::AskPresence,
        Word::Digest { generation, seq, hash: [0xab; 32] },
        Word::Notice,
        Word::Analysis(AnalysisWord::Started { seq: Seq::new(u64::MAX) }),
        Word::Analysis(AnalysisWord::Completed { no: 1 << 53 }),
    ] {
        let sent = BusMessage { pod: PodId::new(7), word };
        one.publish(design, sent.clone());
        assert!(hear(&mut subscription).await == sent);
    }
}

async fn every_pod_hears_what_is_said_to_all((one, two): Pair) {
    let mut near = one.subscribe_to_pods().await;
    let mut far = two.subscribe_to_pods().await;
    let session = SessionId::from_u128(u128::MAX);
    for word in [PodWord::Alive, PodWord::SessionRevoked(session), PodWord::WorkWaits, PodWord::Bye] {
        let sent = PodMessage { pod: PodId::new(1), word };
        one.publish_to_pods(sent.clone());
        for subscription in [&mut near, &mut far] {
            assert_eq!(hear(subscription).await, sent);
        }
    }
}

async fn a_subscriber_that_left_disturbs_nobody((one, two): Pair) {
    let design = DesignId::from_u128(1);
    let left = two.subscribe(design).await;
    let mut stayed = two.subscribe(design).await;
    drop(left);
    for n in 1..=3 {
        one.publish(design, message(n));
        assert_eq!(hear(&mut stayed).await, message(n));
    }
    drop(stayed);
    one.publish(design, message(4));
    let mut back = two.subscribe(design).await;
    one.publish(design, message(5));
    // What was on its way when it came may arrive, too.
    while hear(&mut back).await != message(5) {}
}

async fn a_stuck_subscriber_holds_up_nobody((one, two): Pair) {
    const FLOOD: u64 = 20_000;
    let design = DesignId::from_u128(1);
    let mut stuck = two.subscribe(design).await;
    let mut quick = two.subscribe(design).await;
    for n in 1..=FLOOD {
        // Returns at once, though nobody makes room.
        one.publish(design, message(n));
        if n % 100 == 0 {
            while seq(&hear(&mut quick).await) < n {}
        }
    }
    let (mut held, mut is_told) = (0, false);
    while let Ok(heard) = tokio::time::timeout(QUIET, stuck.messages.recv()).await {
        held += 1;
        is_told |= heard == Some(Heard::Gap);
    }
    assert!(0 < held && held < FLOOD, "the queue is bounded: {held}");
    one.publish(design, message(FLOOD + 1));
    if !is_told {
        let heard = tokio::time::timeout(PATIENCE, stuck.messages.recv()).await.unwrap();
        assert_eq!(heard, Some(Heard::Gap), "who was too slow is told");
    }
    assert_eq!(hear(&mut stuck).await, message(FLOOD + 1), "who reads again hears again");
}
