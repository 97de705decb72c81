//! What the scan lets through: updates of real documents, read as yrs reads them, and mutated ones. What it stops
//! is in `traps.rs`.

mod cosmetic;
mod honest;
mod hostile;
mod places;
mod stored;
mod traps;

use proptest::prelude::*;
use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    Any, Array, ArrayPrelim, Doc, Map, MapPrelim, MapRef, Number, OffsetKind, Options, ReadTxn, Text,
    TextPrelim, Transact, Update, WriteTxn,
};

use super::*;
use crate::limits::UPDATE_BYTES_MAX;

fn range(client: u64, start: u32, end: u32) -> ClockRange {
    ClockRange { client: ClientId::new(client), start, end }
}

/// The clocks of a document, as the room hands them over.
fn clocks(state: &StateVector) -> impl Fn(ClientId) -> u32 + Copy + '_ {
    move |client| clock_of(state, client)
}

fn doc(client: u64) -> Doc {
    let mut options = Options::with_client_id(yrs::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    let doc = Doc::with_options(options);
    for root in ["nodes", "edges", "meta", "comments"] {
        doc.get_or_insert_map(root);
    }
    doc
}

fn root(txn: &mut yrs::TransactionMut<'_>, name: &str) -> MapRef {
    txn.get_or_insert_map(name)
}

/// One edit of the kinds that designs see, and some that they do not; returns its update.
fn edit(doc: &Doc, what: u8, key: u8, value: u8) -> Vec<u8> {
    let mut txn = doc.transact_mut();
    let nodes = root(&mut txn, "nodes");
    let key = format!("k{}", key % 6);
    let node = match nodes.get(&txn, &key) {
        Some(yrs::Out::YMap(node)) => Some(node),
        _ => None,
    };
    match (what % 10, node) {
        (0 | 1, _) | (_, None) => {
            let node = nodes.insert(&mut txn, key, MapPrelim::from([("type", "custom")]));
            node.insert(&mut txn, "position", Any::from_json(r#"{"x": 10.5, "y": -3}"#).unwrap());
            let data = node.insert(&mut txn, "data", MapPrelim::from([("label", "é𝄞")]));
            data.insert(&mut txn, "securityFlags", MapPrelim::default());
            data.insert(&mut txn, "notes", TextPrelim::new("𝄞 text"));
            data.insert(&mut txn, "tags", ArrayPrelim::from(["a", "b"]));
        }
        (2, _) => {
            nodes.remove(&mut txn, &key);
        }
        (3 | 4, Some(node)) => {
            node.insert(&mut txn, "width", f64::from(value) / 3.0);
        }
        (5, Some(node)) => {
            let text = "x".repeat(usize::from(value) * 40);
            node.insert(&mut txn, "blob", vec![value; usize::from(value)]);
            node.insert(&mut txn, "long", text);
        }
        (6 | 7, Some(node)) => {
            if let Some(yrs::Out::YMap(data)) = node.get(&txn, "data")
                && let Some(yrs::Out::YText(notes)) = data.get(&txn, "notes")
            {
                let len = notes.len(&txn);
                let at = u32::from(value) % (len + 1);
                if 3 < len && value.is_multiple_of(3) {
                    notes.remove_range(&mut txn, at.min(len - 2), 2);
                } else {
                    notes.insert(&mut txn, at, "a𝄞");
                }
            }
        }
        (8, Some(node)) => {
            if let Some(yrs::Out::YMap(data)) = node.get(&txn, "data")
                && let Some(yrs::Out::YArray(tags)) = data.get(&txn, "tags")
            {
                let at = u32::from(value) % (tags.len(&txn) + 1);
                tags.insert_range(&mut txn, at, [1, 2, 3]);
            }
        }
        (_, Some(_)) => {
            root(&mut txn, "meta").insert(&mut txn, key, Any::Number(Number::Int(i64::from(value) << 40)));
        }
    }
    txn.encode_update_v1()
}

/// What happens to four documents, and every update that it gave.
#[derive(Debug, Clone)]
enum Step {
    Edit { doc: u8, what: u8, key: u8, value: u8 },
    Sync { from: u8, to: u8 },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<(u8, u8, u8, u8)>().prop_map(|(doc, what, key, value)| Step::Edit { doc, what, key, value }),
        1 => any::<(u8, u8)>().prop_map(|(from, to)| Step::Sync { from, to }),
    ]
}

fn play(steps: &[Step]) -> (Vec<Doc>, Vec<Vec<u8>>) {
    let docs = vec![doc(3), doc((1 << 40) + 7), doc((1 << 53) - 1), doc(4)];
    let mut updates = Vec::new();
    for step in steps {
        match *step {
            Step::Edit { doc, what, key, value } => {
                updates.push(edit(&docs[usize::from(doc) % docs.len()], what, key, value));
            }
            Step::Sync { from, to } => {
                let (from, to) = (usize::from(from) % docs.len(), usize::from(to) % docs.len());
                if from != to {
                    let have = docs[to].transact().state_vector();
                    let diff = docs[from].transact().encode_diff_v1(&have);
                    docs[to].transact_mut().apply_update(Update::decode_v1(&diff).unwrap()).unwrap();
                    updates.push(diff);
                }
            }
        }
    }
    (docs, updates)
}

/// What is kept of an update is bounded by its bytes: a run takes 40, and a struct of which one is made at least 4.
fn is_in_proportion(scan: &Scan, bytes: &[u8]) -> bool {
    let _ = scan.place(bytes, &Places::new());
    scan.heap_bytes() <= 512 + 32 * bytes.len()
}

/// Of as many as one likes, which may overlap: yrs by itself panics on that.
fn merged(updates: &[Vec<u8>]) -> Vec<u8> {
    let updates: Vec<&[u8]> = updates.iter().map(Vec::as_slice).collect();
    crate::design::merge_updates(&updates).unwrap().to_vec()
}

fn scan(update: &[u8]) -> Scan {
    scan_update(update, UPDATE_BYTES_MAX).unwrap()
}

/// The ranges of a set of yrs, touching ones joined.
fn joined(set: &yrs::IdSet) -> Vec<ClockRange> {
    let mut ranges: Vec<ClockRange> = Vec::new();
    for (client, of_client) in set.iter() {
        for one in of_client.iter() {
            ranges.push(range(client.get(), one.start, one.end));
        }
    }
    join(ranges)
}

fn join(mut ranges: Vec<ClockRange>) -> Vec<ClockRange> {
    ranges.sort_unstable();
    let mut joined: Vec<ClockRange> = Vec::new();
    for one in ranges.into_iter().filter(|one| one.start < one.end) {
        match joined.last_mut() {
            Some(last) if last.client == one.client && one.start <= last.end => {
                last.end = last.end.max(one.end);
            }
            _ => joined.push(one),
        }
    }
    joined
}

#[test]
fn an_empty_update_and_an_empty_state_vector_are_fine() {
    let empty = scan(Update::EMPTY_V1);
    assert!(empty.is_empty());
    assert!(!empty.adds_structs(clocks(&StateVector::default())));
    assert_eq!(empty.closure(clocks(&StateVector::default())), Closure::Closed { overlaps: false });
    assert!(scan_state_vector(&[0]).unwrap().is_empty());
}

#[test]
fn an_update_after_a_missing_one_is_a_gap_and_closes_when_it_arrives() {
    let anne = doc(1);
    let first = edit(&anne, 0, 0, 0);
    let second = edit(&anne, 3, 0, 9);
    let third = edit(&anne, 2, 0, 0);
    let room = doc(2);
    let state = |room: &Doc| room.transact().state_vector();
    let gap = scan(&second).closure(clocks(&state(&room)));
    assert_eq!(gap, Closure::Gap { client: ClientId::new(1), have: 0, need: scan(&first).ranges[0].end });
    assert!(
        matches!(scan(&third).closure(clocks(&state(&room))), Closure::Gap { .. }),
        "nothing to delete yet"
    );
    assert!(!scan(&third).adds_structs(clocks(&state(&room))));

    room.transact_mut().apply_update(Update::decode_v1(&first).unwrap()).unwrap();
    assert_eq!(scan(&second).closure(clocks(&state(&room))), Closure::Closed { overlaps: false });
    assert_eq!(scan(&first).closure(clocks(&state(&room))), Closure::Closed { overlaps: true });
    assert!(
        scan(&second).adds_structs(clocks(&state(&room)))
            && !scan(&first).adds_structs(clocks(&state(&room)))
    );
    // Both at once close each other.
    let both = yrs::merge_updates_v1([&first, &second]).unwrap();
    assert_eq!(scan(&both).closure(clocks(&StateVector::default())), Closure::Closed { overlaps: false });
}

#[test]
fn an_edit_upon_anothers_unseen_edit_is_a_gap_in_the_others_clocks() {
    let (anne, ben) = (doc(1), doc(2));
    let created = edit(&anne, 0, 0, 0);
    ben.transact_mut().apply_update(Update::decode_v1(&created).unwrap()).unwrap();
    let moved = edit(&ben, 3, 0, 5);
    let scanned = scan(&moved);
    assert_eq!(scanned.needs.len(), 1);
    let gap = scanned.closure(clocks(&StateVector::default()));
    assert!(matches!(gap, Closure::Gap { client, have: 0, need } if client == ClientId::new(1) && 0 < need));
    assert_eq!(scanned.closure(clocks(&anne.transact().state_vector())), Closure::Closed { overlaps: false });
}

#[test]
fn an_update_with_a_skip_is_a_gap_even_where_it_would_fit() {
    let anne = doc(1);
    let updates = [edit(&anne, 0, 0, 0), edit(&anne, 3, 0, 1), edit(&anne, 3, 0, 2)];
    let merged = yrs::merge_updates_v1([&updates[0], &updates[2]]).unwrap();
    let scanned = scan(&merged);
    assert!(scanned.has_skip);
    let skipped = scan(&updates[1]).ranges[0];
    let gap = Closure::Gap { client: skipped.client, have: skipped.start, need: skipped.end };
    assert_eq!(scanned.closure(clocks(&StateVector::default())), gap);
    assert_eq!(scanned.closure(clocks(&anne.transact().state_vector())), gap);
}

#[test]
fn state_vectors_of_documents_are_read_as_they_are() {
    let (docs, _) = play(&[
        Step::Edit { doc: 0, what: 0, key: 0, value: 0 },
        Step::Edit { doc: 1, what: 0, key: 1, value: 0 },
        Step::Sync { from: 0, to: 1 },
    ]);
    let state = docs[1].transact().state_vector();
    assert_eq!(scan_state_vector(&state.encode_v1()).unwrap(), state);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The scan reads of each update what yrs reads of it.
    #[test]
    fn updates_of_documents_are_read_as_yrs_reads_them(steps in proptest::collection::vec(any_step(), 1..40)) {
        let (docs, mut updates) = play(&steps);
        for doc in &docs {
            updates.push(doc.transact().encode_state_as_update_v1(&StateVector::default()));
        }
        updates.push(merged(&updates));
        for update in &updates {
            let scan = scan(update);
            let theirs = Update::decode_v1(update).unwrap();
            if !scan.has_skip {
                prop_assert_eq!(&scan.ranges, &joined(&theirs.insertions(true)));
            }
            prop_assert_eq!(join(scan.deletes.clone()), joined(theirs.delete_set()));
            prop_assert_eq!(scan.is_empty(), theirs.is_empty());
        }
    }

    /// Closed: yrs applies the update and waits for nothing. A gap: something is really missing.
    #[test]
    fn closed_updates_apply_without_rest(
        steps in proptest::collection::vec(any_step(), 1..40),
        lost in proptest::collection::vec(proptest::bool::weighted(0.2), 40),
    ) {
        let (_, updates) = play(&steps);
        let room = doc(99);
        for (update, lost) in updates.iter().zip(lost) {
            if lost {
                continue;
            }
            let scan = scan(update);
            let state = room.transact().state_vector();
            match scan.closure(clocks(&state)) {
                Closure::Closed { overlaps } => {
                    let adds = scan.adds_structs(clocks(&state));
                    room.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
                    let txn = room.transact();
                    prop_assert!(!txn.has_missing_updates());
                    let after = txn.state_vector();
                    prop_assert_eq!(adds, after != state);
                    for range in &scan.ranges {
                        prop_assert!(range.end <= clock_of(&after, range.client));
                        prop_assert!(overlaps || clock_of(&state, range.client) == range.start);
                    }
                }
                Closure::Gap { client, have, need } => {
                    prop_assert!(have < need);
                    prop_assert!(clock_of(&state, client) < need);
                }
            }
        }
    }

    #[test]
    fn scanning_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if scan_update(&bytes, UPDATE_BYTES_MAX).is_ok() {
            prop_assert!(Update::decode_v1(&bytes).is_ok());
        }
        if let Ok(stored) = scan_stored(&bytes) {
            prop_assert!(Update::decode_v1(&bytes).is_ok());
            prop_assert!(is_in_proportion(&stored.scan, &bytes));
        }
        if let Ok(state) = scan_state_vector(&bytes) {
            prop_assert_eq!(state, StateVector::decode_v1(&bytes).unwrap());
        }
    }
}

/// Numbers for the mutations below: xorshift64*, so that every run is the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % below
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }
}

fn mutated(dice: &mut Dice, update: &[u8]) -> Vec<u8> {
    let mut bytes = update.to_vec();
    for _ in 0..=dice.roll(4) / 3 {
        let at = dice.roll(bytes.len());
        match dice.roll(8) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes.insert(at, dice.byte()),
            2 => {
                let piece = bytes[at..bytes.len().min(at + 8)].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes[at] = bytes[at].wrapping_add(1),
            4 => bytes[at] ^= 1 << dice.roll(8),
            _ => bytes[at] = dice.byte(),
        }
    }
    bytes
}

#[test]
fn what_passes_of_mutated_updates_yrs_decodes() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let steps: Vec<Step> = (0..60)
        .map(|_| Step::Edit { doc: dice.byte(), what: dice.byte(), key: dice.byte(), value: dice.byte() })
        .collect();
    let (_, updates) = play(&steps);
    let (mut passed, mut refused) = (0_u32, 0_u32);
    for _ in 0..20_000 {
        let at = dice.roll(updates.len());
        let bytes = mutated(&mut dice, &updates[at]);
        if let Ok(scan) = scan_update(&bytes, UPDATE_BYTES_MAX) {
            assert!(is_in_proportion(&scan, &bytes));
            assert_eq!(scan_stored(&bytes).unwrap().breach, None);
            passed += 1;
            assert!(Update::decode_v1(&bytes).is_ok(), "yrs does not decode {bytes:?}");
        } else {
            refused += 1;
        }
    }
    println!("of 20,000 mutated updates {passed} passed and {refused} were refused");
    assert!(4_000 < passed && 4_000 < refused);
}

/// What the second fence is for: of updates that pass and are closed, yrs neither panics nor keeps any waiting. All
/// that may fail is a parent in the document that is no type, which the scan cannot know.
// R-SYNC-7
#[test]
fn what_passes_and_is_closed_yrs_applies() {
    let mut dice = Dice(0x1234_79b9_7f4a_7c15);
    let (mut applied, mut failed) = (0_u32, 0_u32);
    for _ in 0..40 {
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
        let (_, updates) = play(&steps);
        let base = doc(99);
        let (before, after) = updates.split_at(updates.len() / 2);
        for update in before {
            base.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
        }
        let whole = base.transact().encode_state_as_update_v1(&StateVector::default());
        for update in after.iter().cycle().take(800) {
            let bytes = mutated(&mut dice, update);
            let Ok(scan) = scan_update(&bytes, UPDATE_BYTES_MAX) else { continue };
            let room = doc(98);
            room.transact_mut().apply_update(Update::decode_v1(&whole).unwrap()).unwrap();
            let state = room.transact().state_vector();
            if !matches!(scan.closure(clocks(&state)), Closure::Closed { .. }) {
                continue;
            }
            let outcome = room.transact_mut().apply_update(Update::decode_v1(&bytes).unwrap());
            if let Err(error) = outcome {
                assert!(matches!(error, yrs::error::UpdateError::InvalidParent(..)), "{error}");
                failed += 1;
                continue;
            }
            assert!(!room.transact().has_missing_updates(), "{bytes:?}");
            // What others are then served passes their gates.
            let served = room.transact().encode_diff_v1(&StateVector::default());
            assert!(!scan_update(&served, UPDATE_BYTES_MAX).unwrap().has_skip);
            applied += 1;
        }
    }
    println!(
        "of the mutated updates that passed and were closed {applied} were applied, {failed} had a wrong parent"
    );
    assert!(failed * 20 < applied);
}

#[test]
fn documents_survive_the_gate_unchanged() {
    let steps: Vec<Step> = (0..50).map(|n| Step::Edit { doc: n, what: n, key: n / 3, value: n }).collect();
    let (docs, _) = play(&steps);
    let whole = docs[0].transact().encode_state_as_update_v1(&StateVector::default());
    scan(&whole);
    let copy = doc(5);
    copy.transact_mut().apply_update(Update::decode_v1(&whole).unwrap()).unwrap();
    let nodes = |doc: &Doc| {
        let map = doc.get_or_insert_map("nodes");
        map.to_json(&doc.transact())
    };
    assert_eq!(nodes(&copy), nodes(&docs[0]));
}
