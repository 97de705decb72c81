//! Numbers: counts that reserve memory, lengths that are not there, integers written in other ways than one, ranges
//! that overlap, and more of everything than there may be.

use atlas_crdt::limits::{
    ANY_VALUES_MAX, AWARENESS_BYTES_MAX, AWARENESS_ENTRIES_MAX, AWARENESS_STATE_BYTES_MAX,
    CLIENTS_PER_UPDATE_MAX, DELETE_RANGES_MAX, KEY_BYTES_MAX, STATE_VECTOR_BYTES_MAX, STRUCTS_PER_UPDATE_MAX,
    UPDATE_BYTES_MAX,
};
use bytes::Bytes;

use super::bytes::{
    ANY, BINARY, DELETED, NULL, STRING, Update, answer, collected, edit, in_list, in_root, number, numbers,
    presence, presence_of, question, sized, skip,
};
use super::siege::{Answer, Attack, MALFORMED, RESET, Siege, TOO_LARGE};

const MALFORMED_CLOSE: Answer = Answer::Close(MALFORMED);

/// Counts for which a naive reader reserves hundreds of megabytes, and more than there are.
const HUGE: [u64; 3] = [0x07FF_FFFF, 0xFFFF_FFFF, (1 << 53) - 1];

/// Bytes of each kind in which `count` stands where a number of things is expected, and the things do not follow.
fn promises(count: u64) -> Vec<(&'static str, Bytes)> {
    let n = number(count);
    let one = |content: &[u8]| [&[1, 1, 7, 0][..], content].concat();
    let value =
        |kind: u8, content: &[u8]| edit(&one(&[&in_root("meta", "evil", kind, content)[..], &[0]].concat()));
    vec![
        ("clients", edit(&n)),
        ("clients, as an answer", answer(&n)),
        ("structs", edit(&[&[1][..], &n, &[7, 0, 0, 1, 0]].concat())),
        ("clients with deletions", edit(&[&[0][..], &n].concat())),
        ("clients with deletions behind a proper struct", edit(&[&one(&collected(1))[..], &n].concat())),
        ("delete ranges", edit(&[&[0, 1, 7][..], &n].concat())),
        ("values of an item", value(ANY, &n)),
        ("values of an array", value(ANY, &[&[1, 117][..], &n].concat())),
        ("values of a map", value(ANY, &[&[1, 118][..], &n].concat())),
        ("bytes of a string in a value", value(ANY, &[&[1, 119][..], &n].concat())),
        ("bytes of a binary in a value", value(ANY, &[&[1, 116][..], &n].concat())),
        ("bytes of a string", value(STRING, &n)),
        ("bytes of a binary", value(BINARY, &n)),
        ("bytes of a key", edit(&one(&[&[0x28, 1][..], &sized(b"meta"), &n].concat()))),
        ("bytes of a root's name", edit(&one(&[&[0x28, 1][..], &n].concat()))),
        ("entries of a state vector", question(&n)),
        ("entries of presence", presence(&n)),
        ("bytes of a presence", presence(&[&[1, 7, 1][..], &n].concat())),
        ("bytes of a payload", [&[0, 2][..], &n].concat().into()),
        ("bytes of a state vector", [&[0, 0][..], &n].concat().into()),
        ("bytes of awareness", [&[1][..], &n].concat().into()),
        ("bytes of a credential", [&[122][..], &n].concat().into()),
    ]
}

// R-LIMIT-5, R-LIMIT-6, R-SYNC-1, R-PRES-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_bytes_that_reserve_half_a_gigabyte() {
    let mut siege = Siege::new("promises").await;
    for count in HUGE {
        let row = |(what, message)| Attack::message(format!("{count} {what}"), MALFORMED_CLOSE, message);
        siege.attack(promises(count).into_iter().map(row)).await;
    }
    siege.finish().await;
}

// R-SYNC-1, R-LIMIT-4, R-LIMIT-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integers_in_other_forms_than_one() {
    let mut siege = Siege::new("integers").await;
    let null = |head: &[u8]| edit(&[head, &in_root("meta", "evil", ANY, NULL), &[0]].concat());
    let rows = [
        ("a count in two bytes", null(&[0x81, 0, 1, 7, 0])),
        ("a client in three bytes", null(&[1, 1, 0x87, 0x80, 0, 0])),
        ("a clock in two bytes", null(&[1, 1, 7, 0x80, 0])),
        ("a clock of 33 bits that wraps to 0", null(&[1, 1, 7, 0x80, 0x80, 0x80, 0x80, 0x10])),
        ("a client of 54 bits", null(&[&[1, 1][..], &number(1 << 53), &[0]].concat())),
        ("a client of 64 bits", null(&[&[1, 1][..], &[0xFF; 9], &[1, 0]].concat())),
        ("a client without an end", null(&[&[1, 1][..], &[0xFF; 11], &[1, 0]].concat())),
        (
            "a parent that wraps to a root",
            edit(&[1, 1, 7, 0, 0x28, 0x81, 0x80, 0x80, 0x80, 0x10, 4, 109, 101]),
        ),
        ("a parent that is neither", edit(&[1, 1, 7, 0, 0x28, 2, 4, 109, 101, 116, 97, 1, 107, 1, 126, 0])),
        (
            "a number in a value without an end",
            edit(
                &[&[1, 1, 7, 0][..], &in_root("meta", "evil", ANY, &[&[1, 125][..], &[0xFF; 12]].concat())]
                    .concat(),
            ),
        ),
        ("a state vector's count in two bytes", question(&[0x80, 0])),
        ("presence' count in two bytes", presence(&[0x80, 0])),
        ("a message type in two bytes", Bytes::from_static(&[0x80, 0, 2, 2, 0, 0])),
        ("a payload's length in two bytes", Bytes::from_static(&[0, 2, 0x82, 0, 0, 0])),
        ("a length beyond 2^53", Bytes::from_static(&[0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])),
        ("a length without an end", Bytes::from_static(&[0xFF; 30])),
    ];
    siege.attack(rows.map(|(what, message)| Attack::message(what, MALFORMED_CLOSE, message))).await;
    siege.finish().await;
}

// R-LIMIT-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_and_lengths_that_no_encoder_writes() {
    let mut siege = Siege::new("ranges").await;
    let own = |ranges: &'static [(u64, u64)]| {
        move |me: u64| vec![edit(&Update::of(me, 0, &[collected(10)]).and_delete(me, ranges).bytes())]
    };
    let structs = |all: fn() -> Vec<Vec<u8>>| move |me: u64| vec![edit(&Update::of(me, 0, &all()).bytes())];
    let bad = MALFORMED_CLOSE;
    let rows = [
        Attack::new("delete ranges that overlap", bad, own(&[(0, 5), (3, 5)])),
        Attack::new("delete ranges in reverse", bad, own(&[(5, 2), (0, 2)])),
        Attack::new("one delete range twice", bad, own(&[(0, 2), (0, 2)])),
        Attack::new("a delete range inside another", bad, own(&[(0, 10), (4, 1)])),
        Attack::new("a delete range without length", bad, own(&[(3, 0)])),
        Attack::new("a delete range that wraps", bad, own(&[(3, 0xFFFF_FFFF)])),
        Attack::new("a delete range beyond all clocks", bad, own(&[(0x7FFF_FFFF, 1)])),
        Attack::new("deletions of one client twice", bad, |me| {
            let twice =
                Update::of(me, 0, &[collected(9)]).and_delete(me, &[(0, 1)]).and_delete(me, &[(2, 1)]);
            vec![edit(&twice.bytes())]
        }),
        Attack::new("one client in two sections", bad, |me| {
            vec![edit(&Update::of(me, 0, &[collected(1)]).and(me, 1, &[collected(1)]).bytes())]
        }),
        Attack::new("a section without structs", bad, |me| vec![edit(&Update::of(me, 0, &[]).bytes())]),
        Attack::new("a collected struct without length", bad, structs(|| vec![collected(0)])),
        Attack::new("a skip without length", bad, structs(|| vec![skip(0)])),
        Attack::new(
            "deleted content without length",
            bad,
            structs(|| vec![in_root("meta", "evil", DELETED, &[0])]),
        ),
        Attack::new("an empty string", bad, structs(|| vec![in_root("meta", "evil", STRING, &[0])])),
        Attack::new("no values", bad, structs(|| vec![in_root("meta", "evil", ANY, &[0])])),
        Attack::new(
            "a string that is not UTF-8",
            bad,
            structs(|| vec![in_root("meta", "evil", STRING, &[2, 0xC3, 0x28])]),
        ),
        Attack::new(
            "half a surrogate pair",
            bad,
            structs(|| vec![in_root("meta", "evil", STRING, &[3, 0xED, 0xA0, 0x80])]),
        ),
        Attack::new(
            "lengths that add up beyond all clocks",
            bad,
            structs(|| vec![collected(1 << 30), collected(1 << 30), collected(1 << 30)]),
        ),
        Attack::new("bytes behind the end", bad, |me| {
            vec![edit(&[&Update::of(me, 0, &[collected(1)]).bytes()[..], &[0]].concat())]
        }),
        Attack::new("a state vector that names a client twice", bad, |_| vec![question(&[2, 7, 1, 7, 2])]),
        Attack::new("a collected struct with a flag", bad, structs(|| vec![vec![0x20, 1, 1, b'k']])),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}

// R-LIMIT-1, R-LIMIT-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_of_everything_than_there_may_be() {
    let mut siege = Siege::new("too many").await;
    let more = |max: usize| max as u64 + 1;
    let value = |content: Vec<u8>| {
        move |me: u64| vec![edit(&Update::of(me, 0, &[in_root("meta", "evil", ANY, &content)]).bytes())]
    };
    let values = more(ANY_VALUES_MAX);
    let in_item = [number(values), vec![126; ANY_VALUES_MAX + 1]].concat();
    let in_array = [&[1, 117][..], &in_item].concat();
    let clients = |count: u64| {
        let one = |client: u64| numbers(&[1, 1 << 40 | client, 0, 0, 1]);
        [number(count), (0..count).flat_map(one).collect(), vec![0]].concat()
    };
    let state_vector = |count: u64| {
        let entries = (0..count).flat_map(|client| numbers(&[client + 1, 1]));
        question(&[number(count), entries.collect()].concat())
    };
    let null = "null";
    let entries: Vec<(u64, u64, &str)> =
        (0..more(AWARENESS_ENTRIES_MAX)).map(|client| (client, 1, null)).collect();
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(AWARENESS_STATE_BYTES_MAX));
    let too_large = Answer::Close(TOO_LARGE);
    let rows = [
        Attack::new("200,001 values in one item", too_large, value(in_item)),
        Attack::new("200,001 values in one array", too_large, value(in_array)),
        Attack::new("100,001 delete ranges", too_large, move |me| {
            let ranges: Vec<_> = (0..more(DELETE_RANGES_MAX)).map(|at| (2 * at, 1)).collect();
            let structs = [collected(4 * more(DELETE_RANGES_MAX))];
            vec![edit(&Update::of(me, 0, &structs).and_delete(me, &ranges).bytes())]
        }),
        Attack::message("100,001 clients", too_large, answer(&clients(more(CLIENTS_PER_UPDATE_MAX)))),
        Attack::new("2,000,001 structs", too_large, |me| {
            vec![answer(&Update::of(me, 0, &vec![collected(1); STRUCTS_PER_UPDATE_MAX + 1]).bytes())]
        }),
        Attack::new("a key of 1,025 bytes", too_large, |me| {
            let key = "k".repeat(KEY_BYTES_MAX + 1);
            vec![edit(&Update::of(me, 0, &[in_root("meta", &key, ANY, NULL)]).bytes())]
        }),
        Attack::new("a root's name of a megabyte", Answer::Close(RESET), |me| {
            let root = "r".repeat(1_000_000);
            vec![edit(&Update::of(me, 0, &[in_root(&root, "evil", ANY, NULL)]).bytes())]
        }),
        Attack::message("an update above 1 MiB", too_large, edit(&vec![0; UPDATE_BYTES_MAX + 1])),
        Attack::message(
            "a state vector above 1 MiB",
            too_large,
            question(&vec![0; STATE_VECTOR_BYTES_MAX + 1]),
        ),
        Attack::message(
            "a state vector of 100,001 clients",
            too_large,
            state_vector(more(CLIENTS_PER_UPDATE_MAX)),
        ),
        Attack::message("awareness above 64 KiB", too_large, presence(&vec![0; AWARENESS_BYTES_MAX + 1])),
        Attack::message("awareness of 4,097 entries", too_large, presence_of(&entries)),
        Attack::new("a presence above 16 KiB", too_large, move |me| vec![presence_of(&[(me, 1, &large)])]),
        // Large and lawful: questions about clients of which nobody has heard, over and over.
        Attack::new("20 state vectors of 100,000 clients each", Answer::Taken, move |_| {
            vec![state_vector(CLIENTS_PER_UPDATE_MAX as u64); 20]
        }),
        Attack::new("200,000 values in one item", Answer::Taken, |me| {
            let flat = [number(ANY_VALUES_MAX as u64), vec![126; ANY_VALUES_MAX]].concat();
            let list = in_root("meta", "many", 7, &[0]);
            vec![edit(&Update::of(me, 0, &[list, in_list((me, 0), ANY, &flat)]).bytes())]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}
