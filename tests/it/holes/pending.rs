//! What builds on something that nobody has: a Yjs library parks it until that comes, without a bound, and looks
//! through all of it with every update. Here nothing of it is kept.

use bytes::Bytes;

use super::bytes::{ANY, NULL, Update, answer, before, behind, between, edit, in_map, in_root};
use super::siege::{Answer, Attack, Siege};

/// Of each kind of gap so many updates.
const TIMES: u64 = 2_000;
/// Under this id nobody ever writes.
const NOBODY: u64 = 1 << 50;

/// Thousands of updates with a gap, each different, then the same twice as the answer to the server's question.
fn flood(update: impl Fn(u64, u64) -> Update + 'static) -> impl Fn(u64) -> Vec<Bytes> {
    move |me| {
        let edits = (0..TIMES).map(|n| edit(&update(me, n).bytes()));
        let answers = (0..2).map(|_| answer(&update(me, 0).bytes()));
        edits.chain(answers).collect()
    }
}

fn value(n: u64) -> Vec<u8> {
    in_root("nodes", &format!("evil-{n}"), ANY, NULL)
}

// R-SYNC-10, R-REFUSE-4, R-COUNT-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_what_never_comes() {
    let mut siege = Siege::new("pending").await;
    let gap = Answer::Refused("gap");
    let rows = [
        Attack::new("50,000 gaps in one update", gap, |me| {
            let orphan = |n| in_map((NOBODY, n), "evil", ANY, NULL);
            let update = Update::of(me, 0, &(0..50_000).map(orphan).collect::<Vec<_>>()).bytes();
            vec![answer(&update), answer(&update)]
        }),
        Attack::new("50,000 clients with a gap each in one answer", gap, |me| {
            let mut update = Update::default();
            for n in 0..50_000 {
                update = update.and(me + n, 1, &[value(n)]);
            }
            vec![answer(&update.bytes()), answer(&update.bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}
