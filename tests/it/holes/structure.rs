//! How items build on each other: what a Yjs library applies half of before it fails, waits for without end, or puts
//! into one list while it points into another.

use super::bytes::{
    ANY, ARRAY, BINARY, DELETED, MAP, NULL, OPEN_ARRAY, STRING, SUBDOCUMENT, TEXT, TYPE, Update, answer,
    before, behind, between, collected, edit, in_list, in_map, in_root, nested, sized,
};
use super::siege::{Answer, Attack, MALFORMED, RESET, Siege};

const BAD: Answer = Answer::Close(MALFORMED);
/// Under this id nobody ever writes.
const NOBODY: u64 = 1 << 50;

/// What must not be in the design, though it alone would be fine.
fn prefix() -> Vec<u8> {
    in_root("nodes", "evil-prefix", TYPE, MAP)
}

// R-REFUSE-1, R-REFUSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_update_whose_later_part_fails_nothing_is_applied() {
    let mut siege = Siege::new("prefix").await;
    let ann = siege.honest[0].client_id();
    let then = |rest: fn(u64) -> Vec<u8>| {
        move |me: u64| vec![edit(&Update::of(me, 0, &[prefix(), rest(me)]).bytes())]
    };
    let mut rows = vec![
        Attack::new("then an item inside of a value", BAD, |me| {
            let value = in_root("nodes", "evil-value", ANY, NULL);
            vec![edit(&Update::of(me, 0, &[prefix(), value, in_map((me, 1), "evil", ANY, NULL)]).bytes())]
        }),
        Attack::new(
            "then a value nested too deeply",
            BAD,
            then(|_| in_root("nodes", "evil", ANY, &nested(40, OPEN_ARRAY))),
        ),
        Attack::new(
            "then a subdocument",
            Answer::Close(RESET),
            then(|_| in_root("nodes", "evil", SUBDOCUMENT, &[1, b'g', 118, 0])),
        ),
        Attack::new("then another root", Answer::Close(RESET), then(|_| in_root("evil", "evil", ANY, NULL))),
        Attack::new("then an unknown kind", BAD, then(|_| in_root("nodes", "evil", 27, &[0]))),
        Attack::new(
            "then a string that is not UTF-8",
            BAD,
            then(|_| in_root("nodes", "evil", STRING, &[1, 0xFF])),
        ),
        Attack::new("then a clock out of range", BAD, then(|_| collected(u64::from(u32::MAX)))),
        Attack::new("then an item that builds on itself", BAD, then(|me| behind((me, 1), ANY, NULL))),
        Attack::new("then deletions that overlap", BAD, |me| {
            vec![edit(&Update::of(me, 0, &[prefix()]).and_delete(me, &[(0, 1), (0, 1)]).bytes())]
        }),
        Attack::new("then an unknown parent", Answer::Refused("gap"), |me| {
            let update = Update::of(me, 0, &[prefix(), in_map((NOBODY, 0), "evil", ANY, NULL)]).bytes();
            vec![edit(&update), answer(&update), answer(&update)]
        }),
        Attack::new("then unknown deletions", Answer::Refused("gap"), |me| {
            let update = Update::of(me, 0, &[prefix()]).and_delete(NOBODY, &[(0, 1)]).bytes();
            vec![edit(&update), answer(&update), answer(&update)]
        }),
        Attack::new("then a colleague's id", Answer::Refused("foreign_client"), move |me| {
            let theirs = in_root("nodes", "evil", ANY, NULL);
            vec![edit(&Update::of(me, 0, &[prefix()]).and(ann, 1_000, &[theirs]).bytes())]
        }),
    ];
    // Cut anywhere.
    let whole = |me: u64| {
        let value = in_root("nodes", "evil-value", ANY, &[&[1, 119][..], &sized(b"text")].concat());
        Update::of(me, 0, &[prefix(), value, behind((me, 1), ANY, NULL)]).and_delete(me, &[(1, 1)]).bytes()
    };
    for missing in 1..=20 {
        rows.push(Attack::new(format!("cut {missing} bytes before its end"), BAD, move |me| {
            let whole = whole(me);
            vec![edit(&whole[..whole.len() - missing])]
        }));
    }
    siege.attack(rows).await;
    siege.finish().await;
}

// R-REFUSE-5, R-LIMIT-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_in_what_holds_none() {
    let mut siege = Siege::new("inside a value").await;
    // The value is in the design before anybody builds on it.
    let ground = |me: u64, key: &str| in_root("meta", &format!("ground-{key}-{me}"), ANY, NULL);
    let rows = [
        Attack::new("under a key of a value of the design", BAD, move |me| {
            let inside = in_map((me, 0), "evil", ANY, NULL);
            vec![
                edit(&Update::of(me, 0, &[ground(me, "a")]).bytes()),
                edit(&Update::of(me, 1, &[inside]).bytes()),
            ]
        }),
        Attack::new("in the list of a value of the design", BAD, move |me| {
            let inside = in_list((me, 0), ANY, NULL);
            vec![
                edit(&Update::of(me, 0, &[ground(me, "b")]).bytes()),
                edit(&Update::of(me, 1, &[inside]).bytes()),
            ]
        }),
        Attack::new("under a key of a string", BAD, move |me| {
            let text = [in_root("meta", "ground-text", TYPE, TEXT), in_list((me, 0), STRING, &sized(b"abc"))];
            let inside = in_map((me, 2), "evil", ANY, NULL);
            vec![edit(&Update::of(me, 0, &text).bytes()), edit(&Update::of(me, 4, &[inside]).bytes())]
        }),
        Attack::new("under a key of a binary", BAD, move |me| {
            let binary = in_root("meta", "ground-binary", BINARY, &sized(b"abc"));
            let inside = in_map((me, 0), "evil", ANY, NULL);
            vec![edit(&Update::of(me, 0, &[binary]).bytes()), edit(&Update::of(me, 1, &[inside]).bytes())]
        }),
        Attack::new("in a value that the answer brings along", BAD, move |me| {
            vec![answer(&Update::of(me, 0, &[ground(me, "c"), in_map((me, 0), "evil", ANY, NULL)]).bytes())]
        }),
        Attack::new("in a value of another section, behind it in the bytes", BAD, move |me| {
            let inside = in_map((me + 1, 0), "evil", ANY, NULL);
            vec![edit(&Update::of(me, 0, &[inside]).and(me + 1, 0, &[ground(me, "d")]).bytes())]
        }),
        // What was deleted may have held something, and took it along.
        Attack::new("in what is deleted", Answer::Taken, |me| {
            let gone = in_root("meta", "ground-gone", DELETED, &[1]);
            vec![edit(&Update::of(me, 0, &[gone, in_map((me, 0), "gone", ANY, NULL)]).bytes())]
        }),
        Attack::new("in what is collected", Answer::Taken, |me| {
            vec![edit(&Update::of(me, 0, &[collected(1), in_map((me, 0), "gone", ANY, NULL)]).bytes())]
        }),
        Attack::new("behind what is collected", Answer::Taken, |me| {
            vec![edit(&Update::of(me, 0, &[collected(1), behind((me, 0), ANY, NULL)]).bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}

// R-REFUSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_wait_for_each_other() {
    let mut siege = Siege::new("circles").await;
    let rows = [
        Attack::new("two clients, each behind the other", BAD, |me| {
            let update = Update::of(me, 0, &[behind((me + 1, 0), ANY, NULL)]);
            vec![edit(&update.and(me + 1, 0, &[behind((me, 0), ANY, NULL)]).bytes())]
        }),
        Attack::new("two maps, each in the other", BAD, |me| {
            let update = Update::of(me, 0, &[in_map((me + 1, 0), "evil", TYPE, MAP)]);
            vec![edit(&update.and(me + 1, 0, &[in_map((me, 0), "evil", TYPE, MAP)]).bytes())]
        }),
        Attack::new("a map in itself", BAD, |me| {
            vec![edit(&Update::of(me, 0, &[in_map((me, 0), "evil", TYPE, MAP)]).bytes())]
        }),
        Attack::new("an item behind itself", BAD, |me| {
            vec![edit(&Update::of(me, 0, &[behind((me, 0), ANY, NULL)]).bytes())]
        }),
        Attack::new("an item before a later one of its own client", BAD, |me| {
            vec![edit(&Update::of(me, 0, &[before((me, 5), ANY, NULL), collected(10)]).bytes())]
        }),
        Attack::new("a thousand clients in a circle", BAD, |me| {
            let mut update = Update::default();
            for n in 0..1_000 {
                update = update.and(me + n, 0, &[behind((me + (n + 1) % 1_000, 0), ANY, NULL)]);
            }
            vec![edit(&update.bytes())]
        }),
        Attack::new("two clients crosswise, later on earlier", BAD, |me| {
            let one = [in_root("meta", "evil", TYPE, ARRAY), behind((me + 1, 1), ANY, NULL)];
            let two = [in_root("meta", "evil", TYPE, ARRAY), behind((me, 1), ANY, NULL)];
            vec![edit(&Update::of(me, 0, &one).and(me + 1, 0, &two).bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}

/// Two lists and two maps of one client: the list at clock 0 with values 1 and 2, the list at 3 with 4 and 5, the map
/// at 6 with 7 under `a`, the map at 8 with 9 under `a`.
fn places(me: u64) -> Update {
    Update::of(
        me,
        0,
        &[
            in_root("meta", "ground-list-1", TYPE, ARRAY),
            in_list((me, 0), ANY, NULL),
            behind((me, 1), BINARY, &[0]),
            in_root("meta", "ground-list-2", TYPE, ARRAY),
            in_list((me, 3), ANY, NULL),
            behind((me, 4), BINARY, &[0]),
            in_root("meta", "ground-map-1", TYPE, MAP),
            in_map((me, 6), "a", ANY, NULL),
            in_root("meta", "ground-map-2", TYPE, MAP),
            in_map((me, 8), "a", ANY, NULL),
        ],
    )
}

/// The next clock after [`places`].
const NEXT: u64 = 10;

// R-REFUSE-5, R-SYNC-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_between_neighbours_of_two_parents() {
    let mut siege = Siege::new("two anchors").await;
    let pairs = [
        ("values of two lists", 1, 4),
        ("values of two lists, the other way round", 5, 2),
        ("a value of a list and one of a map", 1, 7),
        ("a value of a map and one of a list", 7, 1),
        ("values of two maps", 7, 9),
        ("a list and a value in it", 0, 1),
        ("a value and the list that it is in", 2, 0),
        ("two lists", 0, 3),
        ("two values under roots' keys", 6, 8),
    ];
    let mut rows = Vec::new();
    for (what, left, right) in pairs {
        let item = move |me: u64| between((me, left), (me, right), ANY, &[1, 119, 4, b'e', b'v', b'i', b'l']);
        rows.push(Attack::new(what, BAD, move |me| {
            vec![edit(&places(me).bytes()), edit(&Update::of(me, NEXT, &[item(me)]).bytes())]
        }));
        rows.push(Attack::new(format!("{what}, by somebody else"), BAD, move |me| {
            vec![edit(&places(me).bytes()), edit(&Update::of(me + 1, 0, &[item(me)]).bytes())]
        }));
        rows.push(Attack::new(format!("{what}, all in one answer"), BAD, move |me| {
            vec![answer(&places(me).and(me + 1, 0, &[item(me)]).bytes())]
        }));
    }
    rows.push(Attack::new("a right neighbour under a key", BAD, |me| {
        vec![edit(&places(me).bytes()), edit(&Update::of(me, NEXT, &[before((me, 7), ANY, NULL)]).bytes())]
    }));
    rows.push(Attack::new("between two values of one list", Answer::Taken, |me| {
        let item = between((me, 1), (me, 2), ANY, NULL);
        vec![edit(&places(me).bytes()), edit(&Update::of(me, NEXT, &[item]).bytes())]
    }));
    siege.attack(rows).await;
    siege.finish().await;
}
