//! Where things stand across updates: what builds up depth in small steps is stopped, and what people do is not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use yrs::branch::{Branch, BranchID};
use yrs::updates::decoder::Decode;
use yrs::{Array, Doc, Map, Out, ReadTxn, StateVector, Transact, Update};

use super::traps::{Bytes, ID, ROOT};
use super::{Dice, Step, any_step, clock_of, clocks, doc, merged, mutated, play, scan};
use crate::gate::layout::Kind;
use crate::gate::{Closure, Places, Refusal, Scan, Verdict, scan_update};
use crate::ids::ClientId;
use crate::limits::{SIBLINGS_PER_KEY_MAX, TYPE_DEPTH_MAX, UPDATE_BYTES_MAX};
use crate::schema::Root;

/// Documents of the test with mutated updates.
const ROUNDS: u32 = 150;
const BOUND: u64 = TYPE_DEPTH_MAX as u64;

/// An update of `structs` structs of one client.
pub(super) fn from(client: u64, clock: u64, structs: u64) -> Bytes {
    Bytes::default().n(&[1, structs, client, clock])
}

/// The update ends, and goes through the gate.
pub(super) fn send(places: &mut Places, bytes: Bytes) -> Result<(), Refusal> {
    let bytes = bytes.n(&[0]);
    note(places, &bytes.0)
}

/// A closed update goes through the gate.
fn note(places: &mut Places, update: &[u8]) -> Result<(), Refusal> {
    let scan = scan_update(update, UPDATE_BYTES_MAX).unwrap();
    match scan.judge(update, |client| places.end_of(client), places) {
        Verdict::Clean(stood) => places.note(stood, update),
        Verdict::Gap { .. } => panic!("not closed"),
        Verdict::Refused(refusal) => return Err(refusal),
    }
    Ok(())
}

fn depth(places: &Places, client: u64, clock: u32) -> Option<u8> {
    places.of(ClientId::new(client), clock).map(|place| place.depth)
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
        let mut places = Places::new();
        let mut reached = 0;
        for update in 0..10_000 {
            match send(&mut places, nested(update * step, step)) {
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
            send(&mut places, nested(clock, 1)).unwrap();
        }
        assert_eq!(send(&mut places, nested(BOUND, 1)), Err(Refusal::TooDeep));
        // The deepest type holds values, since everything that it holds is flat.
        send(&mut places, from(1, BOUND, 1).n(&[0x28, ID, 1, BOUND - 1]).s("k").raw(&[1, 126])).unwrap();
        assert_eq!((depth(&places, 1, 7), depth(&places, 1, 8)), (Some(8), Some(9)));
    }
}

// R-LIMIT-5
#[test]
fn depth_is_followed_through_overwritten_keys_arrays_and_other_clients() {
    // A value in the map of the update before, and in another update a map over it: no parent is named there.
    let mut places = Places::new();
    let mut maps = 0;
    let refused = loop {
        let value = from(1, 2 * maps, 1);
        let value = match maps {
            0 => value.n(&[0x28, ROOT]).s("nodes").s("key"),
            _ => value.n(&[0x28, ID, 1, 2 * maps - 1]).s("key"),
        };
        send(&mut places, value.raw(&[1, 126])).unwrap();
        if let Err(refusal) =
            send(&mut places, from(1, 2 * maps + 1, 1).raw(&[0x87]).n(&[1, 2 * maps]).n(&[1]))
        {
            break refusal;
        }
        maps += 1;
    };
    assert_eq!((maps, refused), (BOUND, Refusal::TooDeep));

    // Arrays in arrays, of two clients in turns, the last one placed by a right origin.
    let mut places = Places::new();
    send(&mut places, from(1, 0, 1).item(7, "nodes").n(&[0])).unwrap();
    for level in 1..BOUND {
        let (parent, clock) = (1 + (level - 1) % 2, (level - 1) / 2);
        let array = from(1 + level % 2, level / 2, 1).n(&[7, ID, parent, clock]).n(&[0]);
        send(&mut places, array).unwrap();
    }
    let value = from(3, 0, 1).n(&[8, ID, 2, BOUND / 2 - 1]).raw(&[1, 126]);
    send(&mut places, value).unwrap();
    let before_it = from(4, 0, 1).raw(&[0x47]).n(&[3, 0]).n(&[0]);
    assert_eq!(send(&mut places, before_it), Err(Refusal::TooDeep));
    assert_eq!(places.clients(), 3);
}

/// yrs takes the parent of one of the two, and points into the list of the other.
#[test]
fn neighbours_in_different_places_are_malformed() {
    let apart = Err(Refusal::Malformed { what: "neighbours in different places" });
    // Two lists in one map, one entry in each; a map entry; and something collected.
    let mut places = Places::new();
    let map = from(1, 0, 3).item(7, "nodes").n(&[1]);
    send(&mut places, map.n(&[0x27, ID, 1, 0]).s("a").n(&[0]).n(&[0x27, ID, 1, 0]).s("b").n(&[0])).unwrap();
    send(&mut places, from(2, 0, 1).n(&[8, ID, 1, 1]).raw(&[1, 126])).unwrap();
    send(&mut places, from(3, 0, 1).n(&[8, ID, 1, 2]).raw(&[1, 126])).unwrap();
    send(&mut places, from(4, 0, 1).n(&[0, 2])).unwrap();
    for (origin, right) in [(2, 3), (3, 2), (1, 2), (2, 1), (4, 2), (2, 4), (1, 4), (4, 1)] {
        let between = from(5, 0, 1).raw(&[0xc8]).n(&[origin, 0, right, 0]).raw(&[1, 126]);
        assert_eq!(send(&mut places, between), apart, "{origin} and {right}");
    }
    let before_entry = from(5, 0, 1).raw(&[0x48]).n(&[1, 0]).raw(&[1, 126]);
    assert_eq!(send(&mut places, before_entry), apart);
    // In one update as well, and behind a run that looks like one list.
    let entry = from(5, 0, 2).n(&[0x28, ID, 1, 0]).s("c").raw(&[1, 126]);
    assert_eq!(send(&mut places, entry.raw(&[0x48]).n(&[5, 0]).raw(&[1, 126])), apart);
    // Within one list, and of what is collected altogether, everything goes.
    send(&mut places, from(5, 0, 1).n(&[8, ID, 1, 1]).raw(&[1, 126])).unwrap();
    send(&mut places, from(6, 0, 1).raw(&[0xc8]).n(&[2, 0, 5, 0]).raw(&[1, 126])).unwrap();
    send(&mut places, from(7, 0, 1).raw(&[0xc8]).n(&[4, 0, 4, 1]).raw(&[1, 126])).unwrap();
    assert_eq!(places.of(ClientId::new(6), 0), places.of(ClientId::new(2), 0));
    assert!(places.of(ClientId::new(7), 0).unwrap().spot.is_nowhere());
    // Between an item and itself there is no place.
    let same = from(8, 0, 1).raw(&[0xc8]).n(&[2, 0, 2, 0]).raw(&[1, 126]).n(&[0]);
    let refusal = Refusal::Malformed { what: "an item whose two neighbours are one" };
    assert_eq!(scan_update(&same.0, UPDATE_BYTES_MAX), Err(refusal));
}

/// Once a list is deleted, who writes into it may know some of it as collected and the rest not.
#[test]
fn of_a_deleted_list_everything_counts_as_collected() {
    let mut places = Places::new();
    let list = from(1, 0, 2).item(7, "nodes").n(&[0]).n(&[8, ID, 1, 0]).raw(&[1, 126]);
    send(&mut places, list).unwrap();
    send(&mut places, from(2, 0, 1).n(&[0, 1])).unwrap();
    let between = from(3, 0, 1).raw(&[0xc8]).n(&[2, 0, 1, 1]).raw(&[1, 126]);
    assert!(send(&mut places, between.clone()).is_err());
    note(&mut places, &Bytes::default().n(&[0, 1, 1, 1, 0, 1]).0).unwrap();
    send(&mut places, between).unwrap();
    send(&mut places, from(4, 0, 1).n(&[8, ID, 1, 0]).raw(&[1, 126])).unwrap();
    for client in [3, 4] {
        assert!(places.of(ClientId::new(client), 0).unwrap().spot.is_nowhere());
    }
}

#[test]
fn a_value_in_the_document_holds_no_items() {
    let mut places = Places::new();
    send(&mut places, from(1, 0, 1).item(8, "nodes").raw(&[1, 126])).unwrap();
    let inside = from(2, 0, 1).map_in(1, 0);
    assert_eq!(send(&mut places, inside), Err(Refusal::Malformed { what: "an item inside of a value" }));
    // What came deleted may have been a type.
    send(&mut places, from(3, 0, 1).item(1, "nodes").n(&[1])).unwrap();
    send(&mut places, from(4, 0, 1).map_in(3, 0)).unwrap();
}

/// A document keeps what it has: what an update says about known clocks must not make the rest look flat.
#[test]
fn sending_known_clocks_again_as_something_else_does_not_help() {
    let mut places = Places::new();
    send(&mut places, nested(0, BOUND)).unwrap();
    let last = BOUND - 1;
    let as_in_root = from(1, last, 2).item(7, "nodes").n(&[1]).map_in(1, last);
    assert_eq!(send(&mut places, as_in_root), Err(Refusal::TooDeep));
    let as_collected = from(1, last, 2).n(&[0, 1]).map_in(1, last);
    assert_eq!(send(&mut places, as_collected), Err(Refusal::TooDeep));
    // Two values where the document has the first: it puts the second beside it, wherever the update says.
    let value = from(1, BOUND, 1).n(&[8, ID, 1, last]).raw(&[1, 126]);
    send(&mut places, value).unwrap();
    let longer = from(1, BOUND, 2).item(8, "nodes").raw(&[2, 126, 126]);
    let beside = longer.raw(&[0x87]).n(&[1, BOUND + 1]).n(&[1]);
    let elsewhere = "an item that is known to stand in another place";
    assert_eq!(send(&mut places, beside), Err(Refusal::Malformed { what: elsewhere }));
    // Honestly sent again, all of it is fine and changes nothing.
    let before = places.clone();
    send(&mut places, nested(0, BOUND)).unwrap();
    send(&mut places, nested(3, 2)).unwrap();
    assert_eq!(places, before);
}

#[test]
fn what_is_not_closed_has_no_place() {
    let update = nested(3, 1).n(&[0]);
    let scan = update.scan().unwrap();
    let missing = Refusal::Malformed { what: "an item builds on something that is not there" };
    assert_eq!(scan.place(&update.0, &Places::new()), Err(missing));
    let gap = scan.judge(&update.0, |_| 0, &Places::new());
    assert_eq!(gap, Verdict::Gap { client: ClientId::new(1), have: 0, need: 3 });
}

#[test]
fn places_and_scans_stay_small() {
    // A long text: each letter beside the one before.
    let map = from(1, 0, 1_001).item(7, "meta").n(&[2]).n(&[4, ID, 1, 0]).s("a");
    let letters = (2..1_001).fold(map, |bytes, clock| bytes.raw(&[0x84]).n(&[1, clock - 1]).s("a"));
    let scan = letters.clone().n(&[0]).scan().unwrap();
    assert!(0 < scan.heap_bytes() && scan.heap_bytes() < 1_000, "{}", scan.heap_bytes());
    let mut places = Places::new();
    send(&mut places, letters).unwrap();
    assert!(0 < places.heap_bytes() && places.heap_bytes() < 1_000, "{}", places.heap_bytes());
    // At worst a scan takes a few times the bytes of its update: collected and not in turns.
    let turns = (0..SIBLINGS_PER_KEY_MAX).fold(from(1, 0, 2 * SIBLINGS_PER_KEY_MAX as u64), |bytes, _| {
        bytes.n(&[0, 1]).item(1, "meta").n(&[1])
    });
    let bytes = turns.0.len();
    assert!(turns.n(&[0]).scan().unwrap().heap_bytes() < 8 * bytes);
}

#[test]
fn only_so_many_values_stand_side_by_side_under_one_key() {
    let most = SIBLINGS_PER_KEY_MAX as u64;
    let side_by_side =
        |count: u64| (0..count).fold(from(1, 0, count), |bytes, _| bytes.item(8, "meta").raw(&[1, 126]));
    assert!(side_by_side(most).n(&[0]).scan().is_ok());
    let refusal = Refusal::TooMany { what: "values side by side under one key", max: SIBLINGS_PER_KEY_MAX };
    assert_eq!(side_by_side(most + 1).n(&[0]).scan(), Err(refusal));
    // Of a thousand keys each may be written, and one may be written over a thousand times.
    let apart = (0..1_000)
        .fold(from(1, 0, 1_000), |bytes, at| bytes.n(&[0x28, 1]).s("meta").s(&at.to_string()).raw(&[1, 126]));
    assert!(apart.n(&[0]).scan().is_ok());
    let over = (1..1_000).fold(from(1, 0, 1_000).item(8, "meta").raw(&[1, 126]), |bytes, at| {
        bytes.raw(&[0xa8]).n(&[1, at - 1]).raw(&[1, 126])
    });
    assert!(over.n(&[0]).scan().is_ok());
}

#[test]
fn letters_and_entries_of_sequences_are_counted() {
    let mut places = Places::new();
    let text = from(1, 0, 2).item(7, "meta").n(&[2]).n(&[4, ID, 1, 0]).s("abc");
    send(&mut places, text).unwrap();
    assert_eq!(places.in_lists(), 3, "the text itself stands under a key");
    send(&mut places, from(2, 0, 1).raw(&[0x88]).n(&[1, 3]).raw(&[2, 126, 126])).unwrap();
    assert_eq!(places.in_lists(), 5);
    note(&mut places, &Bytes::default().n(&[0, 1, 1, 1, 1, 2]).0).unwrap();
    assert_eq!(places.in_lists(), 5, "what was deleted counts as well");
}

#[test]
fn types_that_are_deleted_are_gone_however_many_at_once() {
    // Thirty maps in one run, every second one deleted, all at once or each in an update of its own.
    let maps = (1..30).fold(from(1, 0, 30).item(7, "nodes").n(&[1]), |bytes, _| bytes.map_in(1, 0));
    let deletes = |clocks: &[u64]| {
        let start = Bytes::default().n(&[0, 1, 1, clocks.len() as u64]);
        clocks.iter().fold(start, |bytes, clock| bytes.n(&[*clock, 1]))
    };
    let every_second: Vec<u64> = (1..30).step_by(2).collect();
    let mut at_once = Places::new();
    send(&mut at_once, maps).unwrap();
    let mut singly = at_once.clone();
    note(&mut at_once, &deletes(&every_second).0).unwrap();
    for clock in &every_second {
        note(&mut singly, &deletes(&[*clock]).0).unwrap();
    }
    for clock in 0..30_u32 {
        let of = |places: &Places| places.of(ClientId::new(1), clock).unwrap();
        assert_eq!(of(&at_once), of(&singly));
        assert_eq!(of(&at_once).kind == Kind::Gone, clock % 2 == 1, "{clock}");
    }
}

/// Where yrs has a shared type: its root, its element, and its depth.
type Where = (Root, String, u8);

/// The shared types that live, by their ids, and where yrs has them.
pub(super) fn types(doc: &Doc) -> BTreeMap<(u64, u32), Where> {
    fn id(branch: &Branch) -> (u64, u32) {
        match branch.id() {
            BranchID::Nested(id) => (id.client.get(), id.clock),
            BranchID::Root(_) => panic!("a nested type has an id"),
        }
    }
    fn walk<T: ReadTxn>(txn: &T, value: Out, at: &Where, found: &mut BTreeMap<(u64, u32), Where>) {
        let below = (at.0, at.1.clone(), at.2 + 1);
        match value {
            Out::YMap(map) => {
                found.insert(id(AsRef::<Branch>::as_ref(&map)), at.clone());
                map.iter(txn).for_each(|(_, value)| walk(txn, value, &below, found));
            }
            Out::YArray(array) => {
                found.insert(id(AsRef::<Branch>::as_ref(&array)), at.clone());
                array.iter(txn).for_each(|value| walk(txn, value, &below, found));
            }
            Out::YText(text) => {
                found.insert(id(AsRef::<Branch>::as_ref(&text)), at.clone());
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    for root in Root::ALL {
        let map = doc.get_or_insert_map(root.name());
        let txn = doc.transact();
        map.iter(&txn).for_each(|(key, value)| walk(&txn, value, &(root, key.to_owned(), 1), &mut found));
    }
    found
}

/// Where the index has a clock.
pub(super) fn indexed(places: &Places, client: u64, clock: u32) -> Option<Where> {
    let place = places.of(ClientId::new(client), clock)?;
    let (root, key) = places.named(place.spot)?;
    Some((root, key.to_owned(), place.depth))
}

/// What a pod has after a restart: the whole document as one update.
pub(super) fn anew(room: &Doc) -> (Scan, Places) {
    let whole = room.transact().encode_state_as_update_v1(&StateVector::default());
    let scan = scan(&whole);
    let mut places = Places::new();
    note(&mut places, &whole).unwrap();
    (scan, places)
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
            let from = done.len() - dice.roll(done.len().min(30)) - 1;
            log.push(merged(&done[from..]));
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
    fn an_honest_life_has_places_that_do_not_depend_on_the_way(
        steps in proptest::collection::vec(any_step(), 1..120),
        seed in 1..u64::MAX,
    ) {
        let (docs, updates) = play(&steps);
        let room = doc(99);
        let mut places = Places::new();
        let mut applied = 0;
        for update in log(&mut Dice(seed), &docs, &updates) {
            let scan = scan(&update);
            let state = room.transact().state_vector();
            if !matches!(scan.closure(clocks(&state)), Closure::Closed { .. }) {
                continue; // merged with something that it does not follow on
            }
            applied += 1;
            prop_assert_eq!(note(&mut places, &update), Ok(()));
            room.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
            for range in &scan.ranges {
                let end = clock_of(&room.transact().state_vector(), range.client);
                prop_assert_eq!(places.end_of(range.client), end);
            }
        }
        prop_assert!(docs.len() <= applied);
        for ((client, clock), at) in types(&room) {
            prop_assert_eq!(indexed(&places, client, clock), Some(at));
        }

        let (scan, anew) = anew(&room);
        prop_assert_eq!(anew.clients(), places.clients());
        let is_deleted = |client, clock| {
            scan.deletes.iter().any(|range| range.client == client && (range.start..range.end).contains(&clock))
        };
        for range in &scan.ranges {
            prop_assert_eq!(anew.end_of(range.client), places.end_of(range.client));
            for clock in range.start..range.end {
                if !is_deleted(range.client, clock) {
                    let client = range.client.get();
                    let (ours, theirs) = (indexed(&places, client, clock), indexed(&anew, client, clock));
                    prop_assert!(ours.is_some());
                    prop_assert_eq!(ours, theirs, "{} at {}", client, clock);
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
    let found = docs
        .iter()
        .flat_map(types)
        .map(|(_, (_, _, depth))| depth)
        .collect::<std::collections::BTreeSet<_>>();
    assert_eq!(found, [1, 2, 3].into());
}

/// Whatever is sent in the place of honest updates: the index knows where yrs has every type.
#[test]
fn what_passes_stands_where_the_index_says() {
    let mut dice = Dice(0x0dd5_79b9_7f4a_7c15);
    let (mut applied, mut overlapping, mut refused) = (0_u32, 0_u32, 0_u32);
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
        let mut places = Places::new();
        for update in log(&mut dice, &docs, &updates) {
            let bytes = if dice.roll(3) == 0 { update } else { mutated(&mut dice, &update) };
            let Ok(scan) = scan_update(&bytes, UPDATE_BYTES_MAX) else { continue };
            let state = room.transact().state_vector();
            let stood = match scan.judge(&bytes, clocks(&state), &places) {
                Verdict::Clean(stood) => stood,
                Verdict::Gap { .. } => continue,
                Verdict::Refused(_) => {
                    refused += 1;
                    continue;
                }
            };
            overlapping += u32::from(stood.overlaps);
            room.transact_mut().apply_update(Update::decode_v1(&bytes).unwrap()).unwrap();
            places.note(stood, &bytes);
            applied += 1;
            for ((client, clock), at) in types(&room) {
                assert_eq!(indexed(&places, client, clock), Some(at), "{client} at {clock}");
            }
        }
    }
    println!("{applied} updates were applied, {overlapping} of them overlapping, and {refused} refused");
    assert!(ROUNDS < applied && ROUNDS < overlapping);
}
