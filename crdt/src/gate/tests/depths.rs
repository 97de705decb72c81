//! How deep things lie across updates: what builds up depth in small steps is stopped, and what people do is not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use yrs::branch::{Branch, BranchID};
use yrs::updates::decoder::Decode;
use yrs::{Array, ArrayRef, Doc, Map, MapRef, Out, ReadTxn, StateVector, Transact, Update};

use super::traps::{Bytes, ID, ROOT};
use super::{Dice, Step, any_step, clock_of, clocks, doc, mutated, play, scan};
use crate::gate::{Closure, Depths, Refusal, Scan, scan_update};
use crate::ids::ClientId;
use crate::limits::{TYPE_DEPTH_MAX, UPDATE_BYTES_MAX};

/// Documents of the test with mutated updates.
const ROUNDS: u32 = 150;
const BOUND: u64 = TYPE_DEPTH_MAX as u64;

/// An update of `structs` structs of one client.
fn from(client: u64, clock: u64, structs: u64) -> Bytes {
    Bytes::default().n(&[1, structs, client, clock])
}

/// The update ends, and goes through the gate.
fn send(depths: &mut Depths, bytes: Bytes) -> Result<(), Refusal> {
    let scan = bytes.n(&[0]).scan().unwrap();
    assert!(matches!(scan.closure(|client| depths.end_of(client)), Closure::Closed { .. }));
    scan.fits(depths)?;
    scan.note(depths);
    Ok(())
}

/// `count` maps, each in the one before, below the map at clock `start - 1`, or in a root.
fn nested(start: u64, count: u64) -> Bytes {
    (start..start + count).fold(from(1, start, count), |bytes, clock| match clock {
        0 => bytes.item(7, "nodes").n(&[1]),
        _ => bytes.map_in(1, clock - 1),
    })
}

// R-LIMIT-5
#[test]
fn ten_thousand_small_updates_of_nested_maps_end_at_the_ninth_level() {
    for step in 1..=6 {
        let mut depths = Depths::new();
        let mut reached = 0;
        for update in 0..10_000 {
            match send(&mut depths, nested(update * step, step)) {
                Ok(()) => reached += step,
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::TooDeep);
                    break;
                }
            }
        }
        assert_eq!(reached, BOUND / step * step, "{step} at a time");
        // What remains of the levels may still be filled, and one more may not.
        for clock in reached..BOUND {
            send(&mut depths, nested(clock, 1)).unwrap();
        }
        assert_eq!(send(&mut depths, nested(BOUND, 1)), Err(Refusal::TooDeep));
        // The deepest type holds values, since everything that it holds is flat.
        send(&mut depths, from(1, BOUND, 1).n(&[0x28, ID, 1, BOUND - 1]).s("k").raw(&[1, 126])).unwrap();
        assert_eq!((depths.of(ClientId::new(1), 7), depths.of(ClientId::new(1), 8)), (Some(8), Some(9)));
    }
}

// R-LIMIT-5
#[test]
fn depth_is_followed_through_overwritten_keys_arrays_and_other_clients() {
    // A value in the map of the update before, and in another update a map over it: no parent is named there.
    let mut depths = Depths::new();
    let mut maps = 0;
    let refused = loop {
        let value = from(1, 2 * maps, 1);
        let value = match maps {
            0 => value.n(&[0x28, ROOT]).s("nodes").s("key"),
            _ => value.n(&[0x28, ID, 1, 2 * maps - 1]).s("key"),
        };
        send(&mut depths, value.raw(&[1, 126])).unwrap();
        if let Err(refusal) =
            send(&mut depths, from(1, 2 * maps + 1, 1).raw(&[0x87]).n(&[1, 2 * maps]).n(&[1]))
        {
            break refusal;
        }
        maps += 1;
    };
    assert_eq!((maps, refused), (BOUND, Refusal::TooDeep));

    // Arrays in arrays, of two clients in turns, the last one placed by a right origin.
    let mut depths = Depths::new();
    send(&mut depths, from(1, 0, 1).item(7, "nodes").n(&[0])).unwrap();
    for level in 1..BOUND {
        let (parent, clock) = (1 + (level - 1) % 2, (level - 1) / 2);
        let array = from(1 + level % 2, level / 2, 1).n(&[7, ID, parent, clock]).n(&[0]);
        send(&mut depths, array).unwrap();
    }
    let value = from(3, 0, 1).n(&[8, ID, 2, BOUND / 2 - 1]).raw(&[1, 126]);
    send(&mut depths, value).unwrap();
    let before_it = from(4, 0, 1).raw(&[0x47]).n(&[3, 0]).n(&[0]);
    assert_eq!(send(&mut depths, before_it), Err(Refusal::TooDeep));
    assert_eq!(depths.clients(), 3);
}

#[test]
fn neighbours_in_different_places_count_as_the_deeper_one() {
    let mut depths = Depths::new();
    send(&mut depths, nested(0, BOUND)).unwrap();
    let deep_value = from(2, 0, 1).n(&[8, ID, 1, BOUND - 1]).raw(&[1, 126]);
    send(&mut depths, deep_value).unwrap();
    send(&mut depths, from(3, 0, 1).n(&[8, ROOT]).s("nodes").raw(&[1, 126])).unwrap();
    for (origin, right) in [(2, 3), (3, 2)] {
        let between = from(4, 0, 1).raw(&[0xc7]).n(&[origin, 0, right, 0]).n(&[1]);
        assert_eq!(send(&mut depths, between), Err(Refusal::TooDeep));
    }
}

/// A document keeps what it has: what an update says about known clocks must not make the rest look flat.
#[test]
fn sending_known_clocks_again_as_something_else_does_not_help() {
    let mut depths = Depths::new();
    send(&mut depths, nested(0, BOUND)).unwrap();
    let last = BOUND - 1;
    let as_in_root = from(1, last, 2).item(7, "nodes").n(&[1]).map_in(1, last);
    assert_eq!(send(&mut depths, as_in_root), Err(Refusal::TooDeep));
    let as_collected = from(1, last, 2).n(&[0, 1]).map_in(1, last);
    assert_eq!(send(&mut depths, as_collected), Err(Refusal::TooDeep));
    // Two values where the document has the first: it puts the second beside it, wherever the update says.
    let value = from(1, BOUND, 1).n(&[8, ID, 1, last]).raw(&[1, 126]);
    send(&mut depths, value).unwrap();
    let longer = from(1, BOUND, 2).n(&[8, ROOT]).s("nodes").raw(&[2, 126, 126]);
    let beside = longer.raw(&[0x87]).n(&[1, BOUND + 1]).n(&[1]);
    assert_eq!(send(&mut depths, beside), Err(Refusal::TooDeep));
    // Honestly sent again, all of it is fine and changes nothing.
    let before = depths.clone();
    send(&mut depths, nested(0, BOUND)).unwrap();
    send(&mut depths, nested(3, 2)).unwrap();
    assert_eq!(depths, before);
}

#[test]
fn what_is_not_closed_does_not_fit_and_leaves_no_gap() {
    let mut depths = Depths::new();
    let scan = nested(3, 1).n(&[0]).scan().unwrap();
    assert_eq!(scan.fits(&depths), Err(Refusal::TooDeep));
    scan.note(&mut depths);
    assert_eq!(depths, Depths::new());
}

#[test]
fn depths_and_scans_stay_small() {
    // A long text: each letter beside the one before.
    let letters = (1..1_000).fold(from(1, 0, 1_000).n(&[4, ROOT]).s("meta").s("a"), |bytes, clock| {
        bytes.raw(&[0x84]).n(&[1, clock - 1]).s("a")
    });
    let scan = letters.clone().n(&[0]).scan().unwrap();
    assert!(0 < scan.heap_bytes() && scan.heap_bytes() < 1_000, "{}", scan.heap_bytes());
    let mut depths = Depths::new();
    send(&mut depths, letters).unwrap();
    assert_eq!(depths.clients[&ClientId::new(1)], [(1_000, 1)]);
    // At worst a scan takes a few times the bytes of its update: collected and not in turns.
    let turns = (0..1_000).fold(from(1, 0, 2_000), |bytes, _| bytes.n(&[0, 1, 1, ROOT]).s("meta").n(&[1]));
    let bytes = turns.0.len();
    assert!(turns.n(&[0]).scan().unwrap().heap_bytes() < 8 * bytes);
}

/// The shared types that live, by their ids, and how deep yrs has them.
fn types(doc: &Doc) -> BTreeMap<(u64, u32), u8> {
    fn id(branch: &Branch) -> (u64, u32) {
        match branch.id() {
            BranchID::Nested(id) => (id.client.get(), id.clock),
            BranchID::Root(_) => panic!("a nested type has an id"),
        }
    }
    fn walk<T: ReadTxn>(txn: &T, value: Out, depth: u8, found: &mut BTreeMap<(u64, u32), u8>) {
        match value {
            Out::YMap(map) => {
                found.insert(id(AsRef::<Branch>::as_ref(&map)), depth);
                walk_map(txn, &map, depth + 1, found);
            }
            Out::YArray(array) => {
                found.insert(id(AsRef::<Branch>::as_ref(&array)), depth);
                walk_array(txn, &array, depth + 1, found);
            }
            Out::YText(text) => {
                found.insert(id(AsRef::<Branch>::as_ref(&text)), depth);
            }
            _ => {}
        }
    }
    fn walk_map<T: ReadTxn>(txn: &T, map: &MapRef, depth: u8, found: &mut BTreeMap<(u64, u32), u8>) {
        for (_, value) in map.iter(txn) {
            walk(txn, value, depth, found);
        }
    }
    fn walk_array<T: ReadTxn>(txn: &T, array: &ArrayRef, depth: u8, found: &mut BTreeMap<(u64, u32), u8>) {
        for value in array.iter(txn) {
            walk(txn, value, depth, found);
        }
    }
    let mut found = BTreeMap::new();
    for root in ["nodes", "edges", "meta", "comments"] {
        let map = doc.get_or_insert_map(root);
        walk_map(&doc.transact(), &map, 1, &mut found);
    }
    found
}

/// What a pod has after a restart: the whole document as one update.
fn anew(room: &Doc) -> (Scan, Depths) {
    let whole = room.transact().encode_state_as_update_v1(&StateVector::default());
    let scan = scan(&whole);
    let mut depths = Depths::new();
    scan.fits(&depths).unwrap();
    scan.note(&mut depths);
    (scan, depths)
}

/// A log as a room sees it: updates merged, sent again, and the whole of what somebody has.
fn log(dice: &mut Dice, docs: &[Doc], updates: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut log = Vec::new();
    let mut rest = updates;
    while !rest.is_empty() {
        let (some, others) = rest.split_at(1 + dice.roll(rest.len().min(3)));
        log.push(match some {
            [one] => one.clone(),
            _ => yrs::merge_updates_v1(some).unwrap(),
        });
        rest = others;
        if dice.roll(3) == 0 {
            log.push(log[dice.roll(log.len())].clone());
        }
        if dice.roll(5) == 0 {
            let done = &updates[..updates.len() - rest.len()];
            // Of more than twenty that overlap, the sort inside yrs 0.28.1 panics: its order is not a total one.
            let from = done.len() - dice.roll(done.len().min(15)) - 1;
            log.push(yrs::merge_updates_v1(&done[from..]).unwrap());
        }
    }
    let whole = |doc: &Doc| doc.transact().encode_state_as_update_v1(&StateVector::default());
    log.extend(docs.iter().map(whole));
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A long honest life always fits, yrs agrees on how deep every type lies, and an index that was built update by
    /// update equals one that is built anew, as far as anything lives.
    #[test]
    fn an_honest_life_fits_and_its_depths_do_not_depend_on_the_way(
        steps in proptest::collection::vec(any_step(), 1..120),
        seed in 1..u64::MAX,
    ) {
        let (docs, updates) = play(&steps);
        let room = doc(99);
        let mut depths = Depths::new();
        let mut applied = 0;
        for update in log(&mut Dice(seed), &docs, &updates) {
            let scan = scan(&update);
            let state = room.transact().state_vector();
            if !matches!(scan.closure(clocks(&state)), Closure::Closed { .. }) {
                continue; // merged with something that it does not follow on
            }
            applied += 1;
            prop_assert_eq!(scan.fits(&depths), Ok(()));
            scan.note(&mut depths);
            room.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
            for range in &scan.ranges {
                let end = clock_of(&room.transact().state_vector(), range.client);
                prop_assert_eq!(depths.end_of(range.client), end);
            }
        }
        prop_assert!(docs.len() <= applied);
        for ((client, clock), depth) in types(&room) {
            prop_assert_eq!(depths.of(ClientId::new(client), clock), Some(depth));
        }

        let (scan, anew) = anew(&room);
        prop_assert_eq!(anew.clients(), depths.clients());
        let is_deleted = |client, clock| {
            scan.deletes.iter().any(|range| range.client == client && (range.start..range.end).contains(&clock))
        };
        for range in &scan.ranges {
            prop_assert_eq!(anew.end_of(range.client), depths.end_of(range.client));
            for clock in range.start..range.end {
                if !is_deleted(range.client, clock) {
                    let (ours, theirs) = (depths.of(range.client, clock), anew.of(range.client, clock));
                    prop_assert_eq!(ours, theirs, "{} at {}", range.client, clock);
                }
            }
        }
    }
}

/// The same steps always, so that the property above is known to have had something to look at.
#[test]
fn the_life_above_has_types_at_three_levels() {
    let steps: Vec<Step> = (0..80)
        .map(|n| match n % 5 {
            4 => Step::Sync { from: n, to: n / 3 },
            _ => Step::Edit { doc: n, what: n, key: n / 4, value: n },
        })
        .collect();
    let (docs, _) = play(&steps);
    let found =
        docs.iter().flat_map(types).map(|(_, depth)| depth).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(found, [1, 2, 3].into());
}

/// Whatever is sent in the place of honest updates: yrs never has a type deeper than the index says.
#[test]
fn what_fits_is_never_deeper_than_the_index_says() {
    let mut dice = Dice(0x0dd5_79b9_7f4a_7c15);
    let (mut applied, mut overlapping, mut upper) = (0_u32, 0_u32, 0_u32);
    for _ in 0..ROUNDS {
        let steps: Vec<Step> = (0..25)
            .map(|_| match dice.roll(4) {
                0 => Step::Sync { from: dice.byte(), to: dice.byte() },
                _ => Step::Edit {
                    doc: dice.byte(),
                    what: dice.byte(),
                    key: dice.byte(),
                    value: dice.byte() % 8,
                },
            })
            .collect();
        let (docs, updates) = play(&steps);
        let room = doc(99);
        let mut depths = Depths::new();
        for update in log(&mut dice, &docs, &updates) {
            let bytes = if dice.roll(3) == 0 { update } else { mutated(&mut dice, &update) };
            let Ok(scan) = scan_update(&bytes, UPDATE_BYTES_MAX) else { continue };
            let state = room.transact().state_vector();
            let Closure::Closed { overlaps } = scan.closure(clocks(&state)) else { continue };
            if scan.fits(&depths).is_err() {
                continue;
            }
            if room.transact_mut().apply_update(Update::decode_v1(&bytes).unwrap()).is_err() {
                break; // half applied: a room throws such a document away
            }
            scan.note(&mut depths);
            applied += 1;
            overlapping += u32::from(overlaps);
            for ((client, clock), depth) in types(&room) {
                let ours = depths.of(ClientId::new(client), clock).unwrap();
                assert!(depth <= ours, "{client} at {clock}: {depth}, and the index says {ours}");
                upper += u32::from(depth < ours);
            }
        }
    }
    println!(
        "{applied} updates were applied, {overlapping} of them overlapping; {upper} types lay higher than noted"
    );
    assert!(ROUNDS < applied && ROUNDS < overlapping);
}
