//! Nesting: what overflows the stack when it is read, and what overflows it when it is exported.

use super::bytes::{
    ANY, MAP, NULL, OPEN_ARRAY, OPEN_MAP, TYPE, Update, answer, before, behind, edit, in_map, in_root,
    nested, presence_of,
};
use super::siege::{Answer, Attack, MALFORMED, Siege};

const DEEP: Answer = Answer::Close(MALFORMED);

/// An update of one value.
fn value(me: u64, content: &[u8]) -> Vec<u8> {
    Update::of(me, 0, &[in_root("meta", "evil", ANY, content)]).bytes()
}

/// One map inside the other, from `from` on; the map at clock 0 stands in a root.
fn maps(me: u64, from: u64, count: u64, key: &str) -> Update {
    let map = |clock: u64| match clock {
        0 => in_root("nodes", "ground", TYPE, MAP),
        _ => in_map((me, clock - 1), key, TYPE, MAP),
    };
    Update::of(me, from, &(from..from + count).map(map).collect::<Vec<_>>())
}

// R-LIMIT-5, R-LIMIT-6, R-PRES-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_nested_without_end() {
    let mut siege = Siege::new("nested values").await;
    let mut rows = Vec::new();
    for (open, depth, what) in [
        (OPEN_ARRAY, 8_000, "8,000 arrays in each other, 16 kB"),
        (OPEN_MAP, 5_300, "5,300 maps in each other, 16 kB"),
        (OPEN_ARRAY, 500_000, "500,000 arrays in each other, 1 MB"),
        (OPEN_ARRAY, 33, "33 arrays in each other"),
        (OPEN_MAP, 33, "33 maps in each other"),
    ] {
        rows.push(Attack::new(what, DEEP, move |me| vec![edit(&value(me, &nested(depth, open)))]));
        let what = format!("{what}, as an answer");
        rows.push(Attack::new(what, DEEP, move |me| vec![answer(&value(me, &nested(depth, open)))]));
    }
    let both = [OPEN_ARRAY, OPEN_MAP].concat();
    rows.push(Attack::new("arrays and maps in turns, 6,000 deep", DEEP, move |me| {
        vec![edit(&value(me, &nested(3_000, &both)))]
    }));
    // 32 deep is allowed, and stays readable.
    rows.push(Attack::new("32 arrays in each other", Answer::Taken, |me| {
        let content = nested(32, OPEN_ARRAY);
        vec![edit(&Update::of(me, 0, &[in_root("meta", "deep", ANY, &content)]).bytes())]
    }));
    for (open, shut) in [("[", "]"), ("{\"a\":", "}")] {
        let state = format!("{{\"a\":{}1{}}}", open.repeat(2_000), shut.repeat(2_000));
        rows.push(Attack::new(format!("presence nested 2,000 deep with {open}"), DEEP, move |me| {
            vec![presence_of(&[(me, 1, &state)])]
        }));
        let unclosed = open.repeat(2_500);
        rows.push(Attack::new(format!("presence that opens 2,500 {open}"), DEEP, move |me| {
            vec![presence_of(&[(me, 1, &unclosed)])]
        }));
    }
    siege.attack(rows).await;
    siege.finish().await;
}

// R-LIMIT-5, R-LIMIT-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_types_nested_without_end() {
    let mut siege = Siege::new("nested types").await;
    let rows = [
        Attack::new("5,000 maps in each other in one update", DEEP, |me| {
            vec![edit(&maps(me, 0, 5_000, "evil").bytes())]
        }),
        Attack::new("50,000 maps in each other in one answer", DEEP, |me| {
            vec![answer(&maps(me, 0, 50_000, "evil").bytes())]
        }),
        Attack::new("nine maps in each other", DEEP, |me| vec![edit(&maps(me, 0, 9, "evil").bytes())]),
        Attack::new("5,000 maps, one by one in 5,000 updates", DEEP, |me| {
            (0..5_000).map(|clock| edit(&maps(me, clock, 1, "level").bytes())).collect()
        }),
        Attack::new("5,000 maps, three by three in answers", DEEP, |me| {
            (0..1_666).map(|turn| answer(&maps(me, 3 * turn, 3, "level").bytes())).collect()
        }),
        Attack::new("a map over a value beside which it stands, level by level", DEEP, |me| {
            // Nothing but its left neighbour says where each of the maps is.
            let mut messages =
                vec![edit(&Update::of(me, 0, &[in_root("nodes", "ground", TYPE, MAP)]).bytes())];
            for level in 0..200 {
                let (map, value) = (2 * level, 2 * level + 1);
                let inside = in_map((me, map), "level", ANY, NULL);
                let over = behind((me, value), TYPE, MAP);
                messages.push(edit(&Update::of(me, value, &[inside, over]).bytes()));
            }
            messages
        }),
        Attack::new("a map before a value, level by level", DEEP, |me| {
            let mut messages =
                vec![edit(&Update::of(me, 0, &[in_root("nodes", "ground", TYPE, &[0])]).bytes())];
            for level in 0..200 {
                let (list, value) = (2 * level, 2 * level + 1);
                let inside = super::bytes::in_list((me, list), ANY, NULL);
                let ahead = before((me, value), TYPE, &[0]);
                messages.push(edit(&Update::of(me, value, &[inside, ahead]).bytes()));
            }
            messages
        }),
        Attack::new("two clients that nest in turns", DEEP, |me| {
            // The second client is Mallory's as well.
            let other = me + (1 << 30);
            let id = |level: u64| (if level.is_multiple_of(2) { me } else { other }, level / 2);
            let map = |level: u64| match level {
                0 => in_root("nodes", "ground", TYPE, MAP),
                _ => in_map(id(level - 1), "level", TYPE, MAP),
            };
            let one = |level: u64| edit(&Update::of(id(level).0, id(level).1, &[map(level)]).bytes());
            (0..1_000).map(one).collect()
        }),
        Attack::new("eight maps in each other", Answer::Taken, |me| {
            let inner = |clock: u64| in_map((me, clock - 1), "deeper", TYPE, MAP);
            let all: Vec<_> =
                std::iter::once(in_root("nodes", "deep", TYPE, MAP)).chain((1..8).map(inner)).collect();
            vec![edit(&Update::of(me, 0, &all).bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}
