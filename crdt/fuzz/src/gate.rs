//! Updates and state vectors through the gate into yrs.
//!
//! The first byte says what the others are: 0 an update to the known document, 1 an update to an empty one, 2 a state
//! vector, 3 updates to the known document, each behind its length in 16 bits (the lower ones first), everything else a plan from which up to four updates are built, one after the other; from an odd one wilder
//! ones.

use std::sync::atomic::{AtomicU64, Ordering};

use arbitrary::Unstructured;
use atlas_crdt::design::{ApplyFault, DesignDoc, merge_updates};
use atlas_crdt::gate::{Refusal, Scan, clock_of, scan_state_vector, scan_update};
use atlas_crdt::invariants::check_view;
use atlas_crdt::limits::{DOCUMENT_BYTES_MAX, UPDATE_BYTES_MAX};
use yrs::StateVector;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;

use crate::build;
use crate::judge::{Index, ORDER_IS_CHECKED, PARENTS_ARE_LOOKED_UP, Verdict, judge};
use crate::known::{self, READER};

/// Of all updates so far: how many there were, and how many were clean.
static SEEN: AtomicU64 = AtomicU64::new(0);
static CLEAN: AtomicU64 = AtomicU64::new(0);

pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode {
        0 => {
            let (mut doc, mut index) = known::copy();
            let _ = one(&mut doc, &mut index, rest, ORDER_IS_CHECKED);
        }
        1 => {
            let _ = one(&mut DesignDoc::new(READER), &mut Index::default(), rest, ORDER_IS_CHECKED);
        }
        2 => state_vector(rest),
        3 => {
            let (mut doc, mut index) = known::copy();
            let mut rest = rest;
            while let Some((len, behind)) = rest.split_first_chunk() {
                let (bytes, behind) = behind.split_at(behind.len().min(u16::from_le_bytes(*len).into()));
                if let Next::Unknown = one(&mut doc, &mut index, bytes, ORDER_IS_CHECKED) {
                    break;
                }
                rest = behind;
            }
        }
        _ => {
            let (mut doc, mut index) = known::copy();
            let mut clocks = known::document().1.clone();
            let is_tame = mode % 2 == 0;
            let mut u = Unstructured::new(rest);
            for _ in 0..4 {
                if u.is_empty() {
                    break;
                }
                let Ok((bytes, after)) = build::update(&mut u, &clocks, is_tame) else { break };
                // For a finding that is to be kept as updates, since a plan means something else to another builder.
                #[cfg(feature = "show")]
                eprintln!("update {}", atlas_crdt::view::hex(&bytes));
                match one(&mut doc, &mut index, &bytes, is_tame || ORDER_IS_CHECKED) {
                    Next::AsBefore => {}
                    Next::Changed => clocks = after,
                    Next::Unknown => break,
                }
            }
        }
    }
}

/// What of a document is left after an update.
enum Next {
    AsBefore,
    Changed,
    /// Something that the gate does not look at (see `judge`): nothing more can be learnt from this document.
    Unknown,
}

/// Judges one update and holds the gate to its word: copies are compared where they must be equal.
fn one(doc: &mut DesignDoc, index: &mut Index, bytes: &[u8], copies: bool) -> Next {
    let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
    if seen.is_power_of_two() && 1 << 15 < seen {
        eprintln!("updates: {seen}, clean: {}", CLEAN.load(Ordering::Relaxed));
    }
    let index_before = index.clone();
    let verdict = judge(bytes, UPDATE_BYTES_MAX, doc, index);
    assert_eq!(*index, index_before, "judging changes nothing");
    let Verdict::Clean { scan, placed } = verdict else {
        if let Verdict::Refused(refusal) = verdict {
            // Each has a code and a way to say it.
            assert!(!refusal.to_string().is_empty());
            assert!(matches!(refusal.close_code().as_u16(), 4400 | 4409 | 4413));
        }
        return Next::AsBefore;
    };
    CLEAN.fetch_add(1, Ordering::Relaxed);

    let before = doc.state_vector();
    let whole_before = doc.encode();
    let view_before = doc.view();
    let applied = match doc.apply(&[bytes], true) {
        Ok(applied) => applied,
        Err(ApplyFault::Misplaced(_)) if !PARENTS_ARE_LOOKED_UP => return Next::Unknown,
        Err(fault) => panic!("clean, and yrs cannot apply it: {fault}"),
    };
    let overlaps = placed.overlaps;
    index.note(placed, bytes);
    check_announced(&scan, overlaps, &before, &applied, doc);

    if !copies {
        return Next::Unknown;
    }
    // Encoded anew, whole or in part, it is what the gate lets in again, and the same document for everybody.
    let view = doc.view();
    check_view(&view).expect("INV-11");
    if !applied.changed {
        assert_eq!(view, view_before, "nothing changed, and yet the design did");
    }
    let hash = view.content_hash();
    check_copy(&[&doc.encode()], doc, &hash, "the whole document");
    // One of the other ways each time, chosen by the bytes.
    match bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 4 {
        0 => {
            let added = applied.added.expect("it was asked for");
            check_copy(&[&whole_before, &added], doc, &hash, "what the transaction added");
        }
        1 => check_copy(&[&whole_before, &doc.diff_since(&before)], doc, &hash, "the difference"),
        2 => check_copy(&[&whole_before, bytes], doc, &hash, "the bytes themselves"),
        // Merging trusts either side with the clocks that both have: the room does it only without overlap.
        _ if overlaps => {}
        _ => {
            let merged = merge_updates(&[&whole_before, bytes]).expect("what was applied can be merged");
            check_copy(&[&merged], doc, &hash, "merged bytes");
        }
    }
    Next::Changed
}

/// An update brings exactly the clocks that it said, and deletes at least what it said.
fn check_announced(
    scan: &Scan,
    overlaps: bool,
    before: &StateVector,
    applied: &atlas_crdt::design::Applied,
    doc: &DesignDoc,
) {
    let mut said: Vec<_> = scan.ranges.clone();
    let mut overlapped = false;
    for range in &mut said {
        let known = clock_of(before, range.client);
        overlapped |= range.start < known;
        range.start = range.start.max(known.min(range.end));
    }
    said.retain(|range| range.start < range.end);
    let mut wrote = applied.wrote.clone();
    wrote.sort_unstable();
    assert_eq!(wrote, said, "it brings what it said");
    assert_eq!(overlaps, overlapped);
    assert!(!doc.deletes_anything(&scan.deletes), "it deletes what it said");
    assert_eq!(scan.adds_structs(|client| clock_of(before, client)), !wrote.is_empty());
    if scan.is_empty() {
        assert!(!applied.changed);
    }
}

/// The same document comes of these updates, each of which the gate lets in.
fn check_copy(updates: &[&[u8]], doc: &DesignDoc, hash: &[u8; 32], what: &str) {
    let mut copy = DesignDoc::new(READER);
    let mut index = Index::default();
    for update in updates {
        match judge(update, DOCUMENT_BYTES_MAX, &copy, &index) {
            Verdict::Clean { placed, .. } => index.note(placed, update),
            other => panic!("{what}: the gate does not let in what it let grow: {other:?}"),
        }
        if let Err(fault) = copy.apply(&[update], false) {
            panic!("{what}: {fault}");
        }
    }
    assert_eq!(copy.state_vector(), doc.state_vector(), "{what}");
    if copy.view().content_hash() != *hash {
        let (ours, copied) = (doc.view(), copy.view());
        panic!("{what} make another design: {updates:02x?}\n{ours:#?}\n{copied:#?}");
    }
}

fn state_vector(bytes: &[u8]) {
    let Ok(state) = scan_state_vector(bytes) else { return };
    assert_eq!(StateVector::decode_v1(bytes).expect("yrs reads what the gate reads"), state);
    assert_eq!(scan_state_vector(&state.encode_v1()).expect("it may come again"), state);
    let (doc, _) = known::copy();
    let diff = doc.diff_since(&state);
    let scan: Result<Scan, Refusal> = scan_update(&diff, DOCUMENT_BYTES_MAX);
    let scan = scan.expect("an answer is an update");
    let in_document = |client| clock_of(doc.state(), client);
    assert!(scan.ranges.iter().all(|range| range.end == in_document(range.client)));
    assert!(!doc.deletes_anything(&scan.deletes));
}
