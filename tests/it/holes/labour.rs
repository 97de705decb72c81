//! Work: updates that are small and well-formed, and for which a Yjs library takes time, or memory, in proportion to the
//! square of their size (up to a minute of yrs 0.28.1 for a hundred kilobytes). While it does, nobody else's edit is
//! acknowledged, and every later load pays again. A design needs none of it.

use super::bytes::{
    ANY, ARRAY, BINARY, NULL, STRING, TEXT, TYPE, Update, behind, edit, in_list, in_root, number, sized,
};
use super::siege::{Answer, Attack, Siege, TOO_LARGE};

/// Letters and entries in shared texts and lists are few.
const LONG: Answer = Answer::Refused("too_many");
/// So are values side by side under one key.
const WIDE: Answer = Answer::Close(TOO_LARGE);

// R-LIMIT-5, R-LIMIT-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_what_one_message_costs() {
    let mut siege = Siege::new("labour").await;
    let values = |count: u64| [number(count), vec![126; usize::try_from(count).unwrap()]].concat();
    let rows = [
        Attack::new("a text of 10,000 letters, cut at each of them from its end", LONG, |me| {
            let letters = sized(&[b'x'; 10_000]);
            let text = [in_root("meta", "ground", TYPE, TEXT), in_list((me, 0), STRING, &letters)];
            let cuts: Vec<_> = (1..10_000).rev().map(|at| behind((me, at), BINARY, &[0])).collect();
            vec![edit(&Update::of(me, 0, &text).and(me + 1, 0, &cuts).bytes())]
        }),
        Attack::new("a list of 10,000 values, cut at each of them", LONG, move |me| {
            let list = [in_root("meta", "ground", TYPE, ARRAY), in_list((me, 0), ANY, &values(10_000))];
            let cuts: Vec<_> = (1..10_000).map(|at| behind((me, at), BINARY, &[0])).collect();
            vec![edit(&Update::of(me, 0, &list).and(me + 1, 0, &cuts).bytes())]
        }),
        Attack::new("a list of 10,000 values in as many items", LONG, |me| {
            let list = [in_root("meta", "ground", TYPE, ARRAY), in_list((me, 0), ANY, NULL)];
            let items = (2..10_000).map(|clock| behind((me, clock - 1), ANY, NULL));
            vec![edit(&Update::of(me, 0, &list.into_iter().chain(items).collect::<Vec<_>>()).bytes())]
        }),
        Attack::new("a list of 20,000 values, every other one deleted", LONG, move |me| {
            let list = [in_root("meta", "ground", TYPE, ARRAY), in_list((me, 0), ANY, &values(20_000))];
            let ranges: Vec<_> = (0..10_000).map(|n| (1 + 2 * n, 1)).collect();
            vec![edit(&Update::of(me, 0, &list).and_delete(me, &ranges).bytes())]
        }),
        Attack::new("20,000 values under one key, none behind another", WIDE, |me| {
            vec![edit(&Update::of(me, 0, &vec![in_root("meta", "k", ANY, NULL); 20_000]).bytes())]
        }),
        Attack::new("10,000 clients with a value under one key", WIDE, |me| {
            let mut update = Update::default();
            for n in 0..10_000 {
                update = update.and(me + (1 << 41) + n, 0, &[in_root("meta", "k", ANY, NULL)]);
            }
            vec![edit(&update.bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}
