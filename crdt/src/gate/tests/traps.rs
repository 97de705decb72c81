//! Bytes written by hand: every trap that an update or a state vector can hold, and its answer.

use yrs::updates::decoder::Decode;
use yrs::{StateVector, Update};

use super::range;
use crate::gate::{Closure, Refusal, Scan, Unsupported, scan_state_vector, scan_update};
use crate::lib0::{write_var_str, write_var_uint};
use crate::limits::{CLOCK_MAX, TYPE_DEPTH_MAX, UPDATE_BYTES_MAX};
use crate::schema::Root;
use crate::wire::{CloseCode, RefusalCode};

pub(super) const ROOT: u64 = 1;
pub(super) const ID: u64 = 0;

/// Update bytes, written one number or string at a time.
#[derive(Default, Clone)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn n(mut self, numbers: &[u64]) -> Self {
        for number in numbers {
            write_var_uint(&mut self.0, *number);
        }
        self
    }

    pub(super) fn s(mut self, text: &str) -> Self {
        write_var_str(&mut self.0, text);
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An item under a key of a root, up to its content.
    pub(super) fn item(self, kind: u64, root: &str) -> Self {
        self.n(&[0x20 | kind, ROOT]).s(root).s("key")
    }

    /// A map under a key of the map at (client, clock).
    pub(super) fn map_in(self, client: u64, clock: u64) -> Self {
        self.n(&[0x27, ID, client, clock]).s("key").n(&[1])
    }

    pub(super) fn scan(&self) -> Result<Scan, Refusal> {
        scan_update(&self.0, UPDATE_BYTES_MAX)
    }
}

/// The start of an update with one section of `structs` structs by client 1 from clock 0 on.
fn one(structs: u64) -> Bytes {
    Bytes::default().n(&[1, structs, 1, 0])
}

/// An update of one item under a root, with this content, and without deletions.
fn with_content(kind: u64, content: &[u8]) -> Bytes {
    one(1).item(kind, "meta").raw(content).n(&[0])
}

fn is_malformed(result: &Result<Scan, Refusal>) -> bool {
    matches!(result, Err(Refusal::Malformed { .. }))
}

// R-LIMIT-5, R-LIMIT-6
#[test]
fn a_16_kb_update_of_nested_arrays_or_maps_is_too_deep() {
    let mut arrays = vec![1];
    arrays.extend([117, 1].repeat(8_000));
    arrays.push(126);
    assert_eq!(with_content(8, &arrays).scan(), Err(Refusal::TooDeep));
    let mut maps = vec![1];
    maps.extend([118, 1, 0].repeat(5_000));
    maps.push(126);
    assert_eq!(with_content(8, &maps).scan(), Err(Refusal::TooDeep));
}

// R-LIMIT-5
#[test]
fn a_40_kb_update_of_5000_nested_maps_is_too_deep() {
    let nested = |depth: u64| {
        let first = one(depth).item(7, "nodes").n(&[1]);
        (1..depth).fold(first, |bytes, clock| bytes.map_in(1, clock - 1)).n(&[0])
    };
    assert_eq!(nested(5_000).scan(), Err(Refusal::TooDeep));
    let bound = TYPE_DEPTH_MAX as u64;
    assert_eq!(nested(bound + 1).scan(), Err(Refusal::TooDeep));
    assert_eq!(nested(bound).scan().unwrap().structs, TYPE_DEPTH_MAX);
}

#[test]
fn depth_is_followed_through_neighbours_and_other_clients() {
    // Each map is written over a value that only it knows the place of: an origin, and no parent.
    let first = one(60).n(&[0x28, ROOT]).s("nodes").s("key").raw(&[1, 126]).raw(&[0x87]).n(&[1, 0, 1]);
    let overwritten = (1..30).fold(first, |bytes, level| {
        let value = bytes.n(&[0x28, ID, 1, 2 * level - 1]).s("key").raw(&[1, 126]);
        value.raw(&[0x87]).n(&[1, 2 * level, 1])
    });
    assert_eq!(overwritten.n(&[0]).scan(), Err(Refusal::TooDeep));

    // Client 1 holds the even levels and client 2 the odd ones; whichever comes first in the bytes.
    for swapped in [false, true] {
        let mut evens = Bytes::default().n(&[10, 1, 0]).item(7, "nodes").n(&[1]);
        let mut odds = Bytes::default().n(&[10, 2, 0]);
        for level in 0..10 {
            odds = odds.map_in(1, level);
            if 0 < level {
                evens = evens.map_in(2, level - 1);
            }
        }
        let (first, second) = if swapped { (odds, evens) } else { (evens, odds) };
        let both = Bytes::default().n(&[2]).raw(&first.0).raw(&second.0).n(&[0]);
        assert_eq!(both.scan(), Err(Refusal::TooDeep));
    }
}

// R-LIMIT-6
#[test]
fn five_bytes_that_reserve_half_a_gigabyte_are_malformed() {
    let count = 0x07ff_ffff;
    for bytes in [
        Bytes::default().n(&[count]),
        Bytes::default().n(&[1, count, 1, 0]).raw(&[0; 5]),
        Bytes::default().n(&[0, count]),
        Bytes::default().n(&[0, 1, 1, count]),
        one(1).item(8, "meta").n(&[count]).n(&[0]),
        one(1).item(8, "meta").n(&[1]).raw(&[117]).n(&[count]).n(&[0]),
        one(1).item(8, "meta").n(&[1]).raw(&[118]).n(&[count]).n(&[0]),
        one(1).item(4, "meta").n(&[count]).n(&[0]),
        one(1).item(3, "meta").n(&[count]).n(&[0]),
    ] {
        assert!(is_malformed(&bytes.scan()), "{:?}", bytes.0);
    }
    let state_vector = Bytes::default().n(&[count]).raw(&[0; 8]);
    assert!(matches!(scan_state_vector(&state_vector.0), Err(Refusal::Malformed { .. })));
}

// R-LIMIT-5
#[test]
fn clocks_near_the_end_of_their_range_are_malformed() {
    let max = u64::from(CLOCK_MAX);
    let gc = |clock: u64, len: u64| Bytes::default().n(&[1, 1, 7, clock, 0, len, 0]);
    assert!(is_malformed(&gc(u64::from(u32::MAX) - 1, 1).scan()));
    assert!(is_malformed(&gc(0, u64::from(u32::MAX)).scan()));
    assert!(is_malformed(&gc(1 << 32, 1).scan()));
    assert!(is_malformed(&gc(max, 1).scan()));
    assert_eq!(gc(max - 1, 1).scan().unwrap().ranges, [range(7, CLOCK_MAX - 1, CLOCK_MAX)]);
    // Deleted(2^31) twice.
    let deleted = one(2).item(1, "meta").n(&[1 << 30]).item(1, "meta").n(&[1 << 30, 0]);
    assert!(is_malformed(&deleted.scan()));
    // Delete ranges, origins and parents.
    assert!(is_malformed(&Bytes::default().n(&[0, 1, 7, 1, max, 1]).scan()));
    assert!(is_malformed(&Bytes::default().n(&[0, 1, 7, 1, 5, u64::from(u32::MAX)]).scan()));
    assert!(is_malformed(&one(1).raw(&[0x88]).n(&[2, max + 1]).raw(&[1, 126, 0]).scan()));
    assert!(is_malformed(&one(1).raw(&[0x88]).n(&[2, max]).raw(&[1, 126, 0]).scan()), "needs one past it");
    assert!(is_malformed(&one(1).map_in(2, 1 << 32).n(&[0]).scan()));
    assert!(scan_state_vector(&Bytes::default().n(&[1, 7, max + 1]).0).is_err());
    assert!(scan_state_vector(&Bytes::default().n(&[1, 7, max]).0).is_ok());
}

// R-LIMIT-5
#[test]
fn client_ids_end_where_javascript_integers_do() {
    let gc = |client: u64| Bytes::default().n(&[1, 1, client, 0, 0, 1, 0]);
    assert!(gc((1 << 53) - 1).scan().is_ok());
    assert!(is_malformed(&gc(1 << 53).scan()));
    assert!(is_malformed(&Bytes::default().n(&[0, 1, 1 << 53, 0]).scan()));
    assert!(is_malformed(&one(1).raw(&[0x88]).n(&[1 << 53, 0]).raw(&[1, 126, 0]).scan()));
    assert!(scan_state_vector(&Bytes::default().n(&[1, 1 << 53, 0]).0).is_err());
}

#[test]
fn integers_have_one_form_only() {
    // yrs would take 2^32 + 1 for 1, and so a number for the name of a root.
    let wrapped = one(1).n(&[0x28, (1 << 32) + 1]).s("meta").s("key").raw(&[1, 126, 0]);
    assert!(is_malformed(&wrapped.scan()));
    let two = one(1).n(&[0x28, 2, 1, 0]).s("key").raw(&[1, 126, 0]);
    assert!(is_malformed(&two.scan()));
    assert!(is_malformed(&Bytes::default().raw(&[0x80, 0, 0]).scan()));
    let eleven = Bytes::default().raw(&[0xff; 10]).raw(&[1]);
    assert!(is_malformed(&eleven.scan()));
    assert!(is_malformed(
        &with_content(8, &[1, 125, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).scan()
    ));
}

#[test]
fn nothing_has_length_zero() {
    assert!(is_malformed(&Bytes::default().n(&[1, 1, 1, 0, 0, 0, 0]).scan()), "GC");
    assert!(is_malformed(&Bytes::default().n(&[1, 1, 1, 0, 10, 0, 0]).scan()), "Skip");
    assert!(is_malformed(&Bytes::default().n(&[1, 0, 1, 0, 0]).scan()), "section");
    assert!(is_malformed(&with_content(1, &[0]).scan()), "Deleted");
    assert!(is_malformed(&with_content(4, &[0]).scan()), "String");
    assert!(is_malformed(&with_content(8, &[0]).scan()), "Any");
    assert!(is_malformed(&Bytes::default().n(&[0, 1, 1, 1, 5, 0]).scan()), "delete range");
    assert!(with_content(3, &[0]).scan().is_ok(), "an empty binary has length one");
}

#[test]
fn sections_and_delete_ranges_stand_once_and_in_order() {
    let twice = Bytes::default().n(&[2, 1, 1, 0, 0, 1]).n(&[1, 1, 1, 0, 1, 0]);
    assert!(is_malformed(&twice.scan()));
    assert!(is_malformed(&Bytes::default().n(&[0, 2, 1, 1, 0, 1, 1, 1, 5, 1]).scan()));
    assert!(is_malformed(&Bytes::default().n(&[0, 1, 1, 2, 5, 5, 9, 1]).scan()));
    assert!(is_malformed(&Bytes::default().n(&[0, 1, 1, 2, 5, 5, 0, 1]).scan()));
    let fine = Bytes::default().n(&[0, 2, 9, 1, 0, 1, 1, 2, 5, 5, 10, 1]).scan().unwrap();
    assert_eq!(fine.deletes, [range(1, 5, 10), range(1, 10, 11), range(9, 0, 1)]);
    assert!(scan_state_vector(&[2, 1, 5, 1, 6]).is_err());
}

#[test]
fn the_end_is_the_end() {
    let whole = with_content(8, &[2, 126, 127]);
    assert!(whole.scan().is_ok());
    for cut in 0..whole.0.len() {
        assert!(is_malformed(&scan_update(&whole.0[..cut], UPDATE_BYTES_MAX)), "cut at {cut}");
    }
    assert!(is_malformed(&whole.raw(&[0]).scan()));
    assert!(scan_state_vector(&[]).is_err());
    assert!(scan_state_vector(&[0, 0]).is_err());
    assert_eq!(scan_update(&[0; 3], 2), Err(Refusal::TooLarge));
}

#[test]
fn strings_are_utf8() {
    for bad in [&[2, 0xc3, 0x28][..], &[3, 0xed, 0xa0, 0x80], &[1, 0xff]] {
        assert!(is_malformed(&with_content(4, bad).scan()));
        assert!(is_malformed(&with_content(8, &[&[1, 119], bad].concat()).scan()));
        assert!(is_malformed(&with_content(8, &[&[1, 118, 1], bad, &[126]].concat()).scan()));
    }
}

// R-LIMIT-4
#[test]
fn what_a_design_does_not_hold_is_named() {
    use Unsupported as U;
    for (kind, content, expected) in [
        (2, &[1, 1, b'1'][..], U::Json),
        (5, &[2, b'{', b'}'], U::Embed),
        (6, &[1, b'b', 4, b't', b'r', b'u', b'e'], U::Format),
        (7, &[3, 1, b'p'], U::Xml),
        (7, &[4], U::Xml),
        (7, &[6], U::Xml),
        (7, &[7, 0, 1, 0], U::WeakLink),
        (7, &[9], U::Subdocument),
        (9, &[1, b'g', 118, 0], U::Subdocument),
    ] {
        assert_eq!(with_content(kind, content).scan(), Err(Refusal::Unsupported(expected)));
    }
    for kind in [11, 15, 16, 24, 31] {
        assert_eq!(with_content(kind, &[0]).scan(), Err(Refusal::UnknownContent), "{kind}");
    }
    for kind in [8, 10, 15, 0x81, 0xff] {
        assert_eq!(with_content(7, &[kind, 0]).scan(), Err(Refusal::UnknownContent), "{kind}");
    }
    let list = one(1).n(&[8, ROOT]).s("nodes").raw(&[1, 126, 0]).scan().unwrap_err();
    assert_eq!(list, Refusal::Unsupported(U::RootList(Root::Nodes)));
    assert_eq!(list.to_string(), r#"a design does not hold a list in the root "nodes""#);
    let other = one(1).item(8, "prosemirror").raw(&[1, 126, 0]).scan().unwrap_err();
    assert_eq!(other.to_string(), r#"a design does not hold the root "prosemirror""#);
    assert_eq!(other.close_code(), CloseCode::Reset);
    assert_eq!(other.code(), RefusalCode::Unsupported);
}

/// Why the old JSON content is refused: yrs takes the empty delete set for a second string.
#[test]
fn yrs_reads_one_string_of_json_content_too_many() {
    let bytes = with_content(2, &[1, 1, b'1']);
    assert!(Update::decode_v1(&bytes.0).is_err(), "yrs has been mended: the kind may be let through");
}

#[test]
fn flags_that_yjs_and_yrs_read_differently_are_malformed() {
    for info in [0x80, 0x40, 0x20, 0x8a, 0x2a] {
        assert!(is_malformed(&Bytes::default().n(&[1, 1, 1, 0]).raw(&[info, 1, 0]).scan()), "{info:x}");
    }
}

// R-LIMIT-5
#[test]
fn keys_are_bounded() {
    let long = "k".repeat(2_000);
    assert_eq!(one(1).n(&[0x28, ROOT]).s("meta").s(&long).raw(&[1, 126, 0]).scan(), Err(Refusal::TooLarge));
}

// R-LIMIT-5
#[test]
fn values_of_one_item_are_counted() {
    let mut values = Bytes::default().n(&[200_001]);
    values.0.extend(std::iter::repeat_n(126, 200_001));
    assert!(matches!(with_content(8, &values.0).scan(), Err(Refusal::TooMany { .. })));
    // … the nested ones together with the others.
    let mut inner = Bytes::default().raw(&[117]).n(&[150_000]);
    inner.0.extend(std::iter::repeat_n(126, 150_000));
    let both = [&[2][..], &inner.0, &inner.0].concat();
    assert!(matches!(with_content(8, &both).scan(), Err(Refusal::TooMany { .. })));
}

#[test]
fn a_value_holds_no_items() {
    let inside = |kind: u64, content: &[u8]| one(2).item(kind, "meta").raw(content).map_in(1, 0).n(&[0]);
    assert!(is_malformed(&inside(8, &[1, 126]).scan()));
    assert!(is_malformed(&inside(4, &[1, b'x']).scan()));
    // What was deleted may have been a type.
    assert!(inside(1, &[1]).scan().is_ok());
    assert!(inside(7, &[1]).scan().is_ok());
}

#[test]
fn items_build_on_earlier_ones() {
    // On a later clock of its own client, and on itself.
    assert!(is_malformed(
        &one(2).raw(&[0x88]).n(&[1, 1]).raw(&[1, 126]).item(8, "meta").raw(&[1, 126, 0]).scan()
    ));
    assert!(is_malformed(&one(1).raw(&[0x88]).n(&[1, 0]).raw(&[1, 126, 0]).scan()));
    assert!(is_malformed(&one(1).map_in(1, 0).n(&[0]).scan()));
    // Two clients, each on the other's first.
    let circle = Bytes::default()
        .n(&[2, 1, 1, 0])
        .raw(&[0x88])
        .n(&[2, 0])
        .raw(&[1, 126])
        .n(&[1, 2, 0])
        .raw(&[0x88])
        .n(&[1, 0])
        .raw(&[1, 126, 0]);
    assert!(is_malformed(&circle.scan()));
    // Two clients that answer each other in turns are no circle, though each section waits for the other.
    let turns = Bytes::default()
        .n(&[2, 2, 1, 0])
        .item(8, "meta")
        .raw(&[1, 126])
        .raw(&[0x88])
        .n(&[2, 0])
        .raw(&[1, 126])
        .n(&[2, 2, 0])
        .raw(&[0x88])
        .n(&[1, 0])
        .raw(&[1, 126])
        .raw(&[0x88])
        .n(&[1, 1])
        .raw(&[1, 126, 0]);
    let scan = turns.scan().unwrap();
    assert_eq!(scan.ranges, [range(1, 0, 2), range(2, 0, 2)]);
    assert_eq!(scan.closure(super::clocks(&StateVector::default())), Closure::Closed { overlaps: false });
}
