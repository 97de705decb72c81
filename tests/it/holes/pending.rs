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
        Attack::new("clocks above a hole", gap, flood(|me, n| Update::of(me, 1 + 2 * n, &[value(n)]))),
        Attack::new(
            "clocks above a hole, each of another client",
            gap,
            flood(|me, n| Update::of(me + n, 1, &[value(n)])),
        ),
        Attack::new(
            "an unknown parent",
            gap,
            flood(|me, n| Update::of(me + n, 0, &[in_map((NOBODY + n, n), "evil", ANY, NULL)])),
        ),
        Attack::new(
            "an unknown left neighbour",
            gap,
            flood(|me, n| Update::of(me + n, 0, &[behind((NOBODY, n), ANY, NULL)])),
        ),
        Attack::new(
            "an unknown right neighbour",
            gap,
            flood(|me, n| Update::of(me + n, 0, &[before((NOBODY, n), ANY, NULL)])),
        ),
        Attack::new(
            "two unknown neighbours",
            gap,
            flood(|me, n| Update::of(me + n, 0, &[between((NOBODY, n), (NOBODY + 1, n), ANY, NULL)])),
        ),
        Attack::new("deletions of what nobody wrote", gap, flood(|_, n| Update::deleting(NOBODY, &[(n, 1)]))),
        Attack::new("deletions beyond what a colleague wrote", gap, {
            let ann = siege.honest[0].client_id();
            flood(move |_, n| Update::deleting(ann, &[(1 << 20 | n, 1)]))
        }),
        Attack::new(
            "each builds on the next, which is not there",
            gap,
            flood(|me, n| Update::of(me + n, 0, &[behind((me + n + 1, 7), ANY, NULL)])),
        ),
        Attack::new("50,000 gaps in one update", gap, |me| {
            let orphan = |n| in_map((NOBODY, n), "evil", ANY, NULL);
            let update = Update::of(me, 0, &(0..50_000).map(orphan).collect::<Vec<_>>()).bytes();
            vec![answer(&update), answer(&update)]
        }),
        Attack::new("25,000 clients with a gap each in one answer", gap, |me| {
            let mut update = Update::default();
            for n in 0..25_000 {
                update = update.and(me + n, 1, &[value(n)]);
            }
            vec![answer(&update.bytes()), answer(&update.bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}
