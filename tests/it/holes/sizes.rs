//! More than a design may hold, in updates of which each by itself is well-formed.

use atlas_crdt::limits::{DOCUMENT_CLIENTS_MAX, DOCUMENT_DELETE_RANGES_MAX, EDGES_MAX, NODES_MAX};

use super::bytes::{
    ANY, MAP, NULL, STRING, TEXT, TYPE, Update, answer, collected, edit, in_list, in_root, sized,
};
use super::siege::{Answer, Attack, Siege};

// R-LIMIT-8, R-REFUSE-1, R-REFUSE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_design_does_not_outgrow_its_limits() {
    let mut siege = Siege::new("sizes").await;
    let too_many = Answer::Refused("too_many");
    let elements = |root: &'static str, count: usize, kind: u8, content: &'static [u8]| {
        move |me: u64| {
            let element = |n| in_root(root, &format!("evil-{n}"), kind, content);
            vec![edit(&Update::of(me, 0, &(0..count).map(element).collect::<Vec<_>>()).bytes())]
        }
    };
    let rows = [
        Attack::new("10,001 nodes in one update", too_many, elements("nodes", NODES_MAX + 1, TYPE, MAP)),
        Attack::new(
            "10,001 nodes that are plain values",
            too_many,
            elements("nodes", NODES_MAX + 1, ANY, NULL),
        ),
        Attack::new("20,001 edges in one update", too_many, elements("edges", EDGES_MAX + 1, TYPE, MAP)),
        Attack::new("50,001 client ids in one answer", too_many, |me| {
            let mut update = Update::default();
            for n in 0..=DOCUMENT_CLIENTS_MAX as u64 {
                update = update.and(me + (1 << 42) + n, 0, &[collected(1)]);
            }
            vec![answer(&update.bytes())]
        }),
        Attack::new("80,001 deletions with something between them", too_many, |me| {
            let count = DOCUMENT_DELETE_RANGES_MAX as u64 + 1;
            let text = "x".repeat(2 * DOCUMENT_DELETE_RANGES_MAX + 4);
            let ranges: Vec<_> = (0..count).map(|n| (1 + 2 * n, 1)).collect();
            let structs =
                [in_root("meta", "evil", TYPE, TEXT), in_list((me, 0), STRING, &sized(text.as_bytes()))];
            vec![edit(&Update::of(me, 0, &structs).and_delete(me, &ranges).bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}
