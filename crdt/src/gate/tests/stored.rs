//! What the log holds is read as it was understood then, up to what yrs survives.

use yrs::updates::decoder::Decode;
use yrs::{Map, ReadTxn, StateVector, Transact, Update, WriteTxn};

use super::doc;
use super::traps::{Bytes, ID, ROOT};
use crate::design::DesignDoc;
use crate::gate::{Places, Refusal, Unsupported, scan_stored, scan_update};
use crate::ids::ClientId;
use crate::limits::{
    ANY_DEPTH_MAX, ANY_VALUES_MAX, KEY_BYTES_MAX, SIBLINGS_PER_KEY_MAX, STORED_ANY_DEPTH_MAX,
    STORED_TYPE_DEPTH_MAX, TYPE_DEPTH_MAX, UPDATE_BYTES_MAX,
};
use crate::schema::Root;

fn one(structs: u64) -> Bytes {
    Bytes::default().n(&[1, structs, 1, 0])
}

fn nested_value(depth: usize, is_map: bool) -> Bytes {
    let level: &[u8] = if is_map { &[118, 1, 1, b'k'] } else { &[117, 1] };
    one(1).item(8, "meta").n(&[1]).raw(&level.repeat(depth)).raw(&[126, 0])
}

fn nested_maps(depth: usize) -> Bytes {
    (1..depth as u64)
        .fold(one(depth as u64).item(7, "nodes").n(&[1]), |bytes, clock| bytes.map_in(1, clock - 1))
        .n(&[0])
}

fn breach(bytes: &Bytes) -> Option<Refusal> {
    scan_stored(&bytes.0).unwrap().breach
}

/// A snapshot is the sum of many updates: what each of them was allowed does not close the design.
#[test]
fn what_is_counted_of_one_update_is_not_counted_of_a_snapshot() {
    let room = doc(1);
    // The first so many structs of an update are not counted.
    for client in 0..3 * SIBLINGS_PER_KEY_MAX as u64 {
        let author = doc(100 + client);
        let update = {
            let mut txn = author.transact_mut();
            let meta = txn.get_or_insert_map("meta");
            meta.insert(&mut txn, "name", "at the same moment");
            txn.encode_update_v1()
        };
        assert!(scan_update(&update, UPDATE_BYTES_MAX).is_ok());
        room.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
    }
    let whole = room.transact().encode_state_as_update_v1(&StateVector::default());
    assert!(matches!(scan_update(&whole, UPDATE_BYTES_MAX), Err(Refusal::TooMany { .. })), "as one update");
    assert_eq!(scan_stored(&whole).unwrap().breach, None);
}

#[test]
fn what_only_todays_limits_forbid_is_read_and_said() {
    assert_eq!(breach(&nested_value(ANY_DEPTH_MAX, true)), None);
    assert_eq!(breach(&nested_value(ANY_DEPTH_MAX + 1, true)), Some(Refusal::TooDeep));
    assert_eq!(breach(&nested_maps(TYPE_DEPTH_MAX)), None);
    assert_eq!(breach(&nested_maps(TYPE_DEPTH_MAX + 1)), Some(Refusal::TooDeep));
    let long = one(1).n(&[0x28, ROOT]).s("meta").s(&"k".repeat(KEY_BYTES_MAX + 1)).raw(&[1, 126, 0]);
    assert_eq!(breach(&long), Some(Refusal::TooLarge));
    let values = vec![126; ANY_VALUES_MAX + 1];
    let many = one(1).item(8, "meta").n(&[values.len() as u64]).raw(&values).n(&[0]);
    assert!(matches!(breach(&many), Some(Refusal::TooMany { .. })));
    let list = one(2).n(&[8, ROOT]).s("meta").raw(&[1, 126]).raw(&[0x88]).n(&[1, 0]).raw(&[1, 126, 0]);
    assert_eq!(breach(&list), Some(Refusal::Unsupported(Unsupported::RootList(Root::Meta))));
    let scan = scan_stored(&list.0).unwrap().scan;
    let mut places = Places::new();
    places.note(scan.place(&list.0, &places).unwrap(), &list.0);
    let all: Vec<_> = places.elements_of(&scan.ranges).collect();
    assert_eq!(all, [(Root::Meta, "")]);
}

#[test]
fn what_yrs_could_not_survive_or_understand_is_an_error() {
    for bytes in [
        nested_value(STORED_ANY_DEPTH_MAX + 1, true),
        nested_value(8_000, false),
        nested_maps(STORED_TYPE_DEPTH_MAX + 1),
        nested_maps(5_000),
    ] {
        assert_eq!(scan_stored(&bytes.0), Err(Refusal::TooDeep));
    }
    let embed = one(1).item(5, "meta").s("{}").n(&[0]);
    assert_eq!(scan_stored(&embed.0), Err(Refusal::Unsupported(Unsupported::Embed)));
    let root = one(1).item(8, "prosemirror").raw(&[1, 126, 0]);
    assert!(matches!(scan_stored(&root.0), Err(Refusal::Unsupported(Unsupported::Root(_)))));
    assert!(matches!(scan_stored(&[1, 2, 3]), Err(Refusal::Malformed { .. })));
}

#[test]
fn depth_that_was_built_up_in_steps_is_said_where_it_stands() {
    let mut places = Places::new();
    for clock in 0..=STORED_TYPE_DEPTH_MAX as u64 {
        let first = Bytes::default().n(&[1, 1, 1, clock]);
        let map =
            if clock == 0 { first.item(7, "nodes").n(&[1]) } else { first.map_in(1, clock - 1) }.n(&[0]);
        let stored = scan_stored(&map.0).unwrap();
        assert_eq!(stored.breach, None);
        let stood = stored.scan.place(&map.0, &places);
        if clock == STORED_TYPE_DEPTH_MAX as u64 {
            assert_eq!(stood, Err(Refusal::TooDeep));
            return;
        }
        let stood = stood.unwrap();
        let is_deep = TYPE_DEPTH_MAX as u64 <= clock;
        assert_eq!(stood.breach, is_deep.then_some(Refusal::TooDeep), "{clock}");
        places.note(stood, &map.0);
    }
}

/// Earlier gates let neighbours in different places pass, and the log may hold such.
#[test]
fn neighbours_in_different_places_were_stored_once() {
    let list = |bytes: Bytes, key: &str| bytes.n(&[0x27, ID, 1, 0]).s(key).n(&[0]);
    let lists = list(list(one(6).item(7, "nodes").n(&[1]), "a"), "b");
    let entries = lists.n(&[8, ID, 1, 1]).raw(&[1, 126]).n(&[8, ID, 1, 2]).raw(&[1, 126]);
    let apart = entries.raw(&[0xc8]).n(&[1, 3, 1, 4]).raw(&[1, 126, 0]);
    let stored = scan_stored(&apart.0).unwrap();
    let mut places = Places::new();
    let stood = stored.scan.place(&apart.0, &places).unwrap();
    places.note(stood, &apart.0);
    assert_eq!(places.elements_of(&stored.scan.ranges).collect::<Vec<_>>(), [(Root::Nodes, "key")]);
}

/// On the stack of a thread of the server, in the build that takes most of it.
#[test]
fn at_the_ceilings_yrs_and_our_own_walks_survive() {
    let run = || {
        for bytes in [
            nested_value(STORED_ANY_DEPTH_MAX, true),
            nested_value(STORED_ANY_DEPTH_MAX, false),
            nested_maps(STORED_TYPE_DEPTH_MAX),
        ] {
            let stored = scan_stored(&bytes.0).unwrap();
            assert_eq!(stored.breach, Some(Refusal::TooDeep));
            stored.scan.place(&bytes.0, &Places::new()).unwrap();
            let mut design = DesignDoc::load(ClientId::new(9), [&bytes.0[..]]).unwrap();
            let served = design.encode();
            Update::decode_v1(&served).unwrap();
            yrs::merge_updates_v1([&bytes.0[..], &served[..]]).unwrap();
            assert!(!design.diff_since(&StateVector::default()).is_empty());
            let view = design.view();
            assert_eq!(view, view.clone());
            let deleted = Bytes::default().n(&[0, 1, 1, 1, 0, 1]);
            assert!(design.apply(&[&deleted.0[..]], true).unwrap().changed);
            drop(design);
        }
    };
    // A quarter of a thread's stack, so that there is room for whoever calls.
    std::thread::Builder::new().stack_size(512 << 10).spawn(run).unwrap().join().unwrap();
}
