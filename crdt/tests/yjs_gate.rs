//! What the published yjs writes, as a server gets it: through the gate, update by update, in every order that may come.
//! Whether it shows the same design is what `yjs_compat.rs` asks.
//!
//! `fixtures/yjs/stories/*.json` was recorded by the `record.mjs` beside them, which says what is in the files. Each is
//! a story: the updates that a server receives, and what yjs itself makes of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::path::PathBuf;

use atlas_crdt::design::{ApplyFault, DesignDoc, merge_updates};
use atlas_crdt::gate::{Closure, Scan, clock_of, scan_state_vector, scan_update};
use atlas_crdt::ids::ClientId;
use atlas_crdt::limits::DOCUMENT_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    Any, Array, Doc, GetString, Map, OffsetKind, Options, Out, ReadTxn, StateVector, Transact, Update,
};

const ROOTS: [&str; 4] = ["nodes", "edges", "meta", "comments"];
const OURS: ClientId = ClientId::new(99);

#[derive(Deserialize)]
struct Story {
    name: String,
    yjs: String,
    updates: Vec<Bytes>,
    merged: Bytes,
    state: Bytes,
    vector: Bytes,
    clocks: Vec<(u64, u32)>,
    json: Value,
    checkpoints: Vec<Checkpoint>,
}

#[derive(Deserialize)]
struct Checkpoint {
    after: usize,
    vector: Bytes,
    missing: Bytes,
    cut: Bytes,
}

/// Hexadecimal in the files.
#[derive(Deserialize, Clone, PartialEq, Eq)]
#[serde(try_from = "String")]
struct Bytes(Vec<u8>);

impl TryFrom<String> for Bytes {
    type Error = std::num::ParseIntError;

    fn try_from(hex: String) -> Result<Self, Self::Error> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn stories() -> Vec<Story> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/yjs/stories");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let stories: Vec<Story> =
        paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect();
    assert_eq!(stories.len(), 16, "a story is missing");
    stories
}

impl Story {
    fn updates(&self) -> Vec<&[u8]> {
        self.updates.iter().map(|update| &update.0[..]).collect()
    }

    /// The document that the first updates make, each a transaction of its own.
    fn first(&self, count: usize) -> DesignDoc {
        let mut doc = DesignDoc::new(OURS);
        for update in &self.updates()[..count] {
            doc.apply(&[update], false).unwrap_or_else(|fault| panic!("{}: {fault}", self.name));
        }
        doc
    }

    fn clocks(&self) -> StateVector {
        self.clocks.iter().map(|&(client, clock)| (yrs::ClientID::new(client), clock)).collect()
    }

    /// The same clocks, the same deletions and the same content as in yjs.
    fn assert_complete(&self, doc: &DesignDoc, how: &str) {
        assert_eq!(doc.state_vector(), self.clocks(), "{}, {how}", self.name);
        let encoded = doc.encode();
        assert_eq!(content(&encoded), plain(&self.json), "{}, {how}", self.name);
        self.assert_same_update(&encoded, &self.state.0, how);
    }

    /// Two updates that say the same. The bytes cannot always be equal:
    ///
    /// - yrs keeps JSON objects in hash maps and writes their keys in any order; only the length stays.
    /// - yrs lists the clients of a delete set upwards, yjs downwards.
    /// - yrs has one kind of integer: -0 is written as 0, and a BigInt that a JavaScript number can hold as that number
    ///   (`values`).
    /// - Ranges of collected structs that lie beside each other are joined or not, depending on the transactions in
    ///   which they came to lie so, and the two differ in that. They are joined here before they are compared.
    fn assert_same_update(&self, ours: &[u8], theirs: &[u8], how: &str) {
        let about = format!("{}, {how}", self.name);
        let (our_scan, their_scan) = (scan(ours), scan(theirs));
        assert_eq!(our_scan.ranges, their_scan.ranges, "{about}");
        assert_eq!(our_scan.deletes, their_scan.deletes, "{about}");
        assert_eq!(our_scan.needs, their_scan.needs, "{about}");
        let (our_update, their_update) = (decoded(ours), decoded(theirs));
        if our_update != their_update && self.name != "values" {
            assert_eq!(structs(&our_update), structs(&their_update), "{about}");
            return;
        }
        assert_eq!(our_scan.structs, their_scan.structs, "{about}");
        assert!(ours.len() == theirs.len() || self.name == "values", "{about}");
        if ["flat", "lists", "maps"].contains(&self.name.as_str()) {
            let end = ours.len() - our_update.delete_set().encode_v1().len();
            assert!(ours[..end] == theirs[..end], "{about}: the bytes differ");
        }
    }
}

/// The structs of an update in yrs's words, one each, with collected ranges joined and the letters of objects sorted.
fn structs(update: &Update) -> Vec<String> {
    let mut structs: Vec<String> = Vec::new();
    let mut collected: Option<(u32, u32)> = None;
    let text = format!("{update:#?}");
    let blocks = text.split("delete set").next().unwrap();
    for line in blocks.lines().map(str::trim) {
        let range =
            line.strip_prefix("gc(").and_then(|rest| rest.trim_end_matches([',', ')']).split_once("..="));
        let range = range.map(|(start, end)| (start.parse::<u32>().unwrap(), end.parse::<u32>().unwrap()));
        collected = match (collected, range) {
            (Some((first, last)), Some((start, end))) if start == last => {
                structs.pop();
                Some((first, end))
            }
            (_, range) => range,
        };
        if let Some((start, end)) = collected {
            structs.push(format!("gc {start} {end}"));
        } else if line.starts_with('(') {
            structs.push(sorted_objects(line));
        }
    }
    structs
}

/// Keys of objects come in any order: what is inside of braces is compared as a bag of letters.
fn sorted_objects(line: &str) -> String {
    let Some(from) = line.find('{') else { return line.to_owned() };
    let mut letters: Vec<char> = line[from..].chars().collect();
    letters.sort_unstable();
    line[..from].chars().chain(letters).collect()
}

fn scan(update: &[u8]) -> Scan {
    scan_update(update, DOCUMENT_BYTES_MAX).unwrap()
}

fn decoded(update: &[u8]) -> Update {
    Update::decode_v1(update).unwrap()
}

fn is_closed(update: &[u8], state: &StateVector) -> bool {
    fits(&scan(update), state)
}

fn fits(scan: &Scan, state: &StateVector) -> bool {
    matches!(scan.closure(|client| clock_of(state, client)), Closure::Closed { .. })
}

/// What the four roots show, read with yrs itself and not with the code under test.
fn content(update: &[u8]) -> Value {
    let mut options = Options::with_client_id(yrs::ClientID::new(98));
    options.offset_kind = OffsetKind::Utf16;
    let doc = Doc::with_options(options);
    for root in ROOTS {
        doc.get_or_insert_map(root);
    }
    doc.transact_mut().apply_update(decoded(update)).unwrap();
    let txn = doc.transact();
    assert!(!txn.has_missing_updates());
    let roots =
        ROOTS.iter().map(|root| ((*root).to_owned(), shared(&txn, Out::YMap(txn.get_map(*root).unwrap()))));
    Value::Object(roots.collect())
}

fn shared<T: ReadTxn>(txn: &T, out: Out) -> Value {
    match out {
        Out::YMap(map) => {
            let keys: Vec<String> = map.keys(txn).map(str::to_owned).collect();
            Value::Object(
                keys.into_iter()
                    .map(|key| {
                        let value = shared(txn, map.get(txn, &key).unwrap());
                        (key, value)
                    })
                    .collect(),
            )
        }
        Out::YArray(array) => array.iter(txn).map(|value| shared(txn, value)).collect(),
        Out::YText(text) => json!({ "$": "text", "text": text.get_string(txn) }),
        Out::Any(any) => of_any(&any),
        other => panic!("no design holds {other:?}"),
    }
}

fn of_any(any: &Any) -> Value {
    match any {
        Any::Undefined => json!({ "$": "undefined" }),
        Any::Null => Value::Null,
        Any::Bool(value) => json!(value),
        Any::Number(yrs::Number::Int(value)) => whole(*value),
        Any::Number(yrs::Number::Float(value)) if value.is_finite() => float(*value),
        Any::Number(yrs::Number::Float(value)) => {
            let name = if value.is_nan() {
                "NaN"
            } else if *value < 0.0 {
                "-Infinity"
            } else {
                "Infinity"
            };
            json!({ "$": "number", "name": name })
        }
        Any::String(text) => json!(**text),
        Any::Buffer(bytes) => {
            json!({ "$": "bytes", "hex": atlas_crdt::view::hex(bytes) })
        }
        Any::Array(values) => values.iter().map(of_any).collect(),
        Any::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), of_any(value))).collect())
        }
    }
}

/// The recorded JSON in the same form: every number as a float, as JavaScript has it.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => float(number.as_f64().unwrap()),
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::Object(entries) if entries.get("$") == Some(&json!("bigint")) => {
            whole(entries["digits"].as_str().unwrap().parse().unwrap())
        }
        Value::Object(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        _ => value.clone(),
    }
}

/// -0 is written as an integer by yjs and read as 0 by yrs; to a reader of JSON the two are one.
fn float(value: f64) -> Value {
    json!(value + 0.0)
}

/// An integer, or a BigInt if no JavaScript number can hold it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "that is what is being found out"
)]
fn whole(value: i64) -> Value {
    if (value as f64) as i64 == value {
        float(value as f64)
    } else {
        json!({ "$": "bigint", "digits": value.to_string() })
    }
}

/// Pseudo-random numbers below `end`, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = self.below(at + 1);
            list.swap(at, other);
        }
    }
}

#[test]
fn updates_pass_the_gate_in_order_and_have_the_effect_that_they_have_in_yjs() {
    for story in stories() {
        let mut doc = DesignDoc::new(OURS);
        for (at, update) in story.updates().into_iter().enumerate() {
            let before = doc.state_vector();
            assert!(is_closed(update, &before), "{}, update {at}", story.name);
            let adds = scan(update).adds_structs(|client| clock_of(&before, client));
            let applied = doc.apply(&[update], true).unwrap();
            assert_eq!(adds, applied.before != applied.after, "{}, update {at}", story.name);
            let added = applied.added.unwrap();
            assert!(
                is_closed(&added, &before),
                "{}, update {at}: what was added is closed as well",
                story.name
            );
        }
        story.assert_complete(&doc, "one by one");
        println!("{}: {} updates of yjs {}", story.name, story.updates.len(), story.yjs);
    }
}

#[test]
fn one_transaction_or_one_merged_update_makes_the_same_document() {
    for story in stories() {
        let updates = story.updates();
        let merged = merge_updates(&updates).unwrap();
        story.assert_same_update(&merged, &story.merged.0, "merged");
        let again: Vec<&[u8]> = updates.iter().chain(&updates).copied().collect();
        let halves: Vec<_> =
            updates.chunks(updates.len().div_ceil(2)).map(|half| merge_updates(half).unwrap()).collect();
        let halves: Vec<&[u8]> = halves.iter().map(|half| &half[..]).collect();
        let whole = story.first(updates.len()).encode();
        for (how, updates) in [
            ("in one transaction", &updates),
            ("each twice", &again),
            ("merged by the core", &vec![&merged[..]]),
            ("merged by yjs", &vec![&story.merged.0[..]]),
            ("merged in two halves", &halves),
            ("as yjs encodes it", &vec![&story.state.0[..]]),
            ("as the core encodes it", &vec![&whole[..]]),
        ] {
            let mut doc = DesignDoc::new(OURS);
            doc.apply(updates, false).unwrap_or_else(|fault| panic!("{}, {how}: {fault}", story.name));
            story.assert_complete(&doc, how);
            let scan = scan(updates[0]);
            assert!(!scan.has_skip, "{}, {how}", story.name);
        }
    }
}

#[test]
fn concurrent_updates_may_come_in_any_order_in_which_each_is_closed() {
    for story in stories() {
        let scans: Vec<Scan> = story.updates().into_iter().map(scan).collect();
        for seed in 0..6 {
            let mut dice = Dice(seed);
            let mut waiting: Vec<(&[u8], &Scan)> = story.updates().into_iter().zip(&scans).collect();
            let mut doc = DesignDoc::new(OURS);
            while !waiting.is_empty() {
                let state = doc.state_vector();
                let closed: Vec<usize> =
                    (0..waiting.len()).filter(|at| fits(waiting[*at].1, &state)).collect();
                let (next, _) = waiting.remove(closed[dice.below(closed.len())]);
                doc.apply(&[next], false).unwrap();
            }
            story.assert_complete(&doc, &format!("order {seed}"));
        }
    }
}

/// yrs tries again what came too early, but not always often enough (`concurrent`, shuffle 3): then all is refused. The
/// room never depends on it: what it applies is closed, one update after the other.
#[test]
fn updates_in_any_order_merge_to_the_same_and_apply_whole_or_not_at_all() {
    let mut whole = 0;
    for story in stories() {
        for seed in 0..6 {
            let mut updates = story.updates();
            Dice(seed).shuffle(&mut updates);
            let merged = merge_updates(&updates).unwrap();
            story.assert_same_update(&merged, &story.merged.0, &format!("merged, shuffle {seed}"));
            let mut doc = DesignDoc::new(OURS);
            match doc.apply(&updates, false) {
                Ok(_) => {
                    whole += 1;
                    story.assert_complete(&doc, &format!("shuffle {seed}"));
                }
                Err(ApplyFault::Incomplete) => assert!(doc.is_poisoned()),
                Err(fault) => panic!("{}, shuffle {seed}: {fault}", story.name),
            }
        }
    }
    assert!(90 < whole, "only {whole} of 96 shuffles were applied");
}

#[test]
fn an_update_that_comes_too_early_is_a_gap_and_never_half_applied() {
    let mut early = 0;
    for story in stories() {
        let updates = story.updates();
        for (at, update) in updates.into_iter().enumerate().skip(1) {
            let is_early = !is_closed(update, &StateVector::default());
            let mut doc = DesignDoc::new(OURS);
            let outcome = doc.apply(&[update], false);
            assert_eq!(
                is_early,
                matches!(outcome, Err(ApplyFault::Incomplete)),
                "{}, update {at}",
                story.name
            );
            early += usize::from(is_early);
        }
    }
    assert!(400 < early, "only {early} updates were early");
}

#[test]
fn whoever_was_away_gets_what_was_missed() {
    for story in stories() {
        let whole = story.first(story.updates.len());
        assert_eq!(scan_state_vector(&story.vector.0).unwrap(), story.clocks(), "{}", story.name);
        for checkpoint in &story.checkpoints {
            let after = checkpoint.after;
            let about = format!("after {after}");
            let vector = scan_state_vector(&checkpoint.vector.0).unwrap();
            assert_eq!(story.first(after).state_vector(), vector, "{}, {about}", story.name);
            let missing = whole.diff_since(&vector);
            story.assert_same_update(&missing, &checkpoint.missing.0, &about);
            for (how, update) in
                [("ours", &missing[..]), ("of yjs", &checkpoint.missing.0), ("cut by yjs", &checkpoint.cut.0)]
            {
                assert!(is_closed(update, &vector), "{}, {about}, {how}", story.name);
                let mut doc = story.first(after);
                doc.apply(&[update], false).unwrap();
                story.assert_complete(&doc, &format!("{about}, {how}"));
            }
        }
    }
}
